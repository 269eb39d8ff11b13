/**
 * The contract between protocol modules: one uniform interface by which a packet travels down (`push`, towards the
 * wire) and up (`pop`, towards the application).
 *
 * @module
 */

import type { Packet } from "./packet.ts";

/**
 * What became of a packet that was handed to a module. Whatever the verdict, the packet now belongs to the module:
 * the caller must not touch it again.
 */
export const Verdict = {
  /** It reached its destination: the device, a socket, or the module that answered it. */
  done: 0,
  /** It waits for something bounded: a neighbour's address, room in the device, missing fragments. */
  queued: 1,
  /** It was released, and one named counter says why. */
  dropped: 2,
} as const;

/** One of the values of {@linkcode Verdict}. */
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/**
 * One module of the protocol graph.
 *
 * `Session` is what the module must know to send: for a network protocol the path to a destination, for a link
 * protocol the neighbour, for a transport the connection or flow.
 */
export interface Protocol<Session> {
  /** Short lower-case name, as in counters and traces. */
  readonly name: string;
  /** The most bytes that the module may push in front of a packet, from which the headroom is derived. */
  readonly headerBytes: number;
  /** Prepends the module's header and hands the packet to the module below. Consumes the packet. */
  push(packet: Packet, session: Session): Verdict;
  /**
   * Checks and consumes the module's header and hands the packet to the module above. Consumes the packet. Never
   * throws because of what the packet contains.
   */
  pop(packet: Packet): Verdict;
}

/** A module as the one below it sees it: something to hand packets up to. */
export interface UpperProtocol {
  /** Short lower-case name, as in counters and traces. */
  readonly name: string;
  /** As {@linkcode Protocol.pop}. */
  pop(packet: Packet): Verdict;
}

/** The errors that a network protocol reports about a packet sent earlier, whichever family they came from. */
export const ErrorKind = {
  networkUnreachable: 0,
  hostUnreachable: 1,
  protocolUnreachable: 2,
  portUnreachable: 3,
  /** `mtu` is the next hop's MTU in bytes, or 0 when the router did not say. */
  packetTooBig: 4,
  prohibited: 5,
  timeExceeded: 6,
  parameterProblem: 7,
  /** Reported by our own neighbour resolution, without any ICMP message. */
  neighborUnreachable: 8,
} as const;

/** One of the values of {@linkcode ErrorKind}. */
export type ErrorKind = (typeof ErrorKind)[keyof typeof ErrorKind];

/**
 * An error about a packet that this stack sent, on its way up to the transport that sent it.
 *
 * `packet` holds the quoted header: `packet.sourceAt` and `packet.destinationAt` are the offsets of the addresses as
 * *we sent them* (so the source is ours) and `packet.transportAt` is the offset of the quoted transport header, of
 * which at least 8 bytes are there. The receiver only looks; it does not own the packet.
 */
export interface ErrorEvent {
  /** What went wrong. */
  kind: ErrorKind;
  /** The ICMP type and code as they arrived; -1 when the error was raised locally. */
  type: number;
  /** The ICMP code as it arrived; -1 when the error was raised locally. */
  code: number;
  /** Next-hop MTU in bytes for `packetTooBig`, otherwise 0. */
  mtu: number;
  /** The packet that carries the quoted headers. */
  packet: Packet;
}

/** A transport protocol as the network protocols see it. */
export interface TransportProtocol extends UpperProtocol {
  /** The IANA protocol number: 6 for TCP, 17 for UDP, 1 for ICMP. */
  readonly protocolNumber: number;
  /** Takes note of an error about a packet that this transport sent. Never throws. */
  control(event: ErrorEvent): void;
}
