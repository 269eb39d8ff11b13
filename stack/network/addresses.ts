/**
 * The stack's own addresses, over all interfaces: adding and removing them with the routes that belong to them, and
 * knowing which addresses are ours.
 *
 * @module
 */

import type { Family, IpAddress, IpPrefix } from "../address.ts";
import type { Nic } from "../link/nic.ts";
import type { Neighbors } from "./neighbors.ts";
import type { Routes } from "./routes.ts";

/** What the addresses are wired to. */
export interface AddressesOptions {
  /** The stack's interfaces, by index; the list may grow later. */
  nics: readonly Nic[];
  /** Where the routes to the addresses' subnets go. */
  routes: Routes;
  /** What tells the link of a new address. */
  neighbors: Neighbors;
}

/**
 * The own addresses of a stack, which follows the weak host model (RFC 1122 section 3.3.4.2): an address belongs to
 * the host, so a packet for it is accepted on any interface. Loopback addresses are the exception.
 */
export class Addresses {
  readonly #nics: readonly Nic[];
  readonly #routes: Routes;
  readonly #neighbors: Neighbors;

  /** Takes its wiring. */
  constructor(options: AddressesOptions) {
    this.#nics = options.nics;
    this.#routes = options.routes;
    this.#neighbors = options.neighbors;
  }

  /** Gives an interface an address, adds the route to its subnet, and tells the link. */
  add(nic: Nic, prefix: IpPrefix): void {
    this.remove(nic, prefix.address);
    const hasRoute = nic.addresses.some((other) => other.length === prefix.length && other.contains(prefix.address));
    nic.addAddress(prefix);
    const hasSubnet = prefix.length < prefix.address.bytes.length * 8;
    if (hasSubnet && !hasRoute) this.#routes.add({ prefix, nic, source: prefix.address });
    this.#routes.touch();
    if (!nic.device.loopback) this.#neighbors.announce(nic, prefix.address);
  }

  /**
   * Takes an address from an interface, with the route to its subnet unless another address needs it. Paths from the
   * address can no longer be used. Returns whether the interface had it.
   */
  remove(nic: Nic, address: IpAddress): boolean {
    const prefix = nic.removeAddress(address);
    if (prefix === null) return false;
    this.#routes.remove({ prefix, nic, gateway: null, metric: 0 });
    const other = nic.addresses.find((kept) => kept.length === prefix.length && kept.contains(prefix.network));
    if (other !== undefined) this.#routes.add({ prefix: other, nic, source: other.address });
    this.#routes.touch();
    return true;
  }

  /** The interface that delivers what is sent to own addresses, or null if the stack has none. */
  get loopback(): Nic | null {
    return this.#nics.find((nic) => nic.device.loopback) ?? null;
  }

  /** Whether `address` is one of ours, on whichever interface, or lies in the loopback's subnet. */
  isOwn(address: IpAddress): boolean {
    for (const { addresses, device } of this.#nics) {
      for (const prefix of addresses) {
        if (device.loopback ? prefix.contains(address) : prefix.address.equals(address)) return true;
      }
    }
    return false;
  }

  /** As {@linkcode Addresses.isOwn} for the address that stands at `at` in a packet. Allocates nothing. */
  isOwnAt(family: Family, view: DataView, at: number): boolean {
    const nics = this.#nics;
    for (let index = 0; index < nics.length; index++) {
      const { addresses, device } = nics[index]!;
      for (let place = 0; place < addresses.length; place++) {
        const prefix = addresses[place]!;
        if (prefix.address.family !== family) continue;
        // The whole of 127.0.0.0/8 is this host (RFC 1122 section 3.2.1.3 (g)), not just the address in use.
        if (device.loopback ? prefix.containsAt(view, at) : prefix.address.matches(view, at)) return true;
      }
    }
    return false;
  }

  /**
   * The address to send from: one on the interface whose subnet holds the next hop, else the interface's first, else
   * the first of another interface that is no loopback; null if there is none.
   */
  select(nic: Nic, nextHop: IpAddress): IpAddress | null {
    const { family } = nextHop;
    const onLink = nic.addresses.find((prefix) => prefix.contains(nextHop));
    if (onLink !== undefined) return onLink.address;
    return firstOf(nic, family) ??
      this.#nics.filter((other) => !other.device.loopback).map((other) => firstOf(other, family))
        .find((address) => address !== null) ??
      null;
  }
}

function firstOf(nic: Nic, family: Family): IpAddress | null {
  return nic.addresses.find((prefix) => prefix.address.family === family)?.address ?? null;
}
