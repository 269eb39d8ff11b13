/**
 * What a client of TCP Fast Open remembers of servers (RFC 7413 section 4.1.3): their cookies and maximum segment
 * sizes, and with which of them data in a SYN had better not be tried.
 *
 * @module
 */

import type { IpAddress } from "../../address.ts";
import type { Clock } from "../../clock.ts";

/** The most servers that are remembered; the one that was used longest ago makes room. */
const capacity = 512;

/** Lost SYNs with a server until Fast Open is not tried with it for a while: one alone may be chance. */
const lossesUntilPause = 2;

/** The first pause after lost SYNs, in milliseconds; it doubles with each further one. */
const firstPause = 60_000;

/** The longest pause, in milliseconds. */
const longestPause = 24 * 3600 * 1000;

/** What is remembered of one server. */
export interface FastOpenServer {
  /** Its cookie of 4 to 16 bytes, or null while there is none. */
  cookie: Uint8Array | null;
  /** Whether the cookie came in the experimental option, and goes back in it. */
  experimental: boolean;
  /** The maximum segment size that it announced, in bytes. */
  maximumSegmentSize: number;
  /** SYNs with data that were not answered, one after the other. */
  losses: number;
  /** When the last of them was given up, in milliseconds. */
  lostAt: number;
}

/** The servers that a stack remembers. */
export class FastOpenCache {
  readonly #clock: Clock;
  /** By address, in the order of use. */
  readonly #servers = new Map<string, FastOpenServer>();

  /** Remembers nobody yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many servers are remembered. */
  get size(): number {
    return this.#servers.size;
  }

  /** What is remembered of a server, or null. */
  get(server: IpAddress): FastOpenServer | null {
    const key = server.toString();
    const known = this.#servers.get(key);
    if (known === undefined) return null;
    this.#servers.delete(key);
    this.#servers.set(key, known);
    return known;
  }

  /**
   * Whether Fast Open may be tried with a server. Not for a while when SYNs with data got lost: on some paths they
   * always do (RFC 7413 section 4.1.3.1).
   */
  allows(server: IpAddress): boolean {
    const known = this.#servers.get(server.toString());
    if (known === undefined || known.losses < lossesUntilPause) return true;
    const pause = Math.min(longestPause, firstPause * 2 ** (known.losses - lossesUntilPause));
    return this.#clock.now() - known.lostAt >= pause;
  }

  /** A server has sent a cookie. */
  learn(server: IpAddress, cookie: Uint8Array, experimental: boolean, maximumSegmentSize: number): void {
    const entry = this.#remember(server);
    entry.cookie = cookie;
    entry.experimental = experimental;
    entry.maximumSegmentSize = maximumSegmentSize;
    entry.losses = 0;
  }

  /** A SYN with data has been answered: such SYNs arrive. The answer announced `maximumSegmentSize`. */
  answered(server: IpAddress, maximumSegmentSize: number): void {
    const known = this.#servers.get(server.toString());
    if (known === undefined) return;
    known.losses = 0;
    known.maximumSegmentSize = maximumSegmentSize;
  }

  /**
   * A server has taken none of the data and sent no other cookie: it does not want Fast Open, for now at least. That
   * must be remembered (RFC 7413 section 4.1.3.1).
   */
  refused(server: IpAddress): void {
    const entry = this.#remember(server);
    entry.losses = lossesUntilPause;
    entry.lostAt = this.#clock.now();
  }

  /** A SYN with data, or one that asked for a cookie, has not been answered in time. */
  lost(server: IpAddress): void {
    const entry = this.#remember(server);
    entry.losses++;
    entry.lostAt = this.#clock.now();
  }

  /** Forgets a server's cookie, or everything. */
  clear(server?: IpAddress): void {
    if (server === undefined) this.#servers.clear();
    else this.#servers.delete(server.toString());
  }

  #remember(server: IpAddress): FastOpenServer {
    const known = this.get(server);
    if (known !== null) return known;
    if (this.#servers.size >= capacity) {
      const [oldest] = this.#servers.keys();
      this.#servers.delete(oldest!);
    }
    const entry = { cookie: null, experimental: false, maximumSegmentSize: 0, losses: 0, lostAt: 0 };
    this.#servers.set(server.toString(), entry);
    return entry;
  }
}
