import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { Cubic } from "../../stack/transport/tcp/congestion/cubic.ts";
import { Reno } from "../../stack/transport/tcp/congestion/reno.ts";
import { type Transfer, World } from "./world.ts";

const rate = 5_000_000;
const rtt = 40;
/** A bandwidth-delay product. */
const product = rate / 8 * rtt / 1000;
/** More than any flow transfers here. */
const endless = 1 << 30;

/** Runs flows that begin at the given times, in milliseconds, and returns what each transferred in the last `window`. */
async function sharesOf(makeControl: () => Cubic | Reno, begins: number[], until: number, window: number) {
  const world = new World({
    seed: 1,
    impairments: { rate, delay: rtt / 2, queueBytes: 2 * product, queueFrames: 100_000 },
    tcp: { congestionControl: makeControl },
  });
  const startedAt = world.time.now;
  const transfers: Transfer[] = [];
  for (const [index, begin] of begins.entries()) {
    world.time.advance(startedAt + begin - world.time.now);
    transfers.push(world.transfer({ bytes: endless, port: 100 + index }));
  }
  world.time.advance(startedAt + until - window - world.time.now);
  const before = transfers.map(({ read: [read] }) => read);
  world.time.advance(window);
  const shares = transfers.map(({ read: [read] }, index) => 8 * (read - before[index]!) / (rate * window / 1000));
  assertEquals(transfers.map(({ mismatch }) => mismatch), transfers.map(() => -1));
  for (const { connection } of transfers) connection.abort();
  world.time.advance(200_000);
  await world.end();
  return shares;
}
/** Asserts that the link is used and that each flow has what is its own, within a fifth. */
function assertFair(shares: number[]): void {
  const mean = shares.reduce((sum, share) => sum + share) / shares.length;
  assertGreater(mean * shares.length, 0.9);
  for (const share of shares) assertLess(Math.abs(share - mean), mean / 5, `shares ${shares}`);
}

const algorithms = { cubic: () => new Cubic(), reno: () => new Reno() };

for (const [name, makeControl] of Object.entries(algorithms)) {
  for (const count of [2, 4, 8]) {
    Deno.test(`${count} flows of ${name} share a link within 20 %`, async () => {
      // Not at the same moment, which would have them take turns in lockstep.
      const begins = Array.from({ length: count }, (_, index) => 37 * index);
      assertFair(await sharesOf(makeControl, begins, 90_000, 60_000));
    });

    Deno.test(`a flow of ${name} that joins late gets its share of ${count} within 20 %`, async () => {
      const begins = Array.from({ length: count }, (_, index) => index < count - 1 ? 37 * index : 10_000);
      assertFair(await sharesOf(makeControl, begins, 100_000, 70_000));
    });
  }
}
