/**
 * Byte strings put together.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** The chunks as one. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** What is written to a stream of Node's that decodes no texts. */
export interface WrittenChunk {
  /** The bytes, or a text. */
  readonly chunk: Uint8Array | string;
  /** How the text is to be encoded. */
  readonly encoding: BufferEncoding;
}

/** Encodings that all have the same bytes for ASCII. */
const likeAscii: readonly string[] = ["latin1", "binary", "ascii", "utf8", "utf-8"];

const encoder = new TextEncoder();

/** The bytes of a chunk. */
export function toBytes({ chunk, encoding }: WrittenChunk): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
}

/** The chunks as one. */
export function joinChunks(chunks: readonly WrittenChunk[]): Uint8Array {
  const whole = Buffer.allocUnsafe(chunks.reduce((length, { chunk }) => length + chunk.length, 0));
  let at = 0;
  for (const { chunk, encoding } of chunks) {
    if (typeof chunk !== "string") {
      whole.set(chunk, at);
    } else if (!likeAscii.includes(encoding) || !writeAscii(chunk, whole.subarray(at, at + chunk.length))) {
      return concat(chunks.map(toBytes));
    }
    at += chunk.length;
  }
  return whole;
}

/** Writes a text of ASCII that fills the target; returns false if it is none. */
function writeAscii(text: string, target: Uint8Array): boolean {
  // In UTF-8, a character that is not of ASCII takes more than one byte, so that the last ones find no room.
  return encoder.encodeInto(text, target).read === text.length;
}
