/**
 * Sleeping in the operating system until a device is ready.
 *
 * @module
 */

import type { Device, Poller } from "../stack/link/device.ts";
import { Errno, systemError } from "./errno.ts";
import { Libc } from "./libc.ts";

const POLLIN = 0x001;
const POLLOUT = 0x004;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/** The longest sleep, in milliseconds: what a timespec's seconds hold without their upper half. */
const longestSleep = 1e9;

/** How many pauses there are for each one that lets Deno's runtime look for I/O. */
const yieldsPerSleep = 4;

/** Waits in a non-blocking ppoll() for the devices' descriptors and for an eventfd that interrupts it. */
export class SystemPoller implements Poller {
  readonly #libc: Libc = Libc.open();
  readonly #event: number;
  readonly #one = new BigUint64Array([1n]);
  readonly #count = new BigUint64Array(1);
  // These are in another thread's hands while JavaScript goes on. They stand on ArrayBuffers of their own, because V8 may
  // keep a small typed array's elements inside its heap and move them.
  /** struct timespec: seconds and nanoseconds, each as the lower and upper half of 64 bits (little-endian). */
  readonly #timeout: Uint32Array<ArrayBuffer> = new Uint32Array(new ArrayBuffer(16));
  readonly #zero: Uint32Array<ArrayBuffer> = new Uint32Array(new ArrayBuffer(16));
  /** struct pollfd[]: a descriptor, then the events asked for in the lower and those found in the upper 16 bits. */
  #polled: Int32Array<ArrayBuffer> = pollTable(4);
  #interrupted = false;
  #held = true;
  /** The call that is under way in another thread, if one is. */
  #waiting: Promise<number> | null = null;
  #yields = 0;

  /**
   * Makes the eventfd.
   *
   * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
   */
  constructor() {
    this.#event = this.#libc.calls.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (this.#event < 0) {
      const { errno } = this.#libc;
      this.#libc.close();
      throw systemError("eventfd()", errno, { action: "make a poller" });
    }
  }

  /** See {@linkcode Poller.wait}. Devices that are closed or in memory are passed over. */
  async wait(devices: readonly Device[], timeout: number): Promise<void> {
    const count = this.#fill(devices);
    const { calls } = this.#libc;
    const waiting = calls.ppollAsync(this.#polled, count, this.#timespec(timeout), null);
    this.#waiting = waiting;
    if (!this.#held) holdCall(waiting, false);
    const found = await waiting;
    this.#waiting = null;
    if (found < 0) this.#diagnose(count);
    this.#takeInterruption();
  }

  /** Forgets an interruption, and returns whether there was one. */
  #takeInterruption(): boolean {
    if (!this.#interrupted) return false;
    this.#interrupted = false;
    this.#libc.calls.read(this.#event, this.#count, 8);
    return true;
  }

  /** See {@linkcode Poller.nap}. */
  nap(devices: readonly Device[], duration: number): boolean {
    if (this.#takeInterruption()) return true;
    return this.#libc.calls.ppoll(this.#polled, this.#fill(devices), this.#timespec(duration), null) > 0;
  }

  /** See {@linkcode Poller.yield}. Timers have their turn in each pause, sockets and files in about every fourth. */
  yield(brief: boolean = false): Promise<void> {
    // A turn by setImmediate costs little more than a microsecond and serves timers. But Deno's runtime looks for I/O
    // only when it would sleep, or after 61 turns: a socket that is ready could wait for 61 pauses. Going to another
    // thread and back takes some 40 us, and lets it sleep unless that thread is very fast.
    if (!brief) this.#yields = (this.#yields + 1) % yieldsPerSleep;
    if (brief || this.#yields !== 0) return new Promise((resolve) => setImmediate(resolve));
    return this.#libc.calls.ppollAsync(this.#polled, 0, this.#zero, null).then(() => {});
  }

  /** See {@linkcode Poller.interrupt}. */
  interrupt(): void {
    if (this.#interrupted) return;
    this.#interrupted = true;
    this.#libc.calls.write(this.#event, this.#one, 8);
  }

  /** See {@linkcode Poller.hold}. */
  hold(held: boolean): void {
    this.#held = held;
    if (this.#waiting !== null) holdCall(this.#waiting, held);
  }

  /** See {@linkcode Poller.close}. */
  close(): void {
    this.#libc.calls.close(this.#event);
    this.#libc.close();
  }

  #fill(devices: readonly Device[]): number {
    if (this.#polled.length < 2 * (devices.length + 1)) this.#polled = pollTable(2 * (devices.length + 1));
    const polled = this.#polled;
    polled[0] = this.#event;
    polled[1] = POLLIN;
    let count = 1;
    for (const device of devices) {
      const descriptor = device.descriptor;
      if (descriptor === undefined) continue;
      polled[2 * count] = descriptor;
      polled[2 * count + 1] = device.wantsWrite ? POLLIN | POLLOUT : POLLIN;
      count++;
    }
    return count;
  }

  /** Nanosecond precision: a timer due in 0.3 ms must not wait for a whole one. */
  #timespec(timeout: number): Uint32Array<ArrayBuffer> | null {
    if (timeout === Infinity) return null;
    const capped = Math.min(Math.max(timeout, 0), longestSleep);
    const seconds = Math.floor(capped / 1000);
    this.#timeout[0] = seconds;
    this.#timeout[2] = Math.min(Math.ceil((capped - seconds * 1000) * 1e6), 999_999_999);
    return this.#timeout;
  }

  /** The thread that failed took its errno with it: the same question, asked here, fails in the same way. */
  #diagnose(count: number): void {
    const { calls } = this.#libc;
    if (calls.ppoll(this.#polled, count, this.#timespec(0), null) >= 0) return;
    const { errno } = this.#libc;
    if (errno !== Errno.EINTR && errno !== Errno.EAGAIN) {
      throw systemError("ppoll()", errno, { action: `wait for ${count} descriptors` });
    }
  }
}

/** What Deno has for its own sockets' `unref`, and offers nobody else yet: absent in versions that have moved it. */
interface DenoCore {
  refOpPromise?(promise: Promise<unknown>): void;
  unrefOpPromise?(promise: Promise<unknown>): void;
}

/** Has a call in another thread keep the program running, or not. Where Deno has no means for that, it always does. */
function holdCall(call: Promise<unknown>, held: boolean): void {
  const deno = Deno as unknown as Record<symbol, { core?: DenoCore } | undefined> & { internal?: symbol };
  const core = deno.internal === undefined ? undefined : deno[deno.internal]?.core;
  if (held) core?.refOpPromise?.(call);
  else core?.unrefOpPromise?.(call);
}

function pollTable(entries: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(8 * entries));
}
