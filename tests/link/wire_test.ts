import { assert, assertEquals, assertNotEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { createWire, type WireOptions } from "../../stack/link/wire.ts";
import { ChecksumState } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { drain, range, TestHost } from "../helpers/frames.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

function setUp(options: WireOptions = {}) {
  const time = new VirtualTime();
  const [left, right] = createWire(options);
  const leftHost = new TestHost(time.timers);
  const rightHost = new TestHost(time.timers);
  left.attach(leftHost);
  right.attach(rightHost);
  const finish = () => {
    left.close();
    right.close();
    assertEquals(leftHost.pool.inUse + rightHost.pool.inUse, 0);
    assertEquals(time.timers.running, 0);
  };
  return { time, left, right, leftHost, rightHost, finish };
}

Deno.test("a wire hands the packet itself over, at once and in order", () => {
  const { left, right, leftHost, finish } = setUp();
  const packet = leftHost.frame(7);
  packet.linkAt = packet.head;
  packet.networkAt = packet.head + 14;
  packet.protocol = 6;
  packet.checksum = ChecksumState.partial;
  assertEquals(left.transmit(packet), Verdict.done);
  const received = right.receive()!;
  assertStrictEquals(received, packet);
  assertEquals([received.linkAt, received.networkAt, received.protocol], [-1, -1, -1]);
  assertEquals(received.checksum, ChecksumState.none);
  received.release();
  for (const mark of range(10)) left.transmit(leftHost.frame(mark));
  assertEquals(drain(right), range(10));
  assertEquals(right.receive(), null);
  finish();
});

Deno.test("a wire returns a packet to the pool of its sender", () => {
  const { left, right, leftHost, rightHost, finish } = setUp();
  left.transmit(leftHost.frame(1));
  assertEquals([leftHost.pool.inUse, rightHost.pool.inUse], [1, 0]);
  drain(right);
  assertEquals([leftHost.pool.inUse, rightHost.pool.inUse], [0, 0]);
  finish();
});

Deno.test("a wire carries frames both ways and keeps them apart", () => {
  const { left, right, leftHost, rightHost, finish } = setUp();
  left.transmit(leftHost.frame(1));
  right.transmit(rightHost.frame(2));
  assertEquals([drain(left), drain(right)], [[2], [1]]);
  finish();
});

Deno.test("a wire wakes the receiver when the first frame comes, not for each", () => {
  const { left, right, leftHost, rightHost, finish } = setUp();
  for (const mark of range(3)) left.transmit(leftHost.frame(mark));
  assertEquals([leftHost.wakes, rightHost.wakes], [0, 1]);
  drain(right);
  left.transmit(leftHost.frame(3));
  assertEquals(rightHost.wakes, 2);
  finish();
});

Deno.test("a wire gives every received frame headroom for a larger reply", () => {
  const { left, right, leftHost, finish } = setUp();
  const packet = leftHost.pool.allocate(10, 1514)!;
  packet.tail += 1514;
  for (const at of range(1514)) packet.bytes[packet.head + at] = at & 0xff;
  const before = packet.contents().slice();
  left.transmit(packet);
  const received = right.receive()!;
  assert(received.head >= left.headerBytes);
  assertEquals(received.contents(), before);
  received.release();
  finish();
});

Deno.test("a wire hands a frame over as it is where its slot has no room to move it", () => {
  const { left, right, leftHost, finish } = setUp({ medium: "ip", mtu: 2048 });
  const packet = leftHost.pool.allocate(0, 2048)!;
  packet.tail += 2048;
  left.transmit(packet);
  const received = right.receive()!;
  assertEquals([received.head, received.length], [0, 2048]);
  received.release();
  finish();
});

Deno.test("a wire drops what comes while its receiver's queue is full, and counts it", () => {
  const { left, right, leftHost, finish } = setUp({ receiveFrames: 3 });
  for (const mark of range(5)) assertEquals(left.transmit(leftHost.frame(mark)), Verdict.done);
  assertEquals(leftHost.pool.inUse, 3);
  assertEquals(drain(right), [0, 1, 2]);
  assertEquals(left.impairment.counters.queueDropped, 2);
  assertEquals(left.impairment.counters.delivered, 3);
  finish();
});

for (
  const { medium, headerBytes } of [{ medium: "ethernet", headerBytes: 14 }, { medium: "ip", headerBytes: 0 }] as const
) {
  Deno.test(`a wire of medium ${medium} takes frames up to its MTU and drops larger ones`, () => {
    const { left, right, leftHost, finish } = setUp({ medium, mtu: 1000 });
    assertEquals(left.transmit(leftHost.frame(1, 1000 + headerBytes)), Verdict.done);
    assertEquals(left.transmit(leftHost.frame(2, 1001 + headerBytes)), Verdict.dropped);
    assertEquals(drain(right), [1]);
    assertEquals(left.impairment.counters.oversized, 1);
    finish();
  });
}

Deno.test("a wire's ends have different hardware addresses, and none where the medium has none", () => {
  const [left, right] = createWire();
  assertNotEquals(left.address!.toString(), right.address!.toString());
  assert(!left.address!.isGroup);
  const [bareLeft, bareRight] = createWire({ medium: "ip", names: ["a", "b"] });
  assertEquals([bareLeft.address, bareRight.address], [null, null]);
  assertEquals([bareLeft.name, bareRight.name], ["a", "b"]);
});

Deno.test("a wire loses what is sent while the other end is not attached", () => {
  const time = new VirtualTime();
  const [left, right] = createWire();
  const host = new TestHost(time.timers);
  left.attach(host);
  assertEquals(left.transmit(host.frame(1)), Verdict.done);
  assertEquals(left.impairment.counters.lost, 1);
  assertEquals(host.pool.inUse, 0);
  left.close();
  right.close();
});

Deno.test("a wire releases all packets when an end is closed, waiting and under way", () => {
  const { time, left, right, leftHost, rightHost, finish } = setUp({ impairments: [{}, { delay: 10 }] });
  left.transmit(leftHost.frame(1));
  right.transmit(rightHost.frame(2));
  assertEquals(right.impairment.inFlight, 1);
  right.close();
  assertEquals([leftHost.pool.inUse, rightHost.pool.inUse], [0, 0]);
  assertEquals(time.timers.running, 0);
  assertEquals(left.transmit(leftHost.frame(3)), Verdict.done);
  assertEquals(right.transmit(rightHost.frame(4)), Verdict.dropped);
  assertEquals(drain(left), []);
  finish();
});

Deno.test("a wire's ends can be impaired differently", () => {
  const { time, left, right, leftHost, rightHost, finish } = setUp({ impairments: [{ loss: 1 }, { delay: 5 }] });
  left.transmit(leftHost.frame(1));
  right.transmit(rightHost.frame(2));
  time.advance(5);
  assertEquals([drain(left), drain(right)], [[2], []]);
  finish();
});

Deno.test("a wire runs the same with the same seed, and differently with another", () => {
  const run = (seed: number) => {
    const { time, left, right, leftHost, finish } = setUp({
      seed,
      impairments: {
        loss: 0.2,
        duplicate: 0.1,
        delay: 5,
        jitter: 20,
        jitterReorders: true,
        reorder: 0.1,
        corrupt: 0.05,
      },
    });
    const log: [number, number[]][] = [];
    for (const mark of range(200)) {
      left.transmit(leftHost.frame(mark));
      time.advance(1);
      log.push([time.now, drain(right)]);
    }
    time.advance(100);
    log.push([time.now, drain(right)]);
    finish();
    return { log, counters: left.impairment.counters };
  };
  assertEquals(run(3), run(3));
  assertNotEquals(run(3), run(4));
});

Deno.test("a wire refuses options that make no sense, and says what it takes", () => {
  assertThrows(() => createWire({ mtu: 10 }), RangeError, "MTU of 10 bytes");
  assertThrows(() => createWire({ mtu: NaN }), RangeError, "MTU of NaN");
  assertThrows(() => createWire({ receiveFrames: 0 }), RangeError, "room for 0 frames");
  assertThrows(() => createWire({ impairments: { loss: 2 } }), RangeError, "loss = 2: it goes from 0 to 1");
});
