/**
 * The two web streams of a connection.
 *
 * @module
 */

/** What the streams ask of their connection. */
export interface StreamedConnection {
  /** Resolves with received bytes, in `target` or, where that is null, in a fresh buffer; with null at the end. */
  receive(target: Uint8Array | null): Promise<Uint8Array | null>;
  /** Ends what {@linkcode StreamedConnection.receive} waits for as if the end had come. */
  cancelReceive(): void;
  /** Takes at least one byte for sending and resolves with how many. */
  write(chunk: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  /** Closes the connection unless that has been done. */
  close(): void;
  /** Resets the connection. */
  abort(): void;
}

/** How far a stream has come. */
type Progress = "unused" | "open" | "over";

/**
 * Makes the streams on first use. When a stream has come to its end, the connection is closed, unless the other stream
 * is in use and has not.
 */
export class TcpStreams {
  readonly #connection: StreamedConnection;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | null = null;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | null = null;
  #readableController: ReadableByteStreamController | null = null;
  #writableController: WritableStreamDefaultController | null = null;
  #reading: Progress = "unused";
  #writing: Progress = "unused";
  /** Why both streams are over, once somebody has closed the connection under them. */
  #errors: { reading: Error; writing: Error } | null = null;

  /** Streams of one connection. */
  constructor(connection: StreamedConnection) {
    this.#connection = connection;
  }

  /** A byte stream that receives only when a reader asks for data. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (this.#readable !== null) return this.#readable;
    this.#reading = "open";
    return this.#readable = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#readableController = controller;
        if (this.#errors !== null) controller.error(this.#errors.reading);
      },
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#readingOver(),
    }, { highWaterMark: 0 });
  }

  /** A stream whose chunks are taken when the connection has room for them. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    if (this.#writable !== null) return this.#writable;
    this.#writing = "open";
    return this.#writable = new WritableStream({
      start: (controller) => {
        this.#writableController = controller;
        // The `abort` step below comes only after a write that is under way, which may wait for the peer for ever.
        controller.signal.addEventListener("abort", () => this.#abort());
        if (this.#errors !== null) controller.error(this.#errors.writing);
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#closeWritable(),
      abort: () => this.#abort(),
    });
  }

  /** Fails both streams, unless they are over: their connection has been closed. */
  error(reading: Error, writing: Error): void {
    this.#errors ??= { reading, writing };
    if (this.#reading === "open") this.#readableController?.error(reading);
    if (this.#writing === "open") this.#writableController?.error(writing);
    this.#reading = this.#writing = "over";
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    const request = controller.byobRequest;
    const view = request?.view ?? null;
    const target = view === null ? null : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    let chunk: Uint8Array | null;
    try {
      chunk = await this.#connection.receive(target);
    } catch (error) {
      if (this.#reading === "open") {
        this.#reading = "over";
        controller.error(error);
        this.#connection.close();
      }
      return;
    }
    if (this.#reading !== "open") return;
    if (chunk === null) {
      controller.close();
      request?.respond(0);
      this.#readingOver();
    } else if (request === null) {
      controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
    } else {
      request.respond(chunk.length);
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    try {
      if (!(chunk instanceof Uint8Array)) {
        throw new TypeError("Cannot send a chunk that is no Uint8Array: encode it first");
      }
      for (let sent = 0; sent < chunk.length;) {
        sent += await this.#connection.write(sent === 0 ? chunk : chunk.subarray(sent));
      }
    } catch (error) {
      if (this.#writing === "open") {
        this.#writing = "over";
        // What has been received can still be read.
        if (this.#reading !== "open") this.#connection.close();
      }
      throw error;
    }
  }

  async #closeWritable(): Promise<void> {
    await this.#connection.closeWrite();
    this.#writing = "over";
    if (this.#reading !== "open") this.#connection.close();
  }

  #abort(): void {
    if (this.#writing !== "open") return;
    this.#writing = "over";
    this.#connection.abort();
  }

  #readingOver(): void {
    if (this.#reading !== "open") return;
    this.#reading = "over";
    this.#connection.cancelReceive();
    if (this.#writing !== "open") this.#connection.close();
  }
}
