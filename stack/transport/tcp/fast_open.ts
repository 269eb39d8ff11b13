/**
 * TCP Fast Open (RFC 7413): data in the SYN, for clients that have shown before that they receive what is sent to their
 * address. Both sides of it, as far as they are not the connection's own business.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import type { Endpoint } from "../endpoint.ts";
import { FastOpenCache } from "./fast_open_cache.ts";
import { CookieValidity, FastOpenCookies } from "./fast_open_cookies.ts";
import type { Segment } from "./segment.ts";

/** What a listener allows that accepts data in SYNs. */
export interface FastOpenListenOptions {
  /**
   * Most connections that may have been handed to the program although their handshake is not complete, 1 or more. With
   * so many, further clients have to complete the handshake first. Default 256.
   */
  pending?: number;
  /** Accept the option's experimental kind too (254, RFC 6994), as old clients send it. Default false. */
  experimental?: boolean;
}

/** The Fast Open option of a SYN that we send. */
export interface FastOpenOption {
  /** The cookie, 4 to 16 bytes; null asks for one. */
  readonly cookie: Uint8Array | null;
  /** Whether it goes out with the experimental kind. */
  readonly experimental: boolean;
}

/** Connections that a listener hands out before their handshake is complete, unless it says otherwise. */
const defaultPending = 256;

/**
 * How long a connection that was reset during its handshake goes on being counted, in milliseconds: about as long as
 * the SYN and ACK would have been sent again. Who sends SYNs from foreign addresses could free places by resets
 * otherwise (RFC 7413 section 5.1).
 */
const resetHold = 60_000;

/** The most bytes that options take in a header: so much less than a full segment do the data of a SYN fill. */
const mostOptionBytes = 40;

/** The maximum segment size of a server that did not announce one, in bytes (RFC 7413 section 4.1.3). */
const defaultSegmentBytes = 536;

/** The connections of a listener whose handshake is not complete, although data were taken (RFC 7413 section 5.1). */
export class PendingFastOpens {
  /** The most there may be. */
  readonly limit: number;
  /** Whether the experimental kind of the option is accepted. */
  readonly experimental: boolean;
  readonly #clock: Clock;
  #pending = 0;
  /** Until when connections that were reset are counted, the first first. */
  readonly #heldUntil: number[] = [];

  /** None at first. */
  constructor(clock: Clock, { pending = defaultPending, experimental = false }: FastOpenListenOptions) {
    this.#clock = clock;
    this.limit = pending;
    this.experimental = experimental;
  }

  /** How many there are, those that were reset a short while ago included. */
  get count(): number {
    const now = this.#clock.now();
    while (this.#heldUntil.length > 0 && this.#heldUntil[0]! <= now) this.#heldUntil.shift();
    return this.#pending + this.#heldUntil.length;
  }

  /** Counts one more. */
  begin(): void {
    this.#pending++;
  }

  /** One is complete, or over; `reset` says that the peer reset it. */
  settle(reset: boolean): void {
    this.#pending--;
    if (reset) this.#heldUntil.push(this.#clock.now() + resetHold);
  }
}

/** What Fast Open means to one connection that uses it, or tries to. */
export class FastOpenHandshake {
  /** The option that the next SYN carries. It goes out once: a SYN that is sent again is a plain one. */
  option: FastOpenOption | null;
  /** Client: whether our SYN waits for the first data. */
  deferred: boolean;
  /** Client: the most data that the SYN may carry, in bytes. */
  readonly room: number;
  /** Client: whether a SYN with the option was not answered in time. */
  lost: boolean = false;
  /** Client: whether our SYN had to be sent again for its size, and for nothing else. */
  tooBig: boolean = false;
  /** Server: where the connection is counted while data flow before the handshake is complete; otherwise null. */
  pending: PendingFastOpens | null;
  /** Server: whether FIN is to follow as soon as the handshake is complete. */
  shutdownWaits: boolean = false;
  /** Server: whether the peer has given the handshake up. */
  reset: boolean = false;
  /** Whether the other end has taken data of the SYN, or we have. */
  succeeded: boolean = false;

  /** What a SYN, or a SYN and ACK, is to say. */
  constructor(option: FastOpenOption | null, room: number, pending: PendingFastOpens | null) {
    this.option = option;
    this.room = room;
    this.deferred = room > 0;
    this.pending = pending;
  }

  /** The handshake is complete, or the connection is over. */
  settle(): void {
    this.pending?.settle(this.reset);
    this.pending = null;
  }
}

/** What a client's SYN comes to at a listener. */
export interface FastOpenVerdict {
  /** How the connection goes on, or null for the ordinary way. */
  readonly handshake: FastOpenHandshake | null;
  /** Whether there was a cookie that is none of ours, or too old. */
  readonly refused: boolean;
  /** Whether the listener had too many pending connections to look at the cookie. */
  readonly overflow: boolean;
}

const ordinary: FastOpenVerdict = { handshake: null, refused: false, overflow: false };

/** Fast Open in a whole stack: the secrets of its servers, and what its clients remember. */
export class FastOpen {
  readonly #clock: Clock;
  readonly #random: Random;
  #cookies: FastOpenCookies | null = null;
  #cache: FastOpenCache | null = null;

  /** Makes the secrets when they are first needed. */
  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The cookies of our servers. */
  get cookies(): FastOpenCookies {
    return this.#cookies ??= new FastOpenCookies(this.#clock, this.#random);
  }

  /** What is remembered of other servers. */
  get cache(): FastOpenCache {
    return this.#cache ??= new FastOpenCache(this.#clock);
  }

  /**
   * How to connect to a server (RFC 7413 section 4.2.1): with its cookie and data, or asking for a cookie; null for the
   * ordinary way. `segmentBytes` is the largest segment that the path carries.
   */
  begin(server: Endpoint, segmentBytes: number): FastOpenHandshake | null {
    if (!this.cache.allows(server.address)) return null;
    const known = this.cache.get(server.address);
    if (known === null || known.cookie === null) {
      return new FastOpenHandshake({ cookie: null, experimental: false }, 0, null);
    }
    const room = Math.min(known.maximumSegmentSize || defaultSegmentBytes, segmentBytes) - mostOptionBytes;
    return new FastOpenHandshake({ cookie: known.cookie, experimental: known.experimental }, Math.max(1, room), null);
  }

  /** What a SYN comes to that arrives at a listener (RFC 7413 section 4.2.2). */
  arrives(pending: PendingFastOpens, segment: Segment, local: Endpoint, remote: Endpoint): FastOpenVerdict {
    const { fastOpenBytes, fastOpenCookie, fastOpenExperimental } = segment.options;
    if (fastOpenBytes < 0 || (fastOpenExperimental && !pending.experimental)) return ordinary;
    // RFC 7413 section 5.1: with too many of them, as if there were no Fast Open.
    if (pending.count >= pending.limit) return { ...ordinary, overflow: true };
    const validity = this.cookies.check(remote.address, local.address, fastOpenCookie, fastOpenBytes);
    const option = validity === CookieValidity.current ? null : {
      cookie: this.cookies.make(remote.address, local.address).slice(),
      experimental: fastOpenExperimental,
    };
    const accepted = validity !== CookieValidity.invalid;
    if (accepted) pending.begin();
    return {
      handshake: new FastOpenHandshake(option, 0, accepted ? pending : null),
      refused: !accepted && fastOpenBytes > 0,
      overflow: false,
    };
  }
}
