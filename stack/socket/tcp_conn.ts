/**
 * A TCP connection in the shape of `Deno.TcpConn`.
 *
 * @module
 */

import { type ErrorName, makeError } from "../errors.ts";
import { formatEndpoint } from "../transport/endpoint.ts";
import type {
  ConnectionObserver,
  ConnectionSettings,
  Failure,
  TcpInfo,
  UserConnection,
} from "../transport/tcp/user.ts";
import { Hold, type ProgramKeeper } from "./hold.ts";
import { toNetAddr } from "./options.ts";
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

/** A read that waits for data. */
interface PendingRead {
  /** Where the data goes; null for a fresh buffer of the right size. */
  target: Uint8Array | null;
  /** Whether what is read stays, to be read again. */
  readonly peeks: boolean;
  resolve(chunk: Uint8Array | null): void;
  reject(error: Error): void;
}

/** A write that waits for room, or the end of the sending side behind such writes. */
interface PendingWrite {
  /** What to send; null to end the sending side. */
  readonly source: Uint8Array | null;
  resolve(bytes: number): void;
  reject(error: Error): void;
}

/** Where nothing waits. Shared, and never written to. */
const nothing: never[] = [];

/** Largest chunk of {@linkcode TcpConn.readable}, in bytes. */
const chunkBytes = 65536;

/**
 * A TCP connection. Reads and writes that cannot be served at once are served in the order in which they were made.
 *
 * It behaves as Deno's own connections do, except that:
 * - the end of one of the two streams closes the connection only if the other one is not in use: a program can answer
 *   on `writable` after `readable` has ended, and the other way round;
 * - aborting `writable` resets the connection, so that the peer cannot take a part for the whole.
 *
 * Urgent data (RFC 9293 section 3.8.5) are delivered in their place among the others, as RFC 6093 recommends.
 */
export class TcpConn implements Deno.TcpConn {
  readonly #connection: UserConnection;
  readonly #hold: Hold;
  // Most connections of a busy server wait for their peer: what they may never need is made when they do.
  #localAddr: Deno.NetAddr | null = null;
  #remoteAddr: Deno.NetAddr | null = null;
  #ending: PromiseWithResolvers<Error | null> | null = null;
  #reads: PendingRead[] = nothing;
  #writes: PendingWrite[] = nothing;
  /** The failure that the next read or write reports; later ones find the connection ended. */
  #unreported: Failure | null = null;
  #over = false;
  #writeEnded = false;
  #closed = false;
  #serving = false;
  #streams: TcpStreams | null = null;

  /** Takes over a connection, and its observer; made by `connectTcp` and `TcpListener`. */
  constructor(connection: UserConnection, keeper: ProgramKeeper | null = null) {
    this.#connection = connection;
    this.#hold = new Hold(keeper);
    connection.observer = new TcpConn.#Observer(this);
  }

  /** Our end. */
  get localAddr(): Deno.NetAddr {
    return this.#localAddr ??= toNetAddr("tcp", this.#connection.local);
  }

  /** The peer's end. */
  get remoteAddr(): Deno.NetAddr {
    return this.#remoteAddr ??= toNetAddr("tcp", this.#connection.remote);
  }

