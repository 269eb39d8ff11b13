/**
 * The kernel's end of a device.
 *
 * @module
 */

import type { IpPrefix } from "../stack/address.ts";
import {
  type AddressInfo,
  type HostAddressOptions,
  type HostRoute,
  type LinkChange,
  type LinkInfo,
  Rtnetlink,
} from "./rtnetlink.ts";

/**
 * The kernel's network interface at the other end of a device: what `ip` would be used for. Its errors are those of
 * {@linkcode Rtnetlink}. When the interface goes away, with its device, the kernel removes its addresses and routes.
 */
export class HostInterface {
  /** The interface's name in the kernel. */
  readonly name: string;
  readonly #changed: () => void;

  /** The interface of that name. `changed` is called after {@linkcode HostInterface.change}. */
  constructor(name: string, changed: () => void = () => {}) {
    this.name = name;
    this.#changed = changed;
  }

  /** What the kernel knows about it at this moment. */
  info(): LinkInfo {
    return withNetlink((netlink) => netlink.link(this.name));
  }

  /** Switches it on or off, or changes its MTU or transmit queue. */
  change(change: LinkChange): void {
    withNetlink((netlink) => netlink.changeLink(this.name, change));
    this.#changed();
  }

  /** Its addresses. */
  addresses(): AddressInfo[] {
    return withNetlink((netlink) => netlink.addresses(this.name));
  }

  /** Gives it an address: `192.0.2.1/24`. */
  addAddress(address: string | IpPrefix, options?: HostAddressOptions): void {
    withNetlink((netlink) => netlink.addAddress(this.name, address, options));
  }

  /** Takes an address away. */
  removeAddress(address: string | IpPrefix, options?: HostAddressOptions): void {
    withNetlink((netlink) => netlink.removeAddress(this.name, address, options));
  }

  /** Adds a route that leaves by it. */
  addRoute(route: Omit<HostRoute, "link">): void {
    withNetlink((netlink) => netlink.addRoute({ ...route, link: this.name }));
  }

  /** Removes a route that leaves by it. */
  removeRoute(route: Omit<HostRoute, "link">): void {
    withNetlink((netlink) => netlink.removeRoute({ ...route, link: this.name }));
  }
}

function withNetlink<Result>(use: (netlink: Rtnetlink) => Result): Result {
  using netlink = new Rtnetlink();
  return use(netlink);
}
