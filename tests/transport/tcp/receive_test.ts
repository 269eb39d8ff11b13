import { assert, assertEquals } from "@std/assert";
import { PacketPool } from "../../../stack/packet.ts";
import { below, SeededRandom } from "../../../stack/random.ts";
import { add } from "../../../stack/sequence.ts";
import { AckNeed } from "../../../stack/transport/tcp/ack_policy.ts";
import { Flag, writeHeader } from "../../../stack/transport/tcp/header.ts";
import { Receiver } from "../../../stack/transport/tcp/receive.ts";
import { SpareReceiveBuffers } from "../../../stack/transport/tcp/receive_buffer.ts";
import { RingStorage } from "../../../stack/transport/tcp/ring.ts";
import { Segment } from "../../../stack/transport/tcp/segment.ts";
import { pattern, patternBytes } from "./pattern.ts";

/** A receiver whose peer's data begin at relative sequence number 1. */
class Reception {
  readonly storage = new RingStorage();
  readonly pool = new PacketPool();
  readonly receiver: Receiver;
  readonly segment = new Segment();

  constructor(maximum = 100_000, readonly base = 1000) {
    this.receiver = new Receiver(new SpareReceiveBuffers(this.storage), maximum);
    this.receiver.windowScale = Receiver.scaleFor(maximum);
    this.receiver.selective = true;
    this.receiver.start(base);
  }

  /** Whether a segment is acceptable. */
  accepts(start: number, length: number): boolean {
    return this.receiver.acceptable(add(this.base, start), length);
  }

  take(start: number, end: number, fin = false, now = 0): boolean {
    const packet = this.pool.allocate(0, 20 + end - start)!;
    packet.tail = 20 + end - start;
    packet.transportAt = 0;
    writeHeader(packet.view, 0, 1, 2, add(this.base, start), 0, 20, Flag.ack | (fin ? Flag.fin : 0), 0);
    for (let index = start; index < end; index++) packet.bytes[20 + index - start] = pattern(index);
    this.segment.load(packet);
    const readable = this.receiver.take(this.segment, now);
    packet.release();
    return readable;
  }

  /** RCV.NXT and the right edge, relative. */
  get edges(): [number, number] {
    return [(this.receiver.rcvNxt - this.base) | 0, (this.receiver.rightEdge - this.base) | 0];
  }
}

for (const base of [0, 0x7fff_ffff - 20, 0xffff_ffff - 20]) {
  Deno.test(`segments at the edges of the window, from ${base} on (RFC 9293 3.10.7.4)`, () => {
    const reception = new Reception(100, base);
    reception.take(1, 41);
    assertEquals(reception.edges, [41, 101]);
    // Without length: from the left edge to just before the right one.
    assertEquals([40, 41, 42, 100, 101, 102].map((start) => reception.accepts(start, 0)), [
      false,
      true,
      true,
      true,
      false,
      false,
    ]);
    // With ten bytes: when any of them lies inside.
    assertEquals([30, 31, 32, 41, 100, 101].map((start) => reception.accepts(start, 10)), [
      false,
      false,
      true,
      true,
      true,
      false,
    ]);
    reception.take(41, 101);
    assertEquals([100, 101, 102].map((start) => reception.accepts(start, 0)), [false, true, false]);
  });

  Deno.test(`whatever order, overlap and repetition, the stream is what was sent, from ${base} on`, () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = new SeededRandom(seed);
      const reception = new Reception(20_000, base);
      const { receiver } = reception;
      const total = 30_000;
      let read = 0;
      for (let step = 0; read < total; step++) {
        const [next] = reception.edges;
        // Mostly around what is expected, and sometimes the expected itself, so that it goes on.
        const start = Math.max(1, below(random, 4) === 0 ? next : next - 500 + below(random, 6000));
        const end = Math.min(total + 1, start + 1 + below(random, 1460));
        if (start >= end) continue;
        if (reception.accepts(start, end - start)) reception.take(start, end);
        if (below(random, 3) > 0) continue;
        const target = new Uint8Array(below(random, 8000));
        const length = receiver.read(target, step, 1);
        assertEquals(target.subarray(0, length), patternBytes(read + 1, length));
        read += length;
        receiver.announce(true);
      }
      assertEquals([receiver.outOfOrder.count, receiver.bytesReceived, reception.storage.inUse], [0, total, 0]);
    }
  });
}

Deno.test("a segment that joins several ranges behind holes makes all of them readable", () => {
  const reception = new Reception();
  reception.take(10, 20);
  reception.take(30, 40);
  reception.take(1, 35);
  assertEquals([reception.edges[0], reception.receiver.queued, reception.receiver.outOfOrder.count], [40, 39, 0]);
});

