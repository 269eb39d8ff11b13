import { assertEquals } from "@std/assert";
import { below, SeededRandom } from "../../../stack/random.ts";
import { add, distance } from "../../../stack/sequence.ts";
import { fewestRanges, maximumRanges, Ranges } from "../../../stack/transport/tcp/ranges.ts";

/** Blocks as pairs of edges, relative to `base`. */
function blocks(ranges: Ranges, limit = 4, base = 0): [number, number][] {
  const edges = new Int32Array(2 * limit);
  const count = ranges.blocks(edges, 0, limit);
  return Array.from({ length: count }, (_, block) => [
    distance(edges[2 * block]!, base),
    distance(edges[2 * block + 1]!, base),
  ]);
}

for (const base of [0, 1000, 0x7fff_ffff - 200, 0xffff_ffff - 200]) {
  Deno.test(`ranges are like a set of numbers, from ${base} on`, () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = new SeededRandom(seed);
      const ranges = new Ranges();
      const model = new Set<number>();
      let floor = 0;
      for (let step = 0; step < 120; step++) {
        if (below(random, 12) === 0) {
          floor += below(random, 20);
          ranges.dropBefore(add(base, floor));
          for (const number of model) if (number < floor) model.delete(number);
        } else {
          const start = floor + below(random, 400);
          const end = start + 1 + below(random, 15);
          assertEquals(ranges.add(add(base, start), add(base, end)), true);
          for (let number = start; number < end; number++) model.add(number);
        }
        const sorted = [...model].sort((left, right) => left - right);
        const expected: [number, number][] = [];
        for (const number of sorted) {
          const last = expected.at(-1);
          if (last !== undefined && last[1] === number) last[1]++;
          else expected.push([number, number + 1]);
        }
        assertEquals(
          blocks(ranges, fewestRanges, base).sort((left, right) => left[0] - right[0]),
          expected,
        );
        assertEquals([ranges.count, ranges.bytes], [expected.length, model.size]);
        if (expected.length > 0) {
          assertEquals(
            [ranges.firstStart, ranges.firstEnd, ranges.lastEnd],
            [add(base, expected[0]![0]), add(base, expected[0]![1]), add(base, expected.at(-1)![1])],
          );
        }
        const start = floor + below(random, 400);
        const end = start + 1 + below(random, 5);
        const covered = Array.from({ length: end - start }, (_, index) => start + index);
        assertEquals(
          ranges.covers(add(base, start), add(base, end)),
          covered.every((number) => model.has(number)),
        );
        assertEquals(
          ranges.indexOf(add(base, start)),
          expected.findIndex(([from, to]) => from <= start && start < to),
        );
        assertEquals(
          ranges.firstOverlap(add(base, start), add(base, end)),
          expected.findIndex(([from, to]) => from < end && start < to),
        );
      }
    }
  });
}

Deno.test("the range that grew last comes first, then the one before it (RFC 2018 4)", () => {
  const ranges = new Ranges();
  for (const start of [10, 30, 50, 70, 90]) ranges.add(start, start + 5);
  assertEquals(blocks(ranges, 3), [[90, 95], [70, 75], [50, 55]]);
  ranges.add(35, 36);
  assertEquals(blocks(ranges, 3), [[30, 36], [90, 95], [70, 75]]);
  ranges.touch(12);
  assertEquals(blocks(ranges, 2), [[10, 15], [30, 36]]);
  ranges.touch(20);
  assertEquals(blocks(ranges, 1), [[10, 15]]);
});

Deno.test("blocks are appended behind those that are there", () => {
  const ranges = new Ranges();
  ranges.add(10, 20);
  const edges = Int32Array.of(1, 2, 0, 0, 0, 0);
  assertEquals(ranges.blocks(edges, 1, 3), 2);
  assertEquals([...edges.subarray(0, 4)], [1, 2, 10, 20]);
});

Deno.test("a window of megabytes may have more holes than a small one: every second segment of it may be lost", () => {
  assertEquals([0, 65_536, 1 << 20, 4 << 20].map(maximumRanges), [fewestRanges, fewestRanges, 1024, 4096]);
  const ranges = new Ranges();
  for (let range = 0; range < 2000; range++) {
    assertEquals(ranges.add(2896 * range, 2896 * range + 1448, maximumRanges(2000 * 2896)), true);
  }
  assertEquals(blocks(ranges, 3), [1999, 1998, 1997].map((range) => [2896 * range, 2896 * range + 1448]));
});

Deno.test("there is a limit, beyond which only what joins ranges is taken", () => {
  const ranges = new Ranges();
  for (let range = 0; range < fewestRanges; range++) assertEquals(ranges.add(10 * range, 10 * range + 5), true);
  assertEquals(ranges.add(100_000, 100_001), false);
  assertEquals([ranges.count, ranges.bytes], [fewestRanges, 5 * fewestRanges]);
  assertEquals(ranges.add(5, 10), true);
  assertEquals(ranges.count, fewestRanges - 1);
  assertEquals(ranges.add(100_000, 100_001), true);
  ranges.clear();
  assertEquals([ranges.count, ranges.bytes, blocks(ranges).length], [0, 0, 0]);
});
