/**
 * A stack for tests of what runs on its connections: client and server share its loopback.
 *
 * @module
 */

import { generate } from "selfsigned";
import { Stack } from "../../stack/stack.ts";
import type { CertifiedKey } from "../../stack/application/tls.ts";
import { soon } from "../helpers/patience.ts";
import { assertClosed } from "../kernel/host.ts";

/**
 * Registers a test with a stack, of which nothing is left when it ends. `sanitize` is to be false where undici is at
 * work: it keeps one timer for all its connections, and for a while beyond them.
 */
export function stackTest(name: string, body: (stack: Stack) => Promise<void>, sanitize = true): void {
  const fn = async () => {
    await using stack = new Stack();
    await soon(body(stack), "the end of the test");
    await stack.close();
    assertClosed(stack);
  };
  Deno.test({ name, sanitizeOps: sanitize, sanitizeResources: sanitize, fn });
}

/** A certificate that nobody vouches for, made once for all tests of a file. */
let made: Promise<CertifiedKey> | null = null;

/** A certificate for 127.0.0.1, `localhost` and `other.test`. */
export function testCertificate(): Promise<CertifiedKey> {
  return made ??= makeCertificate("localhost", "other.test");
}

/** A certificate for 127.0.0.1 and some names. */
export async function makeCertificate(...names: string[]): Promise<CertifiedKey> {
  const altNames = [{ type: 7 as const, ip: "127.0.0.1" }, ...names.map((value) => ({ type: 2 as const, value }))];
  const { cert, private: key } = await generate([{ name: "commonName", value: names[0]! }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [{ name: "subjectAltName", altNames }],
  });
  return { cert, key };
}

/** Sends `request` to a port of the stack itself and returns all that comes back, until the peer ends. */
export async function exchange(stack: Stack, port: number, request: string | Uint8Array): Promise<string> {
  using conn = await stack.connect({ port });
  const bytes = typeof request === "string" ? new TextEncoder().encode(request) : request;
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
  const decoder = new TextDecoder();
  let text = "";
  const buffer = new Uint8Array(65536);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return text;
}

/** Bytes that differ from place to place. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

/** All bytes of a stream. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of chunks) parts.push(new Uint8Array(chunk));
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
