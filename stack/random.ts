/**
 * Chance as the stack sees it. No module asks the platform for random numbers: it is handed a source.
 *
 * @module
 */

/** A source of random numbers. */
export interface Random {
  /** A number from 0 (inclusive) to 2^32 (exclusive), each equally likely. */
  uint32(): number;
}

/** Unpredictable numbers from the platform's cryptographic generator, drawn in blocks. */
export class CryptoRandom implements Random {
  readonly #block = new Uint32Array(256);
  #used = this.#block.length;

  /** The next unpredictable number. */
  uint32(): number {
    if (this.#used === this.#block.length) {
      crypto.getRandomValues(this.#block);
      this.#used = 0;
    }
    return this.#block[this.#used++]!;
  }
}

/**
 * Reproducible numbers from a seed, for tests and simulations. Not for secrets.
 *
 * The generator is "sfc32" of Chris Doty-Humphrey's PractRand, seeded through twelve discarded rounds.
 */
export class SeededRandom implements Random {
  #a = 0;
  #b = 0;
  #c: number;
  #counter = 1;

  /** The same seed gives the same numbers. */
  constructor(seed: number) {
    this.#c = seed | 0;
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** The next number of the sequence. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

/** A number from 0 (inclusive) to 1 (exclusive). */
export function fraction(random: Random): number {
  return random.uint32() / 0x1_0000_0000;
}

/** A whole number from 0 (inclusive) to `bound` (exclusive), which is at most 2^32. */
export function below(random: Random, bound: number): number {
  return Math.floor(fraction(random) * bound);
}

/** Fills `bytes` from the source and returns them. */
export function fill(random: Random, bytes: Uint8Array): Uint8Array {
  for (let at = 0; at < bytes.length; at++) bytes[at] = random.uint32() & 0xff;
  return bytes;
}
