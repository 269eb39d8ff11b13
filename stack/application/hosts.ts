/**
 * Names and addresses that need no asking: what a hosts file says.
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import { canonicalName } from "./dns_message.ts";

/** A table of hosts. */
export class Hosts {
  readonly #addresses = new Map<string, string[]>();
  readonly #names = new Map<string, string>();

  /** A table with `localhost` in it (RFC 6761 section 6.3), and what a hosts file of this text says. */
  constructor(text = "") {
    this.add("127.0.0.1", "localhost");
    for (const line of text.split("\n")) {
      const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
      if (address !== undefined && IpAddress.tryParse(address) !== null) this.add(address, ...names);
    }
  }

  /** Adds names of an address. */
  add(address: string, ...names: string[]): void {
    const text = IpAddress.parse(address).toString();
    for (const name of names.map(canonicalName)) {
      const known = this.#addresses.get(name);
      if (known === undefined) this.#addresses.set(name, [text]);
      else if (!known.includes(text)) known.push(text);
    }
    if (names.length > 0 && !this.#names.has(text)) this.#names.set(text, canonicalName(names[0]!));
  }

  /** The addresses of a name: those of IPv4 for `A`, those of IPv6 for `AAAA`. Null if the name is not in the table. */
  addresses(name: string, type: "A" | "AAAA"): readonly string[] | null {
    const known = this.#addresses.get(canonicalName(name));
    return known === undefined ? null : known.filter((address) => address.includes(":") === (type === "AAAA"));
  }

  /** The name of an address, or null. */
  nameOf(address: string): string | null {
    return this.#names.get(address) ?? null;
  }
}

/** The name under which the DNS knows an address (RFC 1035 section 3.5, RFC 3596 section 2.5). */
export function reverseName(address: string): string {
  const { family, bytes } = IpAddress.parse(address);
  if (family === 4) return `${[...bytes].reverse().join(".")}.in-addr.arpa`;
  const nibbles = [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles.reverse().map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa`;
}

/** The IPv4 address that such a name stands for, or null. */
export function addressOfReverseName(name: string): string | null {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(canonicalName(name));
  const text = match === null ? null : match.slice(1).reverse().join(".");
  return text !== null && IpAddress.tryParse(text) !== null ? text : null;
}
