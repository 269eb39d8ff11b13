/**
 * What went through a connection: bytes, time, and what they add up to.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";

/** What went one way. */
export class Flow {
  /** Bytes. */
  bytes: number = 0;
  readonly #hash: Hash | null;

  /** Takes whether to keep a SHA-256 of the bytes. */
  constructor(hashes: boolean) {
    this.#hash = hashes ? createHash("sha256") : null;
  }

  /** Counts bytes that went. */
  add(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#hash?.update(bytes);
  }

  /** The SHA-256 of all bytes in hexadecimal, or null where it was not kept. To be asked for once, at the end. */
  digest(): string | null {
    return this.#hash?.digest("hex") ?? null;
  }
}

/** What went both ways of a connection. */
export class Tally {
  /** From us to the peer. */
  readonly sent: Flow;
  /** From the peer to us. */
  readonly received: Flow;
  readonly #started = performance.now();

  /** Starts the clock. */
  constructor(hashes: boolean) {
    this.sent = new Flow(hashes);
    this.received = new Flow(hashes);
  }

  /** Milliseconds since the connection began. */
  get elapsed(): number {
    return performance.now() - this.#started;
  }

  /** One line for a person while it goes on. */
  progress(): string {
    return `${this.#flow("received", this.received)}, ${this.#flow("sent", this.sent)}`;
  }

  /** The whole, as data for a program. To be asked for once, at the end. */
  summary(): { peer?: string; seconds: number; sent: FlowSummary; received: FlowSummary } {
    const flow = (flow: Flow): FlowSummary => {
      const sha256 = flow.digest();
      return { bytes: flow.bytes, ...(sha256 === null ? {} : { sha256 }) };
    };
    return { seconds: Math.round(this.elapsed) / 1000, sent: flow(this.sent), received: flow(this.received) };
  }

  #flow(name: string, { bytes }: Flow): string {
    const rate = this.elapsed > 0 ? (bytes * 8000) / this.elapsed : 0;
    return `${name} ${formatBytes(bytes)} (${formatRate(rate)})`;
  }
}

/** What went one way, as data. */
export interface FlowSummary {
  /** Bytes. */
  bytes: number;
  /** The SHA-256 of all of them in hexadecimal, where it was asked for. */
  sha256?: string;
}

const prefixes = ["", "k", "M", "G", "T"] as const;

function scaled(value: number): [number, string] {
  let place = 0;
  while (value >= 1000 && place < prefixes.length - 1) {
    value /= 1000;
    place++;
  }
  return [value, prefixes[place]!];
}

/** `999 B`, `1.0 kB`, `12.3 MB`. */
export function formatBytes(bytes: number): string {
  const [value, prefix] = scaled(bytes);
  return `${prefix === "" ? value : value.toFixed(1)} ${prefix}B`;
}

/** `0 bit/s`, `12.3 Mbit/s`. */
export function formatRate(bitsPerSecond: number): string {
  const [value, prefix] = scaled(bitsPerSecond);
  return `${prefix === "" ? Math.round(value) : value.toFixed(1)} ${prefix}bit/s`;
}
