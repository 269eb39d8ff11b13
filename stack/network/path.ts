/**
 * The way to a destination: what a network protocol must know to send a packet. Transports hold one for each
 * connection, so that no look-up is made per packet.
 *
 * @module
 */

import type { Family, IpAddress } from "../address.ts";
import type { ChecksumSum } from "../checksum.ts";
import type { LinkSession, Nic } from "../link/nic.ts";
import type { Packet } from "../packet.ts";
import type { ErrorKind, Protocol, TransportProtocol, Verdict } from "../protocol.ts";

/** The way to a destination. */
export interface Path {
  /** The network protocol that sends along it. */
  readonly network: NetworkProtocol;
  /** Our address. */
  readonly source: IpAddress;
  /** The peer's address. */
  readonly destination: IpAddress;
  /** The transport protocol's number, as it goes into the header. */
  readonly protocol: number;
  /** Sum of the pseudo-header without its length field: both addresses and the protocol. */
  readonly pseudoSum: ChecksumSum;
  /** The interface it leaves by. Kept up to date by the network protocol when routes change. */
  nic: Nic;
  /** The next hop on the link. Kept up to date by the network protocol when routes change. */
  neighbor: LinkSession;
  /** The largest packet, in bytes with the network header, that the path is believed to carry. */
  mtu: number;
  /** TTL or hop limit. */
  timeToLive: number;
  /** Type of service or traffic class: DSCP and ECN bits. */
  trafficClass: number;
  /** Whether routers may not fragment. */
  dontFragment: boolean;
  /** The version of the routing table it was made from. Managed by the network protocol. */
  generation: number;
}

/** What to look for in {@linkcode NetworkProtocol.findPath}. */
export interface PathRequest {
  /** Where to. */
  destination: IpAddress;
  /** The transport protocol's number. */
  protocol: number;
  /** Our address; null to let the network choose. It must be an own address unless the interface may spoof. */
  source?: IpAddress | null;
  /** The interface to use; null for the one that the routes say. */
  nic?: Nic | null;
}

/** IPv4 or IPv6, as transports see it. */
export interface NetworkProtocol extends Protocol<Path> {
  /** 4 or 6. */
  readonly family: Family;
  /** Bytes of header without options or extension headers: what the maximum segment size is reduced by. */
  readonly fixedHeaderBytes: number;
  /** The smallest MTU that is believed when an ICMP message reports one, in bytes. */
  readonly minimumMtu: number;
  /** Registers who receives the packets of a transport protocol. */
  register(transport: TransportProtocol): void;
  /** The path to a destination, or null when there is no route or no usable source address. */
  findPath(request: PathRequest): Path | null;
  /**
   * The path back to where a received packet came from, from the address it was sent to. Null when nothing may be sent
   * back: the source is no single host, or the destination was not a single host. The path is shared, and may lead to the
   * sender of another packet when it is next asked for: who keeps or changes it asks {@linkcode NetworkProtocol.findPath}
   * instead.
   */
  replyPath(packet: Packet, protocol: number): Path | null;
  /**
   * Takes note that the path carries no packets of more than `mtu` bytes, which is at least
   * {@linkcode NetworkProtocol.minimumMtu}: for this path at once, and for a while for new paths to the same place.
   */
  lowerMtu(path: Path, mtu: number): void;
  /**
   * Brings a path up to date after routes or addresses have changed. Returns false when there is no way any more, or its
   * source is no longer ours: another one has to be looked for.
   */
  renew(path: Path): boolean;
  /**
   * Answers a received packet with an ICMP error where the RFCs and the rate limit allow one. `packet.networkAt` is
   * set and the packet is as it came from the wire from there on. Consumes the packet.
   */
  reject(packet: Packet, kind: ErrorKind): Verdict;
}

/** The network protocols of a stack. */
export interface Networks {
  /** The protocol of a family, or null where the stack does not have it. */
  of(family: Family): NetworkProtocol | null;
}
