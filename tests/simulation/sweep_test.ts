/**
 * Hundreds of short connections. To see one again:
 *
 *     TAPSTACK_SEED=123 deno test -A tests/simulation/sweep_test.ts
 *
 * @module
 */

import { assertEquals, assertGreater } from "@std/assert";
import { assertExact, assertPlausible, drawScenario, runScenario } from "./scenario.ts";

const runs = 400;

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
