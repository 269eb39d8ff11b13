/**
 * What the streams of a test have in common, and the streams of TCP.
 *
 * @module
 */

import type { TcpConn, TcpConnectOptions } from "../../mod.ts";
import { errorLine } from "../cli.ts";
import type { TestSettings } from "./protocol.ts";

/** What has passed on a stream so far. */
export interface Tally {
  /** Payload bytes. */
  bytes: number;
  /** Segments sent again; 0 on a stream that receives. */
  retransmits: number;
  /** Datagrams sent, or the number of the last one received. */
  datagrams: number;
  /** Datagrams that have not come. */
  lost: number;
  /** Datagrams that came behind a later one. */
  outOfOrder: number;
}

/** A tally of nothing. */
export const nothing: Readonly<Tally> = { bytes: 0, retransmits: 0, datagrams: 0, lost: 0, outOfOrder: 0 };

/** What has passed since an earlier tally. */
export function since(now: Tally, before: Readonly<Tally>): Tally {
  return {
    bytes: now.bytes - before.bytes,
    retransmits: now.retransmits - before.retransmits,
    datagrams: now.datagrams - before.datagrams,
    lost: now.lost - before.lost,
    outOfOrder: now.outOfOrder - before.outOfOrder,
  };
}

/** The state of a sending TCP connection, for people. Times are in milliseconds. */
export interface Path {
  /** Congestion window in bytes. */
  readonly congestionWindow: number;
  /** The peer's window in bytes. */
  readonly sendWindow: number;
  /** Smoothed round-trip time. */
  readonly rtt: number;
  /** Its variation. */
  readonly rttVariance: number;
}

/** One of the flows of data that a test is made of. */
export interface DataStream {
  /** Its number for people. */
  readonly number: number;
  /** Our end. */
  readonly local: Deno.NetAddr;
  /** The peer's end. */
  readonly remote: Deno.NetAddr;
  /** Whether we send. */
  readonly sends: boolean;
  /** What has passed so far. */
  tally(): Tally;
  /** In seconds (RFC 3550 section 6.4.1); 0 where nobody measures it. */
  readonly jitter: number;
  /** The state of the connection, where we send by TCP. */
  path(): Path | null;
  /** Name of the congestion control algorithm, of TCP. */
  readonly congestionControl: string | null;
  /** Moves data until it is stopped or has nothing more to send. Rejects if the stream fails before. */
  run(): Promise<void>;
  /** Resolves when the peer has all that was sent, as far as one can know. */
  drained(): Promise<void>;
  /** Ends {@linkcode DataStream.run}. */
  stop(): void;
  /** Frees what it holds. */
  close(): void;
}

/** The number that iperf3 would show: its descriptors begin with 5, and it counts by two. */
export function streamNumber(index: number): number {
  return 5 + 2 * index;
}

/** The bytes that all streams of a test may still send. */
export class Quota {
  #left: number;

  /** `bytes` in all; 0 for no limit. */
  constructor(bytes: number) {
    this.#left = bytes === 0 ? Infinity : bytes;
  }

  /** Whether nothing may be sent any more. */
  get spent(): boolean {
    return this.#left <= 0;
  }

  /** Takes up to `bytes`, and returns how many it gets. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#left);
    this.#left -= taken;
    return taken;
  }
}

/** Shortest pause of a sender that is ahead of its bit rate, in milliseconds: what a timer can keep. */
const shortestPause = 1;

/** Keeps a sender to a bit rate. */
export class Pacer {
  readonly #bitrate: number;
  readonly #startedAt = performance.now();
  #bytes = 0;

  /** `bitrate` in bits per second; 0 for no limit. */
  constructor(bitrate: number) {
    this.#bitrate = bitrate;
  }

