/**
 * Cutting an IPv4 packet into fragments (RFC 791 section 3.2).
 *
 * @module
 */

import { checksum } from "../checksum.ts";
import type { Packet, PacketPool } from "../packet.ts";
import {
  fragmentOffsetAt,
  headerBytesAt,
  Ipv4Field,
  Ipv4Flag,
  ipv4HeaderBytes,
  moreFragmentsAt,
} from "./ipv4_header.ts";

/** Option bytes (RFC 791 section 3.1): the two without a length, and the bit that has one copied into every fragment. */
const OptionType = { end: 0, noOperation: 1 } as const;
const copiedBit = 0x80;

/** Payload bytes of all fragments but the last, for packets of at most `mtu` bytes with a header of `headerBytes`. */
export function fragmentPayloadBytes(mtu: number, headerBytes: number = ipv4HeaderBytes): number {
  return (mtu - headerBytes) & ~7;
}

/**
 * Copies the `length` bytes of payload from `offset` on, and the header, into a new packet with `headroom` bytes in
 * front. The packet may be a fragment itself. Returns null when the pool is exhausted.
 */
export function copyFragment(
  packet: Packet,
  offset: number,
  length: number,
  pool: PacketPool,
  headroom: number,
): Packet | null {
  const { networkAt } = packet;
  const header = headerBytesAt(packet.view, networkAt);
  const fragment = pool.allocate(headroom, header + length);
  if (fragment === null) return null;
  const from = networkAt + header + offset;
  const { view, bytes, head: at } = fragment;
  bytes.set(packet.bytes.subarray(networkAt, networkAt + header), at);
  bytes.set(packet.bytes.subarray(from, from + length), at + header);
  fragment.tail = at + header + length;
  fragment.nic = packet.nic;
  if (offset > 0) blankOptions(bytes, at + ipv4HeaderBytes, at + header);
  const last = from + length === packet.tail && !moreFragmentsAt(packet.view, networkAt);
  const start = fragmentOffsetAt(packet.view, networkAt) + offset;
  view.setUint16(at + Ipv4Field.totalLength, header + length);
  view.setUint16(at + Ipv4Field.flagsAndOffset, (last ? 0 : Ipv4Flag.moreFragments) | (start >>> 3));
  view.setUint16(at + Ipv4Field.checksum, 0);
  view.setUint16(at + Ipv4Field.checksum, checksum(view, at, header));
  return fragment;
}

/** Overwrites the options that only the first fragment has: the header keeps its length. */
function blankOptions(bytes: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end && bytes[at] !== OptionType.end;) {
    const type = bytes[at]!;
    const length = type === OptionType.noOperation ? 1 : bytes[at + 1]!;
    // An option that contradicts itself ends the options.
    const isSound = type === OptionType.noOperation || (length >= 2 && at + length <= end);
    const until = isSound ? at + length : end;
    if (!isSound || (type & copiedBit) === 0) bytes.fill(OptionType.noOperation, at, until);
    at = until;
  }
}
