/**
 * What a device that cannot finish frames by itself needs done first: checksums completed, and super-segments cut into
 * the frames that they stand for.
 *
 * @module
 */

import { addUint16, checksum, type ChecksumSum, fold, sum } from "../checksum.ts";
import { ChecksumState, type Packet } from "../packet.ts";

/** What a device finishes by itself in frames that are handed to it; the bits of `Device.offloads`. */
export const Offload = {
  /** Completes partial checksums. */
  checksum: 1,
  /** Cuts super-segments of TCP over IPv4. */
  tcp4: 2,
  /** Cuts super-segments of TCP over IPv6. */
  tcp6: 4,
  /** Cuts super-segments with CWR set, which only the first segment keeps (RFC 3168 section 6.1.2). */
  ecn: 8,
} as const;

const ipv4 = { totalLength: 2, identification: 4, checksum: 10, addresses: 12, addressBytes: 8 } as const;
const ipv6 = { headerBytes: 40, payloadLength: 4, addresses: 8, addressBytes: 32 } as const;
const tcp = { sequence: 4, dataOffset: 12, flags: 13, checksum: 16, protocol: 6 } as const;
const Flag = { fin: 0x01, psh: 0x08, cwr: 0x80 } as const;
const vlanTag = { etherTypeAt: 12, etherType: 0x8100, bytes: 4 } as const;

/** Completes the transport checksum of an ordinary packet, if that was left to be done. */
export function completeChecksum(packet: Packet): void {
  if (packet.checksum !== ChecksumState.partial) return;
  // The field holds the sum of the pseudo-header.
  putChecksum(packet, packet.checksumStart, packet.checksumOffset, 0);
}

/**
 * Puts the transport checksum of an ordinary packet into the field that stands `fieldOffset` bytes behind `start`: that of
 * all from there on, the field as it is included, and of `seed`.
 */
export function putChecksum(packet: Packet, start: number, fieldOffset: number, seed: ChecksumSum): void {
  packet.fill();
  const { view, tail } = packet;
  const sum = checksum(view, start, tail - start, seed);
  // RFC 768: UDP writes zero as all ones; to others both are the same.
  view.setUint16(start + fieldOffset, sum === 0 ? 0xffff : sum);
  packet.checksum = ChecksumState.none;
}

/** Whether a device with these offloads can take a packet as it is, or with its checksum completed. */
export function canCut(packet: Packet, offloads: number): boolean {
  const family = packet.family === 6 ? Offload.tcp6 : Offload.tcp4;
  if ((offloads & family) === 0 || (offloads & Offload.checksum) === 0) return false;
  return (offloads & Offload.ecn) !== 0 ||
    (packet.view.getUint8(packet.checksumStart + tcp.flags) & Flag.cwr) === 0;
}

/** The longest network-layer packet, in bytes, that a super-segment turns into; for an ordinary packet its length. */
export function longestPacket(packet: Packet, networkAt: number): number {
  if (packet.segmentBytes === 0) return packet.tail - networkAt;
  return Math.min(payloadStart(packet) + packet.segmentBytes, packet.tail) - networkAt;
}

/** How many segments a packet stands for: 1 for an ordinary one. */
export function segmentCount(packet: Packet): number {
  if (packet.segmentBytes === 0) return 1;
  return Math.max(1, Math.ceil((packet.tail - payloadStart(packet)) / packet.segmentBytes));
}

/**
 * A copy of the segment with this index of the frame in a super-segment's window, `headroom` bytes into a packet of the
 * same pool; null when the pool is exhausted. Its checksum is partial, as the super-segment's was.
 */
export function cutSegment(packet: Packet, index: number, headroom: number, linkHeaderBytes: number): Packet | null {
  packet.fill();
  const { bytes, head, tail, checksumStart, segmentBytes } = packet;
  const payloadAt = payloadStart(packet);
  const headers = payloadAt - head;
  const from = payloadAt + index * segmentBytes;
  const length = Math.min(segmentBytes, tail - from);
  const frame = packet.allocateLike(headroom, headers + length);
  if (frame === null) return null;
  frame.bytes.set(bytes.subarray(head, payloadAt), headroom);
  frame.bytes.set(bytes.subarray(from, from + length), headroom + headers);
  frame.tail = headroom + headers + length;
  frame.family = packet.family;
  frame.nic = packet.nic;
  frame.arrivedAt = packet.arrivedAt;
  frame.checksum = ChecksumState.partial;
  frame.checksumStart = headroom + checksumStart - head;
  frame.checksumOffset = packet.checksumOffset;
  adjustHeaders(frame, headroom + networkOffset(packet, linkHeaderBytes), index, segmentBytes, from + length === tail);
  return frame;
}

/** Where the payload of a super-segment begins: behind the TCP header, whose place the checksum's start tells. */
function payloadStart({ view, checksumStart }: Packet): number {
  return checksumStart + (view.getUint8(checksumStart + tcp.dataOffset) >>> 4) * 4;
}

function networkOffset({ view, head }: Packet, linkHeaderBytes: number): number {
  const tagged = linkHeaderBytes > 0 && view.getUint16(head + vlanTag.etherTypeAt) === vlanTag.etherType;
  return linkHeaderBytes + (tagged ? vlanTag.bytes : 0);
}

/** Makes the copied headers those of one segment: lengths, identification, sequence number, flags, sums. */
function adjustHeaders(frame: Packet, networkAt: number, index: number, segmentBytes: number, last: boolean): void {
  const { view, checksumStart: tcpAt, tail } = frame;
  let pseudo = addUint16(tail - tcpAt, addUint16(tcp.protocol, 0));
  if (frame.family === 6) {
    view.setUint16(networkAt + ipv6.payloadLength, tail - networkAt - ipv6.headerBytes);
    pseudo = sum(view, networkAt + ipv6.addresses, ipv6.addressBytes, pseudo);
  } else {
    view.setUint16(networkAt + ipv4.totalLength, tail - networkAt);
    const identification = view.getUint16(networkAt + ipv4.identification);
    view.setUint16(networkAt + ipv4.identification, identification + index);
    view.setUint16(networkAt + ipv4.checksum, 0);
    const header = (view.getUint8(networkAt) & 0x0f) * 4;
    view.setUint16(networkAt + ipv4.checksum, checksum(view, networkAt, header));
    pseudo = sum(view, networkAt + ipv4.addresses, ipv4.addressBytes, pseudo);
  }
  view.setUint32(tcpAt + tcp.sequence, view.getUint32(tcpAt + tcp.sequence) + index * segmentBytes);
  let flags = view.getUint8(tcpAt + tcp.flags);
  if (!last) flags &= ~(Flag.fin | Flag.psh);
  if (index > 0) flags &= ~Flag.cwr;
  view.setUint8(tcpAt + tcp.flags, flags);
  view.setUint16(tcpAt + tcp.checksum, fold(pseudo));
}
