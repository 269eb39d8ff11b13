/**
 * How packets stand in the messages of a channel: one behind the other, each with a header that says how long it is and
 * what is left to be done about it, so that a super-segment crosses a channel as one.
 *
 * @module
 */

import { ChecksumState, type Packet } from "../packet.ts";
import { completeChecksum } from "./segmentation.ts";

/** Bytes of the header in front of each packet. */
export const recordHeaderBytes: number = 8;

/** Where the fields of the header lie, in bytes from its start. Numbers are big-endian. */
export const RecordField = {
  /** 16 bits: bytes of the packet, without this header. */
  length: 0,
  /** 8 bits; see {@linkcode RecordFlag}. */
  flags: 2,
  /** 8 bits: where the sum of a partial checksum starts, from the packet's start. */
  checksumStart: 3,
  /** 8 bits: where it goes, from there. */
  checksumOffset: 4,
  /** 16 bits: payload bytes of each segment of a super-segment. One byte before it is reserved: zero. */
  segmentBytes: 6,
} as const;

/** The bits of the flags field. */
export const RecordFlag = {
  /** The checksum field holds the sum of the pseudo-header only. */
  partialChecksum: 1,
  /** The packet is a super-segment of TCP. */
  superSegment: 2,
} as const;

const ipv4 = { headerBytes: 20, protocol: 9 } as const;
const ipv6 = { headerBytes: 40, nextHeader: 6 } as const;
const tcp = { protocol: 6, headerBytes: 20, dataOffset: 12 } as const;

/** What the smallest link of IPv4 (68 bytes, RFC 791) leaves to a segment: smaller ones are nonsense. */
const leastSegmentBytes = 28;

/** Writes a packet with its header at `at`, and returns where the next one goes. */
export function writeRecord(packet: Packet, message: Uint8Array, view: DataView, at: number): number {
  const { head, length } = packet;
  if (packet.checksumStart - head > 0xff) completeChecksum(packet);
  const isPartial = packet.checksum === ChecksumState.partial;
  const isSuper = isPartial && packet.segmentBytes > 0;
  view.setUint16(at + RecordField.length, length);
  view.setUint8(
    at + RecordField.flags,
    (isPartial ? RecordFlag.partialChecksum : 0) | (isSuper ? RecordFlag.superSegment : 0),
  );
  view.setUint8(at + RecordField.checksumStart, isPartial ? packet.checksumStart - head : 0);
  view.setUint16(at + RecordField.checksumOffset, isPartial ? packet.checksumOffset << 8 : 0);
  view.setUint16(at + RecordField.segmentBytes, isSuper ? packet.segmentBytes : 0);
  message.set(packet.contents(), at + recordHeaderBytes);
  return at + recordHeaderBytes + length;
}

/** Bytes of the packet whose header is at `at`; -1 where the message ends before the packet does, or it is empty. */
export function recordLength(view: DataView, at: number): number {
  if (at + recordHeaderBytes > view.byteLength) return -1;
  const length = view.getUint16(at + RecordField.length);
  return length === 0 || at + recordHeaderBytes + length > view.byteLength ? -1 : length;
}

/**
 * Takes over what the header at `at` says about the packet behind it, whose bytes `packet` holds already. Returns false
 * when the header contradicts the packet, which is then not to be trusted.
 */
export function readRecord(packet: Packet, view: DataView, at: number): boolean {
  const flags = view.getUint8(at + RecordField.flags);
  if ((flags & RecordFlag.partialChecksum) === 0) return (flags & RecordFlag.superSegment) === 0;
  const start = view.getUint8(at + RecordField.checksumStart);
  const offset = view.getUint8(at + RecordField.checksumOffset);
  if (start + offset + 2 > packet.length) return false;
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.head + start;
  packet.checksumOffset = offset;
  if ((flags & RecordFlag.superSegment) === 0) return true;
  const segmentBytes = view.getUint16(at + RecordField.segmentBytes);
  if (segmentBytes < leastSegmentBytes) return false;
  packet.family = tcpFamily(packet, start);
  packet.segmentBytes = segmentBytes;
  return packet.family !== 0;
}

/** The family of a packet that carries a whole TCP header `start` bytes from its own; 0 for any other packet. */
function tcpFamily({ view, head, length }: Packet, start: number): 0 | 4 | 6 {
  if (start < ipv4.headerBytes || start + tcp.headerBytes > length) return 0;
  const tcpBytes = (view.getUint8(head + start + tcp.dataOffset) >>> 4) * 4;
  if (tcpBytes < tcp.headerBytes || start + tcpBytes > length) return 0;
  const first = view.getUint8(head);
  if (first >>> 4 === 4) {
    return (first & 0x0f) * 4 === start && view.getUint8(head + ipv4.protocol) === tcp.protocol ? 4 : 0;
  }
  const isTcp6 = first >>> 4 === 6 && start === ipv6.headerBytes;
  return isTcp6 && view.getUint8(head + ipv6.nextHeader) === tcp.protocol ? 6 : 0;
}
