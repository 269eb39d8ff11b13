/**
 * A TCP connection in the shape of `Deno.TcpConn`.
 *
 * @module
 */

import type { ErrorName } from "../errors.ts";
import type { ConnectionSettings, TcpInfo, UserConnection } from "../transport/tcp/user.ts";
import type { ProgramKeeper } from "./hold.ts";
import { toNetAddr } from "./options.ts";
import { PendingTransfers } from "./pending_transfers.ts";
import { TcpStreams } from "./tcp_streams.ts";

/** When to probe an idle peer; what is left out stays as it is. */
export interface KeepAliveOptions {
  /** Idle milliseconds before the first probe. */
  idle?: number;
  /** Milliseconds between probes. */
  interval?: number;
  /** Unanswered probes until the connection is given up. */
  count?: number;
}

/**
 * A TCP connection. Reads and writes that cannot be served at once are served in the order in which they were made.
 *
 * It behaves as Deno's own connections do, except that:
 * - the end of one of the two streams closes the connection only if the other one is not in use: a program can answer
 *   on `writable` after `readable` has ended, and the other way round;
 * - aborting `writable` resets the connection, so that the peer cannot take a part for the whole.
 *
 * Urgent data (RFC 9293 section 3.8.5) are delivered in their place among the others, as RFC 6093 recommends;
 * `info().receiveUrgent` says how many are still to be read.
 */
export class TcpConn implements Deno.TcpConn {
  readonly #connection: UserConnection;
  readonly #keeper: ProgramKeeper | null;
  // Most connections of a busy server wait for their peer: what they may never need is made when they do.
  #waiting: PendingTransfers | null = null;
  #streams: TcpStreams | null = null;
  #writeEnded = false;
  #closed = false;

  /** Takes over a connection, and its observer; made by `connectTcp` and `TcpListener`. */
  constructor(connection: UserConnection, keeper: ProgramKeeper | null = null) {
    this.#connection = connection;
    this.#keeper = keeper;
    connection.observer = null;
  }

