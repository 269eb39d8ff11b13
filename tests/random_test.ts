import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertStrictEquals } from "@std/assert";
import { below, CryptoRandom, fill, fraction, type Random, SeededRandom } from "../stack/random.ts";

const constant = (value: number): Random => ({ uint32: () => value });

function draw(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.uint32());
}

/** sfc32 in exact integer arithmetic. */
function referenceNumbers(seed: number, count: number): number[] {
  const mask = 0xffff_ffffn;
  let [a, b, c, counter] = [0n, 0n, BigInt(seed >>> 0), 1n];
  const numbers: number[] = [];
  for (let round = 0; round < 12 + count; round++) {
    const sum = (a + b + counter) & mask;
    counter = (counter + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = ((((c << 21n) | (c >> 11n)) & mask) + sum) & mask;
    if (round >= 12) numbers.push(Number(sum));
  }
  return numbers;
}

Deno.test("SeededRandom is sfc32, the same for the same seed", () => {
  for (const seed of [0, 1, -1, 42, 0x8000_0000, 0xffff_ffff]) {
    assertEquals(draw(new SeededRandom(seed), 1000), referenceNumbers(seed, 1000));
  }
});

Deno.test("SeededRandom differs from seed to seed, from the first number on", () => {
  const firsts = new Set(Array.from({ length: 10_000 }, (_, seed) => new SeededRandom(seed).uint32()));
  assert(firsts.size > 9_990);
});

for (const [name, random] of [["SeededRandom", new SeededRandom(7)], ["CryptoRandom", new CryptoRandom()]] as const) {
  Deno.test(`${name} gives whole unsigned 32-bit numbers with every bit set half of the time`, () => {
    const ones = new Array<number>(32).fill(0);
    const rounds = 20_000;
    for (let round = 0; round < rounds; round++) {
      const number = random.uint32();
      assert(Number.isInteger(number) && number >= 0 && number <= 0xffff_ffff);
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (number >>> bit) & 1;
    }
    // Seven standard deviations.
    for (const count of ones) assertAlmostEquals(count / rounds, 0.5, 0.025);
  });
}

Deno.test("CryptoRandom does not repeat its block", () => {
  const random = new CryptoRandom();
  assertNotEquals(draw(random, 256), draw(random, 256));
});

Deno.test("fraction goes from 0 to just under 1", () => {
  assertEquals(fraction(constant(0)), 0);
  assertEquals(fraction(constant(0x8000_0000)), 0.5);
  assert(fraction(constant(0xffff_ffff)) < 1);
});

Deno.test("below reaches every number under its bound and never the bound", () => {
  for (const bound of [1, 2, 10, 65536, 0x1_0000_0000]) {
    assertEquals(below(constant(0), bound), 0);
    assertEquals(below(constant(0xffff_ffff), bound), bound - 1);
  }
  const counts = new Array<number>(10).fill(0);
  const random = new SeededRandom(3);
  for (let round = 0; round < 100_000; round++) counts[below(random, 10)]!++;
  for (const count of counts) assertAlmostEquals(count, 10_000, 700);
});

Deno.test("fill fills all bytes, and returns them", () => {
  const bytes = new Uint8Array(1000);
  assertStrictEquals(fill(new SeededRandom(4), bytes), bytes);
  assert(new Set(bytes).size > 200);
  assert(bytes[999] !== 0 || bytes[998] !== 0 || bytes[997] !== 0);
});
