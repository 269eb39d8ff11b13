/**
 * The port manager: who holds which local port, and the choice of ephemeral ports (RFC 6056).
 *
 * @module
 */

import type { Family, IpAddress } from "../address.ts";
import { below, type Random } from "../random.ts";
import { sipHash } from "../siphash.ts";
import type { Endpoint } from "./endpoint.ts";

/** Which other reservations of the same address and port a reservation puts up with. */
export const Sharing = {
  /** None: a listener, or a socket bound in the ordinary way. */
  exclusive: 0,
  /**
   * Others that share too: sockets whose programs all asked for it, and outgoing connections (RFC 9293 section 3.9.1.1,
   * MUST-42: there is a way to listen on the port of a connection that is being opened).
   */
  reuse: 1,
  /** Others that share too: outgoing connections, which differ by their remote end. */
  flow: 2,
} as const;

/** One of the values of {@linkcode Sharing}. */
export type Sharing = (typeof Sharing)[keyof typeof Sharing];

/** What is reserved in common by {@linkcode Ports.reserve} and {@linkcode Ports.reserveEphemeral}. */
export interface PortRequest {
  /** The transport protocol's number. */
  readonly protocol: number;
  /** The local address; the unspecified address stands for all of its family. */
  readonly address: IpAddress;
  /** Who else may hold the same port. Default `exclusive`. */
  readonly sharing?: Sharing;
}

/** A request for a port that the stack chooses. */
export interface EphemeralPortRequest extends PortRequest {
  /** Where the flow goes: ports are then handed out in sequence per destination, so that they are reused late. */
  readonly remote?: Endpoint;
  /** Whether a port that nobody else holds in a conflicting way will do, for example because no such 4-tuple exists. */
  readonly available?: (port: number) => boolean;
}

/** A port that is held until {@linkcode PortReservation.release}. */
export class PortReservation {
  /** The transport protocol's number. */
  readonly protocol: number;
  /** The local address; the unspecified address stands for all of its family. */
  readonly address: IpAddress;
  /** The port, 1 to 65535. */
  readonly port: number;
  /** Who else may hold the same port. */
  readonly sharing: Sharing;
  #ports: Ports | null;

  /** Made by {@linkcode Ports}. */
  constructor(ports: Ports, protocol: number, address: IpAddress, port: number, sharing: Sharing) {
    this.#ports = ports;
    this.protocol = protocol;
    this.address = address;
    this.port = port;
    this.sharing = sharing;
  }

  /** Gives the port back. Does nothing the second time. */
  release(): void {
    this.#ports?.forget(this);
    this.#ports = null;
  }
}

/** Counters that choose the next port, one for each group of destinations (RFC 6056 section 3.3.4 suggests 10 or more). */
const counterCount = 256;

/**
 * All reserved ports of a stack.
 *
 * @example A port is taken until it is released
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { IpAddress } from "../address.ts";
 * import { SeededRandom } from "../random.ts";
 *
 * const ports = new Ports(new SeededRandom(1));
 * const request = { protocol: 17, address: IpAddress.unspecified4 };
 * const reservation = ports.reserve(request, 53)!;
 * assertEquals(ports.reserve(request, 53), null);
 * reservation.release();
 * assertEquals(ports.size, 0);
 * ```
 */
export class Ports {
  /** The first ephemeral port (RFC 6335 section 6). */
  static readonly ephemeralFirst: number = 49152;
  /** The last ephemeral port. */
  static readonly ephemeralLast: number = 65535;

  /**
   * Which ephemeral ports are handed out, where several stacks share an address: those that give `index` when divided by
   * `count`. Default: all of them.
   */
  share: { readonly index: number; readonly count: number } = { index: 0, count: 1 };
  readonly #random: Random;
  readonly #offsetKey: Uint32Array;
  readonly #counterKey: Uint32Array;
  readonly #counters: Uint32Array;
  readonly #reservations = new Map<number, PortReservation[]>();
  #size = 0;

  /** An empty port manager; ephemeral ports are chosen by `random`. */
  constructor(random: Random) {
    this.#random = random;
    this.#offsetKey = randomWords(random, 4);
    this.#counterKey = randomWords(random, 4);
    this.#counters = randomWords(random, counterCount);
  }

  /** Reservations that are held. */
  get size(): number {
    return this.#size;
  }

  /** Reserves `port` (1 to 65535), or returns null when somebody holds it in a conflicting way. */
  reserve(request: PortRequest, port: number): PortReservation | null {
    const { protocol, address, sharing = Sharing.exclusive } = request;
    if (this.#conflicts(protocol, address, port, sharing)) return null;
    const reservation = new PortReservation(this, protocol, address, port, sharing);
    const key = keyOf(protocol, address.family, port);
    const others = this.#reservations.get(key);
    if (others === undefined) this.#reservations.set(key, [reservation]);
    else others.push(reservation);
    this.#size++;
    return reservation;
  }

  /**
   * Reserves an ephemeral port, or returns null when all of them are taken.
   *
   * With a remote end this is RFC 6056 section 3.3.4 (double-hash port selection), without one section 3.3.1 (a random
   * port, and the ones behind it while they are taken).
   */
  reserveEphemeral(request: EphemeralPortRequest): PortReservation | null {
    const { protocol, address, remote, available, sharing = Sharing.exclusive } = request;
    const range = Ports.ephemeralLast - Ports.ephemeralFirst + 1;
    const counter = remote === undefined ? -1 : hashEnds(this.#counterKey, address, remote) % counterCount;
    const offset = remote === undefined
      ? below(this.#random, range)
      : hashEnds(this.#offsetKey, address, remote) + this.#counters[counter]!;
    const { index, count } = this.share;
    for (let tried = 0; tried < range; tried++) {
      const port = Ports.ephemeralFirst + (offset + tried) % range;
      if (port % count !== index) continue;
      // A port whose connections all go elsewhere will do for a flow, so the table is asked before the predicate.
      if (this.#conflicts(protocol, address, port, sharing) || available?.(port) === false) continue;
      if (counter >= 0) this.#counters[counter]! += tried + 1;
      return this.reserve(request, port);
    }
    return null;
  }

  /** All reservations, by protocol, family and port. */
  list(): PortReservation[] {
    return [...this.#reservations.entries()].sort(([left], [right]) => left - right).flatMap(([, held]) => held);
  }

  /** Called by {@linkcode PortReservation.release}. */
  forget(reservation: PortReservation): void {
    const key = keyOf(reservation.protocol, reservation.address.family, reservation.port);
    const held = this.#reservations.get(key)!;
    held.splice(held.indexOf(reservation), 1);
    if (held.length === 0) this.#reservations.delete(key);
    this.#size--;
  }

  #conflicts(protocol: number, address: IpAddress, port: number, sharing: Sharing): boolean {
    const held = this.#reservations.get(keyOf(protocol, address.family, port));
    if (held === undefined) return false;
    return held.some((other) =>
      (sharing === Sharing.exclusive || other.sharing === Sharing.exclusive) &&
      (address.isUnspecified || other.address.isUnspecified || address.equals(other.address))
    );
  }
}

function keyOf(protocol: number, family: Family, port: number): number {
  return (protocol << 17) | (family === 6 ? 1 << 16 : 0) | port;
}

function randomWords(random: Random, length: number): Uint32Array {
  return Uint32Array.from({ length }, () => random.uint32());
}

function hashEnds(key: Uint32Array, local: IpAddress, remote: Endpoint): number {
  const words = Uint32Array.of(...local.words, ...remote.address.words, remote.port);
  return sipHash(key, words, words.length);
}
