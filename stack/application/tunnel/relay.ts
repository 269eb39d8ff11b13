/**
 * A link that goes on in another one: what a client is where the operating system's network is at its end of the tunnel.
 *
 * @module
 */

import type { ChannelDevice } from "../../link/channel.ts";
import type { Device } from "../../link/device.ts";
import type { Nic } from "../../link/nic.ts";
import type { Timers } from "../../timers.ts";
import { LinkLoop, type LinkLoopOptions } from "./link_loop.ts";

/** Packets that are taken from a device before the other one and the timers have their turn. */
const batchPackets = 64;

/**
 * Passes packets between a device and a channel. While the channel has enough to do, nothing is taken from the device:
 * whoever sends there is held up, and loses nothing.
 */
export class LinkRelay implements AsyncDisposable {
  readonly #loop: LinkLoop;
  readonly #channel: Nic;
  readonly #channelDevice: ChannelDevice;
  #device: Nic | null = null;

  /** Attaches the channel; the device follows when there is one. */
  constructor(channel: ChannelDevice, options: LinkLoopOptions = {}) {
    this.#channelDevice = channel;
    this.#loop = new LinkLoop(
      { passOn: (now) => this.#passOn(now), accepts: () => this.#channelDevice.accepts },
      options,
    );
    this.#channel = this.#loop.attach(channel);
  }

  /** The timers that the loop runs. */
  get timers(): Timers {
    return this.#loop.timers;
  }

  /** Packets that are out of the pool. */
  get packetsInUse(): number {
    return this.#loop.pool.inUse;
  }

  /** Joins a device to the channel, and takes it over. `linkChanged` is called when its MTU or state has changed. */
  join(device: Device, linkChanged: () => void = () => {}): Nic {
    return this.#device = this.#loop.attach(device, linkChanged);
  }

  /** Does what there is to do now, for simulations. */
  step(): number {
    return this.#loop.step();
  }

  /** Closes both ends. */
  async close(): Promise<void> {
    await this.#loop.close();
  }

  /** As {@linkcode LinkRelay.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #passOn(now: number): number {
    const device = this.#device;
    if (device === null) return 0;
    return this.#passToChannel(device, now) + this.#passFromChannel(device, now);
  }

  #passToChannel(device: Nic, now: number): number {
    for (let passed = 0; passed < batchPackets; passed++) {
      const packet = this.#channelDevice.accepts ? device.receive(now) : null;
      if (packet === null) return passed;
      this.#channel.transmit(packet);
    }
    return batchPackets;
  }

  #passFromChannel(device: Nic, now: number): number {
    for (let passed = 0; passed < batchPackets; passed++) {
      const packet = this.#channel.receive(now);
      if (packet === null) return passed;
      device.transmit(packet);
    }
    return batchPackets;
  }
}
