/**
 * A poller for stacks whose links all live in memory: nothing but what every JavaScript platform has.
 *
 * @module
 */

import type { Device, Poller } from "./link/device.ts";

/**
 * The platform's functions as far as this file uses them; `setImmediate` is missing in browsers, and there a page is kept
 * by its window and not by timers.
 */
const platform = globalThis as unknown as {
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
  performance: { now(): number };
  setImmediate?(callback: () => void): unknown;
  /** Deno's timers are numbers. */
  Deno?: { refTimer?(timer: unknown): void; unrefTimer?(timer: unknown): void };
};

/** The longest delay that setTimeout takes: more, in milliseconds, would fire at once. */
const longestDelay = 2 ** 31 - 1;

/** The longest that interrupted waits keep the program's own timers and I/O from their turn, in milliseconds. */
const turnInterval = 0.5;

/** Turns by setImmediate, of little more than a microsecond each, in one pause. */
const turnsPerYield = 16;

/** Has a timer keep the program running, or not. */
function holdTimer(timer: unknown, held: boolean): void {
  if (typeof timer === "number") {
    if (held) platform.Deno?.refTimer?.(timer);
    else platform.Deno?.unrefTimer?.(timer);
    return;
  }
  // Node's are objects.
  const node = timer as { ref?(): void; unref?(): void };
  if (held) node.ref?.();
  else node.unref?.();
}

/**
 * Waits by the platform's timers. It keeps the process alive while a wait is under way, however long, unless it is told
 * not to, and leaves nothing behind when it is closed.
 */
export class PortablePoller implements Poller {
  /** True: links in memory interrupt the wait. */
  readonly missesNothing: boolean = true;
  /** Kept from wait to wait: most are interrupted before it fires, and the next ones need it as well. */
  #timer: unknown = null;
  /** When it fires, and when the present wait has to end. */
  #firesAt = Infinity;
  #deadline = Infinity;
  /** When the program's own timers and I/O last had a turn. */
  #turnAt = -Infinity;
  #end: (() => void) | null = null;
  #interrupted = false;
  #held = true;
  #channel: MessageChannel | null = null;
  readonly #turns: (() => void)[] = [];

  /** See {@linkcode Poller.wait}. Devices in memory interrupt the wait themselves. */
  async wait(_devices: readonly Device[], timeout: number): Promise<void> {
    let now = platform.performance.now();
    if (timeout > 0 && !this.#interrupted) {
      this.#deadline = now + timeout;
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        this.#setTimer(now);
      });
      this.#end = null;
      now = platform.performance.now();
      // A timer has had its turn, and the program's others with it.
      if (!this.#interrupted) this.#turnAt = now;
    }
    this.#interrupted = false;
    // An interruption needs no turn of the platform's loop to get here. Links that interrupt each other again and
    // again must not keep the program's own timers and I/O from theirs.
    if (now - this.#turnAt < turnInterval) return;
    await this.#turn();
    this.#turnAt = platform.performance.now();
  }

  /** Sees to it that the present wait ends in time, and that the program is kept running meanwhile. */
  #setTimer(now: number): void {
    if (this.#timer !== null) {
      if (this.#firesAt <= this.#deadline) return;
      platform.clearTimeout(this.#timer);
    }
    // Rounded up, because platforms cut fractions off, and the deadline would not have come yet.
    const delay = Math.min(Math.ceil(this.#deadline - now), longestDelay);
    this.#firesAt = now + delay;
    this.#timer = platform.setTimeout(this.#fire, delay);
    if (!this.#held) holdTimer(this.#timer, false);
  }

  readonly #fire = (): void => {
    this.#timer = null;
    if (this.#end === null) return;
    // It may have been set for an earlier wait.
    const now = platform.performance.now();
    if (now < this.#deadline) this.#setTimer(now);
    else this.#end();
  };

  /** See {@linkcode Poller.yield}. */
  async yield(brief: boolean = false): Promise<void> {
    // Deno looks for I/O only in every 61st turn while there is always another to come.
    const turns = brief || platform.setImmediate === undefined ? 1 : turnsPerYield;
    for (let turn = 0; turn < turns; turn++) await this.#turn();
  }

  /** See {@linkcode Poller.interrupt}. */
  interrupt(): void {
    this.#interrupted = true;
    this.#end?.();
  }

  /** See {@linkcode Poller.hold}. */
  hold(held: boolean): void {
    this.#held = held;
    if (this.#timer !== null) holdTimer(this.#timer, held);
  }

  /** See {@linkcode Poller.close}. */
  close(): void {
    platform.clearTimeout(this.#timer);
    this.#timer = null;
    this.#channel?.port1.close();
    this.#channel?.port2.close();
    this.#channel = null;
  }

  /** One turn of the platform's event loop. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      if (platform.setImmediate !== undefined) platform.setImmediate(resolve);
      else this.#post(resolve);
    });
  }

  /** A message to oneself: what comes next to setImmediate in browsers, where setTimeout pauses for milliseconds. */
  #post(resolve: () => void): void {
    if (this.#channel === null) {
      this.#channel = new MessageChannel();
      this.#channel.port1.onmessage = () => this.#turns.shift()?.();
    }
    this.#turns.push(resolve);
    this.#channel.port2.postMessage(null);
  }
}
