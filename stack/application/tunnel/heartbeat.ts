/**
 * Whether the other end is still there.
 *
 * @module
 */

import type { Timer, Timers } from "../../timers.ts";
import type { HeartbeatTimes } from "./protocol.ts";

/** What a {@linkcode Heartbeat} asks for. */
export interface HeartbeatActions {
  /** Asks the other end for a sign of life. */
  ask(): void;
  /** Gives it up. */
  giveUp(): void;
}

/** Watches a connection: asks after some silence, and gives up after more of it. Runs until it is stopped. */
export class Heartbeat {
  readonly #timers: Timers;
  readonly #times: HeartbeatTimes;
  readonly #actions: HeartbeatActions;
  readonly #timer: Timer;
  #heardAt: number;

  /** Starts to watch. */
  constructor(timers: Timers, times: HeartbeatTimes, actions: HeartbeatActions) {
    this.#timers = timers;
    this.#times = times;
    this.#actions = actions;
    this.#heardAt = timers.clock.now();
    this.#timer = timers.createFor(this, (heartbeat) => heartbeat.#expire());
    this.#timer.start(times.silence);
  }

  /** To be called with everything that comes from the other end. Costs one look at the clock. */
  heard(): void {
    this.#heardAt = this.#timers.clock.now();
  }

  /** Stops watching, for good. */
  stop(): void {
    this.#timer.dispose();
  }

  #expire(): void {
    const { silence, patience } = this.#times;
    const quiet = this.#timers.clock.now() - this.#heardAt;
    if (quiet >= patience) return this.#actions.giveUp();
    if (quiet >= silence) {
      this.#actions.ask();
      this.#timer.startAt(this.#heardAt + patience);
    } else {
      this.#timer.startAt(this.#heardAt + silence);
    }
  }
}
