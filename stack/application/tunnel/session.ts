/**
 * A client as the server has it: its WebSocket, its place on the hub, its heartbeat.
 *
 * @module
 */

import type { IpAddress } from "../../address.ts";
import { ChannelDevice, type ChannelDeviceCounters } from "../../link/channel.ts";
import type { WebSocket } from "../websocket_types.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { HubDrops, HubPort, TunnelHub } from "./hub.ts";
import type { HeartbeatTimes } from "./protocol.ts";
import { SocketChannel } from "./socket_channel.ts";

/** What a session is made of. */
export interface TunnelSessionOptions {
  /** The name of the client's token. */
  readonly name: string;
  /** The client's address in the tunnel. */
  readonly address: IpAddress;
  /** Where it connects from: `198.51.100.7:50123`. */
  readonly remote: string;
  /** When it connected. */
  readonly since: Date;
  /** The most bytes of a packet. */
  readonly mtu: number;
  /** When silence is too long. */
  readonly heartbeat: HeartbeatTimes;
  /** Told once, when the session is over. */
  readonly onEnd: (session: TunnelSession, why: string) => void;
}

/** A session as plain data. */
export interface SessionSnapshot {
  /** The name of the client's token. */
  name: string;
  /** The client's address in the tunnel. */
  address: string;
  /** Where it connects from. */
  remote: string;
  /** When it connected, in ISO 8601. */
  since: string;
  /** Packets that the client sent. */
  receivedPackets: number;
  /** Their bytes. */
  receivedBytes: number;
  /** Packets for the client. */
  sentPackets: number;
  /** Their bytes. */
  sentBytes: number;
  /** Packets that were dropped, by reason. */
  drops: HubDrops & ChannelDeviceCounters;
}

/** A client that is connected. */
export class TunnelSession {
  /** The name of the client's token. */
  readonly name: string;
  readonly #options: TunnelSessionOptions;
  readonly #socket: WebSocket;
  readonly #hub: TunnelHub;
  readonly #port: HubPort;
  readonly #heartbeat: Heartbeat;
  #over = false;

  /** Gives the client a place on the hub. The socket is open. */
  constructor(socket: WebSocket, hub: TunnelHub, options: TunnelSessionOptions) {
    const { name, address, mtu, heartbeat } = options;
    this.name = name;
    this.#options = options;
    this.#socket = socket;
    this.#hub = hub;
    const device = new ChannelDevice({ name, mtu });
    this.#port = hub.add(address, device);
    new SocketChannel(socket, device);
    this.#heartbeat = new Heartbeat(hub.timers, heartbeat, {
      ask: () => socket.ping(),
      giveUp: () => this.#finish("it has been silent for too long"),
    });
    const heard = () => this.#heartbeat.heard();
    socket.on("message", (message, isBinary) => {
      heard();
      if (isBinary) device.deliver(message);
    });
    socket.on("ping", heard).on("pong", heard);
    socket.on("error", (error) => this.#finish(error.message));
    socket.on("close", (code) => this.#finish(code === 1006 ? "the connection broke" : "it left"));
  }

  /** Says good-bye with a code, and ends the session at once. */
  end(code: number, why: string): void {
    if (this.#over) return;
    this.#socket.close(code, why);
    this.#finish(why);
  }

  /** The session as plain data. */
  snapshot(): SessionSnapshot {
    const { name, address, remote, since } = this.#options;
    const { nic, drops, device } = this.#port;
    return {
      name,
      address: address.toString(),
      remote,
      since: since.toISOString(),
      receivedPackets: nic.counters.receivedFrames,
      receivedBytes: nic.counters.receivedBytes,
      ...device.traffic,
      drops: { ...drops, ...device.counters },
    };
  }

  #finish(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#heartbeat.stop();
    this.#hub.remove(this.#port);
    // After a good-bye, ws waits for the other's, but not for ever.
    if (this.#socket.readyState === 1) this.#socket.terminate();
    this.#options.onEnd(this, why);
  }
}
