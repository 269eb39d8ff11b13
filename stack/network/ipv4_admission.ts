/**
 * Which packets IPv4 takes: by the addresses in their headers (RFC 1122 sections 3.2.1.3 and 3.3.6).
 *
 * @module
 */

import type { Nic } from "../link/nic.ts";
import type { Packet } from "../packet.ts";
import type { Addresses } from "./addresses.ts";
import type { Ipv4Counters } from "./ipv4_counters.ts";
import {
  broadcastWord,
  destinationWordAt,
  isHostWord,
  isLoopbackWord,
  isMulticastWord,
  sourceWordAt,
} from "./ipv4_header.ts";

/** 224.0.0.1: all hosts of a link, a group that need not be joined (RFC 1112 section 4). */
const allHostsWord = 0xe000_0001;

/** The rules of one stack, for packets whose header has been checked and noted. Who is turned away is counted. */
export class Ipv4Admission {
  readonly #nics: readonly Nic[];
  readonly #addresses: Addresses;
  readonly #counters: Ipv4Counters;

  /** Knows our interfaces, by index, and our addresses. */
  constructor(nics: readonly Nic[], addresses: Addresses, counters: Ipv4Counters) {
    this.#nics = nics;
    this.#addresses = addresses;
    this.#counters = counters;
  }

  /** Whether the destination may stand in a packet that arrives here. Finds out whether it is a group's. */
  admitDestination(packet: Packet): boolean {
    const destination = destinationWordAt(packet.view, packet.networkAt);
    const nic = this.#nics[packet.nic];
    if (
      destination === broadcastWord || isMulticastWord(destination) || (nic?.isSubnetBroadcast(destination) ?? false)
    ) {
      packet.multicast = true;
      return true;
    }
    if (!isHostWord(destination) || (isLoopbackWord(destination) && !packet.looped)) {
      this.#counters.martianDestination++;
      return false;
    }
    if (packet.multicast) {
      this.#counters.linkBroadcast++;
      return false;
    }
    return true;
  }

  /** RFC 1122 section 3.2.1.3: whether the source can be that of another host. */
  admitSource(packet: Packet): boolean {
    const source = sourceWordAt(packet.view, packet.networkAt);
    // A host that does not know its address yet sends from none, and only to many (DHCP).
    if (source === 0 && packet.multicast) return true;
    const nic = this.#nics[packet.nic];
    if (!isHostWord(source) || isLoopbackWord(source) || (nic?.isSubnetBroadcast(source) ?? false)) {
      this.#counters.martianSource++;
      return false;
    }
    if (this.#addresses.isOwnAt(4, packet.view, packet.sourceAt)) {
      this.#counters.ownSource++;
      return false;
    }
    return true;
  }

  /** Whether the packet is ours to take: by its address, or because the interface takes every one. */
  isForUs(packet: Packet): boolean {
    const nic = this.#nics[packet.nic];
    if (nic?.promiscuous ?? false) return true;
    if (!packet.multicast) return this.#addresses.isOwnAt(4, packet.view, packet.destinationAt);
    const destination = destinationWordAt(packet.view, packet.networkAt);
    if (!isMulticastWord(destination) || destination === allHostsWord) return true;
    return nic?.hasGroupAt(4, packet.view, packet.destinationAt) ?? false;
  }
}
