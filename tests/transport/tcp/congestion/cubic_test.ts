import { assertAlmostEquals, assertEquals } from "@std/assert";
import { type AckSample, Congestion, CongestionWindow } from "../../../../stack/transport/tcp/congestion/control.ts";
import { Cubic } from "../../../../stack/transport/tcp/congestion/cubic.ts";
import { RttEstimator } from "../../../../stack/transport/tcp/rtt.ts";

const segment = 1000;

/** A flow whose window is always full, at one round-trip time. */
class Flow {
  readonly cubic = new Cubic();
  readonly window = new CongestionWindow(segment);
  readonly rtt = new RttEstimator();
  now = 0;
  #sent = 0;

  constructor(readonly roundTrip: number, segments: number, threshold = segments) {
    this.window.size = segments * segment;
    this.window.slowStartThreshold = threshold * segment;
    for (let sample = 0; sample < 200; sample++) this.rtt.sample(roundTrip, 0);
  }

  /** One round trip in which all of the window is acknowledged, segment by segment. */
  round(): this {
    const acks = Math.floor(this.window.size / segment);
    const end = this.#sent + this.window.size;
    for (let ack = 0; ack < acks; ack++) {
      this.now += this.roundTrip / acks;
      this.#sent += segment;
      this.acknowledge(segment, end);
    }
    return this;
  }

