/**
 * Finding the path MTU without the help of ICMP (RFC 4821, RFC 8899): a path that swallows full segments without a word
 * is tried with smaller ones, and later with single larger ones again, whose loss is no congestion.
 *
 * @module
 */

import type { Path } from "../../network/path.ts";
import { before } from "../../sequence.ts";
import type { Sender } from "./send.ts";

/** Sizes of packets worth trying, in bytes: what Ethernet, PPPoE, tunnels and IPv6 carry (RFC 8899 section 5.3.2). */
const plateaus = [1500, 1492, 1400, 1280] as const;

/** The base that should work (RFC 8899 section 5.1.2, RFC 8200 section 5), before the smallest that must. */
const basePlateau = 1280;

/** How long after the first progress larger segments are tried: it may have been but an outage. In milliseconds. */
const firstRaise = 2000;

/** How long after a search they are tried again: PMTU_RAISE_TIMER of RFC 8899 section 5.1.1, in milliseconds. */
const raiseInterval = 600_000;

/** A connection, as far as its path MTU is searched. */
export interface SearchingConnection {
  /** The way to the peer. */
  readonly path: Path;
  /** The sending half. */
  readonly sender: Sender;
  /** Sets the size of full segments from what the path carries. */
  fitSegments(): void;
}

/** The search of one connection: made when its full segments seem to vanish. Sizes are those of packets, in bytes. */
export class PathMtuSearch {
  readonly #connection: SearchingConnection;
  /** What the path was believed to carry. */
  readonly #ceiling: number;
  /** The size of the probe that is under way; 0 for none. */
  #probing = 0;
  #probeEnd = 0;
  /** The next probe is smaller than this. */
  #below = Infinity;
  /** When to probe; Infinity while segments of the present size have not got through. */
  #raiseAt = Infinity;
  #sndUna: number;

  /** Begins with what the path is believed to carry now. */
  constructor(connection: SearchingConnection) {
    this.#connection = connection;
    this.#ceiling = this.#size;
    this.#sndUna = connection.sender.sndUna;
  }

  /** A full segment has timed out again and again: goes on with smaller ones (RFC 4821 section 7.7). */
  lower(): void {
    const { path, sender } = this.#connection;
    const least = path.network.minimumMtu;
    if (this.#size <= least) return;
    this.#setSize(this.#size > basePlateau ? basePlateau : least);
    this.#raiseAt = Infinity;
    this.#below = Infinity;
    this.#sndUna = sender.sndUna;
  }

  /** Takes the answer to a probe in, and sends the next when it is time. To be called before what is due is sent. */
  update(now: number): void {
    const { sender } = this.#connection;
    if (this.#probing > 0) return this.#takeAnswer(now);
    if (this.#size >= this.#ceiling) return;
    if (this.#raiseAt === Infinity && sender.sndUna !== this.#sndUna) this.#raiseAt = now + firstRaise;
    if (now >= this.#raiseAt) this.#probe(now);
  }

  /** The packet of a full segment. */
  get #size(): number {
    const { path, sender } = this.#connection;
    return sender.segmentBytes + sender.headerBytes + path.network.fixedHeaderBytes;
  }

  #setSize(size: number): void {
    this.#connection.path.mtu = size;
    this.#connection.fitSegments();
  }

  #takeAnswer(now: number): void {
    const { sender } = this.#connection;
    const { sizeProbe } = sender.recovery;
    if (sizeProbe === "lost") {
      this.#below = this.#probing;
      // The next smaller one at once, until there is none.
      this.#raiseAt = this.#next === 0 ? now + raiseInterval : now;
    } else if (!before(sender.sndUna, this.#probeEnd)) {
      this.#setSize(this.#probing);
      this.#raiseAt = now + raiseInterval;
    } else return;
    if (this.#raiseAt > now) this.#below = Infinity;
    sender.recovery.sizeProbe = "none";
    this.#probing = 0;
  }

  /** The largest size that has not failed and is larger than the present one; 0 for none. */
  get #next(): number {
    if (this.#ceiling < this.#below) return this.#ceiling;
    const size = plateaus.find((plateau) => plateau < this.#below && plateau < this.#ceiling) ?? 0;
    return size > this.#size ? size : 0;
  }

  #probe(now: number): void {
    const { path, sender } = this.#connection;
    const size = this.#next;
    if (size === 0) return;
    const present = path.mtu;
    path.mtu = size;
    const sent = sender.probeSize(sender.segmentBytes + size - this.#size, now);
    path.mtu = present;
    if (!sent) return;
    this.#probing = size;
    this.#probeEnd = sender.sndNxt;
  }
}
