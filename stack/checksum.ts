/**
 * The Internet checksum (RFC 1071).
 *
 * Sums are kept in the byte order of the loads (little-endian 32-bit words), which the one's complement sum allows:
 * RFC 1071 section 2 (B). Only folding to the 16-bit result swaps the bytes.
 *
 * @module
 */

/** A running sum: an exact integer below 2^53, to be passed on as `seed` or folded. */
export type ChecksumSum = number;

/**
 * Adds `length` bytes from `at` to `seed`. An odd length is only allowed for the last part of what is summed, and each
 * part starts at an even position of the whole.
 */
export function sum(view: DataView, at: number, length: number, seed: ChecksumSum = 0): ChecksumSum {
  // Begun with 0 and not with the seed, which may be a boxed number: the sum would then be boxed, and allocated, in each
  // round of the loop.
  let total = 0;
  const end = at + length;
  const unrolledEnd = at + (length & ~31);
  for (; at < unrolledEnd; at += 32) {
    total += view.getUint32(at, true) + view.getUint32(at + 4, true) + view.getUint32(at + 8, true) +
      view.getUint32(at + 12, true) + view.getUint32(at + 16, true) + view.getUint32(at + 20, true) +
      view.getUint32(at + 24, true) + view.getUint32(at + 28, true);
  }
  for (; at + 4 <= end; at += 4) total += view.getUint32(at, true);
  if (at + 2 <= end) {
    total += view.getUint16(at, true);
    at += 2;
  }
  if (at < end) total += view.getUint8(at);
  total += seed;
  // Two foldings make a small integer of it: a larger number would be returned in an object, 16 bytes for each call.
  const low = total >>> 0;
  return (low & 0xffff) + (low >>> 16) + Math.floor(total / 0x1_0000_0000);
}

/** Adds one 16-bit field, given as the number that it stands for, to `seed`. */
export function addUint16(value: number, seed: ChecksumSum): ChecksumSum {
  return seed + (((value & 0xff) << 8) | (value >>> 8));
}

/** The one's complement sum folded to 16 bits, as the number that stands in a big-endian field. Not inverted. */
export function fold(total: ChecksumSum): number {
  // It may exceed 32 bits: fold the high part by division first.
  let folded = (total >>> 0) + Math.floor(total / 0x1_0000_0000);
  folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  folded = (folded & 0xffff) + (folded >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return ((folded & 0xff) << 8) | (folded >>> 8);
}

/** The checksum to put into a header: the inverted, folded sum. */
export function checksum(view: DataView, at: number, length: number, seed: ChecksumSum = 0): number {
  return fold(sum(view, at, length, seed)) ^ 0xffff;
}

/** Whether bytes that contain their own checksum are intact. */
export function verify(view: DataView, at: number, length: number, seed: ChecksumSum = 0): boolean {
  return fold(sum(view, at, length, seed)) === 0xffff;
}

/**
 * The checksum after one of the 16-bit fields that it covers has changed from `before` to `after` (RFC 1624
 * equation 3).
 */
export function update(checksum: number, before: number, after: number): number {
  let total = (~checksum & 0xffff) + (~before & 0xffff) + after;
  total = (total & 0xffff) + (total >>> 16);
  total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}