  /**
   * Resolves when TCP is done with the connection: with null when both sides closed it regularly, otherwise with the
   * error that ended it. Never rejects. Resolves later than `close()` returns, since data may be under way still.
   */
  get closed(): Promise<Error | null> {
    const ending = this.#ending ??= Promise.withResolvers();
    if (this.#over) this.#resolveEnding();
    return ending.promise;
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
  async read(p: Uint8Array): Promise<number | null> {
    this.#assertOpen();
    if (p.length === 0) return 0;
    if (this.#reads.length === 0 && this.#connection.receivable > 0) return this.#connection.receive(p);
    const chunk = await this.#receive(p);
    return chunk === null ? null : chunk.length;
  }

  /**
   * As {@linkcode TcpConn.read}, but what is received stays: the next read gives it again. Waits for the first byte only,
   * so a second call may give no more than the first.
   */
  async peek(p: Uint8Array): Promise<number | null> {
    this.#assertOpen();
    if (p.length === 0) return 0;
    if (this.#reads.length === 0 && this.#connection.receivable > 0) return this.#connection.peek(p);
    const chunk = await this.#receive(p, true);
    return chunk === null ? null : chunk.length;
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
  async write(p: Uint8Array): Promise<number> {
    this.#assertOpen();
    if (this.#over || this.#writeEnded) throw this.#takeError("send to");
    if (p.length === 0) return 0;
    const sent = this.#writes.length === 0 ? this.#connection.send(p) : 0;
    if (sent > 0) return sent;
    return await new Promise<number>((resolve, reject) => this.#queueWrite({ source: p, resolve, reject }));
  }

  /**
   * Ends our side of the connection behind what has been written; the peer then reads the end of the stream.
   *
   * @throws {Deno.errors.BadResource} If this side has been closed.
   */
  async closeWrite(): Promise<void> {
    this.#assertOpen();
    if (this.#over || this.#writeEnded) return;
    this.#writeEnded = true;
    if (this.#writes.length === 0) return this.#connection.shutdown();
    await new Promise<number>((resolve, reject) => this.#queueWrite({ source: null, resolve, reject }));
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
    this.#hold.referenced = true;
  }

  /** Reads and writes that wait do not keep the program running; their stack does so all the same until it is `unref`ed. */
  unref(): void {
    this.#hold.referenced = false;
  }

  /** What TCP tells, passed on. */
  static readonly #Observer = class implements ConnectionObserver {
    readonly #conn: TcpConn;

    constructor(conn: TcpConn) {
      this.#conn = conn;
    }

    established(): void {}

    readable(): void {
      this.#conn.#serveSoon();
    }

    writable(): void {
      this.#conn.#serveSoon();
    }

    closed(failure: Failure | null): void {
      const conn = this.#conn;
      conn.#over = true;
      conn.#unreported = failure;
      conn.#resolveEnding();
      conn.#serveSoon();
    }
  };

  #resolveEnding(): void {
    const { failure } = this.#connection;
    this.#ending?.resolve(failure === null ? null : this.#errorOf("keep the connection to", failure));
  }

  #useStreams(): TcpStreams {
    return this.#streams ??= new TcpStreams({
      receive: (target) => this.#closed ? Promise.reject(this.#closedError()) : this.#receive(target),
      cancelReceive: () => this.#dropReads(),
      write: (chunk) => this.write(chunk),
      closeWrite: () => this.closeWrite(),
      close: () => this[Symbol.dispose](),
      abort: () => this.abort(),
    });
  }

  /** Resolves with the received part of `target`, or a fresh buffer; with null at the end. */
  #receive(target: Uint8Array | null, peeks: boolean = false): Promise<Uint8Array | null> {
    // Who reads first has nothing to send with the SYN.
    this.#connection.proceed();
    return new Promise((resolve, reject) => {
      if (this.#reads === nothing) this.#reads = [];
      this.#reads.push({ target, peeks, resolve, reject });
      if (this.#reads.length === 1) this.#serveReads();
      this.#updateHold();
    });
  }

  #queueWrite(write: PendingWrite): void {
    if (this.#writes === nothing) this.#writes = [];
    this.#writes.push(write);
    this.#updateHold();
  }

  #updateHold(): void {
    this.#hold.waiting = this.#reads.length > 0 || this.#writes.length > 0;
  }

  /** TCP calls in the middle of packet handling, so what waits is served a little later, and many calls at once. */
  #serveSoon(): void {
    if (this.#serving || this.#closed || (!this.#over && this.#reads.length === 0 && this.#writes.length === 0)) return;
    this.#serving = true;
    queueMicrotask(() => {
      this.#serving = false;
      this.#serveReads();
      this.#serveWrites();
      this.#updateHold();
    });
  }

  #serveReads(): void {
    for (let read = this.#reads[0]; read !== undefined; read = this.#reads[0]) {
      const receivable = this.#connection.receivable;
      if (receivable > 0) {
        const target = read.target ?? new Uint8Array(Math.min(receivable, chunkBytes));
        const received = read.peeks ? this.#connection.peek(target) : this.#connection.receive(target);
        read.resolve(received === target.length ? target : target.subarray(0, received));
      } else if (this.#unreported !== null) {
        read.reject(this.#takeError("receive from"));
      } else if (this.#connection.ended || this.#over) {
        read.resolve(null);
      } else {
        return;
      }
      this.#reads.shift();
    }
  }

  #serveWrites(): void {
    for (let write = this.#writes[0]; write !== undefined; write = this.#writes[0]) {
      if (this.#over) {
        if (write.source === null) write.resolve(0);
        else write.reject(this.#takeError("send to"));
      } else if (write.source === null) {
        this.#connection.shutdown();
        write.resolve(0);
      } else {
        const sent = this.#connection.send(write.source);
        if (sent === 0) return;
        write.resolve(sent);
      }
      this.#writes.shift();
    }
  }

  #dropReads(): void {
    for (const read of this.#reads.splice(0)) read.resolve(null);
    this.#updateHold();
  }

  #end(name: ErrorName, why: string): void {
    this.#closed = true;
    for (const read of this.#reads.splice(0)) read.reject(this.#makeError(name, "receive from", why));
    for (const write of this.#writes.splice(0)) write.reject(this.#makeError(name, "send to", why));
    this.#updateHold();
    this.#streams?.error(this.#makeError(name, "receive from", why), this.#closedError());
  }

  /** The failure if nobody has been told of it, otherwise the error for sending on a connection that has ended. */
  #takeError(doing: string): Error {
    const failure = this.#unreported;
    this.#unreported = null;
    return failure === null
      ? this.#makeError("BrokenPipe", doing, "our side of the connection has ended")
      : this.#errorOf(doing, failure);
  }

  #errorOf(doing: string, failure: Failure): Error {
    return this.#makeError(failure.name, doing, failure.message);
  }

  #makeError(name: ErrorName, doing: string, why: string): Error {
    return makeError(name, `Cannot ${doing} ${formatEndpoint(this.#connection.remote)}: ${why}`);
  }

  #closedError(): Error {
    return this.#makeError("BadResource", "use the connection to", "it has been closed");
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closedError();
  }
}
