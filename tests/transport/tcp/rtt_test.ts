import { assertAlmostEquals, assertEquals } from "@std/assert";
import { maximumTimeout, minimumTimeout, RttEstimator } from "../../../stack/transport/tcp/rtt.ts";

Deno.test("before the first sample the time-out is one second (RFC 6298 2.1)", () => {
  const rtt = new RttEstimator();
  assertEquals([rtt.timeout, rtt.measured, rtt.smoothed, rtt.minimum], [1000, false, 0, Infinity]);
});

Deno.test("the first sample: SRTT = R, RTTVAR = R / 2, RTO = SRTT + 4 RTTVAR (RFC 6298 2.2)", () => {
  const rtt = new RttEstimator();
  rtt.sample(100, 0);
  assertEquals([rtt.smoothed, rtt.variance, rtt.timeout, rtt.measured], [100, 50, 300, true]);
});

Deno.test("later samples: RTTVAR first, from the old SRTT (RFC 6298 2.3)", () => {
  const rtt = new RttEstimator();
  rtt.sample(100, 0);
  rtt.sample(140, 1);
  assertEquals(rtt.variance, 0.75 * 50 + 0.25 * 40);
  assertEquals(rtt.smoothed, 0.875 * 100 + 0.125 * 140);
  assertEquals(rtt.timeout, rtt.smoothed + minimumTimeout);
  rtt.sample(400, 2);
  assertAlmostEquals(rtt.timeout, rtt.smoothed + 4 * rtt.variance);
});

Deno.test("round trips that never vary leave the time-out 200 ms above them: a queue must not make it expire", () => {
  const rtt = new RttEstimator();
  for (let sample = 0; sample < 100; sample++) rtt.sample(250, sample);
  assertAlmostEquals(rtt.timeout, 450);
});

Deno.test("the time-out stays within its bounds", () => {
  const rtt = new RttEstimator();
  for (let sample = 0; sample < 50; sample++) rtt.sample(0, sample);
  assertAlmostEquals(rtt.timeout, minimumTimeout);
  for (let sample = 0; sample < 50; sample++) rtt.sample(1e6, sample);
  assertEquals(rtt.timeout, maximumTimeout);
});

Deno.test("backing off doubles the time-out, and a sample ends it (RFC 6298 5.5, 5.7)", () => {
  const rtt = new RttEstimator();
  rtt.sample(100, 0);
  rtt.backOff();
  rtt.backOff();
  assertEquals([rtt.timeout, rtt.baseTimeout, rtt.backoff], [1200, 300, 2]);
  for (let time = 0; time < 100; time++) rtt.backOff();
  assertEquals(rtt.timeout, maximumTimeout);
  rtt.sample(100, 1);
  assertEquals(rtt.backoff, 0);
});

Deno.test("after a lost SYN the time-out is three seconds until the next sample (RFC 6298 5.7)", () => {
  const rtt = new RttEstimator();
  rtt.backOff();
  rtt.synWasLost();
  assertEquals([rtt.timeout, rtt.backoff], [3000, 0]);
  rtt.sample(10, 0);
  assertEquals(rtt.timeout, 10 + minimumTimeout);
});

Deno.test("the minimum is forgotten after five minutes", () => {
  const rtt = new RttEstimator();
  rtt.sample(10, 0);
  rtt.sample(50, 299_999);
  assertEquals(rtt.minimum, 10);
  rtt.sample(50, 300_001);
  assertEquals(rtt.minimum, 50);
});

Deno.test("a round trip of no time at all is a sample; one of less is taken as that", () => {
  const rtt = new RttEstimator();
  rtt.sample(0, 0);
  assertEquals([rtt.measured, rtt.minimum], [true, 0]);
  for (let sample = 0; sample < 2000; sample++) rtt.sample(-0.5, sample);
  assertEquals([rtt.measured, rtt.minimum, rtt.latest], [true, 0, 0]);
});

Deno.test("a first sample that holds a wait counts until the second only", () => {
  const rtt = new RttEstimator();
  rtt.expectWait();
  rtt.sample(400, 0);
  assertEquals([rtt.smoothed, rtt.variance, rtt.timeout], [400, 200, 1200]);
  rtt.sample(200, 1);
  assertEquals([rtt.smoothed, rtt.variance, rtt.timeout, rtt.minimum], [200, 100, 600, 200]);
  rtt.sample(280, 2);
  assertEquals(rtt.smoothed, 210);
});