  /** Notes what was sent, and returns for how many milliseconds to pause now: 0 for not at all. */
  sent(bytes: number): number {
    if (this.#bitrate === 0) return 0;
    this.#bytes += bytes;
    const due = this.#bytes * 8000 / this.#bitrate;
    const ahead = due - (performance.now() - this.#startedAt);
    return ahead < shortestPause ? 0 : ahead;
  }
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Bytes of the buffer that a receiver reads into: large enough for what comes between two turns of the event loop. */
const receiveBytes = 1 << 18;

/** A stream over a TCP connection. */
export class TcpStream implements DataStream {
  /** See {@linkcode DataStream.number}. */
  readonly number: number;
  /** See {@linkcode DataStream.sends}. */
  readonly sends: boolean;
  readonly #conn: TcpConn;
  readonly #settings: TestSettings;
  readonly #quota: Quota;
  #bytes = 0;
  #stopped = false;

  /** Takes over a connection. */
  constructor(conn: TcpConn, options: { index: number; sends: boolean; settings: TestSettings; quota: Quota }) {
    this.#conn = conn;
    this.number = streamNumber(options.index);
    this.sends = options.sends;
    this.#settings = options.settings;
    this.#quota = options.quota;
    if (options.settings.noDelay) conn.setNoDelay(true);
    if (options.settings.trafficClass > 0) conn.configure({ trafficClass: options.settings.trafficClass });
  }

  /** See {@linkcode DataStream.local}. */
  get local(): Deno.NetAddr {
    return this.#conn.localAddr;
  }

  /** See {@linkcode DataStream.remote}. */
  get remote(): Deno.NetAddr {
    return this.#conn.remoteAddr;
  }

  /** See {@linkcode DataStream.jitter}. */
  readonly jitter = 0;

  /** See {@linkcode DataStream.congestionControl}. */
  get congestionControl(): string {
    return this.#conn.info().congestionControl;
  }

  /** See {@linkcode DataStream.tally}. */
  tally(): Tally {
    const retransmits = this.sends ? this.#conn.info().segmentsRetransmitted : 0;
    return { ...nothing, bytes: this.#bytes, retransmits };
  }

  /** See {@linkcode DataStream.path}. */
  path(): Path | null {
    if (!this.sends) return null;
    const { congestionWindow, sendWindow, rtt, rttVariance } = this.#conn.info();
    return { congestionWindow, sendWindow, rtt, rttVariance };
  }

  /** See {@linkcode DataStream.run}. */
  async run(): Promise<void> {
    try {
      await (this.sends ? this.#send() : this.#receive());
    } catch (error) {
      if (!this.#stopped) throw error;
    }
  }

  async #send(): Promise<void> {
    const block = new Uint8Array(this.#settings.blockBytes);
    const pacer = new Pacer(this.#settings.bitrate);
    while (!this.#stopped) {
      const length = this.#quota.take(block.length);
      if (length === 0) return;
      for (let at = 0; at < length && !this.#stopped;) {
        const sent = await this.#conn.write(block.subarray(at, length));
        at += sent;
        this.#bytes += sent;
      }
      const ahead = pacer.sent(length);
      if (ahead > 0) await pause(ahead);
    }
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(receiveBytes);
    while (!this.#stopped) {
      const length = await this.#conn.read(buffer);
      if (length === null) return;
      this.#bytes += length;
    }
  }

  /** See {@linkcode DataStream.drained}. */
  async drained(): Promise<void> {
    while (!this.#stopped && this.#conn.info().sendQueued > 0) await pause(shortestPause);
  }

  /** See {@linkcode DataStream.stop}. */
  stop(): void {
    this.#stopped = true;
  }

  /** See {@linkcode DataStream.close}. */
  close(): void {
    this.#stopped = true;
    this.#conn[Symbol.dispose]();
  }
}

/** Why a stream failed, as one line. */
export function failureLine(stream: DataStream, error: unknown): string {
  return `Stream ${stream.number} has failed: ${errorLine(error)}`;
}

/** What the connections of the streams start with. */
export function connectionSettings(settings: TestSettings): NonNullable<TcpConnectOptions["settings"]> {
  const { bufferBytes, maximumSegmentBytes, noDelay } = settings;
  return {
    noDelay,
    ...(maximumSegmentBytes > 0 ? { maximumSegmentBytes } : {}),
    ...(bufferBytes > 0 ? { sendBufferBytes: bufferBytes, receiveBufferBytes: bufferBytes } : {}),
  };
}
