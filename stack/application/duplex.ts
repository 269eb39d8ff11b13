/**
 * A connection of the stack as what Node's libraries take for a socket.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { clearTimeout, setTimeout } from "node:timers";
import { joinChunks, toBytes, type WrittenChunk } from "./bytes.ts";
import { connectToHost } from "./host_connect.ts";
import type { Lookup, TcpNetwork } from "./network.ts";
import { toNodeError } from "./node_error.ts";
import type { DuplexConn, SocketAddress, SocketConnectOptions, SocketOptions } from "./socket_types.ts";

/** Least and most bytes that are asked for at once: a read that fills its buffer makes the next one larger. */
const leastReadBytes = 2048;
const mostReadBytes = 65536;

const familyOf = (hostname: string) => hostname.includes(":") ? "IPv6" : "IPv4";

/**
 * A connection as a `Duplex` with the members of Node's `net.Socket`, so that TLS, HTTP, WebSocket and database
 * libraries run over it. It receives only while it is read from, and `write` returns false while the connection has no
 * room. `end` ends our side only; `destroy()` closes behind what TCP has taken, `destroy(error)` resets.
 */
export class Socket extends Duplex {
  /** Bytes received so far. */
  bytesRead = 0;
  /** Bytes handed to TCP so far. */
  bytesWritten = 0;
  /** Whether it is connecting at this moment. */
  connecting = false;
  /** After how many idle milliseconds `timeout` is emitted; 0 for never. */
  timeout = 0;

