/**
 * What the two ends of a tunnel say to each other beside packets.
 *
 * A client opens a WebSocket with the subprotocol {@linkcode tunnelProtocol} and its token in the header
 * `Authorization`. The server refuses with an HTTP status and a line of text, or accepts and sends the connect message,
 * the only text message there is. After that, both ends send packets in binary messages (`link/channel_frames.ts`), and
 * pings when the other end has been silent.
 *
 * @module
 */

import { IpPrefix } from "../../address.ts";
import { makeError } from "../../errors.ts";

/** The version of the protocol. */
export const tunnelVersion: number = 1;

/** The WebSocket subprotocol that both ends must name. */
export const tunnelProtocol: string = `tapstack.vpn.${tunnelVersion}`;

/** The longest message that an end takes, in bytes: one with the largest packet, and some room. */
export const mostMessageBytes: number = 128 * 1024;

/** Why a WebSocket was closed (RFC 6455 section 7.4: from 4000 on, codes are the application's). */
export const CloseCode = {
  /** The server or the client ends. */
  goingAway: 1001,
  /** Another connection with the same token has taken over. */
  replaced: 4001,
  /** The token has been revoked, or has expired. */
  revoked: 4002,
} as const;

/** When a silent end is asked for a sign of life, and when it is given up: both in milliseconds of silence. */
export interface HeartbeatTimes {
  /** Ask after this. */
  readonly silence: number;
  /** Give up after this. */
  readonly patience: number;
}

/** The times that a server tells its clients, if not said otherwise. */
export const usualHeartbeat: HeartbeatTimes = { silence: 30_000, patience: 60_000 };

/** What the server tells a client that it accepts. */
export interface ConnectMessage {
  /** Always this. */
  readonly type: "connect";
  /** The protocol's version. */
  readonly version: number;
  /** The client's address with the length of the tunnel's network: `10.1.1.3/24`. */
  readonly address: string;
  /** The server's address in the tunnel. */
  readonly gateway: string;
  /** The most bytes of a packet. */
  readonly mtu: number;
  /** Networks that lie behind the server, the tunnel's own first. */
  readonly routes: readonly string[];
  /** When silence is too long. */
  readonly heartbeat: HeartbeatTimes;
}

/** The connect message as a text. */
export function encodeConnectMessage(message: Omit<ConnectMessage, "type" | "version">): string {
  return JSON.stringify({ type: "connect", version: tunnelVersion, ...message });
}

/**
 * The connect message that a text says.
 *
 * @throws {Deno.errors.InvalidData} If it says none, or one that makes no sense.
 */
export function parseConnectMessage(text: string): ConnectMessage {
  try {
    return checkConnectMessage(JSON.parse(text));
  } catch (error) {
    throw makeError("InvalidData", `Cannot understand the server's connect message: ${(error as Error).message}`);
  }
}

function checkConnectMessage(message: Partial<ConnectMessage> | null): ConnectMessage {
  if (message?.type !== "connect") throw new TypeError("it is of another type");
  if (message.version !== tunnelVersion) throw new TypeError(`its version is not ${tunnelVersion}`);
  const { address, gateway, mtu, routes, heartbeat } = message;
  if (!isPrefix(address) || !isPrefix(gateway)) throw new TypeError("an address is wrong");
  if (!Array.isArray(routes) || !routes.every(isPrefix)) throw new TypeError("a route is wrong");
  if (!isBetween(mtu, 68, 65535)) throw new TypeError("the MTU is wrong");
  if (!isBetween(heartbeat?.silence, 1, 2 ** 31) || !isBetween(heartbeat?.patience, heartbeat!.silence, 2 ** 31)) {
    throw new TypeError("the heartbeat is wrong");
  }
  return message as ConnectMessage;
}

function isPrefix(value: unknown): boolean {
  try {
    return typeof value === "string" && IpPrefix.parse(value).address.family === 4;
  } catch {
    return false;
  }
}

function isBetween(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && value as number >= least && value as number <= most;
}
