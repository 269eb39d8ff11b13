import { assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { PathMtus } from "../../stack/network/path_mtu.ts";

Deno.test("A path MTU is remembered for ten minutes after the last time that it was lowered", () => {
  const clock = new VirtualClock();
  const mtus = new PathMtus(clock);
  const destination = IpAddress.parse("192.0.2.1");
  assertEquals(mtus.get(destination), Infinity);
  mtus.lower(destination, 1400);
  clock.set(300_000);
  mtus.lower(destination, 1400);
  mtus.lower(destination, 1300);
  mtus.lower(destination, 1350);
  clock.set(899_999);
  assertEquals(mtus.get(destination), 1300);
  clock.set(900_000);
  assertEquals(mtus.get(destination), Infinity);
});

Deno.test("Path MTUs of both families are kept apart", () => {
  const mtus = new PathMtus(new VirtualClock());
  mtus.lower(IpAddress.parse("2001:db8::1"), 1280);
  assertEquals(mtus.get(IpAddress.parse("2001:db8::1")), 1280);
  assertEquals(mtus.get(IpAddress.parse("2001:db8::2")), Infinity);
});
