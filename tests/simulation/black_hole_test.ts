import { assert, assertEquals, assertGreater } from "@std/assert";
import type { Packet } from "../../stack/packet.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { type Transfer, World } from "./world.ts";

/** Payload of a full segment in a packet of 1500, 1280 and 552 bytes, with timestamps. */
const full = 1448;
const base = 1228;
const least = 500;

/** Runs a transfer over a link that changes what it does with frames; returns it and its world. */
function begin(impairment: ImpairmentOptions, bytes: number): { world: World; transfer: Transfer } {
  const world = new World({ seed: 1, impairments: [{ delay: 10, rate: 5_000_000, ...impairment }, { delay: 10 }] });
  return { world, transfer: world.transfer({ bytes }) };
}

async function end(world: World, transfer: Transfer, bytes: number): Promise<void> {
  world.time.runUntil(() => transfer.finished, 3_600_000);
  assertEquals([transfer.failure, transfer.mismatch, transfer.read[0]], [null, -1, bytes]);
  world.time.advance(200_000);
  await world.end();
}

for (const [mtu, expected] of [[1400, 1348], [1300, base], [600, least]] as const) {
  Deno.test(`a path that swallows packets of more than ${mtu} bytes: found out, and used as far as it goes (RFC 4821)`, async () => {
    const bytes = 8_000_000;
    const { world, transfer } = begin({ mtu }, bytes);
    world.time.advance(10_000);
    const { sendMss, congestionState } = transfer.connection.info();
    // The larger sizes that are tried after two seconds are lost, and cost no more than themselves.
    assertEquals([sendMss, congestionState], [expected, "open"]);
    assertGreater(world.client.tcp.counters.timeouts, 2);
    await end(world, transfer, bytes);
  });
}

Deno.test("an outage that looks like one: the full size is back some seconds later, and its probe is no congestion", async () => {
  const bytes = 6_000_000;
  const { world, transfer } = begin({ outages: [{ from: 200, until: 4000 }] }, bytes);
  world.time.runUntil(() => transfer.connection.info().sendMss === base, 60_000);
  world.time.runUntil(() => transfer.connection.info().sendMss === full, 60_000);
  await end(world, transfer, bytes);
});

Deno.test("a probe of a larger size that is lost does not reduce the congestion window (RFC 4821 7.3)", async () => {
  const bytes = 8_000_000;
  let swallowed = 0;
  const drop = (packet: Packet) => {
    const drops = packet.length - 14 > 1300;
    if (drops) swallowed++;
    return drops;
  };
  const { world, transfer } = begin({ drop }, bytes);
  world.time.runUntil(() => transfer.connection.info().sendMss === base && transfer.read[0] > 100_000, 60_000);
  const before = swallowed;
  const threshold = transfer.connection.info().slowStartThreshold;
  world.time.runUntil(() => swallowed >= before + 3, 60_000);
  world.time.advance(1000);
  assertEquals([swallowed, transfer.connection.info().slowStartThreshold], [before + 3, threshold]);
  assert(transfer.connection.info().congestionWindow > base);
  await end(world, transfer, bytes);
});

Deno.test("segments of TCP may not be fragmented by routers (RFC 1191 3)", async () => {
  const flags: number[] = [];
  const { world, transfer } = begin({
    drop: ({ view, head }) => {
      flags.push(view.getUint16(head + 14 + 6));
      return false;
    },
  }, 10_000);
  await end(world, transfer, 10_000);
  assertEquals(new Set(flags), new Set([0x4000]));
});
