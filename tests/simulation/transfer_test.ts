import { assertEquals } from "@std/assert";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { type TransferOptions, World, type WorldOptions } from "./world.ts";

/** An hour: far more than any of these transfers may take, far less than for ever. */
const limit = 3_600_000;

/** Runs one transfer to its end and asserts that it was exact and that nothing is left. */
async function assertExact(options: WorldOptions, what: TransferOptions): Promise<World> {
  const world = new World(options);
  const transfer = world.transfer(what);
  world.time.runUntil(() => transfer.finished, limit);
  assertEquals(transfer.failure, null, `seed ${options.seed}`);
  assertEquals(transfer.mismatch, -1, `seed ${options.seed}: first wrong byte`);
  assertEquals(transfer.read, [what.bytes, what.answer ?? 0], `seed ${options.seed}: bytes read`);
  world.rest();
  await world.end();
  return world;
}

const megabyte = 1 << 20;

Deno.test("a clean wire: exact both ways, nothing sent twice", async () => {
  const world = new World({ seed: 1 });
  const transfer = world.transfer({ bytes: 4 * megabyte, answer: megabyte });
  world.time.runUntil(() => transfer.finished, limit);
  assertEquals([transfer.mismatch, transfer.read], [-1, [4 * megabyte, megabyte]]);
  assertEquals(transfer.connection.info().segmentsRetransmitted, 0);
  world.time.advance(200_000);
  await world.end();
});

const impairments: Record<string, ImpairmentOptions> = {
  "2 % loss": { loss: 0.02, delay: 10 },
  "2 % loss and reordering": { loss: 0.02, delay: 10, reorder: 0.05, reorderDelay: 5 },
  "10 % loss": { loss: 0.1, delay: 20 },
  "30 % loss": { loss: 0.3, delay: 5 },
  "bursts of loss": { burstLoss: { enter: 0.01, leave: 0.3 }, delay: 10 },
  "reordering": { delay: 10, reorder: 0.3, reorderDelay: 30 },
  "duplication": { duplicate: 0.3, delay: 5 },
  "corruption": { corrupt: 0.02, delay: 5 },
  "a slow link with a short queue": { rate: 2_000_000, queueBytes: 20_000, delay: 30 },
  "everything at once": { loss: 0.03, duplicate: 0.02, corrupt: 0.01, delay: 20, jitter: 10, reorder: 0.05 },
};

for (const [name, options] of Object.entries(impairments)) {
  Deno.test(`${name}: exact both ways, whatever the seed`, async () => {
    for (let seed = 1; seed <= 5; seed++) {
      await assertExact({ seed, impairments: options }, { bytes: 300_000, answer: 100_000 });
    }
  });
}

for (const tcp of [{ selectiveAcknowledgements: false }, { timestamps: false }, { windowScaling: false }]) {
  Deno.test(`without ${Object.keys(tcp)[0]}, under loss: exact both ways`, async () => {
    for (let seed = 1; seed <= 3; seed++) {
      await assertExact(
        { seed, impairments: { loss: 0.03, delay: 10, reorder: 0.02, reorderDelay: 4 }, tcp },
        { bytes: 300_000, answer: 50_000 },
      );
    }
  });
}

Deno.test("small buffers and small reads under loss: exact, and no stall", async () => {
  for (let seed = 1; seed <= 3; seed++) {
    await assertExact({
      seed,
      impairments: { loss: 0.05, delay: 10 },
      tcp: { settings: { sendBufferBytes: 4000, receiveBufferBytes: 3000 } },
    }, { bytes: 100_000, answer: 20_000, readBytes: 700 });
  }
});

Deno.test("only ACKs are lost: half of them do not hold up the data", async () => {
  await assertExact(
    { seed: 1, impairments: [{ delay: 10 }, { delay: 10, loss: 0.5 }] },
    { bytes: megabyte },
  );
});

Deno.test("the link fails for ten seconds in the middle: the transfer goes on afterwards", async () => {
  await assertExact(
    { seed: 1, impairments: { rate: 8_000_000, delay: 10, outages: [{ from: 300, until: 10_300 }] } },
    { bytes: megabyte },
  );
});

Deno.test("twenty transfers at once under loss: all exact", async () => {
  const world = new World({ seed: 3, impairments: { loss: 0.02, delay: 5, rate: 50_000_000 } });
  const transfers = Array.from(
    { length: 20 },
    (_, index) => world.transfer({ bytes: 100_000, answer: 20_000, port: 1000 + index }),
  );
  world.time.runUntil(() => transfers.every(({ finished }) => finished), limit);
  for (const { failure, mismatch, read } of transfers) {
    assertEquals([failure, mismatch, read], [null, -1, [100_000, 20_000]]);
  }
  world.time.advance(200_000);
  await world.end();
});

Deno.test("the same seed gives the same run to the microsecond, another seed another", async () => {
  const duration = async (seed: number) => {
    const world = new World({ seed, impairments: { loss: 0.05, delay: 10 } });
    const transfer = world.transfer({ bytes: 200_000 });
    world.time.runUntil(() => transfer.finished, limit);
    world.time.advance(200_000);
    await world.end();
    return transfer.duration;
  };
  const [first, again, other] = [await duration(1), await duration(1), await duration(2)];
  assertEquals([first === again, first === other], [true, false]);
});

Deno.test("without loss, 95 % of a 20 Mbit/s link with 50 ms round trips is used once started", async () => {
  const world = new World({ seed: 1, impairments: { rate: 20_000_000, delay: 25, queueBytes: 250_000 } });
  const transfer = world.transfer({ bytes: 30 * megabyte });
  world.time.runUntil(() => transfer.read[0] >= 5 * megabyte, limit);
  const [startedAt, before] = [world.time.now, transfer.read[0]];
  world.time.runUntil(() => transfer.finished, limit);
  const bits = 8 * (transfer.read[0] - before);
  const seconds = (world.time.now - startedAt) / 1000;
  // Of each frame of 1514 bytes 1448 are payload.
  const share = bits / seconds / (20_000_000 * 1448 / 1514);
  assertEquals(share >= 0.95, true, `share of the link: ${share}`);
  world.time.advance(200_000);
  await world.end();
});
