/**
 * Address objects for the addresses in packets, made once for senders that come again.
 *
 * @module
 */

import { type Family, IpAddress } from "../address.ts";

/** How many addresses are remembered; a power of two. */
const entries = 256;

/** A direct-mapped cache: an address that falls on another's place takes it. */
export class AddressCache {
  readonly #addresses: (IpAddress | undefined)[] = new Array(entries).fill(undefined);

  /** The address whose bytes stand at `at`. */
  at(view: DataView, at: number, family: Family): IpAddress {
    let mixed: number = family;
    for (let word = at; word < at + (family === 4 ? 4 : 16); word += 4) {
      mixed = Math.imul(mixed ^ view.getInt32(word), 0x9e3779b1);
    }
    const place = mixed >>> 24;
    const known = this.#addresses[place];
    if (known !== undefined && known.family === family && known.matches(view, at)) return known;
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return this.#addresses[place] = IpAddress.fromBytes(bytes, at, family);
  }
}
