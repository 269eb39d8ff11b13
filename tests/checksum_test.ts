import { assert, assertEquals, assertFalse } from "@std/assert";
import { addUint16, checksum, fold, sum, update, verify } from "../stack/checksum.ts";
import { below, fill, SeededRandom } from "../stack/random.ts";

/** RFC 1071 section 4.1, word by word in network order. */
function naive(bytes: Uint8Array, seed = 0): number {
  let total = seed;
  for (let at = 0; at < bytes.length; at += 2) {
    total += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
    total = (total & 0xffff) + (total >>> 16);
  }
  return total;
}

function randomBytes(length: number, seed: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(length);
  fill(new SeededRandom(seed), bytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

Deno.test("the sum is that of RFC 1071 section 3", () => {
  const view = new DataView(new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).buffer);
  assertEquals(fold(sum(view, 0, 8)), 0xddf2);
  assertEquals(checksum(view, 0, 8), 0x220d);
});

Deno.test("the checksum of a known IPv4 header is right", () => {
  const header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
  assertEquals(checksum(new DataView(new Uint8Array(header).buffer), 0, 20), 0xb861);
});

Deno.test("the sum is that of a simple loop, for every alignment and length", () => {
  const { bytes, view } = randomBytes(400, 1);
  for (let at = 0; at < 9; at++) {
    for (let length = 0; length <= 300; length++) {
      const expected = naive(bytes.subarray(at, at + length));
      assertEquals(fold(sum(view, at, length)), expected, `at ${at}, ${length} bytes`);
    }
  }
});

Deno.test("sums of parts add up to the sum of the whole", () => {
  const { bytes, view } = randomBytes(200, 2);
  const random = new SeededRandom(3);
  for (let round = 0; round < 500; round++) {
    const length = below(random, 200);
    const first = 2 * below(random, Math.floor(length / 2) + 1);
    const total = sum(view, first, length - first, sum(view, 0, first));
    assertEquals(fold(total), naive(bytes.subarray(0, length)));
  }
});

Deno.test("the sum stays exact for the largest packet of the largest words", () => {
  const bytes = new Uint8Array(0x20_0000).fill(0xff);
  const view = new DataView(bytes.buffer);
  assertEquals(fold(sum(view, 0, 65535)), 0xffff - 0xff);
  assertEquals(fold(sum(view, 0, bytes.length)), 0xffff);
});

Deno.test("no bytes sum to 0, whose checksum is all ones", () => {
  const view = new DataView(new ArrayBuffer(8));
  assertEquals([sum(view, 3, 0), fold(0), checksum(view, 0, 0), checksum(view, 0, 8)], [0, 0, 0xffff, 0xffff]);
});

Deno.test("fold agrees with modulo arithmetic for sums of any size", () => {
  const random = new SeededRandom(4);
  for (let round = 0; round < 10_000; round++) {
    const total = random.uint32() * below(random, 0x20_0000) + random.uint32();
    const swapped = fold(total);
    const folded = ((swapped & 0xff) << 8) | (swapped >>> 8);
    assertEquals(folded % 0xffff, total % 0xffff);
    assert(folded <= 0xffff && (total === 0 || folded !== 0));
  }
});

Deno.test("addUint16 adds a field as if it stood in the packet", () => {
  const { bytes, view } = randomBytes(40, 5);
  for (let value = 0; value <= 0xffff; value += 13) {
    assertEquals(fold(addUint16(value, sum(view, 0, 40))), naive(bytes, value));
  }
});

Deno.test("verify accepts bytes with their own checksum and finds every single-bit error", () => {
  const { bytes, view } = randomBytes(61, 6);
  view.setUint16(10, 0);
  view.setUint16(10, checksum(view, 0, 61));
  assert(verify(view, 0, 61));
  for (let bit = 0; bit < 61 * 8; bit++) {
    bytes[bit >>> 3]! ^= 1 << (bit & 7);
    assertFalse(verify(view, 0, 61));
    bytes[bit >>> 3]! ^= 1 << (bit & 7);
  }
});

Deno.test("verify takes a pseudo-header's sum as seed", () => {
  const { view } = randomBytes(30, 7);
  const seed = addUint16(1234, 0);
  view.setUint16(6, 0);
  view.setUint16(6, checksum(view, 0, 30, seed));
  assert(verify(view, 0, 30, seed));
  assertFalse(verify(view, 0, 30, addUint16(1235, 0)));
});

Deno.test("update gives what computing anew would give, for any change of a field", () => {
  const { view } = randomBytes(40, 8);
  const random = new SeededRandom(9);
  view.setUint16(10, 0);
  let current = checksum(view, 0, 40);
  for (let round = 0; round < 5000; round++) {
    const at = 12 + 2 * below(random, 14);
    const before = view.getUint16(at);
    const after = [0, 0xffff, below(random, 0x1_0000)][below(random, 3)]!;
    view.setUint16(at, after);
    current = update(current, before, after);
    view.setUint16(10, 0);
    assertEquals(current, checksum(view, 0, 40));
    view.setUint16(10, current);
    assert(verify(view, 0, 40));
  }
});
