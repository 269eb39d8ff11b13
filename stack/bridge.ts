/**
 * A bridge that runs by itself, between devices and stacks.
 *
 * @module
 */

import type { MacAddress } from "./address.ts";
import { SystemClock } from "./clock.ts";
import { EventLoop } from "./event_loop.ts";
import { type BridgePort, type BridgeSettings, type BridgeStation, LearningBridge } from "./link/bridge.ts";
import type { Device } from "./link/device.ts";
import type { WireOptions } from "./link/wire.ts";
import { PortablePoller } from "./portable_poller.ts";
import { CryptoRandom, type Random } from "./random.ts";
import { Timers } from "./timers.ts";

/** Options of {@linkcode Bridge}. */
export interface BridgeOptions extends BridgeSettings {
  /** Timers, and through them the clock, to share with stacks. Default: timers on the system's clock. */
  timers?: Timers;
  /** Run by itself. Default true; a simulation says false and calls {@linkcode Bridge.step}. */
  eventLoop?: boolean;
  /** Where unpredictable numbers come from. Default: the platform's cryptographic generator. */
  random?: Random;
}

/** Options of {@linkcode Bridge.connect}. */
export interface BridgeConnectOptions extends Omit<WireOptions, "medium" | "addresses"> {
  /** The Ethernet address of the stack's end. Default: a random one. */
  mac?: MacAddress;
}

/**
 * A learning bridge (IEEE 802.1D) that joins devices and stacks to one link. It knows no spanning tree: its ports must
 * not be joined to each other outside.
 *
 * @example Two stacks and a TAP device on one link
 * ```ts ignore
 * import { Bridge, openTap, Stack } from "@tapstack/tapstack";
 *
 * await using bridge = new Bridge();
 * bridge.add(openTap({ hostAddresses: ["10.0.0.1/24"] }));
 * const [left, right] = [new Stack(), new Stack()];
 * left.attach(bridge.connect(), { addresses: ["10.0.0.2/24"] });
 * right.attach(bridge.connect(), { addresses: ["10.0.0.3/24"] });
 * ```
 */
export class Bridge implements AsyncDisposable {
  readonly #timers: Timers;
  readonly #bridge: LearningBridge;
  readonly #loop: EventLoop | null;
  #pollsDevices = false;
  #closed = false;

  /** A bridge without ports, which runs unless told otherwise. */
  constructor(options: BridgeOptions = {}) {
    const timers = this.#timers = options.timers ?? new Timers(new SystemClock());
    const random = options.random ?? new CryptoRandom();
    const wake = () => this.#loop?.wake();
    this.#bridge = new LearningBridge({ timers, random, wake }, options);
    this.#loop = options.eventLoop === false ? null : new EventLoop(
      { step: () => this.step(), nextDeadline: () => timers.nextDeadline() },
      {
        clock: timers.clock,
        poller: new PortablePoller(),
        devices: () => this.ports.map(({ device }) => device).filter(({ descriptor }) => descriptor !== undefined),
      },
    );
    this.#loop?.start();
  }

  /** The ports, in the order in which they were made. */
  get ports(): readonly BridgePort[] {
    return this.#bridge.ports;
  }

  /**
   * Makes a device a port, and takes it over: closing the bridge closes it.
   *
   * @throws {TypeError} If its frames are no Ethernet frames.
   * @throws {Error} If the bridge has been closed.
   */
  add(device: Device): BridgePort {
    this.#assertOpen(`add "${device.name}"`);
    const port = this.#bridge.add(device);
    if (device.createPoller !== undefined && this.#loop !== null && !this.#pollsDevices) {
      this.#pollsDevices = true;
      this.#loop.usePoller(device.createPoller());
    }
    this.#loop?.wake();
    return port;
  }

  /**
   * Makes a port for a stack, and returns the device to attach, which may have impairments.
   *
   * @throws {Error} If the bridge has been closed.
   */
  connect(options: BridgeConnectOptions = {}): Device {
    this.#assertOpen("add a port");
    return this.#bridge.connect(options);
  }

  /** The stations that are known. */
  stations(): BridgeStation[] {
    return this.#bridge.stations();
  }

  /** Passes on the frames that have arrived, up to a limit, and returns how many there were. */
  step(): number {
    return this.#timers.run() + this.#bridge.step();
  }

  /** Ends it: closes the devices, and resolves when the event loop has ended. Does nothing the second time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#loop?.stop();
    } finally {
      this.#bridge.close();
    }
  }

  /** As {@linkcode Bridge.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #assertOpen(doing: string): void {
    if (this.#closed) throw new Error(`Cannot ${doing}: the bridge has been closed`);
  }
}
