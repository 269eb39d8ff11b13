/**
 * The reads and writes of a TCP connection that wait: for data, for room, or for those that were made before them.
 *
 * @module
 */

import { type ErrorName, makeError } from "../errors.ts";
import { FreeList } from "../free_list.ts";
import { formatEndpoint } from "../transport/endpoint.ts";
import type { ConnectionObserver, Failure, UserConnection } from "../transport/tcp/user.ts";
import type { ProgramKeeper } from "./hold.ts";

/** A read that waits for data. */
interface PendingRead {
  /** Where the data goes; null for a fresh buffer of the right size. */
  readonly target: Uint8Array | null;
  /** Whether what is read stays, to be read again. */
  readonly peeks: boolean;
  /** Becomes how many bytes have come to the target, or the fresh buffer; null at the end. */
  readonly outcome: PromiseWithResolvers<number | Uint8Array | null>;
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

/**
 * Lists in which nothing waits, for whoever waits next: of many connections few wait at the same time, and the
 * processor has in its caches what another one has just used.
 */
class SpareLists<Item> {
  readonly #spare = new FreeList<Item[]>();

  /** An empty list. */
  take(): Item[] {
    return this.#spare.take() ?? [];
  }

  /** Takes an empty list back. Returns what is left to its user: one in which nothing waits. */
  recycle(list: Item[]): Item[] {
    if (list !== nothing) this.#spare.keep(list);
    return nothing;
  }
}

const spareReads = new SpareLists<PendingRead>();
const spareWrites = new SpareLists<PendingWrite>();

/** Largest fresh buffer for what is received, in bytes. */
const chunkBytes = 65536;

/**
 * Those that TCP has told of something. TCP tells it in the middle of packet handling, so they are served a little later,
 * and all of them in one microtask.
 */
const told: PendingTransfers[] = [];

function serveTold(): void {
  for (const transfers of told.splice(0)) transfers.serve();
}

/**
 * Serves reads and writes in the order in which they were made, as the connection that it observes can, and tells how
 * the connection ended.
 */
export class PendingTransfers implements ConnectionObserver {
  readonly #connection: UserConnection;
  readonly #keeper: ProgramKeeper | null;
  // Most connections of a busy server wait for their peer: what they may never need is made when they do.
  #ending: PromiseWithResolvers<Error | null> | null = null;
  #reads: PendingRead[] = nothing;
  #writes: PendingWrite[] = nothing;
  /** The failure that the next read or write reports; later ones find the connection ended. */
  #unreported: Failure | null = null;
  #over = false;
  /** Whether what waits keeps the program running, and whether it does so now. */
  #referenced = true;
  #holding = false;
  #serving = false;

  /** Becomes the observer of a connection. */
  constructor(connection: UserConnection, keeper: ProgramKeeper | null) {
    this.#connection = connection;
    this.#keeper = keeper;
    connection.observer = this;
    if (connection.finished) this.closed(connection.failure);
  }

  /** Says whether what waits is to keep the program running. */
  set referenced(referenced: boolean) {
    this.#referenced = referenced;
    this.#updateHold();
  }

  /** Resolves when TCP is done with the connection, with the error that ended it or with null. */
  get ending(): Promise<Error | null> {
    const ending = this.#ending ??= Promise.withResolvers();
    if (this.#over) this.#resolveEnding();
    return ending.promise;
  }

  /** Whether data can be read at once: there are some, and no read came before. */
  get readableNow(): boolean {
    return this.#reads.length === 0 && this.#connection.receivable > 0;
  }

  /** Resolves with how many bytes were received into `target`; with null at the end. */
  receive(target: Uint8Array, peeks: boolean): Promise<number | null> {
    return this.#read(target, peeks) as Promise<number | null>;
  }

  /** Resolves with what is received next; with null at the end. */
  receiveChunk(): Promise<Uint8Array | null> {
    return this.#read(null, false) as Promise<Uint8Array | null>;
  }

  #read(target: Uint8Array | null, peeks: boolean): Promise<number | Uint8Array | null> {
    // Who reads first has nothing to send with the SYN.
    this.#connection.proceed();
    const outcome = Promise.withResolvers<number | Uint8Array | null>();
    if (this.#reads === nothing) this.#reads = spareReads.take();
    this.#reads.push({ target, peeks, outcome });
    if (this.#reads.length === 1) this.#serveReads();
    this.#updateHold();
    return outcome.promise;
  }

  /** Resolves all that wait to read as if the end had come. */
  dropReads(): void {
    this.#connection.expect(null);
    for (const read of this.#reads.splice(0)) read.outcome.resolve(null);
    this.#updateHold();
  }

  /** Sends what there is room for, unless a write came before, and returns how many bytes that was. */
  sendNow(source: Uint8Array): number {
    return this.#writes.length === 0 ? this.#connection.send(source) : 0;
  }

  /** Waits for room, sends at least one byte and resolves with how many; null ends the sending side. */
  send(source: Uint8Array | null): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#writes === nothing) this.#writes = spareWrites.take();
      this.#writes.push({ source, resolve, reject });
      this.#updateHold();
    });
  }

