/**
 * What the tests of transfers send: bytes that tell their sequence numbers.
 *
 * @module
 */

/** The byte at a relative sequence number of either direction: transfers can be checked without keeping them. */
export function pattern(sequence: number): number {
  return (sequence * 7 + (sequence >>> 8)) & 0xff;
}

/** `length` bytes of the pattern from a relative sequence number on. */
export function patternBytes(sequence: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => pattern(sequence + index));
}
