/**
 * Arithmetic in TCP's sequence space: numbers modulo 2^32, compared by the sign of their difference (RFC 9293
 * section 3.4). All functions take and return unsigned 32-bit numbers.
 *
 * @module
 */

/** `sequence` plus `bytes`, modulo 2^32. */
export function add(sequence: number, bytes: number): number {
  return (sequence + bytes) >>> 0;
}

/** How far `left` is ahead of `right`: a signed number from -2^31 to 2^31 - 1. */
export function distance(left: number, right: number): number {
  return (left - right) | 0;
}

/** Whether `left` comes before `right`. */
export function before(left: number, right: number): boolean {
  return ((left - right) | 0) < 0;
}

/** Whether `left` comes before `right` or is equal to it. */
export function notAfter(left: number, right: number): boolean {
  return ((left - right) | 0) <= 0;
}

/** Whether `left` comes after `right`. */
export function after(left: number, right: number): boolean {
  return ((left - right) | 0) > 0;
}

/** Whether `left` comes after `right` or is equal to it. */
export function notBefore(left: number, right: number): boolean {
  return ((left - right) | 0) >= 0;
}

/** The later of two sequence numbers. */
export function later(left: number, right: number): number {
  return ((left - right) | 0) >= 0 ? left : right;
}

/** The earlier of two sequence numbers. */
export function earlier(left: number, right: number): number {
  return ((left - right) | 0) <= 0 ? left : right;
}
