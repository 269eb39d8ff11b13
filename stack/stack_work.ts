/**
 * What a stack does in one turn of its event loop: frames from the devices, timers, and what is due to be sent.
 *
 * @module
 */

import type { Work } from "./event_loop.ts";
import type { Nic } from "./link/nic.ts";
import type { Timers } from "./timers.ts";

/** Frames that are taken from one device before the others and the timers have their turn. */
const batchFrames = 64;

/** Bytes that are sent before the devices, the timers and the program have their turn. */
const flushBytes = 256 * 1024;

/** What becomes due to be sent in the course of a batch. */
export interface Flushable {
  /** Sends it, up to about a number of bytes. */
  flush(bytes: number): void;
}

/** The work of one stack. The clock stands still in each part of it, so that it is asked once and not for each packet. */
export class StackWork implements Work {
  readonly #nics: readonly Nic[];
  readonly #timers: Timers;
  readonly #transport: Flushable;

  /** The work with these interfaces, which may become more, timers, and transport. */
  constructor(nics: readonly Nic[], timers: Timers, transport: Flushable) {
    this.#nics = nics;
    this.#timers = timers;
    this.#transport = transport;
  }

  /** Takes frames and lets timers expire; returns how many there were. */
  step(): number {
    const { clock } = this.#timers;
    try {
      clock.hold?.();
      const handled = this.#receive(clock.now());
      clock.hold?.();
      return handled + this.#timers.run();
    } finally {
      clock.release?.();
    }
  }

  /** Sends what has become due, up to a number of bytes. */
  flush(bytes: number = flushBytes): void {
    const { clock } = this.#timers;
    try {
      clock.hold?.();
      this.#transport.flush(bytes);
    } finally {
      clock.release?.();
    }
  }

  /** When the next timer expires, in milliseconds. */
  nextDeadline(): number {
    return this.#timers.nextDeadline();
  }

  /** Takes a batch of frames from each device, which arrived by `now`, and returns how many there were. */
  #receive(now: number): number {
    let received = 0;
    const nics = this.#nics;
    for (let index = 0; index < nics.length; index++) {
      const nic = nics[index]!;
      if (nic.device.wantsWrite) nic.device.flush();
      for (let frame = 0; frame < batchFrames; frame++) {
        const packet = nic.receive(now);
        if (packet === null) break;
        nic.link.pop(packet);
        received++;
      }
    }
    return received;
  }
}
