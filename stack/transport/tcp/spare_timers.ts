/**
 * The timers of the connections that wait for nothing, for those that do: most connections of a busy server only wait
 * for their peer.
 *
 * @module
 */

import { FreeList } from "../../free_list.ts";
import type { Timers } from "../../timers.ts";
import { ConnectionTimers, type TimedConnection } from "./connection_timers.ts";

/** The timers of the connections that wait for nothing, for those that do. */
export class SpareTimers {
  readonly #timers: Timers;
  readonly #spare = new FreeList<ConnectionTimers>();

  /** Those that there are too few of are made on `timers`. */
  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Timers for a connection, none of which runs. */
  take(connection: TimedConnection): ConnectionTimers {
    const timers = this.#spare.take() ?? new ConnectionTimers(this.#timers);
    timers.begin(connection);
    return timers;
  }

  /** Stops timers and takes them back. Returns what is left to their user: nothing. */
  recycle(timers: ConnectionTimers | null): null {
    timers?.end(this.#spare.keep(timers));
    return null;
  }
}
