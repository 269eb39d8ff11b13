/**
 * The kernel's side of the network: its interfaces, addresses and routes, read and changed by routing netlink.
 *
 * @module
 */

import { type Family, IpAddress, IpPrefix } from "../stack/address.ts";
import { Errno, isSystemError, systemError, type SystemErrorDetails } from "./errno.ts";
import type { NetlinkRequest } from "./netlink_message.ts";
import { NetlinkSocket } from "./netlink_socket.ts";
import {
  addAddressRequest,
  addAlternativeNameRequest,
  type AddressInfo,
  addRouteRequest,
  changeLinkRequest,
  getAddressesRequest,
  getLinkRequest,
  getRoutesRequest,
  type LinkChange,
  type LinkInfo,
  mainTable,
  parseAddress,
  parseLink,
  parseRoute,
  parseTransmitDrops,
  removeAddressRequest,
  removeAlternativeNameRequest,
  removeRouteRequest,
  type RouteInfo,
} from "./rtnetlink_message.ts";

export type { AddressInfo, LinkChange, LinkInfo, RouteInfo };

const NETLINK_ROUTE = 0;

/** What to do about a missing privilege. */
export const privilegeRemedy = "it needs CAP_NET_ADMIN: run as root, or inside `unshare -rn`";

/** Options for an address. */
export interface HostAddressOptions {
  /** The other end's address on a point-to-point interface; the prefix length is then the peer's. */
  peer?: string | IpAddress;
  /** IPv6: whether the kernel first probes for another owner, for a second or so. Default true. */
  duplicateDetection?: boolean;
  /** IPv4: a label of at most 15 bytes that begins with the interface's name. Default: that name. */
  label?: string;
}

/** A route of the kernel, as it is added or removed. */
export interface HostRoute {
  /** Where it leads to: `192.0.2.0/24`, or 0.0.0.0/0 or ::/0 for the default route. */
  destination: string | IpPrefix;
  /** The router, where the destination is not on the link. */
  gateway?: string | IpAddress;
  /** Whether the router counts as on the link, though no subnet of the interface has it. Default false. */
  onLink?: boolean;
  /** The name of the interface. Without it, the gateway decides. */
  link?: string;
  /** The lowest one wins among equal destinations. */
  metric?: number;
  /** The source address to use for it. */
  source?: string | IpAddress;
  /** The routing table. Default 254, the main one. */
  table?: number;
  /** A number that says who makes it, from 4 to 255. Default 4, an administrator; on removal: any. */
  protocol?: number;
}

/**
 * The kernel's interfaces, addresses and routes. Every method is done when it returns.
 *
 * Reading needs no privilege; changing needs CAP_NET_ADMIN.
 */
