/**
 * TCP Fast Open as scripts speak of it: the bits of Linux's `tcp_fastopen`, its keys, and the cookies that follow from
 * them.
 *
 * @module
 */

import type { IpAddress } from "../../../stack/address.ts";
import { VirtualClock } from "../../../stack/clock.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { FastOpenCookies } from "../../../stack/transport/tcp/fast_open_cookies.ts";

/** Bits of `net.ipv4.tcp_fastopen`. */
export const FastOpenBits = {
  /** Connections may be opened so. */
  client: 1,
  /** Listeners may allow it. */
  server: 2,
  /** Data are sent without a cookie, which the stack never does. */
  clientWithoutCookie: 4,
  /** Data are taken without a cookie, which the stack never does. */
  serverWithoutCookie: 0x200,
  /** Every listener allows it, without a socket option. */
  allListeners: 0x400,
} as const;

/** The key that public scripts agree on, as `net.ipv4.tcp_fastopen_key` has it. */
export const usualFastOpenKey = "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4";

/** The same with nothing but zeros. */
const zeroKey = "00000000-00000000-00000000-00000000";

/** The keys of a text like `a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4`, with a comma between two; null if it is none. */
export function parseFastOpenKeys(text: string): Uint8Array[] | null {
  const keys = text.split(",");
  if (!keys.every((key) => /^[0-9a-f]{8}(?:-[0-9a-f]{8}){3}$/i.test(key)) || keys.length > 2) return null;
  return keys.map((key) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    for (const [index, word] of key.split("-").entries()) view.setUint32(4 * index, Number.parseInt(word, 16), true);
    return bytes;
  });
}

/** What `TFO_COOKIE` and `TFO_COOKIE_ZERO` stand for between two addresses; undefined for any other name. */
export function fastOpenDefinition(name: string, client: IpAddress, server: IpAddress): string | undefined {
  const key = name === "TFO_COOKIE" ? usualFastOpenKey : name === "TFO_COOKIE_ZERO" ? zeroKey : null;
  if (key === null) return undefined;
  const cookies = new FastOpenCookies(new VirtualClock(), new SeededRandom(1));
  cookies.useKeys(parseFastOpenKeys(key)!);
  return [...cookies.make(client, server)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
