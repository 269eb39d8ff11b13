import { assertEquals } from "@std/assert";
import { sipHash, sipHash64, tableHash } from "../stack/siphash.ts";

/** Key and messages of the reference implementation: bytes 0, 1, 2, ... */
const bytes = Uint8Array.from({ length: 16 }, (_, index) => index);
const key = new Uint32Array(bytes.buffer.slice(0));
const message = new Uint32Array(bytes.buffer.slice(0));

Deno.test("SipHash-2-4 of 0, 4 and 8 bytes gives the reference's results", () => {
  // The reference's vectors, low halves: 31 0e 0e dd, b7 87 71 27, 62 24 93 9a.
  assertEquals(sipHash(key, message, 0), 0xdd0e0e31);
  assertEquals(sipHash(key, message, 1), 0x277187b7);
  assertEquals(sipHash(key, message, 2), 0x9a932462);
});

Deno.test("all 64 bits of SipHash-2-4 are those of the reference", () => {
  const result = new Uint32Array(2);
  // The reference's vector for 8 bytes: 62 24 93 9a 79 f5 f5 93.
  sipHash64(key, message, 2, result);
  assertEquals([...result], [0x9a932462, 0x93f5f579]);
});

Deno.test("the hash for tables is SipHash-1-3", () => {
  // The reference's vector for nothing, low half: dc c4 0f 05.
  assertEquals(tableHash(key, message, 0), 0x050fc4dc);
});

Deno.test("SipHash depends on every word of the key and of the message", () => {
  const base = sipHash(key, message, 4);
  const tableBase = tableHash(key, message, 4);
  for (let word = 0; word < 4; word++) {
    const otherKey = key.slice();
    otherKey[word]! ^= 1;
    const otherMessage = message.slice();
    otherMessage[word]! ^= 0x8000_0000;
    assertEquals(sipHash(otherKey, message, 4) === base, false);
    assertEquals(sipHash(key, otherMessage, 4) === base, false);
    assertEquals(tableHash(otherKey, message, 4) === tableBase, false);
    assertEquals(tableHash(key, otherMessage, 4) === tableBase, false);
  }
});
