/**
 * The one timer structure of a stack: a binary heap in which restarting a timer for later costs two stores.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/**
 * A timer that can be started, restarted and stopped any number of times. It holds a place in the heap only
 * between {@linkcode Timer.start} and its expiry or {@linkcode Timer.dispose}.
 */
export class Timer {
  /** When it expires, in milliseconds of the clock; Infinity while stopped. */
  deadline: number = Infinity;
  /** The deadline that its place in the heap stands for: never later than `deadline`. Managed by {@linkcode Timers}. */
  key: number = Infinity;
  /** Its place in the heap, or -1. Managed by {@linkcode Timers}. */
  place: number = -1;
  readonly #timers: Timers;
  readonly #owner: unknown;
  readonly #expire: (owner: never) => void;

  /** Made by {@linkcode Timers.create} and {@linkcode Timers.createFor}. */
  constructor(timers: Timers, owner: unknown, expire: (owner: never) => void) {
    this.#timers = timers;
    this.#owner = owner;
    this.#expire = expire;
  }

  /** Tells its owner; called once for each expiry, by {@linkcode Timers}. */
  expire(): void {
    this.#expire(this.#owner as never);
  }

  /** Whether it is going to expire. */
  get running(): boolean {
    return this.deadline !== Infinity;
  }

  /** Starts or restarts it, to expire after `delay` milliseconds. */
  start(delay: number): void {
    this.startAt(this.#timers.clock.now() + delay);
  }

  /**
   * Starts or restarts it, to expire at `deadline`; at Infinity it never does, so that it is stopped instead.
   *
   * @throws {RangeError} If `deadline` is not a number.
   */
  startAt(deadline: number): void {
    if (!(deadline < Infinity)) {
      if (deadline !== Infinity) throw new RangeError(`Cannot start a timer for ${deadline} ms: it is not a moment`);
      return this.stop();
    }
    if (this.deadline === Infinity) this.#timers.started();
    this.deadline = deadline;
    // Restarted for later (what a retransmission timer does with every ACK): its place in the heap is put right when
    // it comes to the top.
    if (this.place < 0 || deadline < this.key) this.#timers.place(this);
  }

  /** Stops it. Its place in the heap is kept for the next start. */
  stop(): void {
    if (this.deadline === Infinity) return;
    this.deadline = Infinity;
    this.#timers.stopped();
  }

  /** Stops it and gives its place in the heap back: for whoever drops the timer for good. */
  dispose(): void {
    this.stop();
    if (this.place >= 0) this.#timers.remove(this);
  }
}

/** All timers of one stack, or of one simulation. */
export class Timers {
  /** The clock that deadlines are compared with. */
  readonly clock: Clock;
  /** Called when the next deadline moves forward, so that a sleeping event loop can wake up in time. */
  onEarlier: (() => void) | null = null;
  readonly #heap: Timer[] = [];
  #running = 0;

  /** An empty set of timers over a clock. */
  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Timers that are going to expire. */
  get running(): number {
    return this.#running;
  }

  /** A stopped timer. */
  create(expire: () => void): Timer {
    return new Timer(this, undefined, expire);
  }

  /** A stopped timer of `owner`: where there are many, they share one function instead of having a closure each. */
  createFor<Owner>(owner: Owner, expire: (owner: Owner) => void): Timer {
    return new Timer(this, owner, expire);
  }

  /** When the next timer expires, or Infinity. */
  nextDeadline(): number {
    this.#settleTop();
    return this.#heap[0]?.deadline ?? Infinity;
  }

  /** Lets every timer expire whose deadline has come, in order of deadline, and returns how many did. */
  run(): number {
    const now = this.clock.now();
    let expired = 0;
    for (;;) {
      this.#settleTop();
      const top = this.#heap[0];
      if (top === undefined || top.deadline > now) return expired;
      top.deadline = Infinity;
      this.#running--;
      this.remove(top);
      expired++;
      top.expire();
    }
  }

  /** Counts a timer in; called by {@linkcode Timer}. */
  started(): void {
    this.#running++;
  }

  /** Counts a timer out; called by {@linkcode Timer}. */
  stopped(): void {
    this.#running--;
  }

  /** Puts a timer where its deadline belongs; called by {@linkcode Timer}. */
  place(timer: Timer): void {
    timer.key = timer.deadline;
    if (timer.place < 0) {
      timer.place = this.#heap.length;
      this.#heap.push(timer);
    }
    this.#siftUp(timer);
    if (timer.place === 0) this.onEarlier?.();
  }

  /** Takes a timer out of the heap; called by {@linkcode Timer}. */
  remove(timer: Timer): void {
    const last = this.#heap.pop()!;
    if (last !== timer) {
      this.#heap[timer.place] = last;
      last.place = timer.place;
      this.#siftUp(last);
      this.#siftDown(last);
    }
    timer.place = -1;
    timer.key = Infinity;
  }

  /** Brings the place of the topmost timers up to date until the top is what it seems. */
  #settleTop(): void {
    for (let top = this.#heap[0]; top !== undefined && top.key !== top.deadline; top = this.#heap[0]) {
      if (top.deadline === Infinity) {
        this.remove(top);
      } else {
        top.key = top.deadline;
        this.#siftDown(top);
      }
    }
  }

  #siftUp(timer: Timer): void {
    const heap = this.#heap;
    let place = timer.place;
    while (place > 0) {
      const parent = heap[(place - 1) >> 1]!;
      if (parent.key <= timer.key) break;
      heap[place] = parent;
      parent.place = place;
      place = (place - 1) >> 1;
    }
    heap[place] = timer;
    timer.place = place;
  }

  #siftDown(timer: Timer): void {
    const heap = this.#heap;
    let place = timer.place;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.key < heap[child]!.key) child++;
      const candidate = heap[child]!;
      if (candidate.key >= timer.key) break;
      heap[place] = candidate;
      candidate.place = place;
      place = child;
    }
    heap[place] = timer;
    timer.place = place;
  }
}
