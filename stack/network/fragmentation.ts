/**
 * Cutting an IPv4 packet into fragments (RFC 791 section 3.2).
 *
 * @module
 */

import { checksum } from "../checksum.ts";
import type { Packet, PacketPool } from "../packet.ts";
import { Ipv4Field, Ipv4Flag, ipv4HeaderBytes } from "./ipv4_header.ts";

/** Payload bytes of all fragments but the last, for packets of at most `mtu` bytes. */
export function fragmentPayloadBytes(mtu: number): number {
  return (mtu - ipv4HeaderBytes) & ~7;
}

/**
 * Copies the `length` bytes of payload from `offset` on, and the header, which has no options, into a new packet with
 * `headroom` bytes in front. Returns null when the pool is exhausted.
 */
export function copyFragment(
  packet: Packet,
  offset: number,
  length: number,
  pool: PacketPool,
  headroom: number,
): Packet | null {
  const fragment = pool.allocate(headroom, ipv4HeaderBytes + length);
  if (fragment === null) return null;
  const { networkAt } = packet;
  const from = networkAt + ipv4HeaderBytes + offset;
  const { view, bytes, head: at } = fragment;
  bytes.set(packet.bytes.subarray(networkAt, networkAt + ipv4HeaderBytes), at);
  bytes.set(packet.bytes.subarray(from, from + length), at + ipv4HeaderBytes);
  fragment.tail = at + ipv4HeaderBytes + length;
  fragment.nic = packet.nic;
  const more = from + length < packet.tail ? Ipv4Flag.moreFragments : 0;
  view.setUint16(at + Ipv4Field.totalLength, ipv4HeaderBytes + length);
  view.setUint16(at + Ipv4Field.flagsAndOffset, more | (offset >>> 3));
  view.setUint16(at + Ipv4Field.checksum, 0);
  view.setUint16(at + Ipv4Field.checksum, checksum(view, at, ipv4HeaderBytes));
  return fragment;
}
