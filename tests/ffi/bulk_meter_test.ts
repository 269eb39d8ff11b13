import { assertEquals } from "@std/assert";
import { BulkMeter } from "../../ffi/bulk_meter.ts";

const fullFrame = 1514;

/** Sends frames at a steady rate, and returns the verdicts that the meter came to. */
function send(meter: BulkMeter, clock: { now: number }, frames: number, perMillisecond: number, bytes = fullFrame) {
  const verdicts: boolean[] = [];
  for (let frame = 0; frame < frames; frame++) {
    clock.now += 1 / perMillisecond;
    const before = meter.bulk;
    meter.sent(bytes);
    if (meter.bulk !== before) verdicts.push(meter.bulk);
  }
  return verdicts;
}

function create(): { meter: BulkMeter; clock: { now: number } } {
  const clock = { now: 1000 };
  return { meter: new BulkMeter(() => clock.now), clock };
}

Deno.test("many full frames in a short time are bulk, once they have gone on for a while", () => {
  const { meter, clock } = create();
  assertEquals(send(meter, clock, 2047, 200), []);
  assertEquals(send(meter, clock, 10_000, 200), [true]);
});

Deno.test("a burst is none", () => {
  const { meter, clock } = create();
  for (let burst = 0; burst < 20; burst++) {
    assertEquals(send(meter, clock, 1000, 200), []);
    clock.now += 100;
  }
});

Deno.test("small frames are none, however many there are", () => {
  const { meter, clock } = create();
  assertEquals(send(meter, clock, 20_000, 1000, 0), []);
});

Deno.test("bulk ends when little is sent, or small frames only", () => {
  for (const [rate, bytes] of [[5, fullFrame], [1000, 0]] as const) {
    const { meter, clock } = create();
    send(meter, clock, 4096, 200);
    assertEquals(send(meter, clock, 2047, rate, bytes), []);
    assertEquals(send(meter, clock, 4096, rate, bytes), [false]);
  }
});

Deno.test("between the two rates, what there is goes on", () => {
  for (const first of [200, 5]) {
    const { meter, clock } = create();
    send(meter, clock, 4096, first);
    assertEquals(send(meter, clock, 20_000, 40), []);
  }
});

Deno.test("a pause does not end bulk", () => {
  const { meter, clock } = create();
  send(meter, clock, 4096, 200);
  for (let pause = 0; pause < 5; pause++) {
    clock.now += 200;
    assertEquals(send(meter, clock, 4096, 200), []);
  }
});
