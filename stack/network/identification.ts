/**
 * The identification field of IPv4 packets (RFC 6864): neither to be guessed nor repeated soon.
 *
 * @module
 */

import { below, type Random } from "../random.ts";

/**
 * For packets that cannot be fragmented, whose identification therefore means nothing (section 4.1). It is always the same:
 * receivers put segments together again only if their identifications are equal or count up.
 */
export const atomicIdentification = 0;

/** Chooses the identification of packets that may be fragmented. */
export class Identification {
  readonly #random: Random;
  readonly #key: number;
  readonly #counters = new Uint16Array(1024);

  /** Counts from an unpredictable start for each group of destinations. */
  constructor(random: Random) {
    this.#random = random;
    this.#key = random.uint32();
    for (let place = 0; place < this.#counters.length; place++) this.#counters[place] = random.uint32();
  }

  /**
   * RFC 6864 section 4.3: not repeated for the same addresses and protocol while the packet may be under way. A counter
   * for each group of destinations does that; its uneven steps hide how much is sent to others of the group.
   */
  next(source: number, destination: number, protocol: number): number {
    let hash = Math.imul(source ^ this.#key, 0x9e37_79b1);
    hash = Math.imul((hash ^ (hash >>> 15)) ^ destination, 0x85eb_ca6b);
    hash = Math.imul((hash ^ (hash >>> 13)) ^ protocol, 0xc2b2_ae35);
    const place = (hash ^ (hash >>> 16)) & (this.#counters.length - 1);
    this.#counters[place] = this.#counters[place]! + 1 + below(this.#random, 4);
    return this.#counters[place]!;
  }
}
