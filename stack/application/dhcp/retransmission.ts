/**
 * When a message without an answer is sent again (RFC 2131 section 4.1).
 *
 * @module
 */

import { fraction, type Random } from "../../random.ts";

/** Milliseconds of the first wait, of the longest, and how far each is moved by chance, to either side. */
const first = 4000;
const longest = 64_000;
const jitter = 1000;

/** Milliseconds to wait for an answer after so many transmissions: 4, 8, 16, 32, 64 seconds, and a second more or less. */
export function retransmissionDelay(transmissions: number, random: Random): number {
  const delay = Math.min(first * 2 ** (transmissions - 1), longest);
  return delay + (2 * fraction(random) - 1) * jitter;
}

/** Milliseconds to wait for an answer while a lease is renewed: half of what is left, but a minute at least (4.4.5). */
export function renewalDelay(remaining: number): number {
  return Math.min(remaining, Math.max(remaining / 2, 60_000));
}
