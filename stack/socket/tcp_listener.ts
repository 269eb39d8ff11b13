/**
 * A listening TCP port in the shape of `Deno.Listener`.
 *
 * @module
 */

import { makeError } from "../errors.ts";
import { formatEndpoint } from "../transport/endpoint.ts";
import type { ListenRequest, TcpUserCalls, UserListener } from "../transport/tcp/user.ts";
import { acceptAll } from "./accept_all.ts";
import { checkNumber, checkTransport, localEndpoint, type TcpListenOptions, toNetAddr } from "./options.ts";
import { Hold, type ProgramKeeper } from "./hold.ts";
import { TcpConn } from "./tcp_conn.ts";

/** Listens for connections; an async iterable of them that ends when the listener is closed. */
export class TcpListener implements Deno.Listener<TcpConn, Deno.NetAddr> {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;

  readonly #listener: UserListener;
  readonly #keeper: ProgramKeeper | null;
  readonly #hold: Hold;
  #waiting: { resolve(conn: TcpConn): void; reject(error: Error): void } | null = null;
  #serving = false;
  #closed = false;

  /** Takes over a listening port; made by {@linkcode listenTcp}. */
  constructor(listener: UserListener, keeper: ProgramKeeper | null = null) {
    this.#keeper = keeper;
    this.#hold = new Hold(keeper);
    this.#listener = listener;
    this.addr = toNetAddr("tcp", listener.local);
    listener.onAcceptable = () => this.#serveSoon();
    listener.onClosed = () => this.#ended();
  }

  /**
   * Waits for the next connection.
   *
   * @throws {Deno.errors.BadResource} If the listener has been closed, or is closed meanwhile.
   * @throws {Deno.errors.Busy} If another `accept` waits already.
   */
  // deno-lint-ignore require-await -- so that errors become rejections
  async accept(): Promise<TcpConn> {
    if (this.#closed) throw this.#closedError();
    if (this.#waiting !== null) {
      throw makeError("Busy", `Cannot accept on ${this.#text()}: another accept is waiting already`);
    }
    const connection = this.#listener.accept();
    if (connection !== null) return new TcpConn(connection, this.#keeper);
    this.#hold.waiting = true;
    return new Promise((resolve, reject) => this.#waiting = { resolve, reject });
  }

  /**
   * Stops listening. Connections that were accepted live on; those that nobody has accepted are reset.
   *
   * @throws {Deno.errors.BadResource} If it has been closed before.
   */
  close(): void {
    if (this.#closed) throw this.#closedError();
    this.#listener.close();
  }

  /** It was closed, by its user or with the stack. */
  #ended(): void {
    this.#closed = true;
    this.#listener.onAcceptable = null;
    this.#waiting?.reject(this.#closedError());
    this.#waiting = null;
    this.#hold.waiting = false;
  }

  /** Closes the listener unless that has been done. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /** The connections as they come, until the listener is closed. Leaving the loop closes the listener. */
  [Symbol.asyncIterator](): AsyncGenerator<TcpConn, undefined, undefined> {
    return acceptAll(this, () => this.#closed);
  }

  /** An `accept` that waits keeps the program running. That is so at first. */
  ref(): void {
    this.#hold.referenced = true;
  }

  /** An `accept` that waits does not keep the program running; its stack does so all the same until it is `unref`ed. */
  unref(): void {
    this.#hold.referenced = false;
  }

  /** TCP calls in the middle of packet handling, so the connection is handed over a little later. */
  #serveSoon(): void {
    if (this.#serving || this.#waiting === null) return;
    this.#serving = true;
    queueMicrotask(() => {
      this.#serving = false;
      const connection = this.#waiting === null ? null : this.#listener.accept();
      if (connection === null) return;
      this.#waiting!.resolve(new TcpConn(connection, this.#keeper));
      this.#waiting = null;
      this.#hold.waiting = false;
    });
  }

  #text(): string {
    return formatEndpoint(this.#listener.local);
  }

  #closedError(): Error {
    return makeError("BadResource", `Cannot accept on ${this.#text()}: the listener has been closed`);
  }
}

/**
 * Starts to listen.
 *
 * @throws {Deno.errors.AddrInUse} If another listener has the port.
 * @throws {Deno.errors.AddrNotAvailable} If the address is not ours.
 * @throws {TypeError} If an option makes no sense; a `RangeError` for a number out of range.
 */
export function listenTcp(
  tcp: TcpUserCalls,
  options: TcpListenOptions,
  keeper: ProgramKeeper | null = null,
): TcpListener {
  checkTransport(options.transport, "tcp");
  const request: ListenRequest = { local: localEndpoint(options.hostname, options.port) };
  const backlog = options.backlog ?? options.tcpBacklog;
  if (backlog !== undefined) request.backlog = checkNumber("a backlog", backlog, 1, 1_000_000);
  if (options.reusePort !== undefined) request.reuse = options.reusePort;
  const { fastOpen } = options;
  if (typeof fastOpen === "object" && fastOpen.pending !== undefined) {
    checkNumber("a number of pending Fast Open connections", fastOpen.pending, 1, 1_000_000);
  }
  if (fastOpen !== undefined) request.fastOpen = fastOpen;
  if (options.settings !== undefined) request.settings = options.settings;
  return new TcpListener(tcp.listen(request), keeper);
}