  readonly #network: TcpNetwork | null;
  readonly #lookup: Lookup | null;
  readonly #abortConnect = new AbortController();
  #conn: DuplexConn | null = null;
  #noDelay: boolean | null = null;
  #keepAlive: (() => void) | null = null;
  #reading = false;
  #readBytes = leastReadBytes;
  /** What the next read may use, where nobody got hold of it in the last one. */
  #spareBuffer: Uint8Array<ArrayBuffer> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** A socket that is not connected yet: hand it to a library that calls {@linkcode Socket.connect} itself. */
  constructor(options: SocketOptions = {}) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: mostReadBytes,
      writableHighWaterMark: mostReadBytes,
      // Texts, such as the heads of HTTP messages, are encoded once, into what is sent.
      decodeStrings: false,
    });
    this.#network = options.network ?? null;
    this.#lookup = options.lookup ?? null;
  }

  /** Takes over a connection; used by {@linkcode toDuplex}. */
  adopt(conn: DuplexConn): this {
    this.#conn = conn;
    this.connecting = false;
    if (this.#noDelay !== null) conn.setNoDelay(this.#noDelay);
    this.#keepAlive?.();
    conn.closed?.then((error) => error !== null && setImmediate(() => this.#ended(error)));
    if (this.#reading) {
      this.#reading = false;
      this._read();
    }
    return this;
  }

  /**
   * Connects, and emits `connect` and `ready` or, when it cannot, `error`. Takes what `net.Socket` does: options, or a
   * port and a host, and a listener of `connect`.
   *
   * @throws {Error} If the socket has no network, or is connected.
   */
  connect(...args: (SocketConnectOptions | number | string | (() => void) | undefined)[]): this {
    const listener = args.find((arg) => typeof arg === "function");
    const [first, second] = args;
    const options: SocketConnectOptions = typeof first === "object"
      ? first
      : { port: Number(first), ...(typeof second === "string" ? { host: second } : {}) };
    if (this.#network === null) throw new Error("Cannot connect: the socket was made without a network");
    if (this.#conn !== null || this.connecting) throw new Error("Cannot connect: the socket is in use already");
    if (typeof listener === "function") this.once("connect", listener);
    this.connecting = true;
    this.#connect(this.#network, options);
    return this;
  }

  async #connect(network: TcpNetwork, options: SocketConnectOptions): Promise<void> {
    const { host, port, localAddress, localPort, signal } = options;
    const ended = this.#abortConnect.signal;
    try {
      const conn = await connectToHost(network, this.#lookup, {
        port,
        signal: signal === undefined ? ended : AbortSignal.any([ended, signal]),
        ...(host === undefined ? {} : { hostname: host }),
        ...(localAddress === undefined ? {} : { localHostname: localAddress }),
        ...(localPort === undefined ? {} : { localPort }),
      });
      if (this.destroyed) return conn.abort();
      this.adopt(conn);
      this.emit("connect");
      this.emit("ready");
    } catch (error) {
      this.connecting = false;
      if (!this.destroyed) this.destroy(toNodeError(error, "connect"));
    }
  }

  /** Whether it is not connected yet. */
  get pending(): boolean {
    return this.#conn === null;
  }

  /** `opening`, `open`, `readOnly`, `writeOnly` or `closed`. */
  get readyState(): string {
    if (this.connecting) return "opening";
    if (this.#conn === null) return "closed";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  /** The peer's IP address. */
  get remoteAddress(): string | undefined {
    return this.#conn?.remoteAddr.hostname;
  }

  /** The peer's port. */
  get remotePort(): number | undefined {
    return this.#conn?.remoteAddr.port;
  }

  /** `IPv4` or `IPv6` */
  get remoteFamily(): string | undefined {
    return this.#conn === null ? undefined : familyOf(this.#conn.remoteAddr.hostname);
  }

  /** Our IP address. */
  get localAddress(): string | undefined {
    return this.#conn?.localAddr.hostname;
  }

  /** Our port. */
  get localPort(): number | undefined {
    return this.#conn?.localAddr.port;
  }

  /** `IPv4` or `IPv6` */
  get localFamily(): string | undefined {
    return this.#conn === null ? undefined : familyOf(this.#conn.localAddr.hostname);
  }

  /** Our end, or an empty object before there is one. */
  address(): SocketAddress | Record<string, never> {
    if (this.#conn === null) return {};
    const { hostname, port } = this.#conn.localAddr;
    return { address: hostname, family: familyOf(hostname), port };
  }

  /** Emits `timeout` after so many milliseconds in which nothing was sent or received; 0 for never. */
  setTimeout(milliseconds: number, listener?: () => void): this {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.timeout = milliseconds;
    if (milliseconds > 0 && !this.destroyed) {
      this.#timer = setTimeout(() => this.emit("timeout"), milliseconds);
      this.#timer.unref();
      if (listener !== undefined) this.once("timeout", listener);
    } else if (listener !== undefined) {
      this.off("timeout", listener);
    }
    return this;
  }

  /** Sends small segments at once, or not. */
  setNoDelay(noDelay = true): this {
    this.#noDelay = noDelay;
    if (!this.destroyed) this.#conn?.setNoDelay(noDelay);
    return this;
  }

  /** Probes an idle peer, or not; the first time after `initialDelay` milliseconds where that is given. */
  setKeepAlive(keepAlive = true, initialDelay = 0): this {
    this.#keepAlive = () => {
      if (initialDelay > 0) this.#conn?.configure?.({ keepAliveIdle: initialDelay });
      this.#conn?.setKeepAlive(keepAlive);
    };
    if (!this.destroyed) this.#keepAlive();
    return this;
  }

  /** Does nothing: what keeps a program running is its stack. */
  ref(): this {
    return this;
  }

  /** Does nothing: what keeps a program running is its stack. */
  unref(): this {
    return this;
  }

  /** Destroys the socket once what has been written is with TCP. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** Resets the connection. */
  resetAndDestroy(): this {
    this.#conn?.abort();
    this.#conn = null;
    return this.destroy();
  }

  /** @internal */
  override _read(): void {
    if (this.#reading) return;
    this.#reading = true;
    if (this.#conn !== null) this.#receive(this.#conn);
  }

  async #receive(conn: DuplexConn): Promise<void> {
    const spare = this.#spareBuffer;
    this.#spareBuffer = null;
    const buffer = spare?.length === this.#readBytes ? spare : new Uint8Array(this.#readBytes);
    let length: number | null;
    try {
      length = await conn.read(buffer);
    } catch (error) {
      this.#reading = false;
      if (!this.destroyed) this.destroy(toNodeError(error, "read"));
      return;
    }
    this.#reading = false;
    if (this.destroyed) return;
    this.#active();
    if (length === null) {
      this.push(null);
      return;
    }
    this.bytesRead += length;
    if (length === buffer.length) this.#readBytes = Math.min(4 * this.#readBytes, mostReadBytes);
    else if (4 * length < buffer.length) this.#readBytes = Math.max(this.#readBytes / 4, leastReadBytes);
    if (2 * length >= buffer.length) {
      this.push(Buffer.from(buffer.buffer, 0, length));
      return;
    }
    // A small part of a large buffer would hold all of it for as long as somebody keeps the part.
    this.#spareBuffer = buffer;
    this.push(Buffer.from(buffer.subarray(0, length)));
  }

  /** @internal */
  override _write(
    chunk: Uint8Array | string,
    encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    const bytes = toBytes({ chunk, encoding });
    this.#whenConnected(callback, (conn) => this.#send(conn, bytes, callback));
  }

  /** @internal */
  override _writev(chunks: WrittenChunk[], callback: (error?: Error | null) => void): void {
    const bytes = joinChunks(chunks);
    this.#whenConnected(callback, (conn) => this.#send(conn, bytes, callback));
  }

  async #send(conn: DuplexConn, chunk: Uint8Array, callback: (error?: Error | null) => void): Promise<void> {
    try {
      for (let sent = 0; sent < chunk.length;) {
        const taken = await conn.write(sent === 0 ? chunk : chunk.subarray(sent));
        sent += taken;
        this.bytesWritten += taken;
        this.#active();
      }
    } catch (error) {
      return callback(toNodeError(error, "write"));
    }
    callback();
  }

  /** @internal */
  override _final(callback: (error?: Error | null) => void): void {
    this.#whenConnected(callback, (conn) => {
      conn.closeWrite().then(() => callback(), (error) => callback(toNodeError(error, "shutdown")));
    });
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#abortConnect.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const conn = this.#conn;
    try {
      if (error !== null) conn?.abort();
      else conn?.close();
    } catch {
      // Its user has closed it already.
    }
    callback(error);
  }

  /** The connection has failed: who reads learns of it by reading, everybody else here. */
  #ended(error: Error): void {
    if (!this.#reading && !this.destroyed) this.destroy(toNodeError(error, "read"));
  }

  #whenConnected(callback: (error?: Error | null) => void, act: (conn: DuplexConn) => void): void {
    if (this.#conn !== null) return act(this.#conn);
    if (!this.connecting) return callback(toNodeError(notConnected(), "write"));
    this.once("connect", () => act(this.#conn!));
  }

  /** Something was sent or received: the time-out begins anew. */
  #active(): void {
    this.#timer?.refresh();
  }
}

function notConnected(): Error {
  return Object.assign(new Error("Cannot write: the socket is not connected"), { code: "ENOTCONN" });
}

/**
 * A connection as a Node socket, which takes it over.
 *
 * @example Lines of a connection
 * ```ts ignore
 * import { createInterface } from "node:readline";
 * import { toDuplex } from "@tapstack/tapstack/node";
 *
 * for await (const line of createInterface({ input: toDuplex(conn) })) console.log(line);
 * ```
 */
export function toDuplex(conn: DuplexConn): Socket {
  return new Socket().adopt(conn);
}
