import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ChecksumState, type Packet, PacketPool, PacketQueue } from "../stack/packet.ts";
import { below, SeededRandom } from "../stack/random.ts";

Deno.test("a fresh packet is empty at its headroom, and knows nothing", () => {
  const pool = new PacketPool();
  const packet = pool.allocate(64, 100)!;
  assertEquals([packet.head, packet.tail, packet.length], [64, 64, 0]);
  assert(packet.tailroom >= 100);
  assertEquals([packet.linkAt, packet.networkAt, packet.transportAt], [-1, -1, -1]);
  assertEquals([packet.family, packet.sourceAt, packet.destinationAt, packet.protocol], [0, -1, -1, -1]);
  assertEquals([packet.multicast, packet.looped, packet.nic, packet.arrivedAt], [false, false, -1, 0]);
  assertEquals([packet.checksum, packet.segmentBytes, packet.next], [ChecksumState.none, 0, null]);
  packet.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("push and pop move the head, and pop says when the packet is too short", () => {
  const pool = new PacketPool();
  const packet = pool.allocate(34, 10)!;
  packet.tail += 10;
  assertEquals(packet.push(20), 14);
  assertEquals(packet.push(14), 0);
  assertEquals(packet.length, 44);
  assertThrows(() => packet.push(1), RangeError, "Cannot push 1 bytes: the packet has 0 bytes of headroom left");
  assertEquals(packet.pop(14), 0);
  assertEquals(packet.pop(31), -1);
  assertEquals(packet.head, 14);
  assertEquals(packet.pop(30), 14);
  assertEquals([packet.length, packet.pop(0), packet.pop(1)], [0, 44, -1]);
  packet.release();
});

Deno.test("bytes, view and contents look at the same memory, and slots do not overlap", () => {
  const pool = new PacketPool();
  const packets: Packet[] = [];
  for (let index = 0; index < 300; index++) {
    const packet = pool.allocate(0, PacketPool.smallBytes)!;
    packet.tail = packet.bytes.length;
    packet.bytes.fill(index & 0xff);
    packets.push(packet);
  }
  for (const [index, packet] of packets.entries()) {
    assert(packet.contents().every((byte) => byte === (index & 0xff)));
    packet.view.setUint16(100, 0x1234);
    assertEquals([packet.bytes[100], packet.contents()[101]], [0x12, 0x34]);
    packet.release();
  }
  assertEquals(pool.inUse, 0);
});

Deno.test("viewFrom gives the same view each time, from an offset to the slot's end", () => {
  const pool = new PacketPool();
  const packet = pool.allocate(0, 100)!;
  const view = packet.viewFrom(54);
  assertStrictEquals(packet.viewFrom(54), view);
  assertNotStrictEquals(packet.viewFrom(55), view);
  assertEquals(view.length, packet.bytes.length - 54);
  packet.bytes[54] = 9;
  assertEquals(view[0], 9);
  packet.release();
});

Deno.test("a packet returns to the pool when its last owner releases it", () => {
  const pool = new PacketPool();
  const packet = pool.allocate(0, 100)!;
  packet.retain();
  packet.release();
  assertEquals(pool.inUse, 1);
  packet.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("a released packet can be neither released nor retained again", () => {
  const packet = new PacketPool().allocate(0, 100)!;
  packet.release();
  assertThrows(() => packet.release(), Error, "Cannot release the packet: it has no owner left");
  assertThrows(() => packet.retain(), Error, "Cannot retain the packet: it has no owner left");
});

Deno.test("a reused slot has forgotten its former packet", () => {
  const pool = new PacketPool();
  const fill = (packet: Packet) => {
    packet.tail += 5;
    packet.linkAt =
      packet.networkAt =
      packet.transportAt =
      packet.sourceAt =
      packet.destinationAt =
        3;
    packet.family = 6;
    packet.protocol = 17;
    packet.multicast = packet.looped = true;
    packet.nic = 2;
    packet.arrivedAt = 99;
    packet.checksum = ChecksumState.partial;
    packet.checksumStart = packet.checksumOffset = 7;
    packet.segmentBytes = 1460;
  };
  const state = (packet: Packet) =>
    JSON.stringify(packet, (key, value) => key === "bytes" || key === "view" ? 0 : value);
  const first = pool.allocate(64, 100)!;
  const fresh = state(first);
  fill(first);
  first.release();
  const second = pool.allocate(64, 100)!;
  assertStrictEquals(second, first);
  assertEquals(state(second), fresh);
  second.release();
});

Deno.test("forgetHeaders keeps the bytes and the time of arrival, and forgets the rest", () => {
  const packet = new PacketPool().allocate(64, 100)!;
  packet.tail += 40;
  packet.arrivedAt = 12;
  packet.networkAt = 64;
  packet.checksum = ChecksumState.verified;
  packet.segmentBytes = 1460;
  packet.forgetHeaders();
  assertEquals([packet.head, packet.length, packet.arrivedAt], [64, 40, 12]);
  assertEquals([packet.networkAt, packet.checksum, packet.segmentBytes], [-1, ChecksumState.none, 0]);
  packet.release();
});

Deno.test("a copy has its own bytes and the same marks", () => {
  const pool = new PacketPool();
  const packet = pool.allocate(50, 100)!;
  packet.tail += 3;
  packet.bytes.set([1, 2, 3], packet.head);
  packet.networkAt = 36;
  packet.family = 4;
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = 56;
  const copy = packet.copy()!;
  packet.bytes[packet.head] = 9;
  assertEquals([...copy.contents()], [1, 2, 3]);
  assertEquals([copy.head, copy.networkAt, copy.family, copy.checksum, copy.checksumStart], [
    50,
    36,
    4,
    ChecksumState.partial,
    56,
  ]);
  copy.release();
  assertEquals(pool.inUse, 1);
  packet.release();
});

Deno.test("the pool chooses the smallest slot that fits, and refuses what fits in none", () => {
  const pool = new PacketPool();
  const sizes: [number, number, number][] = [
    [0, PacketPool.smallBytes, PacketPool.smallBytes],
    [1, PacketPool.smallBytes, PacketPool.largeBytes],
    [512, 65536, PacketPool.largeBytes],
  ];
  for (const [headroom, bytes, slot] of sizes) {
    const packet = pool.allocate(headroom, bytes)!;
    assertEquals([packet.bytes.length, packet.tailroom >= bytes], [slot, true]);
    packet.release();
  }
  assertEquals(pool.allocate(513, 65536), null);
  assertEquals(pool.exhausted, 1);
  assertEquals(pool.inUse, 0);
});

Deno.test("the pool never holds more than its limit, and recovers when packets come back", () => {
  const slab = 128 * PacketPool.smallBytes;
  const pool = new PacketPool({ limitBytes: 2 * slab });
  const packets: Packet[] = [];
  for (let packet = pool.allocate(0, 1); packet !== null; packet = pool.allocate(0, 1)) packets.push(packet);
  assertEquals([packets.length, pool.heldBytes, pool.exhausted], [256, 2 * slab, 1]);
  assertEquals(packets[0]!.copy(), null);
  packets.pop()!.release();
  packets.push(pool.allocate(0, 1)!);
  assertEquals(pool.allocate(0, 5000), null);
  for (const packet of packets) packet.release();
  assertEquals([pool.inUse, pool.heldBytes], [0, 2 * slab]);
});

Deno.test("a pool without room for one slab gives nothing", () => {
  const pool = new PacketPool({ limitBytes: 1000 });
  assertEquals(pool.allocate(0, 1), null);
  assertEquals([pool.inUse, pool.heldBytes], [0, 0]);
});

Deno.test("the pool counts what is out, whatever is taken and released in whatever order", () => {
  const pool = new PacketPool();
  const random = new SeededRandom(1);
  const held: Packet[] = [];
  for (let round = 0; round < 5000; round++) {
    if (held.length === 0 || below(random, 100) < 52) {
      held.push(pool.allocate(0, below(random, 4000))!);
    } else {
      const [packet] = held.splice(below(random, held.length), 1);
      packet!.release();
    }
    assertEquals(pool.inUse, held.length);
  }
  assertEquals(new Set(held).size, held.length);
  for (const packet of held) packet.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("a queue is first in, first out, and knows its length and bytes", () => {
  const pool = new PacketPool();
  const random = new SeededRandom(2);
  const queue = new PacketQueue();
  const model: Packet[] = [];
  for (let round = 0; round < 2000; round++) {
    if (below(random, 2) === 0) {
      const packet = pool.allocate(0, 100)!;
      packet.tail += below(random, 100);
      queue.enqueue(packet);
      model.push(packet);
    } else {
      const packet = queue.dequeue();
      assertStrictEquals(packet, model.shift() ?? null);
      assertEquals(packet?.next ?? null, null);
      packet?.release();
    }
    assertEquals(queue.length, model.length);
    assertEquals(queue.bytes, model.reduce((bytes, packet) => bytes + packet.length, 0));
  }
  queue.clear();
  assertEquals([queue.length, queue.bytes, queue.dequeue(), pool.inUse], [0, 0, null, 0]);
});

Deno.test("the view of a part is kept until another part is asked for", () => {
  const packet = new PacketPool().allocate(0, 100)!;
  const part = packet.part(10, 20);
  assertEquals([part.byteOffset - packet.bytes.byteOffset, part.length], [10, 20]);
  assertEquals(packet.part(10, 20) === part, true);
  assertEquals([packet.part(10, 21).length, packet.part(11, 20) === part], [21, false]);
  packet.release();
});

/** A packet whose header is its first two bytes, and which has borrowed the rest from where a ring of 16 comes round. */
function borrowing(pool: PacketPool): { packet: Packet; ring: Uint8Array<ArrayBuffer> } {
  const ring = Uint8Array.from({ length: 16 }, (_, index) => 100 + index);
  const packet = pool.allocate(8, 10)!;
  packet.borrow(ring, 12, 10);
  packet.view.setUint16(packet.push(2), 0x0102);
  return { packet, ring };
}

const borrowed = [1, 2, 112, 113, 114, 115, 100, 101, 102, 103, 104, 105];

Deno.test("what a packet has borrowed counts as its own, and is fetched from around the end of the ring", () => {
  const pool = new PacketPool();
  const { packet, ring } = borrowing(pool);
  assertEquals([packet.length, packet.lentBytes, packet.lender === ring], [12, 10, true]);
  packet.fill();
  ring.fill(0);
  assertEquals([...packet.bytes.subarray(packet.head, packet.tail)], borrowed);
  packet.fill();
  assertEquals([...packet.contents(), packet.lender], [...borrowed, null]);
  packet.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("a packet's contents, its copy and its place in a queue have what it borrowed", () => {
  const pool = new PacketPool();
  const looks: ((packet: Packet) => Packet)[] = [
    (packet) => (packet.contents(), packet),
    (packet) => {
      const copy = packet.copy()!;
      packet.release();
      return copy;
    },
    (packet) => {
      const queue = new PacketQueue();
      queue.enqueue(packet);
      return queue.dequeue()!;
    },
  ];
  for (const look of looks) {
    const { packet, ring } = borrowing(pool);
    const found = look(packet);
    ring.fill(0);
    assertEquals([...found.bytes.subarray(found.head, found.tail), found.lender], [...borrowed, null]);
    found.release();
  }
  assertEquals(pool.inUse, 0);
});

Deno.test("a packet that is released owes nothing", () => {
  const pool = new PacketPool();
  const { packet } = borrowing(pool);
  packet.release();
  assertEquals(packet.lender, null);
  const next = pool.allocate(8, 10)!;
  assertStrictEquals(next, packet);
  next.tail += 10;
  next.bytes.fill(7);
  next.fill();
  assert(next.contents().every((byte) => byte === 7));
  next.release();
});
