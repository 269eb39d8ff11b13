/**
 * The timers of the connections that wait for nothing, for those that do: most connections of a busy server only wait
 * for their peer.
 *
 * @module
 */

import type { Timers } from "../../timers.ts";
import { ConnectionTimers, type TimedConnection } from "./connection_timers.ts";

/** Timers that no connection uses are kept up to this number. */
const mostSpareTimers = 1024;

/** The timers of the connections that wait for nothing, for those that do. */
export class SpareTimers {
  readonly #timers: Timers;
  readonly #spare: ConnectionTimers[] = [];

  /** Those that there are too few of are made on `timers`. */
  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Timers for a connection, none of which runs. */
  take(connection: TimedConnection): ConnectionTimers {
    const timers = this.#spare.pop() ?? new ConnectionTimers(this.#timers);
    timers.begin(connection);
    return timers;
  }

  /** Stops timers and takes them back. Returns what is left to their user: nothing. */
  recycle(timers: ConnectionTimers | null): null {
    if (timers !== null) {
      const kept = this.#spare.length < mostSpareTimers;
      timers.end(kept);
      if (kept) this.#spare.push(timers);
    }
    return null;
  }
}
