/**
 * The options of DHCP messages (RFC 2132, RFC 3442): their codes, and their values to and from bytes.
 *
 * @module
 */

import { IpAddress, IpPrefix } from "../../address.ts";
import { OptionCode } from "../../dhcp_format.ts";

/** Options by code. */
export type DhcpOptions = ReadonlyMap<number, Uint8Array>;

/** A lease time that means for ever (RFC 2131 section 3.3). */
const infiniteSeconds = 0xffff_ffff;

/** One route of option 121. */
export interface DhcpRoute {
  /** The destinations. */
  readonly prefix: IpPrefix;
  /** The router, or null where the destinations are on the link. */
  readonly gateway: IpAddress | null;
}

/**
 * Adds the options in `bytes` from `at` to `end` to `options`. One that comes again is continued (RFC 3396 section 7).
 * Returns false if one is cut off.
 */
export function readOptions(bytes: Uint8Array, at: number, end: number, options: Map<number, Uint8Array>): boolean {
  while (at < end) {
    const code = bytes[at]!;
    if (code === OptionCode.end) return true;
    if (code === OptionCode.pad) {
      at++;
      continue;
    }
    const length = at + 1 < end ? bytes[at + 1]! : Infinity;
    if (at + 2 + length > end) return false;
    const value = bytes.slice(at + 2, at + 2 + length);
    const before = options.get(code);
    options.set(code, before === undefined ? value : joined(before, value));
    at += 2 + length;
  }
  return true;
}

/**
 * Writes options to `bytes` from `at`, ended, in their order; those for which there is no room are left out. Long ones
 * are split (RFC 3396 section 5). Returns where they end.
 */
export function writeOptions(bytes: Uint8Array, at: number, options: DhcpOptions): number {
  for (const [code, value] of options) {
    const parts = Math.max(1, Math.ceil(value.length / 255));
    if (at + value.length + 2 * parts + 1 > bytes.length) continue;
    for (let part = 0; part < parts; part++) {
      const piece = value.subarray(255 * part, 255 * (part + 1));
      bytes[at++] = code;
      bytes[at++] = piece.length;
      bytes.set(piece, at);
      at += piece.length;
    }
  }
  bytes[at++] = OptionCode.end;
  return at;
}

/** The number in an option of one byte, or null. */
export function uint8Of(options: DhcpOptions, code: number): number | null {
  const value = options.get(code);
  return value?.length === 1 ? value[0]! : null;
}

/** The number in an option of two bytes, or null. */
export function uint16Of(options: DhcpOptions, code: number): number | null {
  const value = options.get(code);
  return value?.length === 2 ? viewOf(value).getUint16(0) : null;
}

/** The seconds in an option of four bytes, Infinity where it says for ever; or null. */
export function secondsOf(options: DhcpOptions, code: number): number | null {
  const value = options.get(code);
  if (value?.length !== 4) return null;
  const seconds = viewOf(value).getUint32(0);
  return seconds === infiniteSeconds ? Infinity : seconds;
}

/** The address in an option, or null. */
export function addressOf(options: DhcpOptions, code: number): IpAddress | null {
  const value = options.get(code);
  return value?.length === 4 ? IpAddress.fromBytes(value, 0, 4) : null;
}

/** The addresses in an option; none where it is absent or its length makes no sense. */
export function addressesOf(options: DhcpOptions, code: number): IpAddress[] {
  const value = options.get(code);
  if (value === undefined || value.length % 4 !== 0) return [];
  return Array.from({ length: value.length / 4 }, (_, index) => IpAddress.fromBytes(value, 4 * index, 4));
}

/** The text in an option, without the zeros that some senders end it with; null where it is no printable ASCII. */
export function textOf(options: DhcpOptions, code: number): string | null {
  const value = options.get(code);
  if (value === undefined) return null;
  const text = String.fromCharCode(...value).replace(/\0+$/, "");
  return /^[\x20-\x7e]+$/.test(text) ? text : null;
}

/** The routes in option 121 (RFC 3442); null where there are none, or they are written wrongly. */
export function routesOf(options: DhcpOptions): DhcpRoute[] | null {
  const value = options.get(OptionCode.classlessRoutes);
  if (value === undefined) return null;
  const routes: DhcpRoute[] = [];
  for (let at = 0; at < value.length;) {
    const length = value[at]!;
    // Of the destination, only the bytes that count are written.
    const significant = Math.ceil(length / 8);
    if (length > 32 || at + 1 + significant + 4 > value.length) return null;
    const destination = new Uint8Array(4);
    destination.set(value.subarray(at + 1, at + 1 + significant));
    const gateway = IpAddress.fromBytes(value, at + 1 + significant, 4);
    const prefix = new IpPrefix(IpAddress.fromBytes(destination, 0, 4), length);
    routes.push({
      prefix: new IpPrefix(prefix.network, length),
      gateway: gateway.isUnspecified ? null : gateway,
    });
    at += 1 + significant + 4;
  }
  return routes.length === 0 ? null : routes;
}

/** A number as two bytes. */
export function uint16Bytes(value: number): Uint8Array {
  return new Uint8Array([value >>> 8, value]);
}

/** Seconds as four bytes; Infinity is for ever. */
export function secondsBytes(seconds: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, Math.min(Math.floor(seconds), infiniteSeconds));
  return bytes;
}

/** Addresses as bytes. */
export function addressBytes(...addresses: readonly IpAddress[]): Uint8Array {
  return new Uint8Array(addresses.flatMap(({ bytes }) => [...bytes]));
}

/** A text as bytes. */
export function textBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Routes as the bytes of option 121. */
export function routeBytes(routes: readonly DhcpRoute[]): Uint8Array {
  return new Uint8Array(routes.flatMap(({ prefix, gateway }) => [
    prefix.length,
    ...prefix.network.bytes.subarray(0, Math.ceil(prefix.length / 8)),
    ...(gateway ?? IpAddress.unspecified4).bytes,
  ]));
}

/** The subnet mask of a prefix. */
export function maskOf(prefix: IpPrefix): IpAddress {
  return IpAddress.fromUint32(prefix.length === 0 ? 0 : (0xffff_ffff << (32 - prefix.length)) >>> 0);
}

/** How many leading bits a subnet mask has, or null if it has holes. */
export function maskLength(mask: IpAddress): number | null {
  const length = Math.clz32(~mask.words[0]!);
  return maskOf(new IpPrefix(mask, length)).equals(mask) ? length : null;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
