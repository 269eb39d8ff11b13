/**
 * Time as the stack sees it. No module asks the platform for the time: it is handed a clock.
 *
 * @module
 */

/** A monotonic clock. */
export interface Clock {
  /** Milliseconds, with fractions, since some fixed moment. Never goes back. */
  now(): number;
  /**
   * Takes the time and stands still at it until {@linkcode Clock.release}, or takes it anew: what is handled together
   * happens at one moment, and the platform is asked once.
   */
  hold?(): void;
  /** Goes on. */
  release?(): void;
}

/** The platform's monotonic clock. */
export class SystemClock implements Clock {
  #held = -1;

  /** Milliseconds since the program started. */
  now(): number {
    return this.#held >= 0 ? this.#held : performance.now();
  }

  /** As {@linkcode Clock.hold}: asking the platform costs more than handling a header. */
  hold(): void {
    this.#held = performance.now();
  }

  /** As {@linkcode Clock.release}. */
  release(): void {
    this.#held = -1;
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
