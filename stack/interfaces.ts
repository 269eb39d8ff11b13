/**
 * The interfaces of a stack, and attaching devices to it.
 *
 * @module
 */

import { IpAddress, IpPrefix } from "./address.ts";
import type { EventLoop } from "./event_loop.ts";
import type { ProtocolGraph } from "./graph.ts";
import type { Device } from "./link/device.ts";
import { Nic } from "./link/nic.ts";
import type { Logger } from "./logger.ts";
import type { Routes } from "./network/routes.ts";
import type { PacketPool } from "./packet.ts";
import type { AttachOptions } from "./stack_options.ts";
import type { Timers } from "./timers.ts";

/** What {@linkcode Interfaces} need of their stack. */
export interface InterfacesOptions {
  /** The interfaces, which are appended to. */
  readonly nics: Nic[];
  /** The modules. */
  readonly graph: ProtocolGraph;
  /** The routes. */
  readonly routes: Routes;
  /** Where received packets come from. */
  readonly pool: PacketPool;
  /** The timers of devices. */
  readonly timers: Timers;
  /** Told of interfaces that come, and of links that change. */
  readonly logger: Logger | null;
}

/** The interfaces of a stack. */
export class Interfaces {
  readonly #options: InterfacesOptions;
  #loop: EventLoop | null = null;
  #pollsDevices = false;

  /** Takes what they need. */
  constructor(options: InterfacesOptions) {
    this.#options = options;
  }

  /** The event loop that waits for devices attached from now on; there is none before. */
  set loop(loop: EventLoop | null) {
    this.#loop = loop;
  }

  /** The devices that the event loop's poller can wait for. */
  get pollable(): Device[] {
    return this.#options.nics.map(({ device }) => device).filter(({ descriptor }) => descriptor !== undefined);
  }

  /**
   * Attaches a device and takes it over.
   *
   * @throws {TypeError} If an address or the gateway cannot be read.
   * @throws {Error} If the gateway is on no link of the device.
   */
  attach(device: Device, options: AttachOptions): Nic {
    const { nics, graph, routes, pool, timers, logger } = this.#options;
    const prefixes = (options.addresses ?? []).map((text) => IpPrefix.parse(text));
    const gateway = options.gateway === undefined ? null : IpAddress.parse(options.gateway);
    if (gateway !== null && !prefixes.some((prefix) => prefix.contains(gateway))) {
      throw new Error(`Cannot use the gateway ${gateway}: it lies in none of the subnets of "${device.name}"`);
    }
    const nic = new Nic(nics.length, options.name ?? device.name, device, graph.linkFor(device), options);
    device.attach({
      pool,
      headroom: graph.headroom,
      timers,
      offload: true,
      wake: () => this.#loop?.wake(),
      linkChanged: () => this.#linkChanged(nic),
    });
    if (device.share !== undefined) graph.ports.share = device.share;
    nics.push(nic);
    for (const prefix of prefixes) graph.addresses.add(nic, prefix);
    if (gateway !== null) routes.add({ prefix: anywhere(gateway), nic, gateway });
    if (device.createPoller !== undefined && this.#loop !== null && !this.#pollsDevices) {
      this.#pollsDevices = true;
      this.#loop.usePoller(device.createPoller());
    }
    this.#loop?.wake();
    logger?.info(`Attached ${nic.name} (${prefixes.join(", ") || "no address"})`);
    return nic;
  }

  #linkChanged(nic: Nic): void {
    this.#options.routes.touch();
    this.#options.logger?.warn(`The link of ${nic.name} has changed`);
  }
}

/** The prefix that holds every address of a family. */
function anywhere(like: IpAddress): IpPrefix {
  return new IpPrefix(IpAddress.unspecified(like.family), 0);
}
