/**
 * The one timer structure of a stack: a heap in which restarting a timer for later costs one store.
 *
 * Of thousands of timers few are in the processor's caches. So what the heap compares lies in an array of its own, and
 * each place has four others below it, which makes for half the steps of two.
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
    if (this.place < 0 || deadline < this.#timers.keyAt(this.place)) this.#timers.place(this);
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
  /** The deadlines that the places of the heap stand for: never later than those of the timers there. */
  #keys = new Float64Array(64);
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

  /** The deadline that a place in the heap stands for; called by {@linkcode Timer}. */
  keyAt(place: number): number {
    return this.#keys[place]!;
  }

  /** Puts a timer where its deadline belongs; called by {@linkcode Timer}. */
  place(timer: Timer): void {
    if (timer.place < 0) {
      timer.place = this.#heap.length;
      this.#heap.push(timer);
      if (timer.place >= this.#keys.length) this.#grow();
    }
    this.#siftUp(timer, timer.place, timer.deadline);
    if (timer.place === 0) this.onEarlier?.();
  }

  /** Takes a timer out of the heap; called by {@linkcode Timer}. */
  remove(timer: Timer): void {
    const { place } = timer;
    const last = this.#heap.pop()!;
    if (last !== timer) {
      const key = this.#keys[this.#heap.length]!;
      if (place > 0 && key < this.#keys[(place - 1) >> 2]!) this.#siftUp(last, place, key);
      else this.#siftDown(last, place, key);
    }
    timer.place = -1;
  }

  /** Brings the place of the topmost timers up to date until the top is what it seems. */
  #settleTop(): void {
    for (let top = this.#heap[0]; top !== undefined && this.#keys[0] !== top.deadline; top = this.#heap[0]) {
      if (top.deadline === Infinity) this.remove(top);
      else this.#siftDown(top, 0, top.deadline);
    }
  }

  /** Finds the place of a timer from `place` upwards. */
  #siftUp(timer: Timer, place: number, key: number): void {
    const keys = this.#keys;
    while (place > 0) {
      const parent = (place - 1) >> 2;
      if (keys[parent]! <= key) break;
      this.#put(this.#heap[parent]!, place, keys[parent]!);
      place = parent;
    }
    this.#put(timer, place, key);
  }

  /** Finds the place of a timer from `place` downwards. */
  #siftDown(timer: Timer, place: number, key: number): void {
    const keys = this.#keys;
    const count = this.#heap.length;
    for (;;) {
      const first = 4 * place + 1;
      if (first >= count) break;
      let child = first;
      const end = Math.min(first + 4, count);
      for (let other = first + 1; other < end; other++) {
        if (keys[other]! < keys[child]!) child = other;
      }
      if (keys[child]! >= key) break;
      this.#put(this.#heap[child]!, place, keys[child]!);
      place = child;
    }
    this.#put(timer, place, key);
  }

  #put(timer: Timer, place: number, key: number): void {
    this.#heap[place] = timer;
    this.#keys[place] = key;
    timer.place = place;
  }

  #grow(): void {
    const keys = new Float64Array(2 * this.#keys.length);
    keys.set(this.#keys);
    this.#keys = keys;
  }
}
