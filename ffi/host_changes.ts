/**
 * Changes of the host's network that are undone when whoever made them ends.
 *
 * @module
 */

import { IpAddress, IpPrefix } from "../stack/address.ts";
import type { Logger } from "../stack/logger.ts";
import { HostLease } from "./host_lease.ts";
import { type HostAddressOptions, type HostRoute, type LinkChange, Rtnetlink } from "./rtnetlink.ts";

/**
 * The number that says, in a route's `protocol`, that this library made it. The kernel's, administrators' and routing
 * daemons' numbers are others (`/etc/iproute2/rt_protos`).
 */
export const routeProtocol = 84;

/** Stands between an interface's name and the number of a {@linkcode HostLease} in the label of an address. */
const labelMark = ":t";

const labelBytes = 15;

/** A route as {@linkcode HostChanges.addRoute} takes it: the metric and the protocol say whose it is. */
export type HostChangesRoute = Omit<HostRoute, "metric" | "protocol" | "table">;

interface Change {
  /** What it was, for people. */
  readonly text: string;
  /** The interface whose end is its end too, or null. */
  readonly link: string | null;
  undo(kernel: Rtnetlink): void;
}

/**
 * A journal of changes of the host's addresses, routes and interfaces, which {@linkcode HostChanges.undo} undoes in
 * reverse order.
 *
 * Routes, and addresses of interfaces whose names have at most nine bytes, are marked with a number that stands for
 * this program, so that what a killed program has left behind is recognised: the next one that makes a journal
 * removes it. The MTU, the queue and the switch of an interface cannot be marked: they are undone by whoever lives to
 * do it. All of it goes away with the interface where that is a device of the program's own.
 *
 * @example
 * ```ts ignore
 * using changes = new HostChanges();
 * changes.addRoute({ destination: "198.51.100.0/24", gateway: "192.0.2.7" });
 * ```
 */
export class HostChanges implements Disposable {
  readonly #logger: Logger | null;
  readonly #lease = new HostLease();
  #changes: Change[] = [];

