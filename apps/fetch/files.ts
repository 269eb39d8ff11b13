/**
 * Where `fetch` takes a body from.
 *
 * @module
 */

import { fileError } from "../transfer/file_error.ts";

/** A body to send. */
export interface Body extends Disposable {
  /** Its bytes; null for none. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer> | null;
}

/**
 * The body that an option says: a text, `@` and a file's name, or `@-` for standard input.
 *
 * @throws {Error} If the file cannot be opened.
 */
export async function openBody(data: string | null): Promise<Body> {
  const none = { [Symbol.dispose]: () => {} };
  if (data === null) return { stream: null, ...none };
  if (data === "@-") return { stream: Deno.stdin.readable, ...none };
  if (!data.startsWith("@")) return { stream: new TextEncoder().encode(data), ...none };
  const path = data.slice(1);
  const file = await Deno.open(path).catch((error) => {
    throw fileError("read", `"${path}"`, error);
  });
  return { stream: file.readable, ...none };
}
