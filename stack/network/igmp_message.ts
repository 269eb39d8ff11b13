/**
 * Messages of the Internet Group Management Protocol, versions 1 to 3 (RFC 1112, RFC 2236, RFC 3376).
 *
 * @module
 */

import { checksum } from "../checksum.ts";

/** IGMP's protocol number. */
export const igmpNumber = 2;

/** Where the fields lie, in bytes from the start of a message. */
export const IgmpField = { type: 0, maximumResponse: 1, checksum: 2, group: 4, records: 6, body: 8 } as const;

/** Types of messages. */
export const IgmpType = {
  query: 0x11,
  reportV1: 0x12,
  reportV2: 0x16,
  leaveV2: 0x17,
  reportV3: 0x22,
} as const;

/** Types of the records of a report of version 3 (RFC 3376 section 4.2.12). */
export const RecordType = {
  /** An answer: the group is received, from all sources. */
  isExclude: 2,
  /** A change: the group is received from no source any more. */
  toInclude: 3,
  /** A change: the group is received from all sources from now on. */
  toExclude: 4,
} as const;

/** Bytes of a message of version 1 or 2, and of the fixed part of any. */
export const igmpHeaderBytes = 8;
/** Bytes of a record without sources. */
export const recordBytes = 8;

/** Bytes that a query of version 3 has at least (RFC 3376 section 7.1). */
const queryV3Bytes = 12;

/** Tenths of a second that a query of version 1 gives, whose field is zero (RFC 2236 section 4). */
const versionOneResponse = 100;

/** The version of the router that has sent a query of `length` bytes. */
export function queryVersionAt(view: DataView, at: number, length: number): 1 | 2 | 3 {
  if (length >= queryV3Bytes) return 3;
  return view.getUint8(at + IgmpField.maximumResponse) === 0 ? 1 : 2;
}

/** Milliseconds within which a query wants its answers. */
export function responseTimeAt(view: DataView, at: number, version: 1 | 2 | 3): number {
  const code = view.getUint8(at + IgmpField.maximumResponse);
  if (version === 1) return versionOneResponse * 100;
  // RFC 3376 section 4.1.1: from 128 on, in version 3, a mantissa of four bits and an exponent of three.
  if (version === 2 || code < 128) return code * 100;
  return ((code & 0x0f) | 0x10) * 2 ** (((code >>> 4) & 0x07) + 3) * 100;
}

/** Writes a message of version 1 or 2. */
export function writeIgmp(view: DataView, at: number, type: number, group: number): void {
  view.setUint32(at, type << 24);
  view.setUint32(at + IgmpField.group, group);
  view.setUint16(at + IgmpField.checksum, checksum(view, at, igmpHeaderBytes));
}

/** Writes a report of version 3 with a record of one type for each group. */
export function writeReport(view: DataView, at: number, type: number, groups: readonly number[]): void {
  view.setUint32(at, IgmpType.reportV3 << 24);
  view.setUint32(at + IgmpField.group, groups.length);
  let record = at + IgmpField.body;
  for (const group of groups) {
    view.setUint32(record, type << 24);
    view.setUint32(record + 4, group);
    record += recordBytes;
  }
  view.setUint16(at + IgmpField.checksum, checksum(view, at, record - at));
}
