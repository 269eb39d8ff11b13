import { assertEquals } from "@std/assert";
import { AckNeed, AckPolicy } from "../../../stack/transport/tcp/ack_policy.ts";

const segment = 1000;

/** How many of 100 full segments, which arrive one by one, are acknowledged at once. */
function acknowledgedAtOnce(policy: AckPolicy): number {
  let count = 0;
  for (let arrived = 0; arrived < 100; arrived++) {
    policy.arrived(segment, segment, false);
    if (policy.need === AckNeed.now) count++;
    policy.acknowledged();
  }
  return count;
}

Deno.test("the first segments are acknowledged at once, as many as the setting says", () => {
  assertEquals([0, 1, 16].map((quick) => acknowledgedAtOnce(new AckPolicy(quick))), [0, 1, 16]);
});

Deno.test("every second segment is acknowledged at once", () => {
  const policy = new AckPolicy(0);
  policy.arrived(segment, segment, false);
  assertEquals(policy.need, AckNeed.delayed);
  policy.arrived(segment, segment, false);
  assertEquals(policy.need, AckNeed.now);
});

Deno.test("what comes behind a closed hole is acknowledged at once for a while, since the peer's window is small", () => {
  const policy = new AckPolicy(16);
  acknowledgedAtOnce(policy);
  policy.arrived(segment, segment, true);
  assertEquals(policy.need, AckNeed.now);
  policy.acknowledged();
  assertEquals(acknowledgedAtOnce(policy), 15);
});

Deno.test("a setting of 0 delays what may be delayed, behind a hole too", () => {
  const policy = new AckPolicy(16);
  policy.quick = 0;
  policy.arrived(segment, segment, true);
  assertEquals(policy.need, AckNeed.now);
  policy.acknowledged();
  assertEquals(acknowledgedAtOnce(policy), 0);
});

Deno.test("an application that has sent with an acknowledgement is going to answer: nothing more is acknowledged at once", () => {
  const policy = new AckPolicy(16);
  policy.conversing();
  assertEquals(acknowledgedAtOnce(policy), 0);
});
