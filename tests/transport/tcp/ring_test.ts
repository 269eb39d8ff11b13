import { assertEquals } from "@std/assert";
import { below, fill, SeededRandom } from "../../../stack/random.ts";
import { ByteRing, type ByteSource, type ByteTarget, RingStorage } from "../../../stack/transport/tcp/ring.ts";

/** Bytes as a packet offers them. */
function packetOf(bytes: Uint8Array): ByteSource & ByteTarget {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes, view, part: (at, length) => bytes.subarray(at, at + length) };
}

Deno.test("an empty ring holds no storage, and gives it back when cleared", () => {
  const storage = new RingStorage();
  const ring = new ByteRing(storage);
  assertEquals([ring.capacity, storage.inUse], [0, 0]);
  ring.writeArray(0, new Uint8Array(10), 10, 0);
  assertEquals([ring.capacity, storage.inUse], [4096, 4096]);
  ring.clear();
  assertEquals([ring.capacity, storage.inUse], [0, 0]);
});

Deno.test("storage is a power of two that is at least as long as the furthest byte", () => {
  const ring = new ByteRing(new RingStorage());
  ring.writeArray(4090, new Uint8Array(7), 7, 0);
  assertEquals(ring.capacity, 8192);
  ring.writeArray(100_000, new Uint8Array(1), 1, 4097);
  assertEquals(ring.capacity, 131_072);
});

Deno.test("storage is recycled", () => {
  const storage = new RingStorage();
  const first = storage.allocate(8192);
  storage.release(first);
  assertEquals(storage.allocate(8192) === first, true);
  assertEquals(storage.allocate(8192) === first, false);
  assertEquals(storage.inUse, 16_384);
});

Deno.test("no more than 16 MiB of storage is kept", () => {
  const storage = new RingStorage();
  const pieces = Array.from({ length: 5 }, () => storage.allocate(4 * 1024 * 1024));
  for (const piece of pieces) storage.release(piece);
  const again = Array.from({ length: 5 }, () => storage.allocate(4 * 1024 * 1024));
  assertEquals(again.filter((piece) => pieces.includes(piece)).length, 4);
});

Deno.test("writing and reading no bytes takes no storage", () => {
  const ring = new ByteRing(new RingStorage());
  ring.writeArray(50_000, new Uint8Array(0), 0, 0);
  ring.readArray(0, new Uint8Array(0), 0, 0);
  ring.consume(0);
  assertEquals(ring.capacity, 0);
});

Deno.test("whatever is written, read and consumed, a ring is like an array", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed);
    const ring = new ByteRing(new RingStorage());
    let model = new Uint8Array(0);
    for (let step = 0; step < 200; step++) {
      const choice = below(random, 3);
      if (choice === 0) {
        // Anywhere over what is there, or behind it with a gap, which is filled with bytes that are then kept too.
        const at = below(random, model.length + 1);
        const source = fill(random, new Uint8Array(below(random, 3000) + 50));
        const skip = below(random, 50);
        const length = source.length - skip;
        ring.write(at, packetOf(source), skip, length, model.length);
        const grown = new Uint8Array(Math.max(model.length, at + length));
        grown.set(model);
        grown.set(source.subarray(skip), at);
        model = grown;
      } else if (choice === 1) {
        const length = below(random, model.length + 1);
        ring.consume(length);
        model = model.slice(length);
      } else {
        const at = below(random, model.length + 1);
        const length = below(random, model.length - at + 1);
        const target = new Uint8Array(length + 3);
        ring.read(at, packetOf(target), 3, length);
        assertEquals(target.subarray(3), model.slice(at, at + length));
        target.fill(0);
        ring.readArray(at, target, 3, length);
        assertEquals(target.subarray(3), model.slice(at, at + length));
      }
    }
  }
});

Deno.test("growing keeps data behind a hole in their place", () => {
  const random = new SeededRandom(7);
  const ring = new ByteRing(new RingStorage());
  const early = fill(random, new Uint8Array(3000));
  ring.writeArray(0, new Uint8Array(4000), 4000, 0);
  ring.consume(4000);
  ring.writeArray(500, early, early.length, 0);
  const late = fill(random, new Uint8Array(5000));
  ring.writeArray(9000, late, late.length, 3500);
  const seen = new Uint8Array(8000);
  ring.readArray(500, seen, 0, 3000);
  ring.readArray(9000, seen, 3000, 5000);
  assertEquals(seen, new Uint8Array([...early, ...late]));
});

Deno.test("rings are recycled, and given back empty", () => {
  const storage = new RingStorage();
  const ring = storage.ring();
  ring.writeArray(0, new Uint8Array(10), 10, 0);
  assertEquals(storage.recycle(ring), null);
  assertEquals([ring.capacity, storage.inUse], [0, 0]);
  assertEquals(storage.ring() === ring, true);
  assertEquals(storage.ring() === ring, false);
  assertEquals(storage.recycle(null), null);
});
