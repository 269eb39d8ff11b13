/**
 * Sequence numbers as people count them: from the beginning of the stream, without ever wrapping.
 *
 * @module
 */

import { distance } from "./sequence.ts";

/**
 * Counts the sequence numbers of one direction of a connection from its initial one. The numbers go on growing where
 * the sequence space wraps, so that each byte of a stream of any length has a number of its own.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { RelativeSequence } from "./relative_sequence.ts";
 *
 * const numbers = new RelativeSequence(0xffff_fff0);
 * assertEquals(numbers.advance(0x0000_0010), 32);
 * assertEquals(numbers.of(0xffff_fff1), 1);
 * ```
 */
export class RelativeSequence {
  #sequence: number;
  #relative: number;

  /** Counts from `initial`, the sequence number of the SYN; it becomes `relative`. */
  constructor(initial: number, relative: number = 0) {
    this.#sequence = initial;
    this.#relative = relative;
  }

  /** The relative number of `sequence`, which lies less than 2^31 from the number that was advanced to. */
  of(sequence: number): number {
    return this.#relative + distance(sequence, this.#sequence);
  }

  /** As {@linkcode RelativeSequence.of}, and moves on to `sequence` if that comes later: it is known to be genuine. */
  advance(sequence: number): number {
    const relative = this.of(sequence);
    if (relative > this.#relative) {
      this.#relative = relative;
      this.#sequence = sequence;
    }
    return relative;
  }
}
