/**
 * Arithmetic in TCP's sequence space: numbers modulo 2^32, compared by the sign of their difference (RFC 9293
 * section 3.4).
 *
 * They are kept as signed 32-bit numbers, which JavaScript engines hold without allocating anything; equal ones can be
 * compared by `===` only if both are. {@linkcode unsigned} makes of them what people expect to read.
 *
 * @module
 */

/** `sequence` plus `bytes`, modulo 2^32, as a signed number. */
export function add(sequence: number, bytes: number): number {
  return (sequence + bytes) | 0;
}

/** The number as it stands in a header, from 0 to 2^32 - 1. */
export function unsigned(sequence: number): number {
  return sequence >>> 0;
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
