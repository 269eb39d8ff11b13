/**
 * Running links that no stack is attached to.
 *
 * @module
 */

import { SystemClock } from "../../clock.ts";
import { Counters } from "../../counters.ts";
import { EventLoop } from "../../event_loop.ts";
import { BareIp } from "../../link/bare_ip.ts";
import type { Device } from "../../link/device.ts";
import { Nic } from "../../link/nic.ts";
import { PacketPool } from "../../packet.ts";
import { PortablePoller } from "../../portable_poller.ts";
import { Timers } from "../../timers.ts";

/** Headroom of received packets, in bytes: what any device may put in front of a packet that goes on. */
const headroom = 64;

/** Options of {@linkcode LinkLoop}. */
export interface LinkLoopOptions {
  /** Timers, and through them the clock. Default: timers on the system's clock. */
  timers?: Timers;
  /** Run by itself. Default true; a simulation says false and calls {@linkcode LinkLoop.step}. */
  eventLoop?: boolean;
}

/** What a {@linkcode LinkLoop} does in each of its steps. */
export interface LinkWork {
  /** Passes on what has arrived, up to a limit, and returns how many packets that were. */
  passOn(now: number): number;
  /** Whether a device's packets can go on now: otherwise they stay where they are, which holds up their sender. */
  accepts?(device: Device): boolean;
}

/**
 * The packets, the timers and the event loop of some devices whose packets `work` passes on. Each device is behind a
 * {@linkcode Nic}, which counts, and finishes for a device what that cannot finish by itself.
 */
export class LinkLoop implements AsyncDisposable {
  /** Where packets come from. */
  readonly pool: PacketPool = new PacketPool();
  /** Timers, and through them the clock. */
  readonly timers: Timers;
  readonly #link = new BareIp({ counters: new Counters() });
  readonly #work: LinkWork;
  readonly #nics = new Set<Nic>();
  readonly #loop: EventLoop | null;
  #pollsDevices = false;
  #attached = 0;

  /** Starts the loop, unless told otherwise. */
  constructor(work: LinkWork, options: LinkLoopOptions = {}) {
    this.#work = work;
    const timers = this.timers = options.timers ?? new Timers(new SystemClock());
    this.#loop = options.eventLoop === false ? null : new EventLoop(
      { step: () => this.step(), nextDeadline: () => timers.nextDeadline() },
      { clock: timers.clock, poller: new PortablePoller(), devices: () => this.#polled(), alternates: true },
    );
    if (this.#loop !== null) timers.onEarlier = () => this.#loop!.wake();
    this.#loop?.start();
  }

  /** Takes over a device. `linkChanged` is called when its MTU or state has changed. */
  attach(device: Device, linkChanged: () => void = () => {}): Nic {
    const wake = () => this.#loop?.wake();
    device.attach({ pool: this.pool, headroom, timers: this.timers, offload: true, wake, linkChanged });
    const nic = new Nic(this.#attached++, device.name, device, this.#link);
    this.#nics.add(nic);
    if (device.createPoller !== undefined && this.#loop !== null && !this.#pollsDevices) {
      this.#pollsDevices = true;
      this.#loop.usePoller(device.createPoller());
    }
    wake();
    return nic;
  }

  /** Closes a device and forgets it. */
  detach(nic: Nic): void {
    if (!this.#nics.delete(nic)) return;
    nic.device.close();
  }

  /** Lets timers expire, passes packets on and sends what waits; returns how much that was. */
  step(): number {
    const { clock } = this.timers;
    // What leaves first makes room for what follows.
    this.#flush();
    const handled = this.timers.run() + this.#work.passOn(clock.now());
    this.#flush();
    return handled;
  }

  #flush(): void {
    for (const { device } of this.#nics) if (device.wantsWrite) device.flush();
  }

  /** Ends it: closes the devices, and resolves when the event loop has ended. Does nothing the second time. */
  async close(): Promise<void> {
    try {
      await this.#loop?.stop();
    } finally {
      for (const nic of this.#nics) this.detach(nic);
      if (this.#loop !== null) this.timers.onEarlier = null;
    }
  }

  /** As {@linkcode LinkLoop.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The devices that the poller is to wait for. */
  #polled(): Device[] {
    const accepts = (device: Device) => this.#work.accepts?.(device) !== false;
    return Array.from(this.#nics, ({ device }) => device)
      .filter((device) => device.descriptor !== undefined && (accepts(device) || device.wantsWrite));
  }
}
