/**
 * Time as the stack sees it. No module asks the platform for the time: it is handed a clock.
 *
 * @module
 */

/** A monotonic clock. */
export interface Clock {
  /** Milliseconds, with fractions, since some fixed moment. Never goes back. */
  now(): number;
}

/** The platform's monotonic clock. */
export class SystemClock implements Clock {
  /** Milliseconds since the program started. */
  now(): number {
    return performance.now();
  }
}

/** A clock that stands still until it is told to move, for tests and simulations. */
export class VirtualClock implements Clock {
  #now: number;

  /** Starts at `now` milliseconds. */
  constructor(now = 0) {
    this.#now = now;
  }

  /** The moment that it was last set to. */
  now(): number {
    return this.#now;
  }

  /**
   * Moves on to `moment`.
   *
   * @throws {RangeError} If `moment` lies in the past, or is not a number.
   */
  set(moment: number): void {
    if (!(moment >= this.#now)) throw new RangeError(`Cannot set the clock back from ${this.#now} ms to ${moment} ms`);
    this.#now = moment;
  }
}
