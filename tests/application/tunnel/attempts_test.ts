import { assertEquals } from "@std/assert";
import type { IncomingMessage } from "node:http";
import { AttemptLimiter } from "../../../stack/application/tunnel/attempt_limiter.ts";
import { sourceOf } from "../../../stack/application/tunnel/request_source.ts";
import { VirtualClock } from "../../../stack/clock.ts";

Deno.test("after so many failures in a row a source waits, and gets one more attempt each period", () => {
  const clock = new VirtualClock();
  const limiter = new AttemptLimiter(clock, { burst: 3, perMinute: 6 });
  for (let failure = 0; failure < 3; failure++) {
    assertEquals(limiter.wait("one"), 0);
    limiter.failed("one");
  }
  assertEquals([limiter.wait("one"), limiter.wait("other")], [10_000, 0]);
  clock.set(clock.now() + 9_999);
  assertEquals(limiter.wait("one"), 1);
  clock.set(clock.now() + 1);
  assertEquals(limiter.wait("one"), 0);
  limiter.failed("one");
  assertEquals(limiter.wait("one"), 10_000);
});

Deno.test("a source that behaves for long enough has all its attempts again, and no more", () => {
  const clock = new VirtualClock();
  const limiter = new AttemptLimiter(clock, { burst: 2, perMinute: 60 });
  limiter.failed("one");
  limiter.failed("one");
  clock.set(clock.now() + 3_600_000);
  limiter.failed("one");
  assertEquals(limiter.wait("one"), 0);
  limiter.failed("one");
  assertEquals(limiter.wait("one"), 1000);
});

Deno.test("the table is bounded: who has not failed for longest is forgotten", () => {
  const clock = new VirtualClock();
  const limiter = new AttemptLimiter(clock, { burst: 1, perMinute: 1, sources: 3 });
  for (const source of ["a", "b", "c", "a", "d"]) limiter.failed(source);
  assertEquals(limiter.size, 3);
  assertEquals(["a", "b", "c", "d"].map((source) => limiter.wait(source) > 0), [true, false, true, true]);
});

function request(remoteAddress: string | undefined, forwarded?: string | string[]): IncomingMessage {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return { socket: { remoteAddress, remotePort: 5000 }, headers } as unknown as IncomingMessage;
}

Deno.test("the source of a request is its peer; of IPv6, the network of the peer", () => {
  const keys = ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8:0:1::7", "2001:db8:0:1:ffff::8", "2001:db8:0:2::7"]
    .map((address) => sourceOf(request(address)).key);
  assertEquals(keys, ["198.51.100.7", "198.51.100.7", "20010db800000001", "20010db800000001", "20010db800000002"]);
  assertEquals(sourceOf(request("198.51.100.7")).text, "198.51.100.7:5000");
  assertEquals(sourceOf(request(undefined)).key, "unknown");
});

Deno.test("a proxy on this machine is believed whom it speaks for; others are not", () => {
  const keys = [
    request("127.0.0.1", "203.0.113.1, 198.51.100.9"),
    request("127.0.0.1", ["203.0.113.1", "198.51.100.9"]),
    request("::1", "198.51.100.9"),
    request("127.0.0.1", "unknown"),
    request("198.51.100.7", "203.0.113.1"),
  ].map((request) => sourceOf(request).key);
  assertEquals(keys, ["198.51.100.9", "198.51.100.9", "198.51.100.9", "127.0.0.1", "198.51.100.7"]);
  assertEquals(sourceOf(request("127.0.0.1", "198.51.100.9")).text, "198.51.100.9");
});
