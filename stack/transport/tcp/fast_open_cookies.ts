/**
 * The server's cookies of TCP Fast Open (RFC 7413 section 4.1.2): a keyed hash of both addresses that only a client who
 * receives what is sent to its address can know.
 *
 * @module
 */

import type { IpAddress } from "../../address.ts";
import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import { sipHash64 } from "../../siphash.ts";

/** Bytes of the cookies that we make. */
export const fastOpenCookieBytes = 8;

/** Bytes of a key: four 32-bit words. */
const keyWords = 4;

/** How long a key is the newest one, in milliseconds: cookies live for one to two such periods. */
export const fastOpenKeyPeriod = 24 * 3600 * 1000;

/** What a cookie is worth. */
export const CookieValidity = {
  /** None of ours, or too old. */
  invalid: 0,
  /** Made with the key before the present one: good, and to be replaced. */
  outdated: 1,
  /** Made with the present key. */
  current: 2,
} as const;

/** One of the values of {@linkcode CookieValidity}. */
export type CookieValidity = (typeof CookieValidity)[keyof typeof CookieValidity];

/**
 * Makes and checks cookies. The hash is SipHash-2-4 over the client's address and ours as they stand in the packet: the
 * same as Linux takes, so that servers of both kinds can share keys behind one address.
 */
export class FastOpenCookies {
  readonly #clock: Clock;
  readonly #random: Random;
  /** The present key and the one before it, if there is one. */
  #keys: Uint32Array[];
  #madeAt: number;
  /** Whether the keys were given, and stay until others are. */
  #given = false;
  readonly #message = new Uint32Array(8);
  readonly #hash = new Uint32Array(2);
  readonly #cookie = new Uint8Array(fastOpenCookieBytes);

  /** Draws the first key from `random`, and a new one every day. */
  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#keys = [this.#draw()];
    this.#madeAt = clock.now();
  }

  /**
   * Uses these keys from now on, for servers that share them: the first makes cookies, all are good for checking. They
   * stay until they are changed.
   *
   * @throws {TypeError} If there is no key or more than two, or one has not 16 bytes.
   */
  useKeys(keys: readonly Uint8Array[]): void {
    if (keys.length < 1 || keys.length > 2 || keys.some((key) => key.length !== 4 * keyWords)) {
      throw new TypeError("Cannot use these Fast Open keys: give one or two keys of 16 bytes");
    }
    this.#keys = keys.map((key) => {
      const view = new DataView(key.buffer, key.byteOffset, key.length);
      return Uint32Array.from({ length: keyWords }, (_, word) => view.getUint32(4 * word, true));
    });
    this.#given = true;
  }

  /** Makes a new key; cookies of the one before stay good until the next time. */
  rotate(): void {
    this.#keys = [this.#draw(), this.#keys[0]!];
    this.#madeAt = this.#clock.now();
    this.#given = false;
  }

  /** The cookie of a client that speaks to our address `server`. The array is filled again by the next call. */
  make(client: IpAddress, server: IpAddress): Uint8Array {
    this.#rotateWhenDue();
    return this.#compute(this.#keys[0]!, client, server);
  }

  /** What the first `length` bytes of `cookie` are worth, coming from `client` to our address `server`. */
  check(client: IpAddress, server: IpAddress, cookie: Uint8Array, length: number): CookieValidity {
    if (length !== fastOpenCookieBytes) return CookieValidity.invalid;
    this.#rotateWhenDue();
    for (let index = 0; index < this.#keys.length; index++) {
      const right = this.#compute(this.#keys[index]!, client, server);
      // Every byte is looked at: how long this takes must not tell how many were right.
      let difference = 0;
      for (let at = 0; at < fastOpenCookieBytes; at++) difference |= right[at]! ^ cookie[at]!;
      if (difference === 0) return index === 0 ? CookieValidity.current : CookieValidity.outdated;
    }
    return CookieValidity.invalid;
  }

  #rotateWhenDue(): void {
    if (this.#given) return;
    const age = this.#clock.now() - this.#madeAt;
    if (age < fastOpenKeyPeriod) return;
    this.rotate();
    // Nobody asked for so long that the key before was due for removal as well.
    if (age >= 2 * fastOpenKeyPeriod) this.#keys.length = 1;
  }

  #compute(key: Uint32Array, client: IpAddress, server: IpAddress): Uint8Array {
    let length = 0;
    for (const word of client.words) this.#message[length++] = littleEndian(word);
    for (const word of server.words) this.#message[length++] = littleEndian(word);
    sipHash64(key, this.#message, length, this.#hash);
    for (let at = 0; at < fastOpenCookieBytes; at++) {
      this.#cookie[at] = this.#hash[at >> 2]! >>> (8 * (at & 3));
    }
    return this.#cookie;
  }

  #draw(): Uint32Array {
    return Uint32Array.from({ length: keyWords }, () => this.#random.uint32());
  }
}

/** A word whose bytes in memory, lowest first, are those of `word` in network order. */
function littleEndian(word: number): number {
  return ((word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff_0000) | (word << 24)) >>> 0;
}
