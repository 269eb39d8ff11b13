import { assertEquals } from "@std/assert";
import { VirtualClock } from "../stack/clock.ts";
import { TokenBucket } from "../stack/token_bucket.ts";

Deno.test("A token bucket allows a burst, then its rate, and never saves up more than the burst", () => {
  const clock = new VirtualClock();
  const bucket = new TokenBucket(clock, 100, 2);
  const takeAll = () => {
    let taken = 0;
    while (bucket.take()) taken++;
    return taken;
  };
  assertEquals(takeAll(), 2);
  clock.set(9);
  assertEquals(takeAll(), 0);
  clock.set(10);
  assertEquals(takeAll(), 1);
  clock.set(100_000);
  assertEquals(takeAll(), 2);
});
