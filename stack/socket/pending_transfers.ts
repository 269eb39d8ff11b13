/**
 * The reads and writes of a TCP connection that wait: for data, for room, or for those that were made before them.
 *
 * @module
 */

import { type ErrorName, makeError } from "../errors.ts";
import { formatEndpoint } from "../transport/endpoint.ts";
import type { ConnectionObserver, Failure, UserConnection } from "../transport/tcp/user.ts";
import type { ProgramKeeper } from "./hold.ts";

/** What waits: one of a row, in the order in which they were made. */
abstract class Transfer<Outcome> {
  /** What it resolves with. */
  resolve: (outcome: Outcome) => void;
  /** Fails it. */
  reject: (error: Error) => void;
  /** Who waits with it. */
  readonly promise: Promise<Outcome>;
  /** Who comes after it; after the last one, the first. */
  next: this = this;

  constructor() {
    // A function for each transfer that takes the two, or an object that holds them, would be made for nothing else.
    this.promise = new Promise<Outcome>(takeResolvers);
    this.resolve = resolveTaken;
    this.reject = rejectTaken;
  }
}

/** The functions of the promise that was made last. */
// deno-lint-ignore no-explicit-any
let resolveTaken: (outcome: any) => void;
let rejectTaken: (error: Error) => void;

// deno-lint-ignore no-explicit-any
function takeResolvers(resolve: (outcome: any) => void, reject: (error: Error) => void): void {
  resolveTaken = resolve;
  rejectTaken = reject;
}

/** A read that waits for data. It becomes how many bytes have come, or the fresh buffer; null at the end. */
class PendingRead extends Transfer<number | Uint8Array | null> {
  /** Where the data goes; null for a fresh buffer of the right size. */
  readonly target: Uint8Array | null;
  /** Whether what is read stays, to be read again. */
  readonly peeks: boolean;

  constructor(target: Uint8Array | null, peeks: boolean) {
    super();
    this.target = target;
    this.peeks = peeks;
  }
}

/** A write that waits for room, or the end of the sending side behind such writes. It becomes how many bytes were sent. */
class PendingWrite extends Transfer<number> {
  /** What to send; null to end the sending side. */
  readonly source: Uint8Array | null;

  constructor(source: Uint8Array | null) {
    super();
    this.source = source;
  }
}

/** Puts something behind the last of a row, and returns what is last then. */
function enqueue<Item extends { next: Item }>(last: Item | null, item: Item): Item {
  if (last !== null) {
    item.next = last.next;
    last.next = item;
  }
  return item;
}

/** Takes the first out of a row, and returns what is last then: null where nothing is left. */
function dequeue<Item extends { next: Item }>(last: Item): Item | null {
  const first = last.next;
  if (first === last) return null;
  last.next = first.next;
  return last;
}

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
  /** The last of each row; null where nothing waits. Most rows are of one, which needs no list of its own. */
  #lastRead: PendingRead | null = null;
  #lastWrite: PendingWrite | null = null;
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
    return this.#lastRead === null && this.#connection.receivable > 0;
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
    const read = new PendingRead(target, peeks);
    const first = this.#lastRead === null;
    this.#lastRead = enqueue(this.#lastRead, read);
    if (first) this.#serveReads();
    this.#updateHold();
    return read.promise;
  }

  /** Resolves all that wait to read as if the end had come. */
  dropReads(): void {
    this.#connection.expect(null);
    for (let last = this.#lastRead; last !== null; last = this.#lastRead = dequeue(last)) last.next.resolve(null);
    this.#updateHold();
  }

  /** Sends what there is room for, unless a write came before, and returns how many bytes that was. */
  sendNow(source: Uint8Array): number {
    return this.#lastWrite === null ? this.#connection.send(source) : 0;
  }

  /** Waits for room, sends at least one byte and resolves with how many; null ends the sending side. */
  send(source: Uint8Array | null): Promise<number> {
    const write = new PendingWrite(source);
    this.#lastWrite = enqueue(this.#lastWrite, write);
    this.#updateHold();
    return write.promise;
  }

  /** Ends the sending side behind the writes that wait. */
  async endSending(): Promise<void> {
    if (this.#lastWrite === null) this.#connection.shutdown();
    else await this.send(null);
  }

  /** Fails all that waits: our side closes the connection. */
  fail(name: ErrorName, why: string): void {
    this.#connection.expect(null);
    for (let last = this.#lastRead; last !== null; last = this.#lastRead = dequeue(last)) {
      last.next.reject(this.makeError(name, "receive from", why));
    }
    for (let last = this.#lastWrite; last !== null; last = this.#lastWrite = dequeue(last)) {
      last.next.reject(this.makeError(name, "send to", why));
    }
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
    return this.#lastRead !== null;
  }

  /** TCP tells that there are data, or their end. */
  readable(): void {
    if (this.#lastRead !== null) this.#serveSoon();
  }

  /** TCP tells that there is room. */
  writable(): void {
    if (this.#lastWrite !== null) this.#serveSoon();
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
    const holding = this.#referenced && (this.#lastRead !== null || this.#lastWrite !== null);
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
    for (let last = this.#lastRead; last !== null; last = this.#lastRead = dequeue(last)) {
      const read = last.next;
      const receivable = this.#connection.receivable;
      const { target } = read;
      if (receivable > 0) {
        if (target === null) read.resolve(this.#takeChunk(receivable));
        else read.resolve(read.peeks ? this.#connection.peek(target) : this.#connection.receive(target));
      } else if (this.#unreported !== null) {
        read.reject(this.takeError("receive from"));
      } else if (this.#connection.ended || this.#over) {
        read.resolve(null);
      } else {
        this.#connection.expect(read.peeks ? null : target);
        return;
      }
    }
  }

  #takeChunk(receivable: number): Uint8Array {
    const chunk = new Uint8Array(Math.min(receivable, chunkBytes));
    const received = this.#connection.receive(chunk);
    return received === chunk.length ? chunk : chunk.subarray(0, received);
  }

  #serveWrites(): void {
    for (let last = this.#lastWrite; last !== null; last = this.#lastWrite = dequeue(last)) {
      const write = last.next;
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
    }
  }
}
