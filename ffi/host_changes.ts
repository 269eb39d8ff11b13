/**
 * Changes of the host's network that are undone when whoever made them ends.
 *
 * @module
 */

import { IpAddress, IpPrefix } from "../stack/address.ts";
import type { Logger } from "../stack/logger.ts";
import { isSystemError } from "./errno.ts";
import { HostLease } from "./host_lease.ts";
import { formatMark, type MarkedChange } from "./host_marks.ts";
import { describeMarked, routeProtocol, undoMarked, undoStale } from "./host_recovery.ts";
import { type HostAddressOptions, type HostRoute, type LinkChange, Rtnetlink } from "./rtnetlink.ts";

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
 * All of them carry a number that stands for this program, so that what a killed program has left behind is
 * recognised, and undone by the next one that makes a journal: a route in its metric and protocol; an address, the MTU,
 * the queue and the switch of an interface in another name of that interface (Linux 5.5), which is given before the
 * change is made and says what was before. What somebody else has changed again meanwhile is left alone.
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
  #marks = 0;

  /**
   * An empty journal. Undoes what programs that no longer run have left behind, where the privilege is there, and tells
   * `logger`.
   *
   * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
   */
  constructor(logger: Logger | null = null) {
    this.#logger = logger;
    this.#attempt(() => {
      using kernel = new Rtnetlink();
      const tell = (text: string) => logger?.warn(`Undid what an earlier run had left behind: ${text}`);
      undoStale(kernel, tell, (error) => this.#warn(error));
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
    const after: LinkChange = {};
    const before: LinkChange = {};
    if (change.up !== undefined && change.up !== up) [after.up, before.up] = [change.up, up];
    if (change.mtu !== undefined && change.mtu !== mtu) [after.mtu, before.mtu] = [change.mtu, mtu];
    if (change.txQueueLength !== undefined && change.txQueueLength !== txQueueLength) {
      [after.txQueueLength, before.txQueueLength] = [change.txQueueLength, txQueueLength];
    }
    if (Object.keys(after).length === 0) return;
    this.#makeMarked(kernel, name, { before, after }, () => kernel.changeLink(name, after));
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
    const peer = options.peer === undefined ? null : toAddress(options.peer);
    this.#makeMarked(kernel, name, { address: prefix, peer }, () => kernel.addAddress(name, prefix, options));
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
    const destination = toAddress(address);
    const route = kernel.routeTo(destination);
    if (route === null) {
      throw new Deno.errors.NetworkUnreachable(`Cannot keep the way to ${destination}: the host has no route to it`);
    }
    const bits = destination.bytes.length * 8;
    if (route.destination.length === bits) return;
    const link = kernel.links().find(({ index }) => index === route.index)?.name;
    this.addRoute({
      destination: new IpPrefix(destination, bits),
      ...(route.gateway === null ? {} : { gateway: route.gateway, onLink: route.onLink }),
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

  /** Makes a change of an interface that is marked first: whoever is killed in between leaves no riddle. */
  #makeMarked(kernel: Rtnetlink, link: string, change: MarkedChange, make: () => void): void {
    const mark = formatMark({ lease: this.#lease.id, serial: ++this.#marks, change });
    const isMarked = tryMark(kernel, link, mark);
    const undo = (kernel: Rtnetlink) => {
      undoMarked(kernel, link, change);
      if (isMarked) kernel.removeAlternativeName(link, mark);
    };
    try {
      make();
    } catch (error) {
      // The kernel may have made a part of it.
      this.#attempt(() => undo(kernel));
      throw error;
    }
    this.#changes.push({ text: describeMarked(link, change), link, undo });
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
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    this.#logger?.warn(error instanceof Error ? error.message : String(error));
  }
}

/** Marks an interface, where the kernel can do that: what is wrong otherwise is said by the change itself. */
function tryMark(kernel: Rtnetlink, link: string, mark: string): boolean {
  try {
    kernel.addAlternativeName(link, mark);
    return true;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

function toAddress(value: string | IpAddress): IpAddress {
  return typeof value === "string" ? IpAddress.parse(value) : value;
}

function toPrefix(value: string | IpPrefix): IpPrefix {
  return typeof value === "string" ? IpPrefix.parse(value) : value;
}
