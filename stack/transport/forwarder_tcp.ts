/**
 * Intercepting TCP connections: SYNs to addresses and ports where nobody listens wait for a decision.
 *
 * @module
 */

import type { Family } from "../address.ts";
import { IpAddress } from "../address.ts";
import type { Counters } from "../counters.ts";
import type { Packet } from "../packet.ts";
import type { Random } from "../random.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Flow, FlowTable } from "./flow_table.ts";
import { copyWhole } from "./intercepted_packet.ts";
import { destinationPort, sourcePort } from "./tcp/header.ts";
import type { Tcp } from "./tcp/tcp.ts";
import type { ConnectionSettings, UserConnection } from "./tcp/user.ts";

/** What intercepting TCP connections counts. */
export interface TcpForwarderCounters {
  /** SYNs that wait, or have waited, for a decision. */
  requests: number;
  /** SYNs that came again before there was one. */
  repeated: number;
  /** SYNs dropped because too many waited, or for lack of packets. */
  overflow: number;
}

/** What {@linkcode TcpForwarder} is wired to. */
export interface TcpForwarderOptions {
  /** TCP. */
  tcp: Tcp;
  /** For the hash of what waits. */
  random: Random;
  /** Where to count, under `forwardTcp`. */
  counters: Counters;
  /** The most connections that wait for a decision. */
  pending: number;
  /** Told, in the middle of packet handling, of a connection that waits: note it and return. */
  onRequest: (request: TcpRequest) => void;
}

/** A connection that somebody asks for. */
export class TcpRequest implements Flow {
  /** Where it is meant to go. */
  readonly local: Endpoint;
  /** Who asks for it. */
  readonly remote: Endpoint;
  /** Managed by `FlowTable`. */
  flowHash: number = 0;
  /** The SYN; null once there is a decision. */
  packet: Packet | null;

  /** Takes over the SYN. */
  constructor(packet: Packet, local: Endpoint, remote: Endpoint) {
    this.packet = packet;
    this.local = local;
    this.remote = remote;
  }
}

/** Intercepts connections on behalf of one user. */
export class TcpForwarder {
  /** What it counts. */
  readonly counters: TcpForwarderCounters;
  readonly #tcp: Tcp;
  readonly #waiting: FlowTable<TcpRequest>;
  readonly #counters: Counters;
  readonly #limit: number;
  readonly #onRequest: (request: TcpRequest) => void;

  /** Starts to intercept. */
  constructor(options: TcpForwarderOptions) {
    this.#tcp = options.tcp;
    this.#waiting = new FlowTable(options.random);
    this.#limit = options.pending;
    this.#onRequest = options.onRequest;
    this.#counters = options.counters;
    this.counters = options.counters.register("forwardTcp", { requests: 0, repeated: 0, overflow: 0 });
    options.tcp.interceptor = (packet) => this.#arrives(packet);
  }

  /** Connections that wait for a decision. */
  get pending(): number {
    return this.#waiting.size;
  }

  /**
   * Begins the handshake; `outcome` is told of its end, with null if it fails. Returns false, and does nothing, if there
   * has been a decision.
   */
  accept(
    request: TcpRequest,
    settings: Partial<ConnectionSettings>,
    outcome: (connection: UserConnection | null) => void,
  ): boolean {
    const packet = this.#take(request);
    if (packet === null) return false;
    this.#tcp.admit(packet, request.local, settings, outcome);
    return true;
  }

  /** Answers with RST. Returns false, and does nothing, if there has been a decision. */
  refuse(request: TcpRequest): boolean {
    const packet = this.#take(request);
    if (packet === null) return false;
    this.#tcp.refuse(packet);
    return true;
  }

  /** Stops intercepting; what waits is forgotten, so that whoever asked will ask again. */
  close(): void {
    this.#tcp.interceptor = null;
    this.#counters.unregister("forwardTcp");
    for (const request of this.#waiting.values()) this.#take(request)?.release();
  }

  #arrives(packet: Packet): boolean {
    const { view, transportAt, sourceAt, destinationAt } = packet;
    const family: Family = packet.family === 6 ? 6 : 4;
    const localPort = destinationPort(view, transportAt);
    const remotePort = sourcePort(view, transportAt);
    if (this.#waiting.find(view, family, destinationAt, localPort, sourceAt, remotePort) !== null) {
      this.counters.repeated++;
      return true;
    }
    const copy = this.#waiting.size < this.#limit ? copyWhole(packet) : null;
    if (copy === null) {
      this.counters.overflow++;
      return true;
    }
    const local = { address: IpAddress.fromBytes(packet.bytes, destinationAt, family), port: localPort };
    const remote = { address: IpAddress.fromBytes(packet.bytes, sourceAt, family), port: remotePort };
    const request = new TcpRequest(copy, local, remote);
    this.#waiting.add(request);
    this.counters.requests++;
    this.#onRequest(request);
    return true;
  }

  /** The SYN, which is the caller's from now on; null if there has been a decision. */
  #take(request: TcpRequest): Packet | null {
    const { packet } = request;
    if (packet === null) return null;
    request.packet = null;
    this.#waiting.remove(request);
    return packet;
  }
}
