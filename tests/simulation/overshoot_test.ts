/**
 * The first slow start goes past what the link and its queue hold: how far, and what the repair costs.
 *
 * @module
 */

import { assert } from "@std/assert";
import { impairmentsOf, parseLinkName, unlimited } from "./link_case.ts";
import { World } from "./world.ts";

for (const rtt of [50, 200]) {
  Deno.test(`100 Mbit/s, ${rtt} ms: from its first full second on, the link is hardly ever idle`, async () => {
    const link = parseLinkName(`link:0%:${rtt}ms:100M:1:loss`)!;
    const world = new World({ seed: 1, impairments: impairmentsOf(link), tcp: unlimited(link) });
    const bytes = 50_000_000;
    const transfer = world.transfer({ bytes });
    const elapsed = world.time.runUntil(() => transfer.read[0] >= bytes);
    const full = 8000 * bytes / link.rate;
    // Connecting, and ten round trips of doubling, of which the last ones carry something already.
    assert(elapsed < 1.06 * full + 10 * rtt, `${elapsed} ms, of which a full link needs ${full}`);
    const { segmentsRetransmitted, sendMss } = transfer.connection.info();
    const product = link.rate / 8000 * rtt / sendMss;
    // Slow start doubles in each round trip, and it takes one to see the queue and one to hear of losses.
    assert(segmentsRetransmitted < 0.8 * product, `${segmentsRetransmitted} segments, ${product} fit the link`);
    world.time.runUntil(() => transfer.finished);
    world.time.advance(200_000);
    await world.end();
  });
}
