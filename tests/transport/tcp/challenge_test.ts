import { assertEquals, assertNotEquals } from "@std/assert";
import { SeededRandom } from "../../../stack/random.ts";
import { ChallengeBudget } from "../../../stack/transport/tcp/challenge.ts";

/** How many challenges are granted at one moment. */
function drain(budget: ChallengeBudget, now: number): number {
  let granted = 0;
  for (let attempt = 0; attempt < 3000; attempt++) if (budget.take(now)) granted++;
  return granted;
}

Deno.test("some hundreds of challenge ACKs are granted a second, never the same number (RFC 5961 7)", () => {
  const budget = new ChallengeBudget(new SeededRandom(1));
  const amounts = [0, 1000, 2000, 3000].map((now) => drain(budget, now));
  for (const amount of amounts) assertEquals(amount >= 500 && amount < 1000, true);
  assertNotEquals(new Set(amounts).size, 1);
});

Deno.test("a spent budget is refilled when its second is over, not before", () => {
  const budget = new ChallengeBudget(new SeededRandom(1));
  drain(budget, 500);
  assertEquals(budget.take(1499.9), false);
  assertEquals(budget.take(1500), true);
});
