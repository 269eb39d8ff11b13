/**
 * What is known of the MTU of paths beyond the first link (RFC 1191, RFC 8201), for the connections to come.
 *
 * @module
 */

import type { IpAddress } from "../address.ts";
import type { Clock } from "../clock.ts";

/** Milliseconds after which a path may have grown: RFC 1191 section 6.3 recommends ten minutes. */
const validTime = 600_000;

/** The most destinations that are remembered; the oldest makes room. */
const capacity = 512;

interface Entry {
  readonly mtu: number;
  readonly expiresAt: number;
}

/** The path MTU of destinations for which one was reported. Consulted once for each path and not for each packet. */
export class PathMtus {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  /** Knows nothing yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The reported MTU of the path to a destination, in bytes, or Infinity. */
  get(destination: IpAddress): number {
    if (this.#entries.size === 0) return Infinity;
    const entry = this.#entries.get(destination.toString());
    if (entry === undefined) return Infinity;
    if (this.#clock.now() < entry.expiresAt) return entry.mtu;
    this.#entries.delete(destination.toString());
    return Infinity;
  }

  /** Remembers an MTU that was reported and believed, unless a smaller one is known. */
  lower(destination: IpAddress, mtu: number): void {
    if (mtu >= this.get(destination)) return;
    const key = destination.toString();
    this.#entries.delete(key);
    if (this.#entries.size >= capacity) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(key, { mtu, expiresAt: this.#clock.now() + validTime });
  }
}
