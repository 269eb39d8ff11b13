/**
 * How often a source may fail to get in.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";

/** Options of {@linkcode AttemptLimiter}. */
export interface AttemptLimits {
  /** Failures in a row after which a source is not listened to for a while. Default 10. */
  readonly burst?: number;
  /** Failures a minute on average that a source is allowed beyond these. Default 10. */
  readonly perMinute?: number;
  /** Sources that are remembered: of more, those that have not failed for longest are forgotten. Default 1024. */
  readonly sources?: number;
}

/**
 * Remembers who failed how often, in a table of bounded size: for each source a moment that every failure moves on, and
 * that time catches up with.
 */
export class AttemptLimiter {
  readonly #clock: Clock;
  readonly #period: number;
  readonly #tolerance: number;
  readonly #sources: number;
  readonly #moments = new Map<string, number>();

  /** A limiter that knows of no failure. */
  constructor(clock: Clock, { burst = 10, perMinute = 10, sources = 1024 }: AttemptLimits = {}) {
    this.#clock = clock;
    this.#period = 60_000 / perMinute;
    this.#tolerance = (burst - 1) * this.#period;
    this.#sources = sources;
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#moments.size;
  }

  /** Milliseconds for which a source is not to be listened to; 0 where it may try. */
  wait(source: string): number {
    const moment = this.#moments.get(source) ?? 0;
    return Math.max(0, moment - this.#tolerance - this.#clock.now());
  }

  /** To be called when a source has failed. */
  failed(source: string): void {
    const moment = Math.max(this.#moments.get(source) ?? 0, this.#clock.now()) + this.#period;
    // The map's order is that of the last failures.
    this.#moments.delete(source);
    if (this.#moments.size >= this.#sources) {
      const [oldest] = this.#moments.keys();
      this.#moments.delete(oldest!);
    }
    this.#moments.set(source, moment);
  }
}
