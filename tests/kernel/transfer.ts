/**
 * Moving bytes through connections, of the stack and of the kernel alike.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { concat, equals } from "@std/bytes";
import { type Host, kernelAddress, stackAddress } from "./host.ts";
import type { TcpConn } from "../../stack/socket/tcp_conn.ts";

/** Bytes in which no two near places look alike; another seed gives others. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed >>> 0 || 1;
  for (let at = 0; at < words.length; at++) {
    // Marsaglia's xorshift.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Sends all of `bytes`, and then ends this side of the connection. */
export async function sendAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
  await conn.closeWrite();
}

/** Receives up to the end, or `limit` bytes if that comes first. */
export async function receiveAll(conn: Deno.TcpConn, limit = Infinity): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for (let left = limit; left > 0;) {
    const buffer = new Uint8Array(Math.min(left, 65536));
    const length = await conn.read(buffer);
    if (length === null) break;
    chunks.push(buffer.subarray(0, length));
    left -= length;
  }
  return concat(chunks);
}

/** Asserts that two byte sequences are the same, without printing megabytes where they are not. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what = "bytes"): void {
  if (equals(actual, expected)) return;
  const wrong = actual.findIndex((byte, at) => byte !== expected[at]);
  assertEquals(
    { length: actual.length, firstWrong: wrong },
    { length: expected.length, firstWrong: -1 },
    what,
  );
}

/** Sends both byte sequences at the same time, each from one end, and asserts that they arrive as they were. */
export async function assertExact(
  [one, other]: readonly [Deno.TcpConn, Deno.TcpConn],
  fromOne: Uint8Array,
  fromOther: Uint8Array,
): Promise<void> {
  const [atOther, atOne] = await Promise.all([
    receiveAll(other),
    receiveAll(one),
    sendAll(one, fromOne),
    sendAll(other, fromOther),
  ]);
  assertSameBytes(atOther, fromOne, "bytes from the first end to the second");
  assertSameBytes(atOne, fromOther, "bytes from the second end to the first");
}

/** The two ends of a connection. */
export interface Ends extends Disposable {
  /** The stack's end. */
  readonly ours: TcpConn;
  /** The kernel's end. */
  readonly theirs: Deno.TcpConn;
}

/** Who asks for a connection. */
export type Opener = "the kernel" | "the stack";

/** Connects the kernel and the stack, on a port that nobody else uses. */
export async function connect(host: Host, opener: Opener): Promise<Ends> {
  const [ours, theirs] = opener === "the kernel" ? await fromKernel(host) : await fromStack(host);
  return {
    ours,
    theirs,
    [Symbol.dispose](): void {
      ours[Symbol.dispose]();
      theirs[Symbol.dispose]();
    },
  };
}

async function fromKernel(host: Host): Promise<[TcpConn, Deno.TcpConn]> {
  using listener = host.stack.listen({ hostname: stackAddress });
  const { port } = listener.addr;
  return await Promise.all([listener.accept(), Deno.connect({ hostname: stackAddress, port })]);
}

async function fromStack(host: Host): Promise<[TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: kernelAddress, port: 0 });
  const { port } = listener.addr;
  return await Promise.all([host.stack.connect({ hostname: kernelAddress, port }), listener.accept()]);
}