Deno.test("a duplicate behind a hole is reported, with the range in which it lies behind it (RFC 2883 4)", () => {
  const reception = new Reception();
  for (const start of [100, 200, 300]) reception.take(start, start + 50);
  reception.take(110, 120);
  const edges = new Int32Array(8);
  const relative = () => [...edges].map((edge) => edge - 1000);
  assertEquals(reception.receiver.writeSackBlocks(edges), 4);
  assertEquals(relative(), [110, 120, 100, 150, 300, 350, 200, 250]);
  assertEquals(reception.receiver.writeSackBlocks(edges), 3);
  assertEquals(relative().slice(0, 2), [100, 150]);
});

Deno.test("a segment that was refused is reported as a duplicate only as far as it was received", () => {
  const reception = new Reception();
  reception.take(1, 11);
  reception.receiver.noteDuplicateSegment(1011, 20);
  assertEquals(reception.receiver.sackBlocks, 0);
  reception.receiver.noteDuplicateSegment(1005, 20);
  const edges = new Int32Array(8);
  assertEquals([reception.receiver.writeSackBlocks(edges), edges[0], edges[1]], [1, 1005, 1011]);
});

Deno.test("a FIN in front of data that are here already is not believed", () => {
  const reception = new Reception();
  reception.take(100, 200);
  reception.take(50, 60, true);
  reception.take(1, 50);
  reception.take(60, 100);
  assertEquals([reception.edges[0], reception.receiver.finKnown], [200, false]);
  reception.take(200, 200, true);
  assertEquals([reception.edges[0], reception.receiver.finReached], [201, true]);
});

Deno.test("a FIN beyond the window waits for room, a bare one at the edge needs none", () => {
  const reception = new Reception(100);
  reception.take(1, 101, true);
  assertEquals([reception.edges, reception.receiver.finReached], [[101, 101], false]);
  reception.take(101, 101, true);
  assertEquals([reception.edges, reception.receiver.finReached], [[102, 102], true]);
});

Deno.test("the right edge never moves back, whatever the scale and the limit", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = new SeededRandom(seed);
    const reception = new Reception(3_000_000);
    const { receiver } = reception;
    const scale = receiver.windowScale;
    let edge = receiver.rightEdge;
    for (let step = 0; step < 500; step++) {
      const [next, right] = reception.edges;
      const end = Math.min(right, next + below(random, 1461));
      if (end > next) reception.take(next, end, false, step);
      if (below(random, 3) === 0) receiver.read(new Uint8Array(below(random, 5000)), step, 10);
      if (below(random, 50) === 0) receiver.maximum = 1000 + below(random, 3_000_000);
      const field = receiver.announce(true);
      const announced = receiver.rcvNxt + field * 2 ** scale;
      assertEquals(announced >= edge && announced <= receiver.rightEdge + 2 ** scale, true);
      edge = announced;
    }
  }
});

Deno.test("the window grows with what the application reads in a round trip, up to the maximum", () => {
  const reception = new Reception(1_000_000);
  const { receiver } = reception;
  const target = new Uint8Array(65_536);
  const windows: number[] = [];
  for (let now = 0; now < 400; now += 10) {
    for (let [next, right] = reception.edges; next < right; [next] = reception.edges) {
      reception.take(next, Math.min(right, next + 1460), false, now);
    }
    while (receiver.read(target, now, 10) > 0);
    receiver.announce(true);
    windows.push(receiver.window);
  }
  assertEquals(windows[0]! < 140_000, true);
  assertEquals(windows.at(-1)! > 990_000 && windows.at(-1)! <= 1_000_000 + 16, true);
});

Deno.test("a slow reader's window does not grow", () => {
  const reception = new Reception(1_000_000);
  const { receiver } = reception;
  for (let now = 0; now < 4000; now += 10) {
    const [next, right] = reception.edges;
    if (right - next >= 1460) reception.take(next, next + 1460, false, now);
    receiver.read(new Uint8Array(1460), now, 10);
    receiver.announce(true);
  }
  assertEquals(receiver.window <= 65_536, true);
});

Deno.test("waiting in vain for an answer to carry the acknowledgement is not repeated for every request", () => {
  const reception = new Reception(10_000_000);
  let delayed = 0;
  let next = 1;
  const small = () => {
    reception.take(next, next + 10);
    next += 10;
    if (reception.receiver.acks.need === AckNeed.delayed) {
      delayed++;
      reception.receiver.acks.delayedInVain(reception.receiver.segmentBytes);
    }
    reception.receiver.acknowledged();
  };
  // Requests in two pieces, of which the second comes when the first has been acknowledged; then the answer.
  for (let request = 0; request < 500; request++) {
    small();
    small();
    reception.receiver.acks.answered(reception.receiver.bytesReceived);
  }
  assertEquals(delayed > 0 && delayed < 10, true);
});

Deno.test("sending before anything was received does not end the quick acknowledgements", () => {
  const reception = new Reception();
  reception.receiver.acks.answered(reception.receiver.bytesReceived);
  reception.take(1, 11);
  assertEquals(reception.receiver.acks.need, AckNeed.now);
  reception.receiver.acknowledged();
  reception.receiver.acks.answered(reception.receiver.bytesReceived);
  reception.take(11, 21);
  assertEquals(reception.receiver.acks.need, AckNeed.delayed);
});

