import { assertEquals } from "@std/assert";
import { below, SeededRandom } from "../stack/random.ts";
import * as sequence from "../stack/sequence.ts";

Deno.test("add wraps at 2^32 and takes negative distances", () => {
  assertEquals(sequence.add(0xffff_fff0, 0x20), 0x10);
  assertEquals(sequence.add(5, -10), -5);
  assertEquals(sequence.add(0x8000_0000, 0x8000_0000), 0);
});

Deno.test("numbers are signed, and unsigned for people", () => {
  assertEquals(sequence.add(0x7fff_ffff, 1), -0x8000_0000);
  assertEquals(sequence.unsigned(sequence.add(0x7fff_ffff, 1)), 0x8000_0000);
  assertEquals(sequence.unsigned(-1), 0xffff_ffff);
});

Deno.test("distance is signed and wraps", () => {
  assertEquals(sequence.distance(0x10, 0xffff_fff0), 0x20);
  assertEquals(sequence.distance(0xffff_fff0, 0x10), -0x20);
  assertEquals(sequence.distance(7, 7), 0);
  assertEquals(sequence.distance(0x7fff_ffff, 0), 0x7fff_ffff);
  assertEquals(sequence.distance(0x8000_0000, 0), -0x8000_0000);
});

Deno.test("comparisons go by the sign of the difference, anywhere in the space", () => {
  const random = new SeededRandom(1);
  for (let round = 0; round < 10_000; round++) {
    const left = random.uint32() | 0;
    const ahead = below(random, 0x1_0000_0000) - 0x8000_0000;
    const right = sequence.add(left, -ahead);
    assertEquals(sequence.distance(left, right), ahead);
    assertEquals(sequence.before(left, right), ahead < 0);
    assertEquals(sequence.notAfter(left, right), ahead <= 0);
    assertEquals(sequence.after(left, right), ahead > 0);
    assertEquals(sequence.notBefore(left, right), ahead >= 0);
    assertEquals(sequence.later(left, right), ahead >= 0 ? left : right);
    assertEquals(sequence.earlier(left, right), ahead <= 0 ? left : right);
    assertEquals(sequence.add(right, ahead), left);
  }
});

Deno.test("a number is neither before nor after itself", () => {
  for (const number of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    assertEquals([sequence.before(number, number), sequence.after(number, number)], [false, false]);
    assertEquals([sequence.notBefore(number, number), sequence.notAfter(number, number)], [true, true]);
    assertEquals([sequence.later(number, number), sequence.earlier(number, number)], [number, number]);
  }
});