  /** Our end. */
  get localAddr(): Deno.NetAddr {
    return toNetAddr("tcp", this.#connection.local);
  }

  /** The peer's end. */
  get remoteAddr(): Deno.NetAddr {
    return toNetAddr("tcp", this.#connection.remote);
  }

  /**
   * Resolves when TCP is done with the connection: with null when both sides closed it regularly, otherwise with the
   * error that ended it. Never rejects. Resolves later than `close()` returns, since data may be under way still.
   */
  get closed(): Promise<Error | null> {
    return this.#transfers.ending;
  }

  /** The settings of the connection. */
  get settings(): Readonly<ConnectionSettings> {
    return this.#connection.settings;
  }

  /** What is received, as a byte stream that reads only when it is asked to. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#useStreams().readable;
  }

  /** Sends what is written to it. Closing it ends our side of the connection; aborting it resets the connection. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#useStreams().writable;
  }

  /** What is known of the connection: state, round-trip time, windows and much more. */
  info(): TcpInfo {
    return this.#connection.info();
  }

  /**
   * Receives at least one byte into `p` and resolves with how many; with null at the end of what the peer sends.
   *
   * @throws {Deno.errors.ConnectionReset} Once, when the peer reset the connection; other failures likewise.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   * @throws {Deno.errors.Interrupted} If it is closed while the read waits.
   */
  read(p: Uint8Array): Promise<number | null> {
    // No async function, here and below: that would be another promise and two turns more for each read.
    try {
      return Promise.resolve(this.#receive(p, false));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * As {@linkcode TcpConn.read}, but what is received stays: the next read gives it again. Waits for the first byte only,
   * so a second call may give no more than the first.
   */
  peek(p: Uint8Array): Promise<number | null> {
    try {
      return Promise.resolve(this.#receive(p, true));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #receive(p: Uint8Array, peeks: boolean): number | Promise<number | null> {
    this.#assertOpen();
    if (p.length === 0) return 0;
    if (!this.#readableNow) return this.#transfers.receive(p, peeks);
    return peeks ? this.#connection.peek(p) : this.#connection.receive(p);
  }

  /** Bytes that can be read without waiting. */
  get receivable(): number {
    return this.#connection.receivable;
  }

  /** Bytes written that the peer has not acknowledged yet, sent or not. */
  get unacknowledged(): number {
    return this.#connection.unacknowledged;
  }

  /** Bytes written that have not been sent once. */
  get unsent(): number {
    return this.#connection.unsent;
  }

  /**
   * Sends at least one byte of `p` and resolves with how many were taken. They are on their way then, not yet with the
   * peer.
   *
   * @throws {Deno.errors.BrokenPipe} If the connection has ended, or {@linkcode TcpConn.closeWrite} has been called.
   * @throws {Deno.errors.ConnectionReset} Once, when the peer reset the connection; other failures likewise.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   * @throws {Deno.errors.Interrupted} If it is closed while the write waits.
   */
  write(p: Uint8Array): Promise<number> {
    try {
      return Promise.resolve(this.#send(p));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(p: Uint8Array): number | Promise<number> {
    this.#assertOpen();
    if (this.#connection.finished || this.#writeEnded) throw this.#transfers.takeError("send to");
    if (p.length === 0) return 0;
    const sent = this.#waiting === null ? this.#connection.send(p) : this.#waiting.sendNow(p);
    return sent > 0 ? sent : this.#transfers.send(p);
  }

  /**
   * Ends our side of the connection behind what has been written; the peer then reads the end of the stream.
   *
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  async closeWrite(): Promise<void> {
    this.#assertOpen();
    if (this.#connection.finished || this.#writeEnded) return;
    this.#writeEnded = true;
    await this.#transfers.endSending();
  }

  /**
   * Closes the connection. What has been written is still delivered, in the background; what the peer sends from now on
   * is answered by a reset. With {@linkcode TcpConn.setLinger} that takes so long at most, and
   * {@linkcode TcpConn.closed} tells how it ended.
   *
   * @throws {Deno.errors.BadResource} If it has been closed before.
   */
  close(): void {
    this.#assertOpen();
    this.#end("Interrupted", "the connection was closed meanwhile");
    this.#connection.close();
  }

  /** Ends the connection at once: what waits is thrown away, and the peer is told by a reset. */
  abort(): void {
    this.#end("Interrupted", "the connection was aborted meanwhile");
    this.#connection.abort();
  }

  /** Closes the connection unless that has been done. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /**
   * Closes the connection unless that has been done. After {@linkcode TcpConn.setLinger} with more than 0 seconds it
   * waits until the peer has everything and has closed its side, or the time is over.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    if ((this.#connection.settings.linger ?? 0) > 0) await this.closed;
  }

  /**
   * Changes some settings, from now on: buffers, times, segments, congestion control, TTL and many more.
   *
   * @example
   * ```ts ignore
   * conn.configure({ receiveBufferBytes: 65536, userTimeout: 30_000, congestionControl: "reno" });
   * ```
   *
   * @throws {RangeError} If a value is not allowed; the message says what is.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  configure(changes: Partial<ConnectionSettings>): void {
    this.#assertOpen();
    this.#connection.configure(changes);
  }

  /**
   * Sends small segments at once (`true`), or waits for earlier ones to be acknowledged first (`false`).
   *
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  setNoDelay(noDelay = true): void {
    this.#assertOpen();
    this.#connection.configure({ noDelay });
  }

  /**
   * Probes the peer while nothing is exchanged.
   *
   * @throws {RangeError} If a time or the count is not allowed.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  setKeepAlive(keepAlive = true, { idle, interval, count }: KeepAliveOptions = {}): void {
    this.#assertOpen();
    const changes: Partial<ConnectionSettings> = { keepAlive };
    if (idle !== undefined) changes.keepAliveIdle = idle;
    if (interval !== undefined) changes.keepAliveInterval = interval;
    if (count !== undefined) changes.keepAliveCount = count;
    this.#connection.configure(changes);
  }

  /**
   * Holds back what does not fill a segment (`true`), for 200 ms at most, or sends it (`false`): for a header and a body
   * that are written one after the other.
   *
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  setCork(cork = true): void {
    this.#assertOpen();
    this.#connection.configure({ cork });
  }

  /**
   * Says how many seconds {@linkcode TcpConn.close} may take to deliver what was written; 0 has it reset the connection
   * at once, null, the default, has it take the time that it needs.
   *
   * @throws {RangeError} If it is not from 0 to 65535.
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  setLinger(seconds: number | null): void {
    this.#assertOpen();
    this.#connection.configure({ linger: seconds });
  }

  /** Reads and writes that wait keep the program running. That is so at first. */
  ref(): void {
    this.#transfers.referenced = true;
  }

  /** Reads and writes that wait do not keep the program running; their stack does so all the same until it is `unref`ed. */
  unref(): void {
    this.#transfers.referenced = false;
  }

  #useStreams(): TcpStreams {
    return this.#streams ??= new TcpStreams({
      receive: (target) => this.#receiveForStream(target),
      cancelReceive: () => this.#transfers.dropReads(),
      write: (chunk) => this.write(chunk),
      closeWrite: () => this.closeWrite(),
      close: () => this[Symbol.dispose](),
      abort: () => this.abort(),
    });
  }

  async #receiveForStream(target: Uint8Array | null): Promise<Uint8Array | null> {
    this.#assertOpen();
    if (target === null) return await this.#transfers.receiveChunk();
    const received = await this.#transfers.receive(target, false);
    return received === null ? null : target.subarray(0, received);
  }

  /** The reads and writes that wait; made with the first one, since most connections of a busy server only wait. */
  get #transfers(): PendingTransfers {
    return this.#waiting ??= new PendingTransfers(this.#connection, this.#keeper);
  }

  /** Whether data can be read at once: there are some, and no read came before. */
  get #readableNow(): boolean {
    return this.#waiting === null ? this.#connection.receivable > 0 : this.#waiting.readableNow;
  }

  #end(name: ErrorName, why: string): void {
    this.#closed = true;
    this.#waiting?.fail(name, why);
    this.#streams?.error(this.#transfers.makeError(name, "receive from", why), this.#closedError());
  }

  #closedError(): Error {
    return this.#transfers.makeError("BadResource", "use the connection to", "it has been closed");
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closedError();
  }
}
