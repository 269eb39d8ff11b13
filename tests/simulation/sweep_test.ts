import { assertEquals, assertGreater } from "@std/assert";
import { runCase } from "./cases.ts";
import { replayCommand } from "./replay.ts";

/** Runs `count` seeds of a case and asserts that all hold. */
async function sweep(name: "sweep" | "brief", count: number): Promise<void> {
  const failures: string[] = [];
  let [exact, ended] = [0, 0];
  for (let seed = 1; seed <= count; seed++) {
    try {
      if (await runCase(name, { seed })) exact++;
      else ended++;
    } catch (error) {
      failures.push(`${error}\n${replayCommand(name, seed)}`);
    }
  }
  if (failures.length > 0) throw new Error(failures.slice(0, 10).join("\n\n"));
  assertEquals(exact + ended, count);
  // Both kinds are there, or half of this would be tested in vain.
  assertGreater(Math.min(exact, ended), count / 8);
}

Deno.test("400 connections on networks of all kinds: exact, or ended by who wanted that; nothing left", () =>
  sweep("sweep", 400));

Deno.test("10,000 brief connections on networks of all kinds: exact, or ended by who wanted that; nothing left", () =>
  sweep("brief", 10_000));
