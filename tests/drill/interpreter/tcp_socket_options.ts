/**
 * Options of TCP sockets.
 *
 * @module
 */

import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import { checkSettings, defaultSettings } from "../../../stack/transport/tcp/settings.ts";
import type { ConnectionSettings } from "../../../stack/transport/tcp/user.ts";
import type { OptionValue } from "./descriptor.ts";
import type { Errno, Outcome } from "./errno.ts";
import { ScriptSkipped } from "./failure.ts";
import { FastOpenBits } from "./fast_open.ts";
import type { Host } from "./host.ts";

/** The part of a socket that options are about. */
export interface TcpOptionState {
  /** Where it lives. */
  readonly host: Host;
  /** Its connection, if it has one. */
  readonly connection: Connection | null;
  /** What its connection starts with. */
  readonly settings: Partial<ConnectionSettings>;
  /** What SO_RCVBUF is, where nothing has been said but the system's own first size; otherwise null. */
  readonly receiveSpace: number | null;
  /** TCP_FASTOPEN: how many connections may be pending, or on FreeBSD that `sendto` may connect so; 0 for neither. */
  fastOpenQueue: number;
  /** TCP_FASTOPEN_CONNECT. */
  fastOpenConnect: boolean;
  /** SO_LINGER. */
  linger: { on: boolean; seconds: number };
}

/** A setting that an option stands for: how to get from the option's number to the setting's value and back. */
interface Mapping {
  readonly setting: keyof ConnectionSettings;
  toSetting(number: number): number | boolean;
  toOption(setting: unknown): number;
}

const toggled = (setting: keyof ConnectionSettings): Mapping => ({
  setting,
  toSetting: (number) => number !== 0,
  toOption: Number,
});

const scaled = (setting: keyof ConnectionSettings, scale: number): Mapping => ({
  setting,
  toSetting: (number) => number * scale,
  toOption: (value) => Number(value) / scale,
});

/** Sizes of buffers are made fit rather than refused. */
const buffer = (setting: keyof ConnectionSettings): Mapping => ({
  ...scaled(setting, 1),
  toSetting: (number) => Math.min(Math.max(number, 1), 2 ** 30),
});

const mappings: Readonly<Record<string, Mapping>> = {
  SO_KEEPALIVE: toggled("keepAlive"),
  SO_SNDBUF: buffer("sendBufferBytes"),
  SO_SNDBUFFORCE: buffer("sendBufferBytes"),
  SO_RCVBUF: buffer("receiveBufferBytes"),
  SO_RCVBUFFORCE: buffer("receiveBufferBytes"),
  TCP_CORK: toggled("cork"),
  TCP_NOPUSH: toggled("cork"),
  TCP_NODELAY: toggled("noDelay"),
  TCP_KEEPIDLE: scaled("keepAliveIdle", 1000),
  TCP_KEEPINTVL: scaled("keepAliveInterval", 1000),
  TCP_KEEPCNT: scaled("keepAliveCount", 1),
  TCP_MAXSEG: scaled("maximumSegmentBytes", 1),
  IP_TOS: scaled("trafficClass", 1),
  IPV6_TCLASS: scaled("trafficClass", 1),
  IP_TTL: scaled("timeToLive", 1),
  IPV6_UNICAST_HOPS: scaled("timeToLive", 1),
  TCP_USER_TIMEOUT: scaled("userTimeout", 1),
  TCP_SYNCNT: scaled("synRetransmissions", 1),
};

/** Options that change nothing that a script can see here. */
const withoutEffect = new Set([
  "SO_REUSEADDR",
  "SO_REUSEPORT",
  "SO_DEBUG",
  "SO_PRIORITY",
  "SO_MARK",
  "SO_BUSY_POLL",
  "SO_NOSIGPIPE",
  "SO_OOBINLINE",
  "SO_MAX_PACING_RATE",
  "SO_RCVTIMEO",
  "SO_SNDTIMEO",
  "IPV6_V6ONLY",
  "IP_FREEBIND",
  "IP_MTU_DISCOVER",
  "TCP_FUNCTION_BLK",
  "TCP_LOG",
  "TCP_NOTSENT_LOWAT",
]);

/** How many segments are acknowledged at once after TCP_QUICKACK, before acknowledgements are delayed again. */
const quickAcknowledgements = 16;

/** Sets an option. */
export function writeTcpOption(socket: TcpOptionState, _level: string, name: string, value: OptionValue): Outcome {
  if (name === "SO_LINGER") {
    socket.linger = { on: value.number !== 0, seconds: value.second };
    return 0;
  }
  if (name === "TCP_FASTOPEN") {
    socket.fastOpenQueue = value.number;
    return 0;
  }
  if (name === "TCP_FASTOPEN_CONNECT") {
    if (socket.connection !== null) return "EINVAL";
    if ((socket.host.profile.fastOpen & FastOpenBits.client) === 0) return "EOPNOTSUPP";
    socket.fastOpenConnect = value.number !== 0;
    return 0;
  }
  if (name === "TCP_CONGESTION") {
    return value.text !== null && socket.host.profile.chooseCongestionControl(value.text) ? 0 : "ENOENT";
  }
  if (name === "TCP_QUICKACK") {
    const change = { quickAcknowledgements: value.number === 0 ? 0 : quickAcknowledgements };
    Object.assign(socket.settings, change);
    socket.connection?.configure(change);
    return 0;
  }
  const mapping = mappings[name];
  if (mapping !== undefined) {
    const factor = mapping.setting === "sendBufferBytes" ? socket.host.profile.sendBufferFactor : 1;
    const change = { [mapping.setting]: mapping.toSetting(factor * value.number) } as Partial<ConnectionSettings>;
    try {
      checkSettings(change);
    } catch {
      return "EINVAL";
    }
    Object.assign(socket.settings, change);
    socket.connection?.configure(change);
    return 0;
  }
  if (withoutEffect.has(name)) return 0;
  throw new ScriptSkipped(`the stack has nothing for the socket option ${name}`);
}

/** The value of an option. */
export function readTcpOption(socket: TcpOptionState, _level: string, name: string): OptionValue | Errno {
  const { connection } = socket;
  if (name === "SO_LINGER") return { number: Number(socket.linger.on), second: socket.linger.seconds, text: null };
  if (name === "TCP_FASTOPEN") return { number: socket.fastOpenQueue, second: 0, text: null };
  if (name === "TCP_FASTOPEN_CONNECT") return { number: Number(socket.fastOpenConnect), second: 0, text: null };
  if (name === "SO_TYPE") return { number: 1, second: 0, text: null };
  if (name === "TCP_CONGESTION") return { number: 0, second: 0, text: socket.host.profile.congestionControl };
  if (name === "TCP_MAXSEG" && connection !== null) return { number: connection.info().sendMss, second: 0, text: null };
  if (name === "TCP_INFO") return { number: 0, second: 0, text: null };
  if (name === "SO_RCVBUF" && socket.receiveSpace !== null) {
    return { number: socket.receiveSpace, second: 0, text: null };
  }
  const mapping = mappings[name];
  const settings = connection?.settings ?? { ...defaultSettings, ...socket.settings };
  if (mapping !== undefined) return { number: mapping.toOption(settings[mapping.setting]!), second: 0, text: null };
  if (withoutEffect.has(name)) return { number: 0, second: 0, text: null };
  throw new ScriptSkipped(`the stack has nothing for the socket option ${name}`);
}
