/**
 * A receive thread that runs while bulk data are sent.
 *
 * @module
 */

import { BulkMeter } from "./bulk_meter.ts";
import type { ReceiveThread } from "./receive_thread.ts";

/** After so many milliseconds without a frame, the thread has nothing to do any more. */
const quietGap = 0.05;

/** Switches a receive thread on when bulk begins, and off when it is over. */
export class BulkReceiveThread {
  readonly #thread: Pick<ReceiveThread, "running">;
  readonly #now: () => number;
  readonly #meter: BulkMeter;
  /** When the last frame was sent, while the thread is to be switched off. */
  #lastAt = Infinity;
  #refused = false;

  /** Begins without the thread. `now` tells milliseconds since any time. */
  constructor(thread: Pick<ReceiveThread, "running">, now: () => number) {
    this.#thread = thread;
    this.#now = now;
    this.#meter = new BulkMeter(now);
  }

  /** To be called before each frame, with the bytes that speak for bulk: none unless it is a full frame. */
  sending(fullBytes: number): void {
    this.#meter.sent(fullBytes);
    const { bulk } = this.#meter;
    if (bulk !== this.#thread.running && !this.#refused && (bulk || this.#isQuiet())) this.#switch(bulk);
  }

  /** Whether no frame was sent just now. To switch a thread off that has something to do takes 20 ms and more. */
  #isQuiet(): boolean {
    const now = this.#now();
    const quiet = now - this.#lastAt >= quietGap;
    this.#lastAt = now;
    return quiet;
  }

  #switch(on: boolean): void {
    this.#lastAt = Infinity;
    try {
      this.#thread.running = on;
    } catch {
      // It goes on as it is: the interface is gone, or this program may not.
      this.#refused = true;
    }
  }
}
