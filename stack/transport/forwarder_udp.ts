/**
 * Intercepting UDP: the first datagram between two ends, to an address and port that nobody has bound, opens a flow.
 *
 * @module
 */

import type { Family } from "../address.ts";
import { IpAddress } from "../address.ts";
import type { Counters } from "../counters.ts";
import type { Networks } from "../network/path.ts";
import type { Packet } from "../packet.ts";
import { ErrorKind } from "../protocol.ts";
import { copyWhole } from "./intercepted_packet.ts";
import type { Udp } from "./udp.ts";
import { defaultReceiveBufferBytes, type UdpSocket } from "./udp_socket.ts";

/** What intercepting UDP counts. */
export interface UdpForwarderCounters {
  /** Flows that were opened. */
  requests: number;
  /** Datagrams refused because too many flows were open, or for lack of packets. */
  overflow: number;
}

/** What {@linkcode UdpForwarder} is wired to. */
export interface UdpForwarderOptions {
  /** UDP. */
  udp: Udp;
  /** For the ICMP errors about datagrams that are refused. */
  networks: Networks;
  /** Where to count, under `forwardUdp`. */
  counters: Counters;
  /** The most flows that are open at once. */
  flows: number;
  /** Told, in the middle of packet handling, of a new flow: note it and return. */
  onRequest: (request: UdpRequest) => void;
}

/** A flow that somebody has begun. Its datagrams wait in the socket. */
export interface UdpRequest {
  /** Between the two ends: the local one is where the datagrams are meant to go. */
  readonly socket: UdpSocket;
  /** The first datagram, for an ICMP error about it; null once there is a decision. */
  packet: Packet | null;
}

/** Intercepts datagrams on behalf of one user. */
export class UdpForwarder {
  /** What it counts. */
  readonly counters: UdpForwarderCounters;
  readonly #udp: Udp;
  readonly #networks: Networks;
  readonly #counters: Counters;
  readonly #limit: number;
  readonly #onRequest: (request: UdpRequest) => void;
  readonly #undecided = new Set<UdpRequest>();
  #open = 0;

  /** Starts to intercept. */
  constructor(options: UdpForwarderOptions) {
    this.#udp = options.udp;
    this.#networks = options.networks;
    this.#limit = options.flows;
    this.#onRequest = options.onRequest;
    this.#counters = options.counters;
    this.counters = options.counters.register("forwardUdp", { requests: 0, overflow: 0 });
    options.udp.interceptor = (packet, from, to) => this.#arrives(packet, from, to);
  }

  /** Flows that are open, decided about or not. */
  get flows(): number {
    return this.#open;
  }

  /** Keeps a flow: its socket is the caller's. Returns false if there has been a decision. */
  accept(request: UdpRequest): boolean {
    const packet = this.#take(request);
    packet?.release();
    return packet !== null;
  }

  /** Ends a flow with an ICMP error about its first datagram. Returns false if there has been a decision. */
  refuse(request: UdpRequest): boolean {
    const packet = this.#take(request);
    if (packet === null) return false;
    request.socket.close();
    const network = this.#networks.of(packet.family === 6 ? 6 : 4);
    if (network === null) packet.release();
    else network.reject(packet, ErrorKind.portUnreachable);
    return true;
  }

  /** Stops intercepting, and forgets what waits for a decision. Flows that were accepted go on. */
  close(): void {
    this.#udp.interceptor = null;
    this.#counters.unregister("forwardUdp");
    for (const request of [...this.#undecided]) {
      this.#take(request)?.release();
      request.socket.close();
    }
  }

  #arrives(packet: Packet, sourcePort: number, destinationPort: number): UdpSocket | null {
    const family: Family = packet.family === 6 ? 6 : 4;
    // RFC 768: a source port of zero means that nobody waits for an answer; there is no flow without two ends.
    if (sourcePort === 0 || destinationPort === 0) return null;
    const copy = this.#open < this.#limit ? copyWhole(packet) : null;
    if (copy === null) {
      this.counters.overflow++;
      return null;
    }
    const local = { address: IpAddress.fromBytes(packet.bytes, packet.destinationAt, family), port: destinationPort };
    const remote = { address: IpAddress.fromBytes(packet.bytes, packet.sourceAt, family), port: sourcePort };
    const socket = this.#udp.openFlow(local, remote, defaultReceiveBufferBytes, () => this.#open--);
    if (socket === null) {
      copy.release();
      return null;
    }
    this.#open++;
    this.counters.requests++;
    const request: UdpRequest = { socket, packet: copy };
    this.#undecided.add(request);
    this.#onRequest(request);
    return socket;
  }

  #take(request: UdpRequest): Packet | null {
    const { packet } = request;
    request.packet = null;
    this.#undecided.delete(request);
    return packet;
  }
}
