/**
 * What the tests of attacks share: floods of segments, and the proof that a connection outlives them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { add, distance } from "../../../stack/sequence.ts";
import { buildSegment, parseSegment } from "../../helpers/segment_text.ts";
import type { Harness } from "./harness.ts";
import { pattern } from "./pattern.ts";

/** Neither timestamps nor scaled windows, which would make guessing harder. */
export const plain = "mss 1000";
/** The same with selective acknowledgements. */
export const selective = "mss 1000,nop,nop,sackOK";
/** The window of a harness in both directions, in bytes. */
export const window = 65_535;
/** Challenge ACKs in a second: at least so many, and fewer than the other, by chance (RFC 5961 section 7). */
export const [leastChallenges, mostChallenges] = [500, 1000];
/** Answers to empty segments outside the window, for a connection: so many at once, and as many a second. */
export const strayAnswers = 8;

/** Where a connection stands, in relative numbers. */
export function standing(t: Harness): { sndUna: number; sndNxt: number; rcvNxt: number } {
  const { sndUna, sndNxt, rcvNxt } = t.connection.info();
  const relative = (sequence: number, base: number) => distance(sequence, base) >>> 0;
  return { sndUna: relative(sndUna, t.ours), sndNxt: relative(sndNxt, t.ours), rcvNxt: relative(rcvNxt, t.peers) };
}

/** Asserts that the established connection goes on: a thousand bytes each way, exact, and nothing held afterwards. */
export function assertGoesOn(t: Harness): void {
  t.takeSent();
  const { sndNxt, rcvNxt } = standing(t);
  assertEquals([t.state, t.connection.unacknowledged, t.connection.receivable], ["ESTABLISHED", 0, 0]);
  assertEquals(t.write(1000), 1000);
  assertEquals(t.takeSent().map(({ sequence, length }) => [sequence, length]), [[sndNxt, 1000]]);
  t.receives(`P. ${rcvNxt}:${rcvNxt + 1000}(1000) ack ${sndNxt + 1000} win ${window}`);
  assertEquals([t.read(), t.connection.unacknowledged], [1000, 0]);
  t.wait(100).takeSent();
  assertEquals(t.tcp.storage.inUse, 0);
}

/**
 * Has `count` segments arrive, in batches, each like `text` but for what `vary` writes into it, and returns how many
 * segments were sent meanwhile.
 */
export function flood(t: Harness, count: number, text: string, vary: (view: DataView, index: number) => void): number {
  const ports = { source: t.peerPort, destination: t.ourPort };
  const bytes = buildSegment(parseSegment(text), ports, { sequence: t.peers, ack: t.ours }, pattern);
  const view = new DataView(bytes.buffer);
  let sent = 0;
  for (let index = 0; index < count; index++) {
    vary(view, index);
    t.deliver(bytes);
    if (index % 64 < 63 && index < count - 1) continue;
    t.time.settle();
    sent += t.network.sent.splice(0).length;
  }
  return sent;
}

/** Where a flood varies its segments. */
export const sourcePortAt = 0;
export const sequenceAt = 4;
export const acknowledgementAt = 8;
export const payloadAt = 20;

/** The absolute number at a place of a sweep through all sequence numbers in steps, which misses RCV.NXT itself. */
export function sweep(t: Harness, index: number, step: number): number {
  const { rcvNxt } = t.connection.receiver;
  return add(rcvNxt, 1 + index * step);
}