  /**
   * An empty journal. Removes what programs that no longer run have left behind, where the privilege is there, and
   * tells `logger`.
   *
   * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
   */
  constructor(logger: Logger | null = null) {
    this.#logger = logger;
    this.#attempt(() => {
      for (const text of removeStale()) logger?.warn(`Removed what an earlier run had left behind: ${text}`);
    });
  }

  /** The changes that will be undone, oldest first, for people. */
  get list(): string[] {
    return this.#changes.map(({ text }) => text);
  }

  /** Changes an interface. To be undone is what differs from before. */
  changeLink(name: string, change: LinkChange): void {
    using kernel = new Rtnetlink();
    const { up, mtu, txQueueLength } = kernel.link(name);
    const wanted: LinkChange = {};
    const before: LinkChange = {};
    if (change.up !== undefined && change.up !== up) [wanted.up, before.up] = [change.up, up];
    if (change.mtu !== undefined && change.mtu !== mtu) [wanted.mtu, before.mtu] = [change.mtu, mtu];
    if (change.txQueueLength !== undefined && change.txQueueLength !== txQueueLength) {
      [wanted.txQueueLength, before.txQueueLength] = [change.txQueueLength, txQueueLength];
    }
    const entries = Object.entries(wanted);
    if (entries.length === 0) return;
    kernel.changeLink(name, wanted);
    const text = `${entries.map(([key, value]) => `${key} ${value}`).join(", ")} on "${name}"`;
    this.#changes.push({ text, link: name, undo: (kernel) => kernel.changeLink(name, before) });
  }

  /**
   * Gives an interface an address, with a peer where one is given. One that it has is left alone, and stays.
   *
   * @throws {SystemError} If the kernel refuses.
   */
  addAddress(name: string, address: string | IpPrefix, options: Omit<HostAddressOptions, "label"> = {}): void {
    using kernel = new Rtnetlink();
    const prefix = toPrefix(address);
    if (kernel.addresses(name).some((present) => present.prefix.address.equals(prefix.address))) return;
    const label = `${name}${labelMark}${HostLease.format(this.#lease.id)}`;
    const isMarked = prefix.address.family === 4 && new TextEncoder().encode(label).length <= labelBytes;
    kernel.addAddress(name, prefix, isMarked ? { ...options, label } : options);
    this.#changes.push({
      text: `the address ${prefix} of "${name}"`,
      link: name,
      undo: (kernel) => kernel.removeAddress(name, prefix, options),
    });
  }

  /**
   * Adds a route.
   *
   * @throws {SystemError} If the kernel refuses.
   */
  addRoute(route: HostChangesRoute): void {
    using kernel = new Rtnetlink();
    const marked = { ...route, metric: this.#lease.id, protocol: routeProtocol };
    kernel.addRoute(marked);
    this.#changes.push({
      text: `the route to ${route.destination}`,
      link: route.link ?? null,
      undo: (kernel) => kernel.removeRoute(marked),
    });
  }

  /**
   * Leads everything that has no better route by a link or a gateway, without touching the default route: by two
   * routes to one half of all IPv4 addresses each, which are more specific.
   *
   * @throws {SystemError} If the kernel refuses. Nothing of it is left behind then.
   */
  redirectDefault(way: Omit<HostChangesRoute, "destination">): void {
    const before = this.#changes.length;
    try {
      this.addRoute({ ...way, destination: "0.0.0.0/1" });
      this.addRoute({ ...way, destination: "128.0.0.0/1" });
    } catch (error) {
      this.#undo(this.#changes.splice(before));
      throw error;
    }
  }

  /**
   * Keeps the way that leads to `address` now, whatever routes come: by a route to that address alone. Nothing is done
   * where there is such a route.
   *
   * @throws {Deno.errors.NetworkUnreachable} If there is no way now.
   */
  pinRoute(address: string | IpAddress): void {
    using kernel = new Rtnetlink();
    const destination = typeof address === "string" ? IpAddress.parse(address) : address;
    const route = kernel.routeTo(destination);
    if (route === null) {
      throw new Deno.errors.NetworkUnreachable(`Cannot keep the way to ${destination}: the host has no route to it`);
    }
    const bits = destination.bytes.length * 8;
    if (route.destination.length === bits) return;
    const link = kernel.links().find(({ index }) => index === route.index)?.name;
    this.addRoute({
      destination: new IpPrefix(destination, bits),
      ...(route.gateway === null ? {} : { gateway: route.gateway }),
      ...(link === undefined ? {} : { link }),
      ...(route.source === null ? {} : { source: route.source }),
    });
  }

  /**
   * Undoes the changes in reverse order. Never throws: what fails is logged. More changes can follow; a second call
   * undoes those.
   */
  undo(): void {
    this.#undo(this.#changes.splice(0));
  }

  /** Undoes the changes and gives up the mark. Does nothing the second time. */
  [Symbol.dispose](): void {
    this.undo();
    this.#lease.close();
  }

  #undo(changes: Change[]): void {
    if (changes.length === 0) return;
    this.#attempt(() => {
      using kernel = new Rtnetlink();
      for (const change of changes.reverse()) {
        // An interface that is gone has taken its addresses and routes with it.
        if (change.link !== null && kernel.findLink(change.link) === null) continue;
        this.#attempt(() => change.undo(kernel));
      }
    });
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#logger?.warn(error instanceof Error ? error.message : String(error));
    }
  }
}

/** Removes routes and addresses of programs that no longer run, and says which; those that it may not remove stay. */
function removeStale(): string[] {
  using kernel = new Rtnetlink();
  const removed: string[] = [];
  const links = kernel.links();
  const nameOf = (index: number) => links.find((link) => link.index === index)?.name;
  for (const { destination, gateway, index, metric, protocol } of kernel.routes()) {
    if (protocol !== routeProtocol || HostLease.isHeld(metric)) continue;
    const link = nameOf(index);
    kernel.removeRoute({
      destination,
      metric,
      protocol,
      ...(gateway === null ? {} : { gateway }),
      ...(link === undefined ? {} : { link }),
    });
    removed.push(`the route to ${destination}`);
  }
  for (const { index, prefix, peer, label } of kernel.addresses()) {
    const id = HostLease.parse(label?.split(labelMark)[1] ?? "");
    const link = nameOf(index);
    if (id === null || link === undefined || HostLease.isHeld(id)) continue;
    kernel.removeAddress(link, prefix, peer === null ? {} : { peer });
    removed.push(`the address ${prefix} of "${link}"`);
  }
  return removed;
}

function toPrefix(value: string | IpPrefix): IpPrefix {
  return typeof value === "string" ? IpPrefix.parse(value) : value;
}
