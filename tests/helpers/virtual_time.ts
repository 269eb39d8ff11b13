/**
 * Running stacks, wires and the programs on top of them on a clock that jumps from deadline to deadline.
 *
 * @module
 */

import { VirtualClock } from "../../stack/clock.ts";
import { Timers } from "../../stack/timers.ts";

/** Something that works when it is told to: a stack without an event loop of its own. */
export interface Steppable {
  /** Does all the work that can be done at this moment and returns how much that was; 0 when there was none. */
  step(): number;
  /** When it has to be stepped again at the latest, in milliseconds, where the shared timers do not say it. */
  nextDeadline?(): number;
}

/** More steps than this at one moment mean that two parties keep each other busy for ever. */
const mostStepsAtOnce = 1_000_000;

/** Turns of the platform's event loop without any work in the stacks after which the programs are taken to wait. */
const quietTurns = 3;

/**
 * A virtual clock, the timers on it, and the stacks that share them.
 *
 * {@linkcode VirtualTime.advance} and {@linkcode VirtualTime.runUntil} are synchronous, for tests that call protocol
 * modules directly. {@linkcode VirtualTime.run}, {@linkcode VirtualTime.waitUntil} and {@linkcode VirtualTime.waitFor}
 * let promise reactions run between any two moments, for programs on the socket API:
 *
 * ```ts ignore
 * const time = new VirtualTime();
 * const stack = time.add(new Stack({ timers: time.timers, random: new SeededRandom(1), eventLoop: false }));
 * const conn = await time.waitFor(stack.connect({ hostname: "10.0.0.1", port: 7 }));
 * ```
 */
export class VirtualTime {
  /** The clock. Stands still between two calls of a method of this class. */
  readonly clock: VirtualClock;
  /** The timers that all parties share. */
  readonly timers: Timers;
  readonly #parties: Steppable[] = [];

  /** Starts at `now` milliseconds: by default not at 0, so that a forgotten "relative to now" shows. */
  constructor(now = 1000) {
    this.clock = new VirtualClock(now);
    this.timers = new Timers(this.clock);
  }

  /** The present moment in milliseconds. */
  get now(): number {
    return this.clock.now();
  }

  /** Takes in a party that is stepped from now on, and returns it. */
  add<Party extends Steppable>(party: Party): Party {
    this.#parties.push(party);
    return party;
  }

  /** Leaves a party alone from now on. */
  remove(party: Steppable): void {
    const at = this.#parties.indexOf(party);
    if (at >= 0) this.#parties.splice(at, 1);
  }

  /** The next moment from now on at which something happens by itself, or Infinity. */
  nextDeadline(): number {
    let next = this.timers.nextDeadline();
    for (const party of this.#parties) {
      const deadline = party.nextDeadline?.() ?? Infinity;
      // A party that was due and found nothing to do does not hold up the others.
      if (deadline > this.now) next = Math.min(next, deadline);
    }
    return next;
  }

  /** Does everything that can be done without moving the clock, and returns how much that was. */
  settle(): number {
    let all = 0;
    for (;;) {
      let done = this.timers.run();
      for (const party of this.#parties) done += party.step();
      if (done === 0) return all;
      all += done;
      if (all > mostStepsAtOnce) {
        throw new Error(`Cannot settle at ${this.now} ms: more than ${mostStepsAtOnce} steps at one moment`);
      }
    }
  }

  /** Lets `duration` milliseconds pass. */
  advance(duration: number): void {
    const end = this.now + duration;
    do this.settle(); while (this.#moveOn(end));
  }

  /**
   * Lets time pass until `condition` holds, and returns how many milliseconds that took.
   *
   * @throws {Error} If it does not hold within `limit` milliseconds.
   */
  runUntil(condition: () => boolean, limit = 3_600_000): number {
    const start = this.now;
    do {
      this.settle();
      if (condition()) return this.now - start;
    } while (this.#moveOn(start + limit));
    throw new Error(`The condition did not come true within ${limit} ms of virtual time`);
  }

  /** As {@linkcode VirtualTime.settle}, and lets promise reactions run until they too have nothing more to do. */
  async settleAll(): Promise<number> {
    let all = this.settle();
    for (let quiet = 0; quiet < quietTurns; quiet++) {
      await turn();
      const done = this.settle();
      if (done > 0) quiet = -1;
      all += done;
    }
    return all;
  }

  /** As {@linkcode VirtualTime.advance}, with promise reactions between any two moments. */
  async run(duration: number): Promise<void> {
    const end = this.now + duration;
    do await this.settleAll(); while (this.#moveOn(end));
  }

  /**
   * As {@linkcode VirtualTime.runUntil}, with promise reactions between any two moments.
   *
   * @throws {Error} If the condition does not hold within `limit` milliseconds.
   */
  async waitUntil(condition: () => boolean, limit = 3_600_000): Promise<number> {
    const start = this.now;
    do {
      await this.settleAll();
      if (condition()) return this.now - start;
    } while (this.#moveOn(start + limit));
    throw new Error(`The condition did not come true within ${limit} ms of virtual time`);
  }

  /**
   * Lets time pass until `promise` settles, and returns what it resolves to.
   *
   * @throws {Error} If it does not settle within `limit` milliseconds, or what it rejects with.
   */
  async waitFor<Value>(promise: Promise<Value>, limit = 3_600_000): Promise<Value> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    const start = this.now;
    do {
      await this.settleAll();
      if (settled) return await promise;
    } while (this.#moveOn(start + limit));
    throw new Error(`The promise did not settle within ${limit} ms of virtual time`);
  }

  /** Moves the clock to the next deadline, or to `end` where that comes first; false when `end` was reached before. */
  #moveOn(end: number): boolean {
    if (this.now >= end) return false;
    this.clock.set(Math.max(this.now, Math.min(this.nextDeadline(), end)));
    return true;
  }
}

/** One turn of the platform's event loop: every chain of promise reactions that can run has run when it is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
