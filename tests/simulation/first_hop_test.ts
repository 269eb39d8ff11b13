import { assertEquals, assertLess } from "@std/assert";
import { World } from "./world.ts";

Deno.test("the round trip in which the next hop's hardware address is asked for does not count as the path's", async () => {
  const world = new World({ seed: 1, impairments: [{ delay: 50 }, { delay: 50 }] });
  world.client.neighbors.clear();
  const transfer = world.transfer({ bytes: 10_000 });
  world.time.runUntil(() => transfer.connection.info().rtt > 0, 10_000);
  // The peer's announcement of its address arrives after 50 ms, and the SYN leaves.
  assertEquals(Math.round(transfer.connection.info().rtt), 150);
  world.time.runUntil(() => transfer.finished, 10_000);
  assertLess(transfer.connection.info().rtt, 105);
  world.time.advance(200_000);
  await world.end();
});
