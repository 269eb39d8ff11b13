import { assertEquals } from "@std/assert";
import { HyStart } from "../../../../stack/transport/tcp/congestion/hystart.ts";

/** Rounds of ten ACKs over sequence numbers that begin at `base`. */
function rounds(base = 0): { hyStart: HyStart; round(rtt: number): { factor: number; done: boolean } } {
  const hyStart = new HyStart();
  let next = base;
  return {
    hyStart,
    round(rtt) {
      const end = (next + 1000) >>> 0;
      let first: { factor: number; done: boolean } = { factor: 1, done: false };
      let done = false;
      for (let ack = 0; ack < 10; ack++) {
        const sndUna = (next + 100 * ack) >>> 0;
        const { factor, done: over } = hyStart.acknowledged(rtt, sndUna, end);
        done ||= over;
        first = { factor, done };
      }
      next = end;
      return first;
    },
  };
}

for (const base of [0, 0x7fff_f000, 0xffff_f000]) {
  Deno.test(`round trips that stay as they are leave slow start alone, from ${base} on`, () => {
    const { round } = rounds(base);
    for (let count = 0; count < 20; count++) assertEquals(round(100), { factor: 1, done: false });
  });

  Deno.test(`growth by an eighth begins conservative slow start, which ends after five rounds, from ${base} on`, () => {
    const { round } = rounds(base);
    round(80);
    assertEquals(round(89.9), { factor: 1, done: false });
    assertEquals(round(101.2), { factor: 0.25, done: false });
    // The round in which it began is the first of the five (RFC 9406 section 4.2).
    for (let count = 0; count < 4; count++) assertEquals(round(102), { factor: 0.25, done: false });
    assertEquals(round(102).done, true);
  });
}

Deno.test("growth that goes back was jitter: slow start goes on", () => {
  const { round } = rounds();
  round(80);
  assertEquals(round(100).factor, 0.25);
  assertEquals(round(99).factor, 1);
});

Deno.test("growth of less than 4 ms never counts, of 16 ms always", () => {
  const short = rounds();
  short.round(8);
  assertEquals(short.round(11.9).factor, 1);
  assertEquals(short.round(16).factor, 0.25);
  const long = rounds();
  long.round(500);
  assertEquals(long.round(515.9).factor, 1);
  assertEquals(long.round(532).factor, 0.25);
});

Deno.test("a queue that builds up within a round is noticed in that round", () => {
  const hyStart = new HyStart();
  for (let ack = 0; ack < 16; ack++) assertEquals(hyStart.acknowledged(100, ack, 100).factor, 1);
  // Of 2 ms more each: of the first eight the smallest is as before, of the next eight 16 ms above it.
  const factors = Array.from({ length: 16 }, (_, ack) => hyStart.acknowledged(100 + 2 * ack, 100 + ack, 400).factor);
  assertEquals(factors, [...Array(15).fill(1), 0.25]);
  // What has come since is judged anew: the smallest sample of the round was from before the queue.
  for (let ack = 16; ack < 32; ack++) assertEquals(hyStart.acknowledged(132, 100 + ack, 400).factor, 0.25);
});

Deno.test("a round of fewer than eight samples is not judged", () => {
  const hyStart = new HyStart();
  for (let ack = 0; ack < 10; ack++) hyStart.acknowledged(50, ack, 100);
  for (let ack = 0; ack < 7; ack++) assertEquals(hyStart.acknowledged(500, 100 + ack, 200).factor, 1);
  assertEquals(hyStart.acknowledged(500, 107, 200).factor, 0.25);
});

Deno.test("one ACK counts for eight segments at most without pacing", () => {
  assertEquals(new HyStart().acknowledged(50, 0, 100).limit, 8);
});

Deno.test("restarting forgets the rounds before", () => {
  const { hyStart, round } = rounds();
  round(50);
  hyStart.restart();
  assertEquals(round(500), { factor: 1, done: false });
});