Deno.test("the window scale is the least with which the buffer can be announced, at most 14", () => {
  assertEquals([0, 65_535, 65_536, 131_070, 4 << 20, 2 ** 30, 2 ** 40].map(Receiver.scaleFor), [
    0,
    0,
    1,
    1,
    7,
    14,
    14,
  ]);
});

Deno.test("what is thrown away gives its storage back", () => {
  const reception = new Reception();
  reception.take(1, 100);
  reception.take(200, 300);
  reception.receiver.stop();
  assertEquals([reception.receiver.queued, reception.receiver.outOfOrder.count], [99, 0]);
  reception.receiver.discard();
  assertEquals([reception.receiver.queued, reception.storage.inUse], [0, 0]);
});

Deno.test("data in order go straight to who expects them, and what does not fit follows from the ring", () => {
  const reception = new Reception();
  const { receiver, storage } = reception;
  const target = new Uint8Array(100);
  receiver.expect(target);
  reception.take(1, 61);
  assertEquals([target.subarray(0, 60), storage.inUse, receiver.queued], [patternBytes(1, 60), 0, 60]);
  reception.take(61, 161);
  assertEquals(receiver.read(target, 0, 0), 100);
  assertEquals(target, patternBytes(1, 100));
  const rest = new Uint8Array(100);
  assertEquals(receiver.read(rest, 0, 0), 60);
  assertEquals([rest.subarray(0, 60), storage.inUse], [patternBytes(101, 60), 0]);
});

Deno.test("what lies behind a hole waits in the ring for its place behind what was expected", () => {
  const reception = new Reception();
  const { receiver } = reception;
  const target = new Uint8Array(200);
  receiver.expect(target);
  reception.take(51, 101);
  reception.take(1, 31);
  reception.take(31, 61);
  reception.take(101, 121);
  assertEquals(receiver.read(target, 0, 0), 120);
  assertEquals(target.subarray(0, 120), patternBytes(1, 120));
  assertEquals(reception.storage.inUse, 0);
});

Deno.test("what was placed is read in its order by others too, once it is taken back", () => {
  for (const behind of [0, 80]) {
    const reception = new Reception();
    const { receiver } = reception;
    const expecting = new Uint8Array(40);
    receiver.expect(expecting);
    reception.take(1, 41 + behind);
    receiver.expect(null);
    expecting.fill(0);
    const target = new Uint8Array(200);
    assertEquals(receiver.peek(target), 40 + behind);
    assertEquals(receiver.read(target, 0, 0), 40 + behind);
    assertEquals(target.subarray(0, 40 + behind), patternBytes(1, 40 + behind));
  }
});

Deno.test("who gives his buffer's memory away has what was placed there, and takes nothing else with it", () => {
  const reception = new Reception();
  const { receiver } = reception;
  for (const takenBack of [false, true]) {
    const start = takenBack ? 81 : 1;
    const expecting = new Uint8Array(40);
    receiver.expect(expecting);
    reception.take(start, start + 40);
    structuredClone(expecting.buffer, { transfer: [expecting.buffer] });
    reception.take(start + 40, start + 80);
    if (takenBack) receiver.expect(null);
    else assertEquals(receiver.read(expecting, 0, 0), 40);
    const target = new Uint8Array(100);
    assertEquals(receiver.read(target, 0, 0), 40);
    assertEquals(target.subarray(0, 40), patternBytes(start + 40, 40));
  }
});

Deno.test("on a path without delay the window grows with the rate all the same, not with single reads", () => {
  const reception = new Reception(1_000_000);
  const { receiver } = reception;
  const target = new Uint8Array(10_000);
  let next = 1;
  // Ten segments in each millisecond, read one by one.
  for (let now = 0; now < 20; now += 0.1) {
    reception.take(next, next + 10_000, false, now);
    next += 10_000;
    receiver.read(target, now, 0);
    receiver.announce(true);
  }
  assert(receiver.window >= 400_000, `${receiver.window}`);
});

for (const seed of [1, 2, 3]) {
  Deno.test(`segments in any order, reads of any size, expected or not: the stream is whole (seed ${seed})`, () => {
    const random = new SeededRandom(seed);
    const reception = new Reception();
    const { receiver } = reception;
    let target = new Uint8Array(1);
    let read = 0;
    while (read < 20_000) {
      const next = receiver.rcvNxt - reception.base;
      const start = Math.max(1, next - 50 + below(random, 600));
      const length = 1 + below(random, 500);
      if (reception.accepts(start, length)) reception.take(start, start + length);
      if (below(random, 3) === 0) {
        target = new Uint8Array(1 + below(random, 700));
        if (below(random, 4) > 0) receiver.expect(target);
      }
      if (below(random, 4) === 0) {
        const length = receiver.read(target, 0, 0);
        assertEquals(target.subarray(0, length), patternBytes(1 + read, length));
        read += length;
      }
      receiver.announce(true);
    }
    receiver.discard();
    assertEquals([reception.storage.inUse, reception.pool.inUse], [0, 0]);
  });
}
