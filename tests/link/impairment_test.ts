import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { impair } from "../../stack/link/impaired_device.ts";
import { Impairment, type ImpairmentOptions } from "../../stack/link/impairment.ts";
import { createWire } from "../../stack/link/wire.ts";
import type { Packet } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { drain, range, TestHost } from "../helpers/frames.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

/** One direction whose output is a list of [moment, mark], relative to its start. */
class Direction {
  readonly time = new VirtualTime();
  readonly host = new TestHost(this.time.timers);
  readonly arrivals: [number, number][] = [];
  readonly impairment: Impairment;
  readonly #startedAt = this.time.now;
  accepts = true;

  constructor(options: ImpairmentOptions, seed = 1) {
    this.impairment = new Impairment({
      options,
      random: new SeededRandom(seed),
      linkHeaderBytes: 14,
      deliver: (packet) => {
        this.arrivals.push([this.time.now - this.#startedAt, packet.view.getUint32(packet.head)]);
        packet.release();
        return this.accepts;
      },
    });
    this.impairment.start(this.time.timers);
  }

  send(mark: number, length?: number): void {
    this.impairment.accept(this.host.frame(mark, length));
  }

  /** Sends frames marked 0, 1, ... and lets all of them arrive. */
  sendMany(count: number, interval = 0): void {
    for (const mark of range(count)) {
      this.send(mark);
      this.time.advance(interval);
    }
    this.time.advance(1_000_000);
  }

  get marks(): number[] {
    return this.arrivals.map(([, mark]) => mark);
  }

  finish(): void {
    const { sent, duplicated, delivered, lost, queueDropped, oversized } = this.impairment.counters;
    assertEquals(sent + duplicated, delivered + lost + queueDropped + oversized + this.impairment.inFlight);
    this.impairment.stop();
    assertEquals(this.host.pool.inUse, 0);
    assertEquals(this.time.timers.running, 0);
  }
}

Deno.test("without options every frame comes out at once, in order and intact", () => {
  const direction = new Direction({});
  for (const mark of range(100)) direction.send(mark);
  assertEquals(direction.marks, range(100));
  assertEquals(direction.impairment.counters.delivered, 100);
  assertEquals(direction.time.timers.running, 0);
  direction.finish();
});

Deno.test("drop loses exactly the frames it names", () => {
  const direction = new Direction({ drop: (packet, index) => index === 2 || packet.length > 100 });
  for (const mark of range(5)) direction.send(mark, mark === 3 ? 101 : 60);
  assertEquals(direction.marks, [0, 1, 4]);
  assertEquals(direction.impairment.counters.lost, 2);
  direction.finish();
});

Deno.test("loss loses about that share of the frames", () => {
  const direction = new Direction({ loss: 0.1 });
  direction.sendMany(10_000);
  assertAlmostEquals(direction.impairment.counters.lost / 10_000, 0.1, 0.01);
  direction.finish();
});

Deno.test("a loss of 1 loses everything, and one of 0 nothing", () => {
  for (const [loss, arrived] of [[1, 0], [0, 1000]] as const) {
    const direction = new Direction({ loss });
    direction.sendMany(1000);
    assertEquals(direction.marks.length, arrived);
    direction.finish();
  }
});

Deno.test("burst loss loses runs of frames of the mean length asked for", () => {
  const direction = new Direction({ burstLoss: { enter: 0.01, leave: 0.25 } });
  direction.sendMany(50_000);
  const { lost } = direction.impairment.counters;
  // The chain spends enter / (enter + leave) of its time in the bad state.
  assertAlmostEquals(lost / 50_000, 0.01 / 0.26, 0.006);
  let bursts = 0;
  direction.marks.forEach((mark, index, marks) => {
    if (index > 0 && mark !== marks[index - 1]! + 1) bursts++;
  });
  assertAlmostEquals(lost / bursts, 4, 0.5);
  direction.finish();
});

Deno.test("burst loss can let frames through in a burst and lose some outside", () => {
  const direction = new Direction({ burstLoss: { enter: 1, leave: 0, lossBad: 0.5, lossGood: 1 } });
  direction.sendMany(2000);
  assertAlmostEquals(direction.marks.length / 2000, 0.5, 0.05);
  direction.finish();
});

Deno.test("an outage loses everything from its beginning until just before its end", () => {
  const direction = new Direction({ outages: [{ from: 10, until: 20 }, { from: 30, until: 31 }] });
  for (const mark of range(40)) {
    direction.send(mark);
    direction.time.advance(1);
  }
  assertEquals(direction.marks, range(40).filter((mark) => (mark < 10 || mark >= 20) && mark !== 30));
  direction.finish();
});

Deno.test("duplicate delivers a copy right after the original", () => {
  const direction = new Direction({ duplicate: 1, delay: 5 });
  direction.sendMany(3, 1);
  assertEquals(direction.marks, [0, 0, 1, 1, 2, 2]);
  assertEquals(direction.impairment.counters.duplicated, 3);
  direction.finish();
});

Deno.test("corrupt flips exactly one bit of a frame", () => {
  const time = new VirtualTime();
  const host = new TestHost(time.timers);
  const positions = new Set<number>();
  const impairment = new Impairment({
    options: { corrupt: 1 },
    random: new SeededRandom(5),
    linkHeaderBytes: 14,
    deliver: (packet) => {
      const bits = [...packet.contents()].flatMap((byte, at) =>
        range(8).filter((bit) => byte & (1 << bit)).map((bit) => 8 * at + bit)
      );
      assertEquals(bits.length, 1);
      positions.add(bits[0]!);
      packet.release();
      return true;
    },
  });
  impairment.start(time.timers);
  for (let round = 0; round < 5000; round++) impairment.accept(host.frame(0, 20));
  assertEquals(positions.size, 160);
  assertEquals(impairment.counters.corrupted, 5000);
  impairment.stop();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("corrupt leaves an empty frame alone", () => {
  const direction = new Direction({ corrupt: 1 });
  direction.impairment.accept(direction.host.pool.allocate(64, 0)!);
  assertEquals(direction.impairment.counters.corrupted, 0);
  assertEquals(direction.impairment.counters.delivered, 1);
  direction.finish();
});

Deno.test("delay delivers each frame that much later, with one timer for all", () => {
  const direction = new Direction({ delay: 20 });
  for (const mark of range(5)) {
    direction.send(mark);
    direction.time.advance(3);
    assert(direction.time.timers.running <= 1);
  }
  direction.time.advance(100);
  assertEquals(direction.arrivals, range(5).map((mark) => [3 * mark + 20, mark]));
  direction.finish();
});

Deno.test("jitter spreads delays without reordering", () => {
  const direction = new Direction({ delay: 10, jitter: 50 });
  direction.sendMany(500, 1);
  assertEquals(direction.marks, range(500));
  assertEquals(direction.impairment.counters.reordered, 0);
  const delays = direction.arrivals.map(([moment, mark]) => moment - mark);
  assert(Math.min(...delays) >= 10 && Math.max(...delays) <= 60);
  assert(new Set(delays.map(Math.round)).size > 10);
  direction.finish();
});

Deno.test("jitter reorders where it is asked to, and the overtaken frames are counted", () => {
  const direction = new Direction({ jitter: 50, jitterReorders: true });
  direction.sendMany(500, 1);
  assertEquals(direction.marks.toSorted((left, right) => left - right), range(500));
  let latest = -1;
  let overtaken = 0;
  for (const mark of direction.marks) {
    if (mark < latest) overtaken++;
    else latest = mark;
  }
  assert(overtaken > 100);
  assertEquals(direction.impairment.counters.reordered, overtaken);
  direction.finish();
});

Deno.test("reorder holds some frames back and keeps the order of the others", () => {
  const direction = new Direction({ reorder: 0.2, reorderDelay: 5.5, delay: 1 });
  direction.sendMany(300, 1);
  const late = direction.arrivals.filter(([moment, mark]) => moment - mark > 2);
  assertAlmostEquals(late.length / 300, 0.2, 0.06);
  for (const [moment, mark] of late) assertEquals(moment, mark + 6.5);
  const lateMarks = new Set(late.map(([, mark]) => mark));
  assertEquals(
    direction.marks.filter((mark) => !lateMarks.has(mark)),
    range(300).filter((mark) => !lateMarks.has(mark)),
  );
  assert(direction.impairment.counters.reordered > 0);
  direction.finish();
});

Deno.test("rate spaces frames by the time that their bits take", () => {
  // 60 bytes at 48,000 bits per second take 10 ms.
  const direction = new Direction({ rate: 48_000, delay: 3 });
  for (const mark of range(4)) direction.send(mark);
  direction.time.advance(100);
  direction.send(4);
  direction.time.advance(100);
  assertEquals(direction.arrivals, [[13, 0], [23, 1], [33, 2], [43, 3], [113, 4]]);
  direction.finish();
});

Deno.test("rate drops what exceeds its queue in frames", () => {
  const direction = new Direction({ rate: 48_000, queueFrames: 3 });
  for (const mark of range(5)) direction.send(mark);
  direction.time.advance(10);
  direction.send(5);
  direction.time.advance(1000);
  assertEquals(direction.marks, [0, 1, 2, 5]);
  assertEquals(direction.impairment.counters.queueDropped, 2);
  direction.finish();
});

Deno.test("rate drops what exceeds its queue in bytes, but never blocks an idle link", () => {
  const direction = new Direction({ rate: 48_000, queueBytes: 150 });
  direction.send(0, 1000);
  direction.send(1, 60);
  direction.time.advance(1000);
  for (const mark of [2, 3, 4]) direction.send(mark, 60);
  direction.time.advance(1000);
  assertEquals(direction.marks, [0, 2, 3]);
  direction.finish();
});

Deno.test("a bottleneck delivers at its rate, whatever is offered", () => {
  const direction = new Direction({ rate: 480_000, queueFrames: 50 });
  for (let tick = 0; tick < 1000; tick++) {
    for (let burst = 0; burst < 3; burst++) direction.send(tick);
    direction.time.advance(1);
  }
  direction.time.advance(1000);
  // One frame a millisecond, and what was left in the queue.
  assertAlmostEquals(direction.impairment.counters.delivered, 1050, 2);
  direction.finish();
});

Deno.test("mtu loses larger packets without a word, not counting the link header", () => {
  const direction = new Direction({ mtu: 100 });
  direction.send(1, 114);
  direction.send(2, 115);
  assertEquals(direction.marks, [1]);
  assertEquals(direction.impairment.counters.oversized, 1);
  direction.finish();
});

Deno.test("the frames on their way are bounded", () => {
  const direction = new Direction({ delay: 1000, inFlightFrames: 10 });
  for (const mark of range(15)) direction.send(mark);
  assertEquals(direction.impairment.inFlight, 10);
  assertEquals(direction.host.pool.inUse, 10);
  assertEquals(direction.impairment.counters.queueDropped, 5);
  direction.finish();
});

Deno.test("a frame that the receiver has no room for counts as dropped, not as delivered", () => {
  const direction = new Direction({});
  direction.accepts = false;
  direction.send(1);
  assertEquals(direction.impairment.counters.delivered, 0);
  assertEquals(direction.impairment.counters.queueDropped, 1);
  direction.finish();
});

Deno.test("changing the options leaves frames on their way alone, and in order", () => {
  const direction = new Direction({ delay: 10 });
  direction.send(1);
  direction.impairment.configure({ loss: 1 });
  direction.send(2);
  direction.impairment.configure({});
  direction.send(3);
  direction.time.advance(20);
  assertEquals(direction.arrivals, [[10, 1], [10, 3]]);
  direction.finish();
});

Deno.test("a direction that was stopped loses frames and keeps none", () => {
  const direction = new Direction({ delay: 10 });
  direction.send(1);
  direction.impairment.stop();
  direction.send(2);
  assertEquals(direction.impairment.counters.lost, 2);
  direction.finish();
});

Deno.test("an exhausted pool makes no duplicate, and loses nothing", () => {
  const direction = new Direction({ duplicate: 1 });
  const { pool } = direction.host;
  const frame = direction.host.frame(1);
  const hoard: Packet[] = [];
  for (let packet = pool.allocate(0, 1); packet !== null; packet = pool.allocate(0, 1)) hoard.push(packet);
  direction.impairment.accept(frame);
  assertEquals(direction.marks, [1]);
  assertEquals(direction.impairment.counters.duplicated, 0);
  for (const packet of hoard) packet.release();
  direction.finish();
});

Deno.test("options outside their range are refused with what is allowed", () => {
  const refused: [ImpairmentOptions, string][] = [
    [{ loss: -0.1 }, "loss = -0.1: it goes from 0 to 1"],
    [{ duplicate: NaN }, "duplicate = NaN"],
    [{ burstLoss: { enter: 2, leave: 0 } }, "burstLoss.enter = 2"],
    [{ delay: -1 }, "delay = -1"],
    [{ delay: Infinity }, "delay = Infinity"],
    [{ rate: 0 }, "rate = 0: it goes from 1"],
    [{ queueFrames: 0 }, "queueFrames = 0"],
  ];
  for (const [options, message] of refused) assertThrows(() => new Direction(options), RangeError, message);
});

function setUpImpaired(outgoing: ImpairmentOptions, incoming: ImpairmentOptions) {
  const time = new VirtualTime();
  const [near, far] = createWire();
  const device = impair(near, { seed: 3, impairments: [outgoing, incoming] });
  const host = new TestHost(time.timers);
  const farHost = new TestHost(time.timers);
  device.attach(host);
  far.attach(farHost);
  const finish = () => {
    device.close();
    far.close();
    assertEquals(host.pool.inUse + farHost.pool.inUse, 0);
    assertEquals(time.timers.running, 0);
  };
  return { time, near, far, device, host, farHost, finish };
}

Deno.test("an impaired device is like the device behind it in all else", () => {
  const { near, device, finish } = setUpImpaired({}, {});
  assertEquals(device.name, near.name);
  assertEquals(device.medium, near.medium);
  assertEquals(device.mtu, near.mtu);
  assertEquals(device.address, near.address);
  assertEquals(device.headerBytes, near.headerBytes);
  assertEquals(device.loopback, near.loopback);
  assertEquals(device.wantsWrite, near.wantsWrite);
  assertEquals([device.descriptor, device.createPoller], [undefined, undefined]);
  finish();
});

Deno.test("an impaired device delays what it sends, and passes it on by itself", () => {
  const { time, far, device, host, finish } = setUpImpaired({ delay: 20 }, {});
  assertEquals(device.transmit(host.frame(1)), Verdict.done);
  time.advance(19);
  assertEquals(drain(far), []);
  time.advance(1);
  assertEquals(drain(far), [1]);
  assertEquals(device.outgoing.counters.delivered, 1);
  finish();
});

Deno.test("an impaired device delays what it receives, and wakes the stack when it is there", () => {
  const { time, far, device, host, farHost, finish } = setUpImpaired({}, { delay: 20 });
  far.transmit(farHost.frame(1));
  assertEquals(host.wakes, 1);
  assertEquals(device.receive(), null);
  time.advance(20);
  assertEquals(host.wakes, 2);
  assertEquals(drain(device), [1]);
  finish();
});

Deno.test("an impaired device skips lost frames to return the next that is not", () => {
  const { far, device, farHost, finish } = setUpImpaired({}, { drop: (_, index) => index % 3 !== 2 });
  for (const mark of range(9)) far.transmit(farHost.frame(mark));
  assertEquals(drain(device), [2, 5, 8]);
  finish();
});

Deno.test("an impaired device does not read for ever from a device whose frames are all lost", () => {
  const { far, device, host, farHost, finish } = setUpImpaired({}, { loss: 1 });
  for (const mark of range(300)) far.transmit(farHost.frame(mark));
  const wakes = host.wakes;
  assertEquals(device.receive(), null);
  assertEquals(device.incoming.counters.lost, 256);
  assertEquals(host.wakes, wakes + 1);
  assertEquals(device.receive(), null);
  assertEquals(device.incoming.counters.lost, 300);
  finish();
});

Deno.test("an impaired device releases everything when it is closed", () => {
  const { far, device, host, farHost, finish } = setUpImpaired({ delay: 10 }, { duplicate: 1 });
  device.transmit(host.frame(1));
  far.transmit(farHost.frame(2));
  device.receive()!.release();
  device.close();
  assertEquals(host.pool.inUse + farHost.pool.inUse, 0);
  finish();
});
