/**
 * The control connection of an iperf3 test.
 *
 * @module
 */

import type { TcpConn } from "../../mod.ts";
import { cookieBytes, State, TestError } from "./protocol.ts";

/** The most bytes of JSON that are taken from a peer. */
const largestMessage = 1 << 20;

/** How long a peer may take for its part of the negotiation, in milliseconds. */
export const patience = 10_000;

/** Sends and receives all that is not data. */
export class ControlChannel {
  readonly #conn: TcpConn;
  /** Who is at the other end, for people: `client` or `server`. */
  readonly #peer: string;

  /** Takes over a connection. `peer` says who is at the other end: `client` or `server`. */
  constructor(conn: TcpConn, peer: string) {
    this.#conn = conn;
    this.#peer = peer;
    // A peer that vanishes without a word is missed half a minute later.
    conn.configure({
      noDelay: true,
      keepAlive: true,
      keepAliveIdle: 10_000,
      keepAliveInterval: 4000,
      keepAliveCount: 5,
    });
  }

  /** The connection. */
  get conn(): TcpConn {
    return this.#conn;
  }

  /** Announces a state. */
  async sendState(state: State): Promise<void> {
    await this.#write(Uint8Array.of(state));
  }

  /** Announces that the server failed, with iperf3's number for the reason. */
  async sendError(code: number): Promise<void> {
    const message = new DataView(new ArrayBuffer(9));
    message.setInt8(0, State.serverError);
    message.setUint32(1, code);
    await this.#write(new Uint8Array(message.buffer));
  }

  /** The state that the peer announces next. It may take as long as the test; the signal ends the wait. */
  async receiveState(): Promise<number> {
    const [byte] = await this.#readExactly(1);
    return byte! << 24 >> 24;
  }

  /** What follows {@linkcode State.serverError}: iperf3's number and the system's. */
  async receiveError(): Promise<[code: number, errno: number]> {
    const bytes = await within(patience, this.#readExactly(8), `the ${this.#peer}'s error`);
    const view = new DataView(bytes.buffer);
    return [view.getUint32(0), view.getUint32(4)];
  }

  /** Sends the cookie, which is the first that the server reads. */
  async sendCookie(cookie: string): Promise<void> {
    await this.#write(encodeCookie(cookie));
  }

  /** Sends a value as JSON, its length in front. */
  async sendJson(value: unknown): Promise<void> {
    const text = new TextEncoder().encode(JSON.stringify(value));
    const message = new Uint8Array(4 + text.length);
    new DataView(message.buffer).setUint32(0, text.length);
    message.set(text, 4);
    await this.#write(message);
  }

  /** Receives a value as JSON. */
  async receiveJson(what: string): Promise<unknown> {
    return await within(patience, this.#receiveJson(what), `the ${this.#peer}'s ${what}`);
  }

  async #receiveJson(what: string): Promise<unknown> {
    const head = await this.#readExactly(4);
    const length = new DataView(head.buffer).getUint32(0);
    if (length > largestMessage) throw new TestError(`The ${this.#peer}'s ${what} are too long: ${length} bytes`);
    const text = new TextDecoder().decode(await this.#readExactly(length));
    try {
      return JSON.parse(text);
    } catch {
      throw new TestError(`The ${this.#peer}'s ${what} are no JSON`);
    }
  }

  /** Closes the connection. */
  close(): void {
    this.#conn[Symbol.dispose]();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#conn, bytes);
    } catch (error) {
      throw this.#gone(error);
    }
  }

  async #readExactly(length: number): Promise<Uint8Array<ArrayBuffer>> {
    let bytes: Uint8Array<ArrayBuffer> | null;
    try {
      bytes = await readExactly(this.#conn, length);
    } catch (error) {
      throw this.#gone(error);
    }
    if (bytes === null) throw this.#gone(null);
    return bytes;
  }

  #gone(error: unknown): TestError {
    const reason = error instanceof Error ? `: ${error.message}` : "";
    return new TestError(`The ${this.#peer} has closed the control connection${reason}`);
  }
}

/** The cookie as it is sent. */
export function encodeCookie(cookie: string): Uint8Array {
  const bytes = new Uint8Array(cookieBytes);
  new TextEncoder().encodeInto(cookie, bytes.subarray(0, cookieBytes - 1));
  return bytes;
}

/** Reads the cookie that a connection begins with. Returns null if the peer goes away before, or takes too long. */
export async function receiveCookie(conn: TcpConn): Promise<string | null> {
  const bytes = await within(patience, readExactly(conn, cookieBytes), "a cookie").catch(() => null);
  return bytes === null ? null : new TextDecoder().decode(bytes.subarray(0, cookieBytes - 1));
}

/** Writes all of it. */
export async function writeAll(conn: TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

/** Reads so many bytes, or returns null if the stream ends before. */
async function readExactly(conn: TcpConn, length: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const bytes = new Uint8Array(length);
  for (let received = 0; received < length;) {
    const read = await conn.read(bytes.subarray(received));
    if (read === null) return null;
    received += read;
  }
  return bytes;
}

/**
 * Waits for a promise, but not for longer than `limit` milliseconds.
 *
 * @throws {TestError} If it takes longer.
 */
export async function within<Value>(limit: number, promise: Promise<Value>, what: string): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TestError(`Waited ${limit / 1000} s in vain for ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    // Where it was too late, nobody waits for it any more.
    promise.catch(() => {});
  }
}
