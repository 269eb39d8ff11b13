import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Counters } from "../stack/counters.ts";

Deno.test("counters are registered once and incremented in place", () => {
  const counters = new Counters();
  const group = { received: 0, badChecksum: 0 };
  assertStrictEquals(counters.register("ipv4", group), group);
  counters.register("udp", { received: 2 });
  group.received++;
  assertEquals(counters.snapshot(), { "ipv4.received": 1, "ipv4.badChecksum": 0, "udp.received": 2 });
});

Deno.test("a snapshot stays as it was, and can leave zeros out", () => {
  const counters = new Counters();
  const group = counters.register("tcp", { opened: 1, failed: 0 });
  const snapshot = counters.snapshot({ nonZero: true });
  group.opened++;
  assertEquals(snapshot, { "tcp.opened": 1 });
  assertEquals(counters.snapshot({ nonZero: false }), { "tcp.opened": 2, "tcp.failed": 0 });
});

Deno.test("a name can be registered again only after it was given up", () => {
  const counters = new Counters();
  counters.register("nic.tap0", { sent: 1 });
  assertThrows(() => counters.register("nic.tap0", { sent: 0 }), Error, 'the counters "nic.tap0": the name is taken');
  counters.unregister("nic.tap0");
  counters.unregister("never registered");
  assertEquals(counters.snapshot(), {});
  counters.register("nic.tap0", { sent: 5 });
  assertEquals(counters.snapshot(), { "nic.tap0.sent": 5 });
});
