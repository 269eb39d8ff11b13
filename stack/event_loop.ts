/**
 * The event loop: works while there is work, spins for a moment, then sleeps until a device or a timer wakes it.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Device, Poller } from "./link/device.ts";

/** What an {@linkcode EventLoop} drives. */
export interface Work {
  /**
   * Does what there is to do, up to a limit of its own choice, and returns how much that was: frames received and
   * timers expired. 0 means that nothing was found.
   */
  step(): number;
  /** When the last step began, in milliseconds of the clock, if that is known: it spares asking the clock once more. */
  readonly steppedAt?: number;
  /** When the next timer expires, in milliseconds of the clock, or Infinity. */
  nextDeadline(): number;
  /**
   * Sends what has become due in a step. Called after the program has seen what the step brought, so that its answers
   * carry the acknowledgements.
   */
  flush?(): void;
  /**
   * How often the program has called for something. While that goes up, it is still answering what the step brought:
   * the flush waits for it.
   */
  readonly userCalls?: number;
}

/** Options of {@linkcode EventLoop}. */
export interface EventLoopOptions {
  /** What deadlines are compared with. */
  clock: Clock;
  /** How to sleep. The loop owns it, and closes it when it ends. */
  poller: Poller;
  /** The devices that a sleeping loop is woken by; may change between two waits. */
  devices: () => readonly Device[];
  /**
   * How long to go on looking for work after the last, in microseconds, before sleeping. Costs processor time and
   * saves the tens of microseconds that waking up takes, for instance while the peer prepares its answer. 0 turns it
   * off. Default 50. Nothing is looked for where the poller misses nothing.
   */
  busyPoll?: number;
  /**
   * Whether the work passes packets on to the program's own I/O, like a WebSocket: that then has a turn after each step,
   * and is kept waiting neither by looks for work nor by naps. Default false.
   */
  alternates?: boolean;
}

/** The longest that the program's own timers and I/O wait for a turn while the stack has work, in milliseconds. */
const yieldInterval = 1;

/**
 * Links of a chain of promise reactions that are waited for before the loop flushes, and before it sleeps: so many may lie
 * between two calls of the program.
 */
const turnsBeforeFlush = 5;
const turnsBeforeSleep = 8;

/** The longest that a flush waits for a program that goes on calling, in such links. */
const mostTurnsBeforeFlush = 2000;

/** The longest nap, in milliseconds: for so long the program's own timers and I/O may be late. */
const longestNap = 0.25;

/** After this many naps in vain in a row, twice as many times each, the loop sleeps without one; likewise brief pauses. */
const mostSkipped = 64;

/** Something that is worth its time only where it has been so lately: each time in vain, it is left out for longer. */
class Worthwhile {
  #left = 0;
  #leftNext = 1;

  /** Whether to do it this time. */
  get due(): boolean {
    if (this.#left === 0) return true;
    this.#left--;
    return false;
  }

  /** It was worth it, or in vain. */
  was(worth: boolean): void {
    this.#left = worth ? 0 : this.#leftNext;
    this.#leftNext = worth ? 1 : Math.min(2 * this.#leftNext, mostSkipped);
  }
}

/**
 * Drives one stack, from {@linkcode EventLoop.start} to {@linkcode EventLoop.stop}.
 *
 * Promise reactions run after each step, so a program sees its data before more is received; its timers and I/O have
 * a turn at least every millisecond.
 *
 * @example
 * ```ts
 * import { SystemClock } from "./clock.ts";
 * import { EventLoop } from "./event_loop.ts";
 * import { PortablePoller } from "./portable_poller.ts";
 *
 * let steps = 0;
 * const work = { step: () => steps++ < 3 ? 1 : 0, nextDeadline: () => Infinity };
 * const loop = new EventLoop(work, { clock: new SystemClock(), poller: new PortablePoller(), devices: () => [] });
 * loop.start();
 * await loop.stop();
 * ```
 */
export class EventLoop {
  readonly #work: Work;
  readonly #clock: Clock;
  readonly #devices: () => readonly Device[];
  readonly #busyPoll: number;
  readonly #alternates: boolean;
  #poller: Poller;
  /** Pollers that were replaced while they might have been waiting. */
  readonly #replaced: Poller[] = [];
  #finished: Promise<void> | null = null;
  #stopping = false;
  /** Whether a poller's promise is being waited for, of whichever kind. */
  #pausing = false;
  /** Whether it takes an interruption to get it back. */
  #asleep = false;
  #woken = false;
  #held = true;
  /** Until when to go on looking for work. */
  #spinUntil = -Infinity;
  /** When the program's own timers and I/O last had a turn. */
  #yieldedAt = -Infinity;
  readonly #naps = new Worthwhile();
  /** Pauses after steps, for programs that answer in ticks and immediates, as Node's streams do. */
  readonly #briefPauses = new Worthwhile();

