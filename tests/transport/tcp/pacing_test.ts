import { assertAlmostEquals, assertEquals } from "@std/assert";
import { CongestionWindow } from "../../../stack/transport/tcp/congestion/control.ts";
import { Pacer } from "../../../stack/transport/tcp/pacing.ts";
import { RttEstimator } from "../../../stack/transport/tcp/rtt.ts";
import { tcpTest } from "./harness.ts";

const segment = 1000;

/** A pacer for 100 segments in 50 ms: 2.5 segments a millisecond, with the gain of 5/4 that it has behind slow start. */
function makePacer(rtt = 50, slowStartThreshold = 100 * segment): Pacer {
  const window = new CongestionWindow(segment);
  window.size = 100 * segment;
  window.slowStartThreshold = slowStartThreshold;
  const estimator = new RttEstimator();
  estimator.sample(rtt, 0);
  const pacer = new Pacer(window, estimator);
  pacer.enabled = true;
  return pacer;
}

/** Sends segments at `now` until it is held back; returns how many. */
function send(pacer: Pacer, now: number): number {
  let count = 0;
  pacer.refill(now);
  for (; pacer.allows() && count < 1000; count++) pacer.sent(segment);
  return count;
}

Deno.test("ten segments go at once, the rest at 5/4 of the window in a round trip (RFC 9002 7.7)", () => {
  const pacer = makePacer();
  assertEquals(pacer.rate, 2500);
  assertEquals(send(pacer, 0), 10);
  let sent = 0;
  while (pacer.releaseAt < 40) sent += send(pacer, pacer.releaseAt);
  assertAlmostEquals(sent, 100, 3);
});

Deno.test("in slow start the pace leaves room for a window that doubles every round trip", () => {
  assertEquals(makePacer(50, Infinity).rate, 3000);
  assertEquals(makePacer(50, 100 * segment + 1).rate, 3000);
});

Deno.test("what is held back waits for a millisecond's worth, so that timers are few", () => {
  const pacer = makePacer();
  send(pacer, 0);
  assertEquals(pacer.releaseAt, 1);
  assertEquals(send(pacer, 1), 3);
});

Deno.test("a timer that is late is made up for, a long pause is not", () => {
  const late = makePacer();
  send(late, 0);
  assertEquals(send(late, 4), 10);
  const idle = makePacer();
  send(idle, 0);
  assertEquals(send(idle, 1000), 10);
});

Deno.test("no pace before the first round trip, on short round trips, or when switched off", () => {
  const window = new CongestionWindow(segment);
  const unmeasured = new Pacer(window, new RttEstimator());
  unmeasured.enabled = true;
  const off = makePacer();
  off.enabled = false;
  for (const pacer of [unmeasured, makePacer(1), off]) {
    assertEquals([pacer.rate, send(pacer, 0), pacer.releaseAt], [Infinity, 1000, Infinity]);
  }
});

tcpTest("a paced window leaves in pieces over the round trip, an unpaced one at once", (t) => {
  const handshake = "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7";
  t.accept(handshake, { pacing: true });
  t.write(100_000);
  // The initial window is the burst.
  assertEquals(t.takeSent().length, 10);
  t.wait(100).receives(". 1:1(0) ack 14481 win 65535 <nop,nop,TS val 200 ecr 200>");
  assertEquals(t.takeSent().length, 10);
  // 20 segments in two thirds of a round trip.
  t.wait(20);
  const soon = t.takeSent().length;
  assertEquals([soon >= 5, soon <= 7], [true, true], `${soon} segments`);
  t.connection.configure({ pacing: false });
  t.wait(10);
  assertEquals(t.takeSent().length, 10 - soon);
  t.connection.abort();
  t.takeSent();
});

tcpTest("what the pace holds back while nothing is in the network goes by itself, and is no closed window", (t) => {
  t.accept("mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7", { pacing: true });
  t.write(1448 * 10);
  assertEquals(t.takeSent().length, 10);
  t.wait(1);
  t.write(1448 * 3);
  assertEquals(t.takeSent().length, 0);
  t.receives(". 1:1(0) ack 14481 win 65535 <nop,nop,TS val 200 ecr 200>");
  t.wait(15);
  assertEquals(t.takeSent().length, 3);
  assertEquals(t.tcp.counters.windowProbes, 0);
  t.connection.abort();
  t.takeSent();
});
