import { assert, assertEquals, assertThrows } from "@std/assert";
import { SystemClock, VirtualClock } from "../stack/clock.ts";

Deno.test("a virtual clock stands still until it is moved", () => {
  const clock = new VirtualClock();
  assertEquals(clock.now(), 0);
  clock.set(2.5);
  clock.set(2.5);
  assertEquals([clock.now(), new VirtualClock(7).now()], [2.5, 7]);
});

Deno.test("a virtual clock does not go back, nor to a moment that is no number", () => {
  const clock = new VirtualClock(10);
  assertThrows(() => clock.set(9.9), RangeError, "Cannot set the clock back from 10 ms to 9.9 ms");
  assertThrows(() => clock.set(NaN), RangeError, "NaN");
  assertEquals(clock.now(), 10);
});

Deno.test("the system clock never goes back", () => {
  const clock = new SystemClock();
  let last = clock.now();
  for (let round = 0; round < 1000; round++) {
    const now = clock.now();
    assert(now >= last);
    last = now;
  }
});

Deno.test("the system's clock stands still while it is held, and goes on from the present when it is released", () => {
  const clock = new SystemClock();
  clock.hold();
  const held = clock.now();
  while (performance.now() === held);
  assertEquals(clock.now(), held);
  clock.hold();
  assertEquals(clock.now() > held, true);
  clock.release();
  assertEquals(clock.now() > held, true);
});
