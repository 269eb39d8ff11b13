/**
 * What IPv4 counts.
 *
 * @module
 */

/** What IPv4 counts. */
export interface Ipv4Counters {
  /** Packets received. */
  received: number;
  /** Packets handed to a transport protocol. */
  delivered: number;
  /** Packets handed on to be forwarded. */
  forwarded: number;
  /** Dropped: shorter than a header. */
  truncated: number;
  /** Dropped: a version other than 4, or a header length that is too small or too large. */
  badHeader: number;
  /** Dropped: the header's checksum is wrong. */
  badChecksum: number;
  /** Dropped: the total length is shorter than the header or longer than the packet. */
  badLength: number;
  /** Dropped: the source is no single host's address, or a loopback address from outside. */
  martianSource: number;
  /** Dropped: the source is one of our own addresses, but the packet came from outside. */
  ownSource: number;
  /** Dropped: the destination is "this network", reserved, or a loopback address from outside. */
  martianDestination: number;
  /** Dropped: for another host. */
  otherDestination: number;
  /** Dropped: for a group that was not joined. */
  otherGroup: number;
  /** Dropped: for a single host, but in a frame to many (RFC 1122 section 3.3.6). */
  linkBroadcast: number;
  /** Rejected: nobody receives the protocol. */
  unknownProtocol: number;
  /** Packets sent, each fragment counted. */
  sent: number;
  /** Packets that were sent in fragments. */
  fragmented: number;
  /** Not sent: longer than 65,535 bytes. */
  tooLong: number;
  /** Not sent: longer than the path carries, and not to be fragmented. */
  tooBig: number;
  /** Not sent: no route any more, or the source is no longer ours. */
  noRoute: number;
  /** Not sent: no packets to be had for the fragments. */
  noPacket: number;
  /** Not sent: the next hop did not answer. */
  neighborUnreachable: number;
}

/** All counters at zero. */
export function zeroIpv4Counters(): Ipv4Counters {
  return {
    received: 0,
    delivered: 0,
    forwarded: 0,
    truncated: 0,
    badHeader: 0,
    badChecksum: 0,
    badLength: 0,
    martianSource: 0,
    ownSource: 0,
    martianDestination: 0,
    otherDestination: 0,
    otherGroup: 0,
    linkBroadcast: 0,
    unknownProtocol: 0,
    sent: 0,
    fragmented: 0,
    tooLong: 0,
    tooBig: 0,
    noRoute: 0,
    noPacket: 0,
    neighborUnreachable: 0,
  };
}
