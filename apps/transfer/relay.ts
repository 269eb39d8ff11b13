/**
 * Joining a connection to an input and an output, as netcat does.
 *
 * @module
 */

import type { TcpConn } from "../../mod.ts";
import type { Input } from "./input.ts";
import type { Output } from "./output.ts";
import type { Tally } from "./tally.ts";

/** Bytes that are received at once. */
const bufferBytes = 262_144;

/** How often it is checked whether anything moves, as a part of the time that is allowed. */
const checksPerTimeout = 4;

/** What is joined. */
export interface RelayOptions {
  /** The connection. It is over when the relay returns or throws. */
  readonly conn: TcpConn;
  /** What to send; its end ends our side of the connection. */
  readonly input: Input;
  /** Where to put what is received. */
  readonly output: Output;
  /** Counts what goes. */
  readonly tally: Tally;
  /** Milliseconds for which nothing may move; Infinity for ever. */
  readonly timeout: number;
  /** Ends the relay. */
  readonly signal: AbortSignal;
}

/**
 * Sends all of the input and receives until the peer ends, both at once and neither faster than the slower side.
 * Returns when everything has been delivered both ways.
 *
 * At a terminal nobody wants to type for a peer that has left: the relay then ends with the peer.
 *
 * @throws {Error} If the connection fails, nothing moves for too long, or input or output fails.
 */
export async function relay(options: RelayOptions): Promise<void> {
  const { conn, input, signal } = options;
  using watch = new Watch(options);
  try {
    const sending = send(options, watch);
    const receiving = receive(options, watch);
    await Promise.race([
      watch.failed,
      input.isTerminal ? anyOf(sending, receiving) : Promise.all([sending, receiving]),
    ]);
    await Promise.race([watch.failed, conn.closeWrite()]);
    // What was written last is under way still.
    const failure = await Promise.race([watch.failed, conn.closed]);
    if (failure !== null) throw failure;
  } catch (error) {
    conn.abort();
    throw signal.aborted ? signal.reason : error;
  }
}

async function send({ conn, input, tally }: RelayOptions, watch: Watch): Promise<void> {
  for (let bytes = await input.next(); bytes !== null; bytes = await input.next()) {
    const sent = await conn.write(bytes);
    tally.sent.add(bytes.subarray(0, sent));
    input.take(sent);
    watch.moved();
  }
  await conn.closeWrite();
}

async function receive({ conn, output, tally }: RelayOptions, watch: Watch): Promise<void> {
  const buffer = new Uint8Array(bufferBytes);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    const bytes = buffer.subarray(0, length);
    tally.received.add(bytes);
    await output.write(bytes);
    watch.moved();
  }
}

/** Ends with the receiving side, after which nothing more is sent. */
async function anyOf(sending: Promise<void>, receiving: Promise<void>): Promise<void> {
  sending.catch(() => {});
  await receiving;
}

/** Notices what ends a relay from outside: a failing connection, a signal, or that nothing moves. */
class Watch implements Disposable {
  /** Rejects when the relay must end. */
  readonly failed: Promise<never>;
  readonly #timer: ReturnType<typeof setInterval> | null;
  readonly #signal: AbortSignal;
  readonly #interrupt: () => void;
  #movedAt = performance.now();

  constructor({ conn, timeout, signal }: RelayOptions) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    // It may reject when nobody waits any more.
    promise.catch(() => {});
    conn.closed.then((failure) => failure === null || reject(failure));
    this.#signal = signal;
    this.#interrupt = () => reject(signal.reason);
    if (signal.aborted) this.#interrupt();
    signal.addEventListener("abort", this.#interrupt);
    const check = () => {
      if (performance.now() - this.#movedAt < timeout) return;
      reject(new Error(`Cannot wait any longer: nothing has moved for ${timeout / 1000} s`));
    };
    this.#timer = timeout === Infinity ? null : setInterval(check, timeout / checksPerTimeout);
  }

  /** Something moves. */
  moved(): void {
    this.#movedAt = performance.now();
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#interrupt);
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}
