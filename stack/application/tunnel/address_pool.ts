/**
 * The addresses that a server has to give away.
 *
 * @module
 */

import { IpAddress, type IpPrefix } from "../../address.ts";

/** The hosts' addresses of an IPv4 network, but for those that are reserved. Who has which is others' knowledge. */
export class AddressPool {
  /** The network. */
  readonly network: IpPrefix;
  readonly #first: number;
  readonly #count: number;
  readonly #reserved: ReadonlySet<number>;

  /**
   * A pool.
   *
   * @throws {RangeError} If the network is too large or too small to give anything away.
   */
  constructor(network: IpPrefix, reserved: readonly IpAddress[] = []) {
    if (network.address.family !== 4 || network.length > 29 || network.length < 8) {
      throw new RangeError(`Cannot give away the addresses of ${network}: give an IPv4 network of /8 to /29`);
    }
    this.network = network;
    this.#first = toNumber(network.network);
    this.#count = 2 ** (32 - network.length);
    // The first is the network's own, the last its broadcast address.
    this.#reserved = new Set([this.#first, this.#first + this.#count - 1, ...reserved.map(toNumber)]);
  }

  /** Whether an address is one that may be given away. */
  isHost(address: IpAddress): boolean {
    return this.network.contains(address) && !this.#reserved.has(toNumber(address));
  }

  /** The lowest address that may be given away and is not among those that are taken, or null where there is none. */
  free(taken: readonly IpAddress[]): IpAddress | null {
    const occupied = new Set(taken.map(toNumber));
    for (let number = this.#first; number < this.#first + this.#count; number++) {
      if (!this.#reserved.has(number) && !occupied.has(number)) return IpAddress.fromUint32(number);
    }
    return null;
  }
}

function toNumber(address: IpAddress): number {
  return address.words[0]! >>> 0;
}
