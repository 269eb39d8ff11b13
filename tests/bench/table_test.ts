import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Benchmark, meets, quantile, summarize } from "./benchmark.ts";
import { benchmarks } from "./catalogue.ts";
import { renderTable, resultsOf } from "./table.ts";
import { readCollections } from "./under_load.ts";

const never = { measure: () => Promise.reject(new Error("not to be measured")) };

const benchmark: Benchmark = {
  name: "example",
  sides: { stack: never, kernel: never },
  rows: [
    {
      label: "rate",
      unit: "1/s",
      value: ["stack", "rate"],
      against: ["kernel", "rate"],
      goal: { atLeast: 0.8 },
    },
    { label: "memory", unit: "bytes", value: ["stack", "bytes"], goal: { atMost: 100 } },
    { label: "only for information", unit: "ms", value: ["stack", "rate"] },
  ],
};

const measured = {
  stack: [{ rate: 30, bytes: 101 }, { rate: 10, bytes: 99 }, { rate: 20, bytes: 101 }],
  kernel: [{ rate: 100 }, { rate: 20 }, { rate: 25 }],
};

Deno.test("runs are put together as median, least and most", () => {
  assertEquals(summarize([3, 1, 2]), { median: 2, least: 1, most: 3 });
  assertEquals(summarize([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
  assertEquals(summarize([10, 9, 100]), { median: 10, least: 9, most: 100 });
});

Deno.test("a quantile is the value below which that share lies", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assertEquals([quantile(values, 0.5), quantile(values, 0.99), quantile([7], 0.99)], [51, 100, 7]);
});

Deno.test("a goal is met at its bound", () => {
  assertEquals([meets({ atLeast: 1 }, 1), meets({ atLeast: 1 }, 0.99)], [true, false]);
  assertEquals([meets({ atMost: 1 }, 1), meets({ atMost: 1 }, 1.01)], [true, false]);
});

Deno.test("a row's goal is for the median of the runs' ratios, or for the median where there is nothing to compare", () => {
  const [rate, memory, information] = resultsOf(benchmark, measured);
  assertEquals([rate!.value.median, rate!.against!.median, rate!.ratio, rate!.met], [20, 25, 0.5, false]);
  assertEquals([memory!.value.median, memory!.against, memory!.ratio, memory!.met], [101, null, null, false]);
  assertEquals([information!.goal, information!.met, information!.runs], [null, null, 3]);
});

Deno.test("the table shows value, spread, what it is against, ratio, what is wanted, and whether it is met", () => {
  const lines = renderTable(resultsOf(benchmark, measured)).split("\n");
  assertMatch(lines[3]!, /│ rate +│ 1\/s +│ +20\.0 │ 10\.0 to 30\.0 │ +25\.0 │ +0\.50 │ >= 0\.8 x │ NO +│/);
  assertMatch(lines[4]!, /│ memory +│ bytes +│ +101 │ +99\.0 to 101 │ +│ +│ +<= 100 │ NO +│/);
});

Deno.test("what was allocated is what the heap grew by between collections, in the time that counts", () => {
  const line = (at: number, before: number, after: number, pause: number) =>
    `[1:0x55]      ${at} ms: Scavenge ${before} (10.4) -> ${after} (10.4) MB, pooled: 0.0 MB, ${pause} / 0.00 ms (average)`;
  const text = [line(10, 5, 4, 9), line(100, 6, 4.5, 1), line(200, 7, 5, 0.5), line(300, 9, 5, 9)].join("\n");
  const { kibibytes, milliseconds } = readCollections(text, 50, 250);
  assertEquals({ kibibytes, milliseconds }, { kibibytes: 4.5 * 1024, milliseconds: 1.5 });
});

Deno.test("every row of the benchmarks names a side that is measured, and no two benchmarks have the same name", () => {
  assertEquals(new Set(benchmarks.map(({ name }) => name)).size, benchmarks.length);
  for (const { name, rows, sides } of benchmarks) {
    for (const { value, against } of rows) {
      for (const [side] of [value, against ?? value]) {
        assertEquals(Object.hasOwn(sides, side), true, `${name}: ${side}`);
      }
    }
  }
});

async function bench(...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  const main = new URL("main.ts", import.meta.url).pathname;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", main, ...args],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout), errors: decoder.decode(stderr) };
}

Deno.test("bench --help names all benchmarks, and one that is not there is refused", async () => {
  const { code, output } = await bench("--help");
  assertEquals(code, 0);
  for (const { name } of benchmarks) assertStringIncludes(output, name);
  const refused = await bench("--only", "nothing");
  assertEquals(refused.code, 2);
  assertMatch(refused.errors, /^bench: Cannot use "nothing" for --only: give one of in, /);
});

Deno.test("bench --json prints what a benchmark has measured", async () => {
  const { code, output } = await bench("--json", "--runs", "1", "--only", "wire-large");
  assertEquals(code, 0);
  const [result] = JSON.parse(output);
  assertEquals([result.benchmark, result.unit, result.runs], ["wire-large", "Gbit/s", 1]);
  assertEquals(result.value.median > 0 && result.value.least === result.value.most, true);
});
