/**
 * A worker with a stack on one queue of a TAP device: it echoes on port 7, throws away what comes to port 9, and
 * answers a request of HTTP on port 80. Its first message is the queue, the others are {@linkcode QueueCommand}s.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { adoptTapQueue, Stack, type TapQueue, type TcpConn } from "../../mod.ts";

/** What a worker can be asked. */
export type QueueCommand =
  /** To connect so many times to a port of the kernel, and to exchange a byte each time. */
  | { readonly connect: { readonly hostname: string; readonly port: number; readonly times: number } }
  /** To ping an address once. */
  | { readonly ping: string }
  /** For its counters. */
  | { readonly count: true }
  /** To close everything. */
  | { readonly close: true };

/** What a worker answers. */
export interface QueueAnswer {
  /** Ports from which it connected. */
  ports?: number[];
  /** Whether its ping was answered. */
  answered?: boolean;
  /** Connections that it accepted. */
  accepted?: number;
  /** Bytes that it received on port 9. */
  received?: number;
  /** Echo requests that it answered. */
  echoes?: number;
  /** Frames that it handed to others. */
  misdirected?: number;
  /** Packets that were not given back when it had closed everything. */
  packetsLeft?: number;
  /** What went wrong. */
  error?: string;
}

const stack = new Stack();
let queue: ReturnType<typeof adoptTapQueue> | null = null;
let accepted = 0;
let received = 0;
const answerText = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");

async function writeAll(conn: TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

async function serve(port: number, handle: (conn: TcpConn) => Promise<void>): Promise<void> {
  for await (const conn of stack.listen({ port })) {
    accepted++;
    handle(conn).catch(() => conn.abort());
  }
}

async function echo(conn: TcpConn): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    await writeAll(conn, buffer.subarray(0, length));
  }
  conn.close();
}

async function discard(conn: TcpConn): Promise<void> {
  const buffer = new Uint8Array(1 << 18);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) received += length;
  conn.close();
}

async function answerRequest(conn: TcpConn): Promise<void> {
  await conn.read(new Uint8Array(2048));
  await writeAll(conn, answerText);
  conn.close();
}

async function connect(
  { hostname, port, times }: { hostname: string; port: number; times: number },
): Promise<number[]> {
  const ports: number[] = [];
  for (let time = 0; time < times; time++) {
    using conn = await stack.connect({ hostname, port });
    await conn.write(Uint8Array.of(time));
    await conn.read(new Uint8Array(1));
    ports.push(conn.localAddr.port);
  }
  return ports;
}

async function answer(command: QueueCommand): Promise<QueueAnswer> {
  if ("connect" in command) return { ports: await connect(command.connect) };
  if ("ping" in command) {
    for await (const event of stack.ping(command.ping, { count: 1, timeout: 5000 })) {
      return { answered: event.kind === "reply" };
    }
    return { answered: false };
  }
  if ("close" in command) {
    await stack.close();
    return { packetsLeft: stack.pool.inUse };
  }
  const echoes = stack.counters.snapshot()["icmpv4.echoRequests"] ?? 0;
  return { accepted, received, echoes, misdirected: queue!.counters.misdirected };
}

function start(given: TapQueue): QueueAnswer {
  queue = adoptTapQueue(given);
  stack.attach(queue, { addresses: ["192.0.2.2/24"] });
  for (const [port, handle] of [[7, echo], [9, discard], [80, answerRequest]] as const) serve(port, handle);
  return {};
}

self.onmessage = async ({ data }: MessageEvent<TapQueue | QueueCommand>) => {
  try {
    self.postMessage("descriptor" in data ? start(data) : await answer(data));
  } catch (error) {
    self.postMessage({ error: String(error) } satisfies QueueAnswer);
  }
};
