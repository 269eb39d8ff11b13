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
  setImmediate?(callback: () => void): unknown;
  /** Deno's timers are numbers. */
  Deno?: { refTimer?(timer: unknown): void; unrefTimer?(timer: unknown): void };
};

/** The longest delay that setTimeout takes: more, in milliseconds, would fire at once. */
const longestDelay = 2 ** 31 - 1;

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
  #timer: unknown = null;
  #end: (() => void) | null = null;
  #interrupted = false;
  #held = true;
  #channel: MessageChannel | null = null;
  readonly #turns: (() => void)[] = [];

  /** See {@linkcode Poller.wait}. Devices in memory interrupt the wait themselves. */
  async wait(_devices: readonly Device[], timeout: number): Promise<void> {
    if (timeout > 0 && !this.#interrupted) {
      // Rounded up, because platforms cut fractions off, and the deadline would not have come yet.
      const delay = Math.min(Math.ceil(timeout), longestDelay);
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        this.#timer = platform.setTimeout(resolve, delay);
        if (!this.#held) holdTimer(this.#timer, false);
      });
      platform.clearTimeout(this.#timer);
      this.#timer = null;
      this.#end = null;
    }
    // An interruption needs no turn of the platform's loop to get here. Links that interrupt each other again and
    // again must not keep the program's own timers and I/O from theirs.
    const interrupted = this.#interrupted;
    this.#interrupted = false;
    if (interrupted || timeout <= 0) await this.#turn();
  }

  /** See {@linkcode Poller.yield}. */
  async yield(): Promise<void> {
    // Deno looks for I/O only in every 61st turn while there is always another to come.
    const turns = platform.setImmediate === undefined ? 1 : turnsPerYield;
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