  /** A loop that does not run yet. */
  constructor(work: Work, options: EventLoopOptions) {
    this.#work = work;
    this.#clock = options.clock;
    this.#poller = options.poller;
    this.#devices = options.devices;
    this.#alternates = options.alternates ?? false;
    this.#busyPoll = this.#alternates ? 0 : (options.busyPoll ?? 50) / 1000;
  }

  /** Whether it was started and has not ended. */
  get running(): boolean {
    return this.#finished !== null && !this.#stopping;
  }

  /**
   * Starts it; a second call does nothing. The first step comes after this call.
   *
   * What {@linkcode Work.step} throws ends the loop. It comes out of {@linkcode EventLoop.stop}, and as an unhandled
   * rejection, which ends the program, where nobody waits for that.
   */
  start(): void {
    if (this.#stopping) throw new Error("Cannot start the event loop: it was stopped; make a new one");
    this.#finished ??= this.#run();
  }

  /** Makes the loop look for work soon: to be called when frames or deadlines come up outside of a step. */
  wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    if (this.#asleep) this.#poller.interrupt();
  }

  /** Says whether the loop, while it sleeps, keeps the program running: true at first. */
  hold(held: boolean): void {
    if (this.#held === held) return;
    this.#held = held;
    this.#poller.hold?.(held);
  }

  /** Sleeps with another poller from now on, and closes the present one as soon as it does not wait any more. */
  usePoller(poller: Poller): void {
    if (this.#stopping) throw new Error("Cannot change the event loop's poller: it was stopped");
    const previous = this.#poller;
    this.#poller = poller;
    if (!this.#held) poller.hold?.(false);
    if (!this.#pausing) return previous.close();
    this.#replaced.push(previous);
    if (this.#asleep) previous.interrupt();
  }

  /**
   * Ends it, and resolves when no wait is under way any more and the poller is closed.
   *
   * @throws What {@linkcode Work.step} threw.
   */
  async stop(): Promise<void> {
    const first = !this.#stopping;
    this.#stopping = true;
    if (this.#finished === null) {
      if (first) this.#poller.close();
      return;
    }
    if (this.#asleep) this.#poller.interrupt();
    await this.#finished;
  }

  async #run(): Promise<void> {
    try {
      // The program gets its new stack into its hands before the first frame comes in.
      await undefined;
      this.#yieldedAt = this.#clock.now();
      let onlyTimer = false;
      while (!this.#stopping) onlyTimer = await this.#turn(onlyTimer);
    } finally {
      this.#stopping = true;
      this.#closeReplaced();
      this.#poller.close();
    }
  }

  /**
   * One step, and the pause that its outcome asks for. `onlyTimer` says that no more than a timer was the reason for
   * it: then there is nothing to spin for. Returns the same for the next turn.
   */
  async #turn(onlyTimer: boolean): Promise<boolean> {
    let asked = this.#takeWakeUp();
    let handled = this.#work.step();
    while (handled === 0 && !asked && !this.#woken && this.#worthLooking) {
      await undefined;
      if (this.#stopping) return false;
      onlyTimer = false;
      asked = this.#takeWakeUp();
      handled = this.#work.step();
    }
    const unfinished = handled > 0 || this.#woken;
    this.#woken = false;
    // Promise reactions have their turn; what they ask of the stack, they say through wake(). Answers carry the
    // acknowledgements, and a program that reads on has said so before more is received, which goes into its buffer.
    if ((unfinished || asked) && this.#work.flush !== undefined) {
      await this.#letProgramAnswer();
      if (this.#stopping) return false;
      this.#work.flush();
    } else {
      await undefined;
      if (this.#stopping) return false;
    }

    const now = this.#clock.now();
    if (this.#woken || (handled > 0 && !onlyTimer)) this.#spinUntil = now + this.#busyPoll;
    if (this.#alternates ? unfinished : now - this.#yieldedAt >= yieldInterval) await this.#yield();
    else if (handled > 0 && !onlyTimer && this.#briefPauses.due) await this.#yield(true);
    if (unfinished || this.#woken || this.#spins(now)) return false;
    return await this.#sleep();
  }

  /** Forgets that the loop was woken, and returns whether it was. */
  #takeWakeUp(): boolean {
    const woken = this.#woken;
    this.#woken = false;
    return woken;
  }

  /** Whether a step that found nothing is to be followed by another one at once: each look more costs as little as can be. */
  get #worthLooking(): boolean {
    const now = this.#work.steppedAt ?? this.#clock.now();
    return this.#spins(now) && now - this.#yieldedAt < yieldInterval;
  }

  /** Whether there is something to spin for still. */
  #spins(now: number): boolean {
    return now < this.#spinUntil && !this.#poller.missesNothing;
  }

  /** Resolves when the program has come to rest, as far as can be told, or has had its share. */
  async #letProgramAnswer(): Promise<void> {
    const work = this.#work;
    let calls = work.userCalls;
    let rest = turnsBeforeFlush;
    for (let turn = 0; turn < mostTurnsBeforeFlush && rest > 0; turn++) {
      await undefined;
      rest--;
      if (work.userCalls === calls) continue;
      calls = work.userCalls;
      rest = turnsBeforeFlush;
    }
  }

  /** Sleeps until there is something to do, and returns whether that is only a timer. */
  async #sleep(): Promise<boolean> {
    // Chains of promise reactions come to their end first: what they ask for is not worth being woken up for.
    for (let turn = 0; turn < turnsBeforeSleep; turn++) await undefined;
    if (this.#woken || this.#stopping) return false;
    const deadline = this.#work.nextDeadline();
    const timeout = deadline - this.#clock.now();
    if (timeout <= 0) return true;
    if (this.#nap(timeout)) return false;
    this.#asleep = true;
    this.#pausing = true;
    try {
      await this.#poller.wait(this.#devices(), timeout);
    } finally {
      this.#asleep = false;
      this.#pausing = false;
    }
    this.#closeReplaced();
    const now = this.#clock.now();
    this.#yieldedAt = now;
    // A program that woke the loop is likely to wait for an answer.
    if (this.#woken) this.#spinUntil = now + this.#busyPoll;
    return !this.#woken && now >= deadline;
  }

  /**
   * Sleeps for a moment on this thread, which can be woken up much faster than by way of another one: for a peer that
   * answers soon. Returns whether there is something to do now. Naps that turn out to be in vain become rare, so that
   * they do not keep a program from its own I/O that waits for nothing of the stack's.
   */
  #nap(timeout: number): boolean {
    if (this.#alternates || this.#poller.nap === undefined || timeout < longestNap) return false;
    if (!this.#naps.due) return false;
    const found = this.#poller.nap(this.#devices(), longestNap);
    this.#naps.was(found);
    return found;
  }

  async #yield(brief: boolean = false): Promise<void> {
    const calls = this.#work.userCalls;
    this.#pausing = true;
    await this.#poller.yield(brief);
    this.#pausing = false;
    this.#closeReplaced();
    const answered = this.#work.userCalls !== calls;
    if (brief || answered) this.#briefPauses.was(answered);
    if (!brief) this.#yieldedAt = this.#clock.now();
  }

  #closeReplaced(): void {
    for (const poller of this.#replaced.splice(0)) poller.close();
  }
}
