/**
 * Sending a response of the web through Node's HTTP server.
 *
 * @module
 */

import { type ServerResponse, STATUS_CODES } from "node:http";

/** Status codes whose responses have no body (RFC 9110 section 6.4.1). */
const bodiless: readonly number[] = [101, 204, 205, 304];

/** Turns of promise reactions in which the platform's own bodies of texts and bytes come to their end. */
const turnsToEnd = 8;

/**
 * Sends a response. A body that is there at once goes out with its length, any other in chunks, as fast as the
 * connection takes them. Resolves when all has been handed over; ends the connection when the body fails on the way, so
 * that the peer does not take a part for the whole.
 */
export async function sendResponse(target: ServerResponse, response: Response): Promise<void> {
  const { body, status } = response;
  if (target.destroyed) return void await body?.cancel();
  if (body === null || bodiless.includes(status) || target.req.method === "HEAD") {
    await body?.cancel();
    const isEmpty = body === null && target.req.method !== "HEAD" && !bodiless.includes(status);
    writeHead(target, response, isEmpty ? 0 : null);
    return void target.end();
  }
  const reader = body.getReader();
  const onClose = () => void reader.cancel(new Error("The connection ended")).catch(() => {});
  target.once("close", onClose);
  try {
    const first = await reader.read();
    if (first.done) {
      writeHead(target, response, 0);
      return void target.end();
    }
    const next = reader.read();
    const isWhole = await endsSoon(next);
    writeHead(target, response, isWhole ? first.value.length : null);
    if (isWhole) return void target.end(first.value);
    await write(target, first.value);
    for (let part = await next; !part.done; part = await reader.read()) await write(target, part.value);
    target.end();
  } catch (error) {
    if (!target.headersSent) throw error;
    (target.socket ?? target).destroy(error as Error);
  } finally {
    target.off("close", onClose);
  }
}

/** Whether a body ends with what comes next, and that is known by now or once all has happened that is ready to. */
async function endsSoon(next: Promise<ReadableStreamReadResult<unknown>>): Promise<boolean> {
  let isKnown = false;
  const isEnd = next.then(({ done }) => done).finally(() => isKnown = true);
  isEnd.catch(() => {});
  // A body that was given as text or bytes ends within a few turns, and its response need not wait for an immediate.
  for (let turn = 0; turn < turnsToEnd && !isKnown; turn++) await undefined;
  return await (isKnown ? isEnd : Promise.race([isEnd, soon()]));
}

/** Resolves with false once everything that is ready to happen has happened. */
function soon(): Promise<false> {
  return new Promise((resolve) => void setImmediate(() => resolve(false)));
}

function writeHead(target: ServerResponse, { status, statusText, headers }: Response, length: number | null): void {
  const fields: string[] = [];
  for (const [name, value] of headers) fields.push(name, value);
  const isDelimited = headers.has("content-length") || headers.has("transfer-encoding");
  if (length !== null && !isDelimited) fields.push("content-length", String(length));
  // RFC 9112 section 4: a reason phrase has visible characters, spaces and tabs.
  const phrase = statusText.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "") || (STATUS_CODES[status] ?? "");
  target.writeHead(status, phrase, fields);
}

/** Writes a chunk, and waits while the connection has no room. */
async function write(target: ServerResponse, chunk: Uint8Array): Promise<void> {
  if (chunk.length === 0 || target.write(chunk)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  target.once("drain", resolve).once("close", resolve);
  await promise;
  target.off("drain", resolve).off("close", resolve);
}
