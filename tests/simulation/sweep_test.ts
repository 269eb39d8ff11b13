/**
 * Hundreds of short connections. To see one again:
 *
 *     TAPSTACK_SEED=123 deno test -A tests/simulation/sweep_test.ts
 *
 * @module
 */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { drawScenario, type Outcome, runScenario } from "./scenario.ts";

const runs = 400;

/** What a scenario without anybody who quits must come to: everything, both ways, without failure. */
function assertExact({ client, server }: Outcome): void {
  assertEquals([client.failure, server?.failure], [null, null], "failures");
  assertEquals([client.written, server!.written], [client.behaviour.bytes, server!.behaviour.bytes], "bytes written");
  assertEquals([server!.read, client.read], [client.written, server!.written], "bytes read");
  assert(client.ended && server!.ended, "the end was not read");
}

/** What must hold if somebody quits: nobody reads more than was written, or takes a part for the whole. */
function assertPlausible({ client, server }: Outcome): void {
  for (const [from, to] of [[client, server], [server, client]]) {
    if (from === null || to === null) continue;
    assert((to?.read ?? 0) <= (from?.written ?? 0), "more was read than was written");
    if (to?.ended) assertEquals(to.read, from?.written, "the end was read before all bytes were");
  }
  for (const side of [client, server]) {
    const name = side?.failure?.name;
    const expected = [undefined, "ConnectionReset", "ConnectionRefused", "TimedOut", "ConnectionAborted"];
    assert(expected.includes(name), `${name}`);
  }
}

const seeds = Deno.env.has("TAPSTACK_SEED")
  ? [Number(Deno.env.get("TAPSTACK_SEED"))]
  : Array.from({ length: runs }, (_, index) => 1 + index);

Deno.test(`${seeds.length} short connections on networks of all kinds: exact, or ended by who wanted that; nothing left`, async () => {
  const failures: string[] = [];
  let [exact, ended] = [0, 0];
  for (const seed of seeds) {
    const scenario = drawScenario(seed);
    try {
      const outcome = await runScenario(scenario);
      const quits = scenario.behaviours.some(({ quit }) => quit !== null);
      if (quits) assertPlausible(outcome);
      else assertExact(outcome);
      if (quits) ended++;
      else exact++;
    } catch (error) {
      failures.push(`TAPSTACK_SEED=${seed}: ${error}\n${JSON.stringify(scenario)}`);
    }
  }
  assertEquals(failures.join("\n\n"), "");
  if (seeds.length === runs) { for (const count of [exact, ended]) assertGreater(count, runs / 5); }
});
