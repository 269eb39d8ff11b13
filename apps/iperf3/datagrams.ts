/**
 * The streams of UDP: each datagram begins with the time at which it was sent and its number.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { DatagramConn } from "../../mod.ts";
import { datagramGreeting, datagramWelcome, TestError, type TestSettings } from "./protocol.ts";
import { type DataStream, nothing, Pacer, type Path, pause, type Quota, streamNumber, type Tally } from "./stream.ts";

/** Where the fields of a datagram lie. */
const Offset = { seconds: 0, microseconds: 4, number: 8 } as const;

/** How long a sender that nothing else holds up goes on before the program's other work has a turn, in milliseconds. */
const longestTurn = 1;

/** Bytes of datagrams that may wait for the program to receive them: the default does not bridge a busy moment. */
export const receiveBufferBytes = 4 << 20;

/** How often and how long a client waits for the server's welcome, which may be lost, in milliseconds. */
const greetings = 10;
const greetingWait = 1000;

/** A stream over UDP. What it receives is handed to it. */
export class DatagramStream implements DataStream {
  /** See {@linkcode DataStream.number}. */
  readonly number: number;
  /** See {@linkcode DataStream.sends}. */
  readonly sends: boolean;
  /** See {@linkcode DataStream.local}. */
  readonly local: Deno.NetAddr;
  /** See {@linkcode DataStream.remote}. */
  readonly remote: Deno.NetAddr;
  /** See {@linkcode DataStream.congestionControl}. */
  readonly congestionControl = null;
  readonly #socket: DatagramConn;
  readonly #settings: TestSettings;
  readonly #quota: Quota;
  readonly #tally: Tally = { ...nothing };
  readonly #finished = Promise.withResolvers<void>();
  /** Milliseconds from sending to receiving, by two clocks; NaN before the first datagram. */
  #transit = NaN;
  #jitter = 0;
  #stopped = false;

  /** A stream between two ends, over a socket that others may use, too. */
  constructor(
    socket: DatagramConn,
    { local, remote }: { local: Deno.NetAddr; remote: Deno.NetAddr },
    options: { index: number; sends: boolean; settings: TestSettings; quota: Quota },
  ) {
    this.#socket = socket;
    this.local = local;
    this.remote = remote;
    this.number = streamNumber(options.index);
    this.sends = options.sends;
    this.#settings = options.settings;
    this.#quota = options.quota;
  }

  /** See {@linkcode DataStream.jitter}. */
  get jitter(): number {
    return this.#jitter / 1000;
  }

  /** See {@linkcode DataStream.tally}. */
  tally(): Tally {
    return { ...this.#tally };
  }

  /** See {@linkcode DataStream.path}. */
  path(): Path | null {
    return null;
  }

  /** See {@linkcode DataStream.run}. */
  async run(): Promise<void> {
    if (this.sends) await this.#send();
    else await this.#finished.promise;
  }

  async #send(): Promise<void> {
    const datagram = new Uint8Array(this.#settings.blockBytes);
    const view = new DataView(datagram.buffer);
    const pacer = new Pacer(this.#settings.bitrate);
    const to = this.#socket.remoteAddr === null ? this.remote : undefined;
    let turnedAt = performance.now();
    for (let number = 1; !this.#stopped; number++) {
      if (this.#quota.take(datagram.length) === 0) return;
      const elapsed = performance.now();
      const now = performance.timeOrigin + elapsed;
      view.setUint32(Offset.seconds, Math.floor(now / 1000));
      view.setUint32(Offset.microseconds, Math.floor(now % 1000 * 1000));
      if (this.#settings.wideCounters) view.setBigUint64(Offset.number, BigInt(number));
      else view.setUint32(Offset.number, number);
      await this.#socket.send(datagram, to);
      this.#tally.bytes += datagram.length;
      this.#tally.datagrams = number;
      const ahead = pacer.sent(datagram.length);
      if (ahead > 0) await pause(ahead);
      else if (elapsed - turnedAt >= longestTurn) {
        await new Promise((resolve) => setImmediate(resolve));
        turnedAt = performance.now();
      }
    }
  }

  /** Takes a datagram that has come. */
  received(bytes: Uint8Array<ArrayBuffer>): void {
    const header = Offset.number + (this.#settings.wideCounters ? 8 : 4);
    // A greeting that was sent again, or nothing of ours.
    if (bytes.length < header || this.sends || this.#stopped) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const number = this.#settings.wideCounters
      ? Number(view.getBigUint64(Offset.number))
      : view.getUint32(Offset.number);
    const tally = this.#tally;
    tally.bytes += bytes.length;
    if (number > tally.datagrams) {
      tally.lost += number - tally.datagrams - 1;
      tally.datagrams = number;
    } else {
      tally.outOfOrder++;
      if (tally.lost > 0) tally.lost--;
    }
    const sentAt = view.getUint32(Offset.seconds) * 1000 + view.getUint32(Offset.microseconds) / 1000;
    const transit = performance.timeOrigin + performance.now() - sentAt;
    // RFC 3550 section 6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16
    if (!Number.isNaN(this.#transit)) this.#jitter += (Math.abs(transit - this.#transit) - this.#jitter) / 16;
    this.#transit = transit;
  }

  /** See {@linkcode DataStream.drained}. Nobody acknowledges datagrams. */
  drained(): Promise<void> {
    return Promise.resolve();
  }

  /** See {@linkcode DataStream.stop}. */
  stop(): void {
    this.#stopped = true;
    this.#finished.resolve();
  }

  /** See {@linkcode DataStream.close}. */
  close(): void {
    this.stop();
    this.#socket[Symbol.dispose]();
  }
}

/** The largest datagram there is. */
const largestDatagram = 65507;

/** Receives for all streams of a socket, until it is closed; each datagram is good until `take` returns. */
export async function receiveDatagrams(
  socket: DatagramConn,
  take: (bytes: Uint8Array<ArrayBuffer>, from: Deno.NetAddr) => void,
): Promise<void> {
  const buffer = new Uint8Array(largestDatagram);
  for (;;) {
    try {
      const [bytes, from] = await socket.receive(buffer);
      take(bytes, from);
    } catch (error) {
      const closed = error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
      if (closed) return;
      throw error;
    }
  }
}

/** Whether a datagram is what a stream begins with. */
export function isGreeting(bytes: Uint8Array<ArrayBuffer>): boolean {
  return bytes.length === 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === datagramGreeting;
}

/** The answer to a greeting. */
export function welcome(): Uint8Array {
  return word(datagramWelcome);
}

/**
 * Announces a stream to the server until it answers, be it with the first data, which is lost to the count.
 *
 * @throws {TestError} If no answer comes.
 */
export async function greet(socket: DatagramConn): Promise<void> {
  const buffer = new Uint8Array(largestDatagram);
  const answer = socket.receive(buffer).then(() => true);
  for (let tried = 0; tried < greetings; tried++) {
    await socket.send(word(datagramGreeting));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), greetingWait));
    const answered = await Promise.race([answer, wait]).finally(() => clearTimeout(timer));
    if (answered) return;
  }
  answer.catch(() => {});
  throw new TestError(`The server has not answered ${greetings} datagrams: is UDP blocked on the way?`);
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