export class Rtnetlink implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  /** All interfaces. */
  links(): LinkInfo[] {
    return this.#list(getLinkRequest(), parseLink, "list the interfaces");
  }

  /**
   * The interface of that name, or null where there is none.
   *
   * @throws {TypeError} If no interface can have that name.
   */
  findLink(name: string): LinkInfo | null {
    try {
      return this.#list(getLinkRequest(name), parseLink, `look up the interface "${name}"`)[0] ?? null;
    } catch (error) {
      if (isSystemError(error) && error.errno === Errno.ENODEV) return null;
      throw error;
    }
  }

  /**
   * The interface of that name.
   *
   * @throws {Deno.errors.NotFound} If there is none.
   */
  link(name: string): LinkInfo {
    const link = this.findLink(name);
    if (link !== null) return link;
    const remedy = `there are ${this.links().map((link) => link.name).join(", ")}`;
    throw systemError("netlink", Errno.ENODEV, { action: `find the interface "${name}"`, remedy });
  }

  /**
   * Frames that an interface did not take from the kernel: of a TUN or TAP device, those for which its queue had no room.
   *
   * @throws {SystemError} If there is no interface of that name.
   */
  transmitDrops(name: string): number {
    return this.#list(getLinkRequest(name), parseTransmitDrops, `look up the interface "${name}"`)[0] ?? 0;
  }

  /** Switches an interface on or off, or changes its MTU or transmit queue. */
  changeLink(name: string, change: LinkChange): void {
    const { index } = this.link(name);
    const values = Object.entries(change).map(([key, value]) => `${key} ${value}`).join(", ");
    this.#change(changeLinkRequest(index, change), (errno) => ({
      action: `set ${values} on "${name}"`,
      remedy: errno === Errno.EINVAL && change.mtu !== undefined
        ? "the interface does not carry packets of that size: choose another MTU"
        : undefined,
    }));
  }

  /**
   * Gives an interface another name, of at most 127 bytes, beside its own (Linux 5.5).
   *
   * @throws {Deno.errors.AlreadyExists} If an interface has that name.
   * @throws {Deno.errors.NotSupported} If the kernel knows no other names.
   */
  addAlternativeName(link: string, name: string): void {
    const { index } = this.link(link);
    this.#change(addAlternativeNameRequest(index, name), () => ({ action: `give "${link}" the name "${name}"` }));
  }

  /** Takes another name away from an interface. */
  removeAlternativeName(link: string, name: string): void {
    const { index } = this.link(link);
    this.#change(removeAlternativeNameRequest(index, name), () => ({
      action: `take the name "${name}" from "${link}"`,
    }));
  }

  /** The addresses of one interface, or of all. */
  addresses(name?: string): AddressInfo[] {
    const all = this.#list(getAddressesRequest(), parseAddress, "list the addresses");
    if (name === undefined) return all;
    const { index } = this.link(name);
    return all.filter((address) => address.index === index);
  }

  /**
   * Gives an interface an address: `192.0.2.1/24`.
   *
   * @throws {Deno.errors.AddrInUse} If the interface has it.
   */
  addAddress(name: string, address: string | IpPrefix, options: HostAddressOptions = {}): void {
    const prefix = toPrefix(address);
    const peer = options.peer === undefined ? undefined : toAddress(options.peer);
    const { duplicateDetection, label } = options;
    const request = addAddressRequest({ index: this.link(name).index, prefix, peer, duplicateDetection, label });
    this.#change(request, (errno) => ({
      action: `add the address ${prefix}${peer ? ` peer ${peer}` : ""} to "${name}"`,
      remedy: errno === Errno.EEXIST ? `"${name}" has it: use it as it is, or remove it first` : undefined,
      errorClass: errno === Errno.EEXIST ? "AddrInUse" : undefined,
    }));
  }

  /**
   * Takes an address from an interface.
   *
   * @throws {Deno.errors.AddrNotAvailable} If the interface does not have it.
   */
  removeAddress(name: string, address: string | IpPrefix, options: HostAddressOptions = {}): void {
    const prefix = toPrefix(address);
    const peer = options.peer === undefined ? undefined : toAddress(options.peer);
    const request = removeAddressRequest({ index: this.link(name).index, prefix, peer });
    this.#change(request, (errno) => ({
      action: `remove the address ${prefix} from "${name}"`,
      remedy: errno === Errno.EADDRNOTAVAIL ? `"${name}" does not have it, or with another prefix length` : undefined,
    }));
  }

  /** The unicast routes of a family in one table: the main one, if not said otherwise. */
  routes(family: Family = 4, table: number = mainTable): RouteInfo[] {
    return this.#list(getRoutesRequest(family), parseRoute, `list the IPv${family} routes`)
      .filter((route) => route.table === table);
  }

  /** The default route of a family that wins, or null where there is none. */
  defaultRoute(family: Family = 4): RouteInfo | null {
    return this.routes(family)
      .filter((route) => route.destination.length === 0)
      .reduce<RouteInfo | null>((best, route) => best === null || route.metric < best.metric ? route : best, null);
  }

  /**
   * Adds a route.
   *
   * @throws {Deno.errors.AlreadyExists} If there is one to the same destination with the same metric.
   * @throws {Deno.errors.NetworkUnreachable} If the gateway is on no link.
   */
  addRoute(route: HostRoute): void {
    const remedies: Record<number, string> = {
      [Errno.EEXIST]: "there is one already: remove it first, or choose another metric",
      [Errno.ENETDOWN]: "switch the interface on first",
      [Errno.ENETUNREACH]: "give the interface an address in the gateway's subnet first",
    };
    this.#change(addRouteRequest(this.#resolve(route)), (errno) => ({
      action: `add ${describeRoute(route)}`,
      remedy: remedies[errno],
    }));
  }

  /**
   * Removes the first route that has these properties.
   *
   * @throws {Deno.errors.NotFound} If there is none.
   */
  removeRoute(route: HostRoute): void {
    this.#change(removeRouteRequest(this.#resolve(route)), () => ({ action: `remove ${describeRoute(route)}` }));
  }

  /** The route of the main table by which the kernel reaches `destination`, or null where there is none. */
  routeTo(destination: string | IpAddress): RouteInfo | null {
    const address = toAddress(destination);
    const better = (left: RouteInfo, right: RouteInfo) =>
      left.destination.length - right.destination.length || right.metric - left.metric;
    return this.routes(address.family)
      .filter((route) => route.destination.contains(address))
      .reduce<RouteInfo | null>((best, route) => best === null || better(route, best) > 0 ? route : best, null);
  }

  /** Closes the socket. */
  close(): void {
    this.#socket.close();
  }

  /** The same as {@linkcode Rtnetlink.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #resolve(
    { destination, gateway, onLink, link, metric, source, table, protocol }: HostRoute,
  ): Parameters<typeof addRouteRequest>[0] {
    return {
      destination: toPrefix(destination),
      gateway: gateway === undefined ? undefined : toAddress(gateway),
      onLink,
      index: link === undefined ? undefined : this.link(link).index,
      metric,
      source: source === undefined ? undefined : toAddress(source),
      table,
      protocol,
    };
  }

  #list<Info>(request: NetlinkRequest, parse: Parser<Info>, action: string): Info[] {
    return this.#socket.request(request, () => ({ action })).map(parse).filter((info) => info !== null);
  }

  #change(request: NetlinkRequest, describe: (errno: number) => SystemErrorDetails): void {
    this.#socket.request(request, (errno) => {
      const details = describe(errno);
      return errno === Errno.EPERM ? { ...details, remedy: privilegeRemedy } : details;
    });
  }
}

type Parser<Info> = (message: ReturnType<NetlinkSocket["request"]>[number]) => Info | null;

function toPrefix(value: string | IpPrefix): IpPrefix {
  return typeof value === "string" ? IpPrefix.parse(value) : value;
}

function toAddress(value: string | IpAddress): IpAddress {
  return typeof value === "string" ? IpAddress.parse(value) : value;
}

function describeRoute({ destination, gateway, link }: HostRoute): string {
  return `the route to ${destination}${gateway ? ` via ${gateway}` : ""}${link ? ` on "${link}"` : ""}`;
}