  /** Ends the sending side behind the writes that wait. */
  async endSending(): Promise<void> {
    if (this.#writes.length === 0) this.#connection.shutdown();
    else await this.send(null);
  }

  /** Fails all that waits: our side closes the connection. */
  fail(name: ErrorName, why: string): void {
    this.#connection.expect(null);
    for (const read of this.#reads.splice(0)) read.outcome.reject(this.makeError(name, "receive from", why));
    for (const write of this.#writes.splice(0)) write.reject(this.makeError(name, "send to", why));
    this.#updateHold();
  }

  /** The failure if nobody has been told of it, otherwise the error for sending on a connection that has ended. */
  takeError(doing: string): Error {
    const failure = this.#unreported;
    this.#unreported = null;
    return failure === null
      ? this.makeError("BrokenPipe", doing, "our side of the connection has ended")
      : this.makeError(failure.name, doing, failure.message);
  }

  /** An error that names the peer. */
  makeError(name: ErrorName, doing: string, why: string): Error {
    return makeError(name, `Cannot ${doing} ${formatEndpoint(this.#connection.remote)}: ${why}`);
  }

  /** TCP tells that the handshake is done. */
  established(): void {}

  /** As {@linkcode ConnectionObserver.awaitsData}. */
  get awaitsData(): boolean {
    return this.#reads.length > 0;
  }

  /** TCP tells that there are data, or their end. */
  readable(): void {
    if (this.#reads.length > 0) this.#serveSoon();
  }

  /** TCP tells that there is room. */
  writable(): void {
    if (this.#writes.length > 0) this.#serveSoon();
  }

  /** TCP tells that it is done with the connection. */
  closed(failure: Failure | null): void {
    this.#over = true;
    this.#unreported = failure;
    this.#resolveEnding();
    this.#serveSoon();
  }

  #resolveEnding(): void {
    const { failure } = this.#connection;
    this.#ending?.resolve(
      failure === null ? null : this.makeError(failure.name, "keep the connection to", failure.message),
    );
  }

  #updateHold(): void {
    const holding = this.#referenced && (this.#reads.length > 0 || this.#writes.length > 0);
    if (holding === this.#holding) return;
    this.#holding = holding;
    if (holding) this.#keeper?.acquire();
    else this.#keeper?.release();
  }

  #serveSoon(): void {
    if (this.#serving) return;
    this.#serving = true;
    if (told.push(this) === 1) queueMicrotask(serveTold);
  }

  /** Serves what can be served now. */
  serve(): void {
    this.#serving = false;
    this.#serveReads();
    this.#serveWrites();
    this.#updateHold();
  }

  #serveReads(): void {
    for (let read = this.#reads[0]; read !== undefined; read = this.#reads[0]) {
      const receivable = this.#connection.receivable;
      const { target, outcome } = read;
      if (receivable > 0) {
        if (target === null) outcome.resolve(this.#takeChunk(receivable));
        else outcome.resolve(read.peeks ? this.#connection.peek(target) : this.#connection.receive(target));
      } else if (this.#unreported !== null) {
        outcome.reject(this.takeError("receive from"));
      } else if (this.#connection.ended || this.#over) {
        outcome.resolve(null);
      } else {
        this.#connection.expect(read.peeks ? null : target);
        return;
      }
      this.#reads.shift();
    }
    this.#reads = spareReads.recycle(this.#reads);
  }

  #takeChunk(receivable: number): Uint8Array {
    const chunk = new Uint8Array(Math.min(receivable, chunkBytes));
    const received = this.#connection.receive(chunk);
    return received === chunk.length ? chunk : chunk.subarray(0, received);
  }

  #serveWrites(): void {
    for (let write = this.#writes[0]; write !== undefined; write = this.#writes[0]) {
      if (this.#over) {
        if (write.source === null) write.resolve(0);
        else write.reject(this.takeError("send to"));
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
    this.#writes = spareWrites.recycle(this.#writes);
  }
}
