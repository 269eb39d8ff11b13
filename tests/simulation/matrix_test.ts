/**
 * Transfers over many kinds of links: each is exact, keeps going, and gets its share of what the link allows. To see
 * one again, as a capture:
 *
 *     deno task soak --case link:1%:50ms:10M:1:loss --seed 1 --pcap FILE
 *
 * @module
 */

import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { type Link, linkName, parseLinkName, promisedRate, runLink, type Trouble } from "./link_case.ts";
import { replayCommand } from "./replay.ts";

const rtts = [2, 50, 200];
const rates = [1e6, 1e7, 1e8];
const queues = [0.25, 1, 2];

/** Runs the cases and asserts that each reaches `committed` of what theory promises; says how to see one again. */
async function assertShares(links: Link[], committed: (link: Link) => number, seed = 1): Promise<void> {
  const failures: string[] = [];
  for (const link of links) {
    const command = replayCommand(linkName(link), seed);
    try {
      const share = await runLink(link, { seed }) / promisedRate(link);
      if (share < committed(link)) failures.push(`${share.toFixed(2)} instead of ${committed(link)}: ${command}`);
    } catch (error) {
      failures.push(`${error instanceof Error ? error.message : error}\n${command}`);
    }
  }
  assertEquals(failures, []);
}

/** All combinations of round-trip time, rate and queue. */
function linksOf(trouble: Trouble, share: number): Link[] {
  return rtts.flatMap((rtt) => rates.flatMap((rate) => queues.map((queue) => ({ trouble, share, rtt, rate, queue }))));
}

for (const rtt of rtts) {
  for (const rate of rates) {
    Deno.test(`no loss, ${rtt} ms, ${rate / 1e6} Mbit/s: 95 % of the link, whatever the queue`, () =>
      assertShares(queues.map((queue) => ({ trouble: "loss", share: 0, rtt, rate, queue })), () => 1));
  }
}

// Ten or twenty losses are few to measure an average by, so that it is met up to a tenth where it is no more than that.
const shares: [loss: number, committed: (link: Link) => number, why: string][] = [
  [0.001, () => 0.9, "nine tenths of what CUBIC's response function promises"],
  [0.01, ({ rtt }) => rtt === 50 ? 1 : 0.9, "what CUBIC's response function promises"],
  // From here on time-outs cost more than what the response function knows of: it has none.
  [0.05, () => 0.6, "six tenths of what it would be without time-outs"],
  // A retransmission that is lost, and nothing behind it, costs a time-out of 200 ms: a hundred of the shortest trips.
  [0.1, ({ rtt }) => rtt === 2 ? 0.1 : 0.45, "what the time-outs leave of it"],
];

for (const [loss, committed, why] of shares) {
  Deno.test(`${100 * loss} % loss both ways: ${why}`, () => assertShares(linksOf("loss", loss), committed));
}

for (const loss of [0.001, 0.01, 0.05]) {
  Deno.test(`${100 * loss} % loss, 50 ms: on the average of eight seeds what CUBIC's response function promises`, async () => {
    for (const queue of queues) {
      const link: Link = { trouble: "loss", share: loss, rtt: 50, rate: 1e7, queue };
      let sum = 0;
      for (let seed = 1; seed <= 8; seed++) sum += await runLink(link, { seed });
      // 0.1 % is so little that the link's own loss, that of its queue, comes on top.
      assertGreaterOrEqual(sum / 8 / promisedRate(link), loss < 0.01 ? 0.97 : 1, linkName(link));
    }
  });
}

Deno.test("loss of data alone costs no more than loss both ways", () =>
  assertShares(
    [...linksOf("data-loss", 0.01), ...linksOf("data-loss", 0.05)],
    ({ share }) => share < 0.05 ? 0.9 : 0.6,
  ));

Deno.test("losses in bursts: no worse than as many single ones", () =>
  assertShares(linksOf("burst-loss", 0.01), () => 0.9));

/** Links of 10 Mbit/s and the given round trips. */
function middling(trouble: Trouble, share: number, ...roundTrips: number[]): Link[] {
  return roundTrips.map((rtt) => ({ trouble, share, rtt, rate: 1e7, queue: 1 }));
}

Deno.test("up to half of the acknowledgements lost: 95 % of the link", () =>
  assertShares(
    [
      ...middling("ack-loss", 0.01, ...rtts),
      ...middling("ack-loss", 0.1, ...rtts),
      ...middling("ack-loss", 0.5, 2, 50),
    ],
    () => 1,
  ));

Deno.test("reordering by a quarter of the round trip: the link, once its extent is known", () =>
  // What comes later than the reordering window looks lost until a duplicate is reported; long trips report few.
  assertShares(
    [...middling("reordering", 0.01, 50, 200), ...middling("reordering", 0.2, 50, 200)],
    ({ rtt }) => rtt === 200 ? 0.75 : 0.95,
  ));

Deno.test("duplication: the link but for the copies", () =>
  assertShares(
    [...middling("duplication", 0.01, ...rtts), ...middling("duplication", 0.2, ...rtts)],
    ({ share }) => 0.95 / (1 + share),
  ));

Deno.test("corruption costs what loss costs", () =>
  assertShares(
    [...middling("corruption", 0.01, ...rtts), ...middling("corruption", 0.05, ...rtts)],
    ({ share }) => share < 0.05 ? 0.9 : 0.6,
  ));

Deno.test("jitter of up to a fifth of the round trip, which reorders: the link, once its extent is known", () =>
  assertShares(
    [...middling("jitter", 0.05, ...rtts), ...middling("jitter", 0.2, ...rtts)],
    ({ rtt }) => rtt === 200 ? 0.7 : 0.95,
  ));

Deno.test("outages of a tenth of the time: what the time-outs and starting again leave of the link", () =>
  // After a time-out CUBIC begins anew below the old window (RFC 9438 section 4.8), and between two outages of 200 ms
  // there are twenty round trips.
  assertShares(middling("outages", 0.1, ...rtts), ({ rtt }) => rtt === 200 ? 0.15 : 0.6));

Deno.test("the name of a case says all of it", () => {
  for (const link of [...linksOf("burst-loss", 0.001), ...linksOf("ack-loss", 0.5)]) {
    assertEquals(parseLinkName(linkName(link)), link);
  }
  for (const name of ["link", "link:1%:50ms:10M:1:rain", "link:100%:50ms:10M:1:loss", "sweep", ""]) {
    assertEquals(parseLinkName(name), null);
  }
});
