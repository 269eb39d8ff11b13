import { assertEquals } from "@std/assert";
import {
  type AckSample,
  Congestion,
  CongestionWindow,
  initialWindow,
} from "../../../../stack/transport/tcp/congestion/control.ts";
import { Reno, slowStart } from "../../../../stack/transport/tcp/congestion/reno.ts";
import { RttEstimator } from "../../../../stack/transport/tcp/rtt.ts";

function acknowledgement(bytes: number): AckSample {
  return { bytes, rtt: new RttEstimator(), now: 0, sndUna: 0, sndNxt: 0 };
}

Deno.test("the initial window is ten segments, 14,600 bytes or two segments (RFC 6928)", () => {
  assertEquals([initialWindow(500), initialWindow(1460), initialWindow(4000), initialWindow(9000)], [
    5000,
    14_600,
    14_600,
    18_000,
  ]);
});

Deno.test("slow start grows by what is acknowledged, but by two segments at most for one ACK (RFC 3465)", () => {
  const window = new CongestionWindow(1000);
  const reno = new Reno();
  reno.acknowledged(window, acknowledgement(500));
  assertEquals(window.size, 10_500);
  reno.acknowledged(window, acknowledgement(8000));
  assertEquals(window.size, 12_500);
});

Deno.test("after a time-out slow start grows by one segment at most for one ACK, until it ends (RFC 3465 2.3)", () => {
  const window = new CongestionWindow(1000);
  const reno = new Reno();
  window.size = 1000;
  window.slowStartThreshold = 4500;
  window.afterTimeout = true;
  reno.acknowledged(window, acknowledgement(8000));
  assertEquals(window.size, 2000);
  reno.acknowledged(window, acknowledgement(300));
  assertEquals(window.size, 2300);
  for (let ack = 0; ack < 3; ack++) reno.acknowledged(window, acknowledgement(1000));
  assertEquals([window.size, window.inSlowStart], [4500, false]);
  // As after a long idle time.
  window.size = 1000;
  reno.acknowledged(window, acknowledgement(8000));
  assertEquals(window.size, 3000);
});

Deno.test("slow start ends at the threshold, and what is left over counts for what follows", () => {
  const window = new CongestionWindow(1000);
  window.slowStartThreshold = 10_300;
  assertEquals(slowStart(window, 1000), 700);
  assertEquals([window.size, window.inSlowStart], [10_300, false]);
});

Deno.test("congestion avoidance: one segment for each window of acknowledged bytes", () => {
  const window = new CongestionWindow(1000);
  window.slowStartThreshold = window.size;
  const reno = new Reno();
  for (let ack = 0; ack < 9; ack++) reno.acknowledged(window, acknowledgement(1000));
  assertEquals(window.size, 10_000);
  reno.acknowledged(window, acknowledgement(1000));
  assertEquals(window.size, 11_000);
  for (let ack = 0; ack < 11; ack++) reno.acknowledged(window, acknowledgement(1000));
  assertEquals(window.size, 12_000);
});

Deno.test("the threshold is half of what is in flight, at least two segments (RFC 5681 equation 4)", () => {
  const window = new CongestionWindow(1000);
  const reno = new Reno();
  assertEquals([reno.threshold(window, 8000), reno.threshold(window, 3000)], [4000, 2000]);
  // What limited transmit sent beyond the window does not count (RFC 3042).
  assertEquals(reno.threshold(window, 12_000), 5000);
});

Deno.test("a mark that is no loss leaves 0.8 of what is in flight, at least two segments (RFC 8511 3.1)", () => {
  const window = new CongestionWindow(1000);
  const reno = new Reno();
  assertEquals(reno.threshold(window, 8000, 0, Congestion.mark), 6400);
  assertEquals(reno.threshold(window, 12_000, 0, Congestion.mark), 8000);
  assertEquals(reno.threshold(window, 2000, 0, Congestion.mark), 2000);
});
