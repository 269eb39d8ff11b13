/**
 * How long to wait between attempts that fail.
 *
 * @module
 */

import { fraction, type Random } from "../../random.ts";

/** Options of {@linkcode Backoff}; all in milliseconds. */
export interface BackoffOptions {
  /** The longest first wait. Default 500. */
  first?: number;
  /** The longest wait of all. Default 30,000. */
  most?: number;
}

/**
 * Waits that double up to a limit, each shortened by chance to something between its half and all of it, so that the
 * clients of a server that comes back do not all come at once.
 */
export class Backoff {
  readonly #random: Random;
  readonly #first: number;
  readonly #most: number;
  #next: number;

  /** Starts with the first wait. */
  constructor(random: Random, { first = 500, most = 30_000 }: BackoffOptions = {}) {
    this.#random = random;
    this.#first = this.#next = first;
    this.#most = most;
  }

  /** The next wait in milliseconds. */
  next(): number {
    const wait = this.#next;
    this.#next = Math.min(2 * wait, this.#most);
    return wait * (0.5 + fraction(this.#random) / 2);
  }

  /** Starts anew: an attempt has succeeded. */
  reset(): void {
    this.#next = this.#first;
  }
}
