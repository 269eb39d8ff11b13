/**
 * Where a request comes from.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { IpAddress } from "../../address.ts";

/** The source of a request. */
export interface RequestSource {
  /** For people: `198.51.100.7:50123`. */
  readonly text: string;
  /** The same for all that one host sends: its address, or of IPv6 the 64 bits that its network gave it. */
  readonly key: string;
}

/** A proxy on this machine says whom it speaks for; what others say of that proves nothing. */
const proxyHeader = "x-forwarded-for";

/** Who has sent a request. */
export function sourceOf(request: IncomingMessage): RequestSource {
  const { remoteAddress = "unknown", remotePort } = request.socket;
  const peer = parse(remoteAddress);
  const last = [request.headers[proxyHeader] ?? ""].flat().join(",").split(",").at(-1)!.trim();
  const told = peer?.isLoopback ? parse(last) : null;
  const address = told ?? peer;
  return {
    text: told === null ? `${remoteAddress}:${remotePort}` : String(told),
    key: address === null ? remoteAddress : address.family === 4 ? String(address) : networkOf(address),
  };
}

/** IPv4 addresses as a socket of IPv6 shows them (RFC 4291 section 2.5.5.2) are IPv4 addresses. */
function parse(text: string): IpAddress | null {
  return IpAddress.tryParse(text.replace(/^::ffff:(?=\d+\.)/i, ""));
}

function networkOf({ words }: IpAddress): string {
  return Array.from(words.slice(0, 2), (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
