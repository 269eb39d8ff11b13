/**
 * Cutting an input into datagrams: one for each line, or blocks of a fixed size.
 *
 * @module
 */

import type { Input } from "../transfer/input.ts";

const newline = 10;

/** The most bytes that a UDP datagram carries over IPv4. */
export const mostDatagramBytes = 65_507;

/**
 * The datagrams of an input. A line keeps its newline, as with other programs; one that is longer than a datagram is cut.
 *
 * @param input The bytes.
 * @param blockBytes The size of each datagram, of which the last may be shorter; null for one a line.
 */
export async function* datagramsOf(input: Input, blockBytes: number | null): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(blockBytes ?? mostDatagramBytes);
  let length = 0;
  for (let bytes = await input.next(); bytes !== null; bytes = await input.next()) {
    let room = bytes.subarray(0, buffer.length - length);
    const end = blockBytes === null ? room.indexOf(newline) : -1;
    if (end >= 0) room = room.subarray(0, end + 1);
    buffer.set(room, length);
    length += room.length;
    input.take(room.length);
    if (end < 0 && length < buffer.length) continue;
    yield buffer.slice(0, length);
    length = 0;
  }
  if (length > 0) yield buffer.slice(0, length);
}
