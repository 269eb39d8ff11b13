/**
 * A token bucket: so many events at once, so many a second on average.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Limits the rate of something. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perMillisecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledAt: number;

  /** A full bucket of `burst` tokens, which is refilled at `perSecond` tokens a second. */
  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perMillisecond = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledAt = clock.now();
  }

  /** Takes a token, or returns false when there is none. */
  take(): boolean {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#perMillisecond);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
