/**
 * What lies between a protocol that asks for hardware addresses (ARP, Neighbor Discovery) and the cache that keeps
 * the mappings it learns.
 *
 * @module
 */

import type { Family, IpAddress, MacAddress } from "../address.ts";
import type { Packet } from "../packet.ts";
import type { Nic } from "./nic.ts";

/** What asks for hardware addresses: ARP, or Neighbor Discovery. */
export interface NeighborResolver {
  /** The family whose neighbours it can ask for. */
  readonly family: Family;
  /** What frames to these neighbours carry. */
  readonly etherType: number;
  /** Asks who has `target`: everybody, or only the one that had it last. */
  solicit(nic: Nic, target: IpAddress, unicastTo: MacAddress | null): void;
  /** Tells the link that `address` is ours now. */
  announce(nic: Nic, address: IpAddress): void;
}

/** What a neighbour's message proves. */
export const Evidence = {
  /** It was overheard: only what is already in the cache is updated. */
  overheard: 0,
  /** It was sent to us, unasked: whoever sent it is about to talk to us. */
  addressed: 1,
  /** It answers our solicitation, so the way there and back works. */
  solicited: 2,
} as const;

/** One of the values of {@linkcode Evidence}. */
export type Evidence = (typeof Evidence)[keyof typeof Evidence];

/** Who keeps the mappings from IP addresses to hardware addresses: the neighbour cache. */
export interface MappingKeeper {
  /**
   * Takes note of what a neighbour's message says: the IP address at `addressAt` has the hardware address at `macAt`,
   * which the caller has checked to be a station's. Only looks at the packet.
   */
  learn(nic: Nic, family: Family, packet: Packet, addressAt: number, macAt: number, evidence: Evidence): void;
}
