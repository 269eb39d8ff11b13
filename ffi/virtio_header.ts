/**
 * The header in front of every frame of a device that leaves checksums and segmentation to the other side: struct
 * virtio_net_hdr of the virtio specification (section 5.1.6), as Linux's TUN/TAP devices and packet sockets use it.
 *
 * @module
 */

import { ChecksumState, type Packet } from "../stack/packet.ts";

/** Bytes of the header without the number of buffers, which only mergeable receive buffers need. */
export const virtioHeaderBytes: number = 10;

/** Where the fields of the header lie, in bytes from its start. Numbers stand in the byte order of the machine. */
export const VirtioField = {
  flags: 0,
  segmentType: 1,
  headerLength: 2,
  segmentBytes: 4,
  checksumStart: 6,
  checksumOffset: 8,
} as const;

/** The bits of the flags field. */
export const VirtioFlag = {
  /** The checksum field holds the sum of the pseudo-header only. */
  needsChecksum: 1,
  /** The checksum has been verified. */
  dataValid: 2,
} as const;

/** The values of the segment type field. */
export const SegmentType = {
  none: 0,
  tcp4: 1,
  tcp6: 4,
  /** Added to one of the others: CWR is set, for the first segment only. */
  ecn: 0x80,
} as const;

/** The Congestion Window Reduced bit in the fourteenth byte of a TCP header. */
const cwrAt = 13;
const cwrBit = 0x80;
const dataOffsetAt = 12;
const minimumTcpBytes = 20;

/**
 * Takes over what the header at `at` says about the frame in the packet's window. Returns false when the header
 * contradicts the frame: its fields are then not to be trusted.
 */
export function readVirtioHeader(packet: Packet, at: number): boolean {
  const { view, head, length } = packet;
  const flags = view.getUint8(at + VirtioField.flags);
  const type = view.getUint8(at + VirtioField.segmentType) & ~SegmentType.ecn;
  if ((flags & VirtioFlag.needsChecksum) !== 0) {
    const start = view.getUint16(at + VirtioField.checksumStart, true);
    const offset = view.getUint16(at + VirtioField.checksumOffset, true);
    if (start + offset + 2 > length) return false;
    packet.checksum = ChecksumState.partial;
    packet.checksumStart = head + start;
    packet.checksumOffset = offset;
  } else if ((flags & VirtioFlag.dataValid) !== 0) {
    packet.checksum = ChecksumState.verified;
  }
  if (type === SegmentType.none) return true;
  const segmentBytes = view.getUint16(at + VirtioField.segmentBytes, true);
  // The specification (section 5.1.6.2) has segments always come with an unfinished checksum, which says where TCP starts.
  if (segmentBytes === 0 || packet.checksum !== ChecksumState.partial) return false;
  if (type !== SegmentType.tcp4 && type !== SegmentType.tcp6) return false;
  const tcpAt = packet.checksumStart;
  if (tcpAt + minimumTcpBytes > packet.tail || tcpAt + tcpHeaderBytes(packet, tcpAt) > packet.tail) return false;
  packet.family = type === SegmentType.tcp4 ? 4 : 6;
  packet.segmentBytes = segmentBytes;
  return true;
}

/** Prepends the header that says what is left to be done about the frame in the packet's window. */
export function pushVirtioHeader(packet: Packet): void {
  const { view, head, checksumStart } = packet;
  const at = packet.push(virtioHeaderBytes);
  view.setUint16(at, 0);
  view.setUint32(at + VirtioField.headerLength, 0);
  view.setUint32(at + VirtioField.checksumStart, 0);
  if (packet.checksum !== ChecksumState.partial) return;
  view.setUint8(at + VirtioField.flags, VirtioFlag.needsChecksum);
  view.setUint16(at + VirtioField.checksumStart, checksumStart - head, true);
  view.setUint16(at + VirtioField.checksumOffset, packet.checksumOffset, true);
  if (packet.segmentBytes === 0) return;
  const ecn = (view.getUint8(checksumStart + cwrAt) & cwrBit) !== 0 ? SegmentType.ecn : 0;
  view.setUint8(at + VirtioField.segmentType, (packet.family === 6 ? SegmentType.tcp6 : SegmentType.tcp4) | ecn);
  view.setUint16(at + VirtioField.headerLength, checksumStart + tcpHeaderBytes(packet, checksumStart) - head, true);
  view.setUint16(at + VirtioField.segmentBytes, packet.segmentBytes, true);
}

function tcpHeaderBytes({ view }: Packet, at: number): number {
  return (view.getUint8(at + dataOffsetAt) >>> 4) * 4;
}
