/**
 * SYN cookies (RFC 4987 section 3.6): when the SYN queue of a listener is full, handshakes go on without keeping
 * anything. The initial sequence number holds what must be known when the last ACK comes, under a key; the timestamp
 * holds what does not fit.
 *
 * The sequence number is, modulo 2^32, the sum of a keyed hash of both ends, the peer's initial sequence number, a
 * counter of minutes in the upper 8 bits, and in the lower 24 bits another keyed hash, of both ends, the counter and the
 * peer's number, plus the index of a maximum segment size.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import { sipHash, sipHash64 } from "../../siphash.ts";
import type { Endpoint } from "../endpoint.ts";

/** The maximum segment sizes that a cookie can tell, in bytes: the largest that is not above the peer's is taken. */
const segmentSizes = [216, 536, 1024, 1220, 1400, 1440, 1452, 1460, 4312, 8960] as const;

/** One step of the counter, in milliseconds. */
const period = 64_000;

/** How many steps ago a cookie may have been made: it lives between one and two periods. */
const maximumAge = 1;

const counterShift = 24;
const dataMask = 0xff_ffff;

/** Bits of the timestamp that carry options, and what they hold. */
const optionBits = 5;
const optionMask = (1 << optionBits) - 1;
const noWindowScale = 0xf;
const selectiveBit = 0x10;

/** What a valid cookie says about the peer's SYN. */
export interface CookieContents {
  /** The largest segment that may be sent to the peer, in bytes. */
  maximumSegmentSize: number;
}

/** Makes and checks cookies, with secrets of its own. */
export class SynCookies {
  readonly #clock: Clock;
  readonly #endsKey = new Uint32Array(4);
  readonly #dataKey = new Uint32Array(4);
  readonly #message = new Uint32Array(11);
  readonly #endsHash = new Uint32Array(2);

  /** Draws the secrets from `random`. */
  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    for (let word = 0; word < 4; word++) {
      this.#endsKey[word] = random.uint32();
      this.#dataKey[word] = random.uint32();
    }
  }

  /**
   * What is added to the clock for the timestamps between the ends that {@linkcode SynCookies.make} or
   * {@linkcode SynCookies.check} was asked about last (RFC 7323 section 7.1): the other half of their hash.
   */
  get timestampOffset(): number {
    return this.#endsHash[1]! | 0;
  }

  /** The initial sequence number with which to answer a SYN. `maximumSegmentSize` is the peer's. */
  make(local: Endpoint, remote: Endpoint, peerSequence: number, maximumSegmentSize: number): number {
    let index = segmentSizes.length - 1;
    while (index > 0 && segmentSizes[index]! > maximumSegmentSize) index--;
    const counter = this.#counter;
    const data = (this.#hashAll(local, remote, counter, peerSequence) + index) & dataMask;
    return (this.#hashEnds(local, remote) + peerSequence + (counter << counterShift) + data) | 0;
  }

  /**
   * What the SYN said whose answer had the initial sequence number `cookie`; null when it is none of ours, or too old.
   */
  check(local: Endpoint, remote: Endpoint, peerSequence: number, cookie: number): CookieContents | null {
    const rest = (cookie - this.#hashEnds(local, remote) - peerSequence) >>> 0;
    const age = (this.#counter - (rest >>> counterShift)) & 0xff;
    if (age > maximumAge) return null;
    const counter = (this.#counter - age) >>> 0;
    const index = (rest - this.#hashAll(local, remote, counter, peerSequence)) & dataMask;
    const maximumSegmentSize = segmentSizes[index];
    return maximumSegmentSize === undefined ? null : { maximumSegmentSize };
  }

  get #counter(): number {
    return Math.floor(this.#clock.now() / period) >>> 0;
  }

  #hashEnds(local: Endpoint, remote: Endpoint): number {
    sipHash64(this.#endsKey, this.#message, this.#putEnds(local, remote), this.#endsHash);
    return this.#endsHash[0]!;
  }

  #hashAll(local: Endpoint, remote: Endpoint, counter: number, sequence: number): number {
    const length = this.#putEnds(local, remote);
    this.#message[length] = counter;
    this.#message[length + 1] = sequence;
    return sipHash(this.#dataKey, this.#message, length + 2);
  }

  /** Begins the message with both ends, and returns how many words these are. */
  #putEnds(local: Endpoint, remote: Endpoint): number {
    const message = this.#message;
    const { words } = local.address;
    for (let word = 0; word < words.length; word++) {
      message[word] = words[word]!;
      message[words.length + word] = remote.address.words[word]!;
    }
    message[2 * words.length] = (local.port << 16) | remote.port;
    return 2 * words.length + 1;
  }
}

/**
 * The timestamp that carries the peer's window scale (-1 for none) and whether it permits SACK in its low bits: the
 * latest one that is not after `timestamp`.
 */
export function encodeOptions(timestamp: number, windowScale: number, sackPermitted: boolean): number {
  const options = (windowScale < 0 ? noWindowScale : windowScale) | (sackPermitted ? selectiveBit : 0);
  const encoded = (timestamp & ~optionMask) | options;
  const later = (timestamp & optionMask) < options;
  return (later ? encoded - (1 << optionBits) : encoded) | 0;
}

/** The peer's window scale (-1 for none), from the echo of a timestamp that {@linkcode encodeOptions} made. */
export function encodedWindowScale(echo: number): number {
  const scale = echo & 0xf;
  return scale === noWindowScale ? -1 : scale;
}

/** Whether the peer permits SACK, from the echo of a timestamp that {@linkcode encodeOptions} made. */
export function encodedSackPermitted(echo: number): boolean {
  return (echo & selectiveBit) !== 0;
}
