/**
 * The kinds of values that options take, as texts and back.
 *
 * @module
 */

import { IpAddress, IpPrefix, MacAddress } from "../mod.ts";
import { InvalidValue } from "./cli.ts";

/** Makes a parser of whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidValue(
      most === Infinity ? `give a whole number from ${least}` : `give a whole number from ${least} to ${most}`,
    );
  };
}

/** The port that a text says: 1 to 65535. */
export const port: (text: string) => number = wholeNumber(1, 65535);

const unitMilliseconds: Readonly<Record<string, number>> = { "": 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Makes a parser of durations of at least `least` milliseconds, which it returns in milliseconds: `0.2`, `200ms`. */
export function duration(least: number): (text: string) => number {
  return (text) => {
    const [, digits, unit] = /^(\d+\.?\d*|\.\d+)(|ms|s|m|h)$/.exec(text) ?? [];
    // Timers count in milliseconds up to 2^31.
    const value = digits === undefined ? NaN : Number(digits) * unitMilliseconds[unit!]!;
    if (value >= least && value < 2 ** 31) return value;
    throw new InvalidValue(`give seconds, or a number with ms, s, m or h, of at least ${least} ms, like 0.2 or 200ms`);
  };
}

/** The share from 0 to 1 that a percentage says: 0.02 for `2%`. */
export function percentage(text: string): number {
  const digits = /^(\d+\.?\d*|\.\d+)%$/.exec(text)?.[1];
  const value = digits === undefined ? NaN : Number(digits) / 100;
  if (value >= 0 && value <= 1) return value;
  throw new InvalidValue("give a percentage from 0% to 100%, like 2% or 0.1%");
}

const unitBits: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/** The bits per second that a text says: `10mbit`. */
export function bitRate(text: string): number {
  const [, digits, unit] = /^(\d+\.?\d*|\.\d+)([kmg]?bit)$/i.exec(text) ?? [];
  const value = digits === undefined ? NaN : Number(digits) * unitBits[unit!.toLowerCase()]!;
  if (value >= 1 && value <= 1e12) return value;
  throw new InvalidValue("give bits per second with bit, kbit, mbit or gbit, like 10mbit");
}

/** The IPv4 address and prefix length that a text says: `192.0.2.1/24`. */
export function interfaceAddress(text: string): IpPrefix {
  const remedy = "write it like 192.0.2.1/24";
  let prefix: IpPrefix;
  try {
    prefix = IpPrefix.parse(text);
  } catch {
    throw new InvalidValue(remedy);
  }
  const { address, length } = prefix;
  if (address.family !== 4) throw new InvalidValue(`this program speaks IPv4, ${remedy}`);
  if (!text.includes("/")) throw new InvalidValue(`the prefix length is missing, ${remedy}`);
  if (length === 0) throw new InvalidValue(`a network cannot be everything, ${remedy}`);
  if (address.isUnspecified || address.isLoopback || address.isMulticast || address.isBroadcast) {
    throw new InvalidValue("give an address that an interface can have");
  }
  const reserved = length < 31 && (address.equals(prefix.network) || prefix.broadcast?.equals(address));
  if (reserved) throw new InvalidValue("that is the network's own or its broadcast address, give one of its hosts'");
  return prefix;
}

/** The IPv4 address of a host that a text says. */
export function hostAddress(text: string): IpAddress {
  const address = text === "localhost" ? IpAddress.loopback4 : IpAddress.tryParse(text);
  if (address?.family === 4) return address;
  throw new InvalidValue("names are not resolved here, give an IPv4 address like 192.0.2.1");
}

/** The Ethernet address of one station that a text says, in the usual form. */
export function stationAddress(text: string): string {
  let address: MacAddress;
  try {
    address = MacAddress.parse(text);
  } catch {
    throw new InvalidValue("write it like 02:00:00:00:00:01");
  }
  if (address.isGroup) throw new InvalidValue("that is a group's address, give one whose first byte is even");
  if (address.bytes.every((byte) => byte === 0)) throw new InvalidValue("give an address that is not all zeros");
  return address.toString();
}

/** The name of a network interface that a text says, as Linux allows them: 1 to 15 bytes, no slash, no space. */
export function interfaceName(text: string): string {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > 15) throw new InvalidValue(`the name has ${bytes} bytes, Linux allows 15`);
  if (!/^[^\s/:%]+$/.test(text) || text === "." || text === "..") {
    throw new InvalidValue("give an interface's name without spaces and / : %, like tap0");
  }
  return text;
}
