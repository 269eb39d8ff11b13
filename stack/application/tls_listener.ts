/**
 * A listening port with TLS in the shape of `Deno.TlsListener`.
 *
 * @module
 */

import { makeError } from "../errors.ts";
import { acceptAll } from "../socket/accept_all.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import type { TcpListener } from "../socket/tcp_listener.ts";
import { toDuplex } from "./duplex.ts";
import { TlsConn } from "./tls_conn.ts";
import { secureServer, type TlsServerOptions } from "./tls_socket.ts";

/** Options of {@linkcode TlsListener}. */
export interface TlsListenerOptions extends TlsServerOptions {
  /** Most connections in a handshake or waiting to be accepted; others wait in TCP's own queue. Default 512. */
  backlog?: number;
  /** Is told of handshakes that failed. */
  onHandshakeError?: (error: Error, peer: Deno.NetAddr) => void;
}

/** An accept that waits for a connection. */
interface PendingAccept {
  resolve(conn: TlsConn): void;
  reject(error: Error): void;
}

/** Listens for connections with TLS; an async iterable of them that ends when the listener is closed. */
export class TlsListener implements AsyncIterable<TlsConn>, Disposable {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;

  readonly #listener: TcpListener;
  readonly #options: TlsListenerOptions;
  /** Connections in a handshake. */
  readonly #handshakes = new Set<TcpConn>();
  readonly #acceptable: TlsConn[] = [];
  readonly #accepts: PendingAccept[] = [];
  #room: (() => void) | null = null;
  #closed = false;

  /** Takes over a listening port; made by `listenTls`. */
  constructor(listener: TcpListener, options: TlsListenerOptions) {
    this.#listener = listener;
    this.#options = options;
    this.addr = listener.addr;
    this.#run();
  }

  /**
   * Waits for the next connection whose handshake has succeeded.
   *
   * @throws {Deno.errors.BadResource} If the listener has been closed, or is closed meanwhile.
   */
  // deno-lint-ignore require-await -- so that errors become rejections
  async accept(): Promise<TlsConn> {
    if (this.#closed) throw this.#closedError();
    const conn = this.#acceptable.shift();
    if (conn === undefined) return new Promise((resolve, reject) => this.#accepts.push({ resolve, reject }));
    this.#room?.();
    return conn;
  }

  /**
   * Stops listening, and ends the connections that nobody has accepted.
   *
   * @throws {Deno.errors.BadResource} If it has been closed before.
   */
  close(): void {
    if (this.#closed) throw this.#closedError();
    this.#end();
    this.#listener[Symbol.dispose]();
  }

  /** Closes the listener unless that has been done. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /** The connections as they come, until the listener is closed. Leaving the loop closes the listener. */
  [Symbol.asyncIterator](): AsyncGenerator<TlsConn, undefined, undefined> {
    return acceptAll(this, () => this.#closed);
  }

  async #run(): Promise<void> {
    const { backlog = 512 } = this.#options;
    for await (const conn of this.#listener) {
      this.#handshake(conn);
      while (!this.#closed && this.#handshakes.size + this.#acceptable.length >= backlog) {
        await new Promise<void>((resolve) => this.#room = resolve);
      }
    }
    // The stack may have been closed under it.
    if (!this.#closed) this.#end();
  }

  async #handshake(conn: TcpConn): Promise<void> {
    this.#handshakes.add(conn);
    try {
      const secured = new TlsConn(await secureServer(toDuplex(conn), this.#options), conn);
      if (this.#closed) return secured.abort();
      const accept = this.#accepts.shift();
      if (accept === undefined) this.#acceptable.push(secured);
      else accept.resolve(secured);
    } catch (error) {
      if (!this.#closed) this.#options.onHandshakeError?.(error as Error, conn.remoteAddr);
    } finally {
      this.#handshakes.delete(conn);
      this.#room?.();
    }
  }

  #end(): void {
    this.#closed = true;
    this.#room?.();
    for (const conn of this.#handshakes) conn.abort();
    for (const conn of this.#acceptable.splice(0)) conn.abort();
    for (const accept of this.#accepts.splice(0)) accept.reject(this.#closedError());
  }

  #closedError(): Error {
    return makeError(
      "BadResource",
      `Cannot accept on ${this.addr.hostname}:${this.addr.port}: the listener has been closed`,
    );
  }
}
