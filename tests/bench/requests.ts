/**
 * Many short exchanges: wrk, on the kernel, asks a small server that runs on the stack's sockets or the kernel's.
 *
 * @module
 */

import type { Benchmark, Figures } from "./benchmark.ts";
import { type Network, onTap, onVeth, outputOf, ownAddress, type Sockets } from "./networks.ts";

const port = 80;
const clients = 64;
const duration = "2s";
/** Before that, so that what is measured has been compiled, on both sides. */
const warmUp = "1s";
const kibibyte = 1024;

const endOfRequest = new TextEncoder().encode("\r\n\r\n");

/** Whether the bytes end where a request without a body does. */
function isComplete(bytes: Uint8Array): boolean {
  return endOfRequest.every((byte, index) => byte === bytes[bytes.length - endOfRequest.length + index]);
}

/** Answers requests of up to 2 KiB, one at a time, on each connection. Returns how to end it. */
function serve(sockets: Sockets, answer: Uint8Array, keepAlive: boolean): () => void {
  const listener = sockets.listen({ port, tcpBacklog: 512 });
  const open = new Set<Deno.TcpConn>();
  const answerAll = async (conn: Deno.TcpConn) => {
    open.add(conn);
    const buffer = new Uint8Array(2 * kibibyte);
    let held = 0;
    try {
      for (;;) {
        const length = await conn.read(buffer.subarray(held));
        if (length === null) break;
        held += length;
        if (!isComplete(buffer.subarray(0, held))) continue;
        held = 0;
        for (let sent = 0; sent < answer.length;) sent += await conn.write(answer.subarray(sent));
        if (!keepAlive) break;
      }
    } catch {
      // wrk resets its connections when its time is over.
    }
    open.delete(conn);
    try {
      conn.close();
    } catch {
      // The end of the measurement has done so.
    }
  };
  (async () => {
    for await (const conn of listener) answerAll(conn);
  })();
  return () => {
    listener.close();
    for (const conn of open) conn.close();
  };
}

async function measure(network: Network, keepAlive: boolean): Promise<Figures> {
  const body = keepAlive ? kibibyte : 1;
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body}\r\n${keepAlive ? "" : "Connection: close\r\n"}\r\n`;
  const close = serve(network.sockets, new TextEncoder().encode(head + "x".repeat(body)), keepAlive);
  // The request is about a kibibyte, too, and about as short as it can be otherwise.
  const header = keepAlive ? `X-Padding: ${"x".repeat(kibibyte - 64)}` : "Connection: close";
  const url = `http://${ownAddress}:${port}/`;
  const ask = (time: string) =>
    outputOf(network.peer("wrk", "-t", "1", "-c", String(clients), "-d", time, "-H", header, url));
  await ask(warmUp);
  const text = await ask(duration);
  close();
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  if (!(rate > 0)) throw new Error(`wrk has measured nothing: ${text}`);
  const failed = /Socket errors: (.*)/.exec(text)?.[1];
  // Where the server closes, wrk counts that as an error of reading, in both cases alike.
  if (failed !== undefined && keepAlive) throw new Error(`wrk has seen errors: ${failed}`);
  return { rate };
}

function benchmark(name: string, label: string, keepAlive: boolean, atLeast: number): Benchmark {
  const options = { offload: true };
  return {
    name,
    programs: ["wrk", "nsenter"],
    sides: {
      stack: { measure: () => onTap(options, (network) => measure(network, keepAlive)) },
      kernel: { measure: () => onVeth(options, (network) => measure(network, keepAlive)) },
    },
    rows: [{ label, unit: "1/s", value: ["stack", "rate"], against: ["kernel", "rate"], goal: { atLeast } }],
  };
}

/** Connections for one exchange each, and connections that are kept. */
export const requestBenchmarks: readonly Benchmark[] = [
  benchmark("connect", "connect, ask, answer, close; 64 clients at once", false, 0.7),
  benchmark("http", "requests and answers of 1 KiB, 64 connections kept", true, 0.8),
];