  acknowledge(bytes: number, end = this.#sent + this.window.size): void {
    const sample: AckSample = { bytes, rtt: this.rtt, now: this.now, sndUna: this.#sent, sndNxt: end };
    this.cubic.acknowledged(this.window, sample);
  }

  lose(): this {
    const threshold = this.cubic.threshold(this.window, this.window.size);
    this.window.size = this.window.slowStartThreshold = threshold;
    return this;
  }

  /** The window in segments. */
  get size(): number {
    return this.window.size / segment;
  }
}

Deno.test("a loss takes the window to 0.7 of what it was (RFC 9438 4.6)", () => {
  assertAlmostEquals(new Flow(100, 100).lose().size, 70);
});

Deno.test("a mark that is no loss leaves 0.85 of the window (RFC 8511 3.1)", () => {
  const { cubic, window } = new Flow(100, 100);
  assertAlmostEquals(cubic.threshold(window, window.size, 0, Congestion.mark), 85 * segment);
  assertAlmostEquals(cubic.threshold(window, window.size, 0, Congestion.loss), 70 * segment);
});

Deno.test("the threshold comes from what was in flight, at least two segments", () => {
  const { cubic, window } = new Flow(100, 100);
  assertAlmostEquals(cubic.threshold(window, 50 * segment), 35 * segment);
  assertEquals(cubic.threshold(window, 0), 2 * segment);
});

Deno.test("after a loss the window is back at its maximum after K seconds, flat there, and then grows ever faster", () => {
  const flow = new Flow(100, 1000).lose();
  // K = cbrt(W_max (1 - beta) / C) = cbrt(300 / 0.4) = 9.09 s.
  const sizes: number[] = [];
  for (let round = 0; round < 140; round++) sizes.push(flow.round().size);
  assertEquals(sizes[20]! > 850 && sizes[20]! < 1000, true);
  assertAlmostEquals(sizes[90]!, 1000, 2);
  assertEquals(sizes[100]! - sizes[80]! < 5, true);
  assertEquals(sizes[139]! - sizes[119]! > 20, true);
  // At no time by more than half a window a round trip.
  for (let round = 1; round < sizes.length; round++) assertEquals(sizes[round]! / sizes[round - 1]! < 1.5, true);
});

Deno.test("with short round trips it is as fast as Reno (RFC 9438 4.3)", () => {
  const flow = new Flow(2, 20).lose();
  const before = flow.size;
  for (let round = 0; round < 10; round++) flow.round();
  // alpha = 3 (1 - 0.7) / (1 + 0.7) = 0.53 segments a round trip below the window of the loss.
  assertAlmostEquals(flow.size - before, 5.3, 0.4);
  for (let round = 0; round < 20; round++) flow.round();
  const later = flow.size;
  for (let round = 0; round < 10; round++) flow.round();
  assertAlmostEquals(flow.size - later, 10, 0.5);
});

Deno.test("fast convergence: a second loss below the maximum lowers the maximum (RFC 9438 4.7)", () => {
  const flow = new Flow(100, 1000).lose().lose();
  // The maximum is 700 (1 + 0.7) / 2 = 595 instead of 700.
  let flat = Infinity;
  let at = 0;
  for (let round = 0, before = flow.size; round < 120; round++) {
    const size = flow.round().size;
    if (size - before < flat) [flat, at] = [size - before, size];
    before = size;
  }
  assertAlmostEquals(at, 595, 3);
});

Deno.test("after a time-out the maximum is the window with which congestion avoidance begins (RFC 9438 4.8)", () => {
  const flow = new Flow(100, 100);
  flow.window.slowStartThreshold = flow.cubic.threshold(flow.window, flow.window.size);
  flow.cubic.timedOut();
  flow.window.size = segment;
  while (flow.window.inSlowStart) flow.round();
  const start = flow.size;
  // Flat at first instead of hurrying back to 100.
  for (let round = 0; round < 5; round++) flow.round();
  assertEquals(flow.size - start < 6, true);
});

Deno.test("slow start ends at the threshold", () => {
  const flow = new Flow(100, 10, 33);
  flow.round();
  assertEquals(flow.size, 20);
  flow.round();
  assertAlmostEquals(flow.size, 33, 1);
});

Deno.test("the first slow start leaves before packets are lost when round trips grow longer (RFC 9406)", () => {
  const flow = new Flow(50, 10, Infinity);
  flow.round().round();
  assertEquals(flow.size, 40);
  for (let sample = 0; sample < 100; sample++) flow.rtt.sample(80, 0);
  flow.round();
  const grown = flow.size;
  assertEquals(grown < 80, true);
  flow.round();
  assertAlmostEquals(flow.size / grown, 1.25, 0.05);
  for (let round = 0; round < 5; round++) flow.round();
  assertEquals(flow.window.slowStartThreshold < Infinity, true);
});

Deno.test("conservative slow start counts eight segments of an ACK before it divides by four (RFC 9406 4.2)", () => {
  const flow = new Flow(50, 10, Infinity);
  flow.round().round();
  for (let sample = 0; sample < 100; sample++) flow.rtt.sample(80, 0);
  flow.round();
  const before = flow.size;
  flow.acknowledge(40 * segment, 1e9);
  assertAlmostEquals(flow.size - before, 2);
});

Deno.test("time during which the window was not used does not count (RFC 9438 5.8)", () => {
  const flow = new Flow(100, 1000).lose();
  for (let round = 0; round < 80; round++) flow.round();
  const before = flow.size;
  flow.now += 60_000;
  flow.round();
  assertEquals(flow.size - before < 5, true);
});

Deno.test("a congestion that was none is taken back (RFC 9438 4.9)", () => {
  const one = new Flow(100, 200).lose();
  const other = new Flow(100, 200).lose();
  for (let round = 0; round < 10; round++) {
    one.round();
    other.round();
  }
  const { size, slowStartThreshold } = one.window;
  one.lose();
  one.cubic.undone();
  one.window.size = size;
  one.window.slowStartThreshold = slowStartThreshold;
  for (let round = 0; round < 30; round++) assertAlmostEquals(one.round().size, other.round().size, 1e-6);
});

Deno.test("taking back without a congestion, or twice, changes nothing", () => {
  const one = new Flow(100, 1000).lose();
  const other = new Flow(100, 1000).lose();
  one.round();
  other.round();
  one.cubic.threshold(one.window, one.window.size);
  one.cubic.undone();
  one.cubic.undone();
  for (let round = 0; round < 10; round++) assertAlmostEquals(one.round().size, other.round().size, 1e-6);
});

Deno.test("the target is never more than half a window away, however long ago the last loss was (RFC 9438 4.2)", () => {
  const flow = new Flow(100, 100).lose();
  flow.acknowledge(segment);
  // A path on which each round trip takes ten seconds: the cubic function is far ahead.
  for (let sample = 0; sample < 200; sample++) flow.rtt.sample(10_000, 0);
  flow.now += 10_000;
  const before = flow.size;
  flow.acknowledge(flow.window.size);
  assertAlmostEquals(flow.size, 1.5 * before, 0.01);
});
