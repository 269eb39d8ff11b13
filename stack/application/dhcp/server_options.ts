/**
 * The addresses that a server gives out, checked.
 *
 * @module
 */

import { type IpAddress, IpPrefix, type MacAddress } from "../../address.ts";
import type { Nic } from "../../link/nic.ts";
import type { LeaseTableOptions } from "./lease_table.ts";

/** What is checked. */
export interface PoolOptions {
  /** The first and the last address of the pool. */
  readonly range: readonly [first: IpAddress, last: IpAddress];
  /** Addresses that are one client's. */
  readonly reservations?: readonly { readonly mac: MacAddress; readonly address: IpAddress }[];
  /** The server's own address. */
  readonly address?: IpPrefix;
  /** Seconds of a lease. */
  readonly leaseTime?: number;
  /** The largest packet on the link. */
  readonly mtu?: number;
}

/** A pool that makes sense. */
export interface CheckedPool extends LeaseTableOptions {
  /** The server's address, with the prefix length of the link's subnet. */
  readonly subnet: IpPrefix;
}

/** Most addresses of a pool: looking for a free one goes through them. */
const mostAddresses = 65_536;

/**
 * Checks what a server is to give out.
 *
 * @throws {TypeError} If the interface has no address, or no Ethernet address.
 * @throws {RangeError} If an address is not of the interface's subnet, or a number is out of range.
 */
export function checkPool(nic: Nic, options: PoolOptions): CheckedPool {
  const { leaseTime = 3600, mtu = 1500, range: [first, last] } = options;
  if (nic.mac === null) throw new TypeError(`Cannot serve DHCP on ${nic.name}: it has no Ethernet address`);
  const subnet = options.address ?? nic.addresses.find(({ address }) => address.family === 4);
  if (subnet === undefined) throw new TypeError(`Cannot serve DHCP on ${nic.name}: it has no IPv4 address`);
  const own = subnet.address;
  for (const address of [first, last]) checkAddress(address, subnet);
  const size = last.words[0]! - first.words[0]! + 1;
  if (size < 1 || size > mostAddresses) {
    throw new RangeError(
      `Cannot lease ${first} to ${last}: give 1 to ${mostAddresses} addresses, the lowest one first`,
    );
  }
  if (!(leaseTime >= 1)) throw new RangeError(`Cannot lease addresses for ${leaseTime} seconds: give 1 or more`);
  if (!(mtu >= 576 && mtu <= 65535)) throw new RangeError(`Cannot tell clients an MTU of ${mtu}: give 576 to 65535`);
  const reservations = new Map<string, IpAddress>();
  const reserved = new Set<string>();
  for (const { mac, address } of options.reservations ?? []) {
    checkAddress(address, subnet);
    if (address.equals(own)) throw new RangeError(`Cannot reserve ${address} for ${mac}: it is the server's own`);
    if (reserved.has(address.toString()) || reservations.has(mac.toString())) {
      throw new RangeError(`Cannot reserve ${address} for ${mac}: that address, or that client, has a reservation`);
    }
    reserved.add(address.toString());
    reservations.set(mac.toString(), address);
  }
  return { first, last, reservations, own, subnet };
}

function checkAddress(address: IpAddress, subnet: IpPrefix): void {
  const isEdge = subnet.length < 31 && (address.equals(subnet.network) || address.equals(subnet.broadcast!));
  if (subnet.contains(address) && !isEdge) return;
  throw new RangeError(
    `Cannot lease ${address}: it is no host's address in ${new IpPrefix(subnet.network, subnet.length)}`,
  );
}
