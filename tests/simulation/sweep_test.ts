/**
 * Hundreds of short connections. To see one again, segment by segment:
 *
 *     TAPSTACK_SEED=123 deno test -A tests/simulation/sweep_test.ts
 *
 * @module
 */

import { assertEquals, assertGreater } from "@std/assert";
import { assertExact, assertPlausible, drawScenario, runScenario } from "./scenario.ts";

const wanted = Deno.env.get("TAPSTACK_SEED");
const seeds = wanted === undefined ? Array.from({ length: 400 }, (_, index) => 1 + index) : [Number(wanted)];

/** Runs the scenario of a seed; returns whether it was one in which both sides went on to the end. */
async function run(seed: number): Promise<boolean> {
  const scenario = drawScenario(seed);
  try {
    const outcome = await runScenario(scenario, wanted === undefined ? null : console.log);
    const quits = scenario.behaviours.some(({ quit }) => quit !== null);
    if (quits) assertPlausible(outcome);
    else assertExact(outcome);
    return !quits;
  } catch (error) {
    throw new Error(`TAPSTACK_SEED=${seed}: ${error}\n${JSON.stringify(scenario)}`, { cause: error });
  }
}

Deno.test(`${seeds.length} short connections on networks of all kinds: exact, or ended by who wanted that; nothing left`, async () => {
  const failures: unknown[] = [];
  let [exact, ended] = [0, 0];
  for (const seed of seeds) {
    await run(seed).then((both) => both ? exact++ : ended++, (error) => failures.push(error));
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.join("\n\n"));
  assertEquals(exact + ended, seeds.length);
  // Both kinds are there, or half of this would be tested in vain.
  if (wanted === undefined) assertGreater(Math.min(exact, ended), 50);
});
