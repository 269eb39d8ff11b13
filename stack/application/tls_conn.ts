/**
 * A connection with TLS in the shape of `Deno.TlsConn`.
 *
 * @module
 */

import type { PeerCertificate, TLSSocket } from "node:tls";
import { type ErrorName, makeError } from "../errors.ts";
import { TcpStreams } from "../socket/tcp_streams.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import { toNodeError } from "./node_error.ts";

/** What a handshake agreed on. */
export interface TlsHandshakeInfo {
  /** The application protocol (RFC 7301), or null if none was agreed on. */
  alpnProtocol: string | null;
}

/** A connection with TLS whose handshake has been done. */
export class TlsConn implements Deno.TlsConn {
  /** Our end. */
  readonly localAddr: Deno.NetAddr;
  /** The peer's end. */
  readonly remoteAddr: Deno.NetAddr;
  /** The connection under it: its settings and what is known of it. Reading from it or writing to it breaks TLS. */
  readonly tcp: TcpConn;
  /** The version of TLS that was agreed on: `TLSv1.3`. */
  readonly protocol: string | null;

  readonly #socket: TLSSocket;
  /** The part of a received record that nobody has read yet. */
  #rest: Uint8Array | null = null;
  /** Reads one after another. */
  #reads: Promise<unknown> = Promise.resolve();
  #wake: (() => void) | null = null;
  #failure: Error | null = null;
  #ended = false;
  #closed = false;
  #streams: TcpStreams | null = null;

  /** Takes over a socket whose handshake is done, and the connection under it; made by `connectTls` and `TlsListener`. */
  constructor(socket: TLSSocket, tcp: TcpConn) {
    this.#socket = socket;
    this.tcp = tcp;
    this.protocol = socket.getProtocol();
    this.localAddr = tcp.localAddr;
    this.remoteAddr = tcp.remoteAddr;
    const wake = () => this.#wake?.();
    socket.on("readable", wake);
    socket.on("end", () => (this.#ended = true, wake()));
    socket.on("close", () => (this.#ended = true, wake()));
    socket.on("error", (error) => (this.#failure = toNodeError(error, "read"), wake()));
  }

  /** What has been received, as a byte stream. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#useStreams().readable;
  }

  /** Sends what is written to it; closing it ends our side, aborting it resets the connection. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#useStreams().writable;
  }

  /** What the handshake agreed on; it is done. */
  // deno-lint-ignore require-await -- the shape of Deno.TlsConn
  async handshake(): Promise<TlsHandshakeInfo> {
    return { alpnProtocol: this.#socket.alpnProtocol || null };
  }

  /** The peer's certificate; an empty object if it has sent none. */
  get peerCertificate(): PeerCertificate {
    return this.#socket.getPeerCertificate();
  }

  /**
   * Receives at least one byte into `p` and resolves with how many; with null at the end of what the peer sends.
   *
   * @throws {Deno.errors.ConnectionReset} If the peer reset the connection.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   * @throws {Deno.errors.Interrupted} If it is closed while the read waits.
   */
  async read(p: Uint8Array): Promise<number | null> {
    this.#assertOpen();
    if (p.length === 0) return 0;
    const chunk = await this.#receive(p);
    return chunk === null ? null : chunk.length;
  }

  /**
   * Sends `p`, and resolves with its length when TCP has taken all of it.
   *
   * @throws {Deno.errors.BrokenPipe} If the connection has ended.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  async write(p: Uint8Array): Promise<number> {
    this.#assertOpen();
    if (p.length === 0) return 0;
    if (this.#failure !== null || !this.#socket.writable) {
      throw this.#failure ?? this.#error("BrokenPipe", "send to", "our side of the connection has ended");
    }
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#socket.write(p, (error) => {
      if (error) reject(this.#closed ? this.#interrupted("send to") : toNodeError(error, "write"));
      else resolve(p.length);
    });
    return await promise;
  }

  /**
   * Ends our side behind what has been written.
   *
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  async closeWrite(): Promise<void> {
    this.#assertOpen();
    if (!this.#socket.writable) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once("close", resolve).end(resolve);
    await promise;
  }

  /**
   * Closes the connection; what has been written is still delivered.
   *
   * @throws {Deno.errors.BadResource} If it has been closed before.
   */
  close(): void {
    this.#assertOpen();
    this.#end();
    this.#socket.destroySoon();
  }

  /** Ends the connection at once, with a reset. */
  abort(): void {
    this.#end();
    this.tcp.abort();
    this.#socket.destroy();
  }

  /** Closes the connection unless that has been done. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /** Sends small segments at once, or not. */
  setNoDelay(noDelay = true): void {
    this.tcp.setNoDelay(noDelay);
  }

  /** Probes an idle peer, or not. */
  setKeepAlive(keepAlive = true): void {
    this.tcp.setKeepAlive(keepAlive);
  }

  /** Does nothing: what keeps a program running is its stack. */
  ref(): void {}

  /** Does nothing: what keeps a program running is its stack. */
  unref(): void {}

  #useStreams(): TcpStreams {
    return this.#streams ??= new TcpStreams({
      receive: (target) => this.#closed ? Promise.reject(this.#closedError()) : this.#receive(target),
      cancelReceive: () => {},
      write: (chunk) => this.write(chunk),
      closeWrite: () => this.closeWrite(),
      close: () => this[Symbol.dispose](),
      abort: () => this.abort(),
    });
  }

  #receive(target: Uint8Array | null): Promise<Uint8Array | null> {
    const read = this.#reads.then(() => this.#receiveNow(target));
    this.#reads = read.catch(() => {});
    return read;
  }

  async #receiveNow(target: Uint8Array | null): Promise<Uint8Array | null> {
    for (;;) {
      if (this.#closed) throw this.#interrupted("receive from");
      const chunk: Uint8Array | null = this.#rest ?? this.#socket.read();
      if (chunk !== null) return this.#deliver(chunk, target);
      if (this.#failure !== null) throw this.#failure;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #deliver(chunk: Uint8Array, target: Uint8Array | null): Uint8Array {
    this.#rest = null;
    if (target === null) return new Uint8Array(chunk);
    const length = Math.min(chunk.length, target.length);
    target.set(length === chunk.length ? chunk : chunk.subarray(0, length));
    if (length < chunk.length) this.#rest = chunk.subarray(length);
    return target.subarray(0, length);
  }

  #end(): void {
    this.#closed = true;
    this.#wake?.();
    this.#streams?.error(this.#interrupted("receive from"), this.#closedError());
  }

  #interrupted(doing: string): Error {
    return this.#error("Interrupted", doing, "the connection was closed meanwhile");
  }

  #closedError(): Error {
    return this.#error("BadResource", "use the connection to", "it has been closed");
  }

  #error(name: ErrorName, doing: string, why: string): Error {
    const { hostname, port } = this.remoteAddr;
    return makeError(name, `Cannot ${doing} ${hostname}:${port}: ${why}`);
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closedError();
  }
}
