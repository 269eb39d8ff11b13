/**
 * A WebSocket client on standard input and output: each line is a message.
 *
 * @module
 */

import type { WebSocket } from "../../stack/application/websocket.ts";

/** How a connection ended. */
export interface Ending {
  /** The status code (RFC 6455 section 7.4.1). */
  readonly code: number;
  /** The peer's words. */
  readonly reason: string;
}

/** What a terminal does. */
export interface TerminalOptions {
  /** Sends lines as binary messages. */
  readonly binary: boolean;
  /** Milliseconds to wait for messages after the end of the input. */
  readonly linger: number;
  /** Closes the connection when it is aborted. */
  readonly signal: AbortSignal;
}

/** Unsent bytes at which no more input is read. */
const mostUnsentBytes = 1_048_576;

/**
 * Talks until either side has had enough, and resolves with how it ended.
 *
 * @throws What `print` throws: then nobody is left to talk to.
 */
export async function talk(
  socket: WebSocket,
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
  print: (line: string) => void,
  { binary, linger, signal }: TerminalOptions,
): Promise<Ending> {
  const { promise: ended, resolve, reject } = Promise.withResolvers<Ending>();
  socket.on("close", (code, reason) => resolve({ code, reason: new TextDecoder().decode(reason) }));
  socket.on("message", (data, isBinary) => {
    try {
      print(isBinary ? `(${data.length} bytes)` : new TextDecoder().decode(data));
    } catch (error) {
      reject(error);
      socket.terminate();
    }
  });
  socket.on("error", () => {});
  signal.addEventListener("abort", () => socket.close(1001));
  if (signal.aborted) socket.close(1001);
  sendLines(socket, input, binary).then(async () => {
    if (linger > 0) await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, linger))]);
    socket.close(1000);
  }).catch(reject);
  return await ended;
}

async function sendLines(socket: WebSocket, input: ReadableStream<Uint8Array<ArrayBuffer>>, binary: boolean) {
  let rest = "";
  for await (const text of input.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) await send(socket, line, binary);
    if (socket.readyState !== 1) return;
  }
  if (rest !== "") await send(socket, rest, binary);
}

async function send(socket: WebSocket, line: string, binary: boolean): Promise<void> {
  if (socket.readyState !== 1) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.send(line, { binary }, () => resolve());
  if (socket.bufferedAmount > mostUnsentBytes) await promise;
}
