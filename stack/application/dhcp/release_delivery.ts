/**
 * Waiting until a release has gone out: nobody answers one, and the address must stay as long as it takes.
 *
 * @module
 */

import type { Path } from "../../network/path.ts";
import type { Timer, Timers } from "../../timers.ts";

/** Milliseconds that a release may wait for the server's hardware address, and between two looks at it. */
const limit = 1000;
const look = 10;

/** Watches the way that a release takes. */
export class ReleaseDelivery {
  readonly #path: Path | null;
  readonly #done: () => void;
  readonly #timer: Timer;
  #looksLeft = limit / look;

  /**
   * Calls `done`, perhaps at once, when the release has gone out or nobody says where the server is. `path` is null
   * where there is no way.
   */
  constructor(timers: Timers, path: Path | null, done: () => void) {
    this.#path = path;
    this.#done = done;
    this.#timer = timers.createFor(this, (delivery) => delivery.#look());
    this.#look();
  }

  /** Stops watching. Does nothing the second time. */
  stop(): void {
    this.#timer.dispose();
  }

  #look(): void {
    const isSent = this.#path === null || this.#path.neighbor.destination !== null;
    if (isSent || this.#looksLeft-- === 0) {
      this.stop();
      this.#done();
    } else {
      this.#timer.start(look);
    }
  }
}
