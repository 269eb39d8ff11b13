import { assertEquals } from "@std/assert";
import { WindowGrowth } from "../../../stack/transport/tcp/window_growth.ts";

Deno.test("a round trip without echoes is as long as the sending half knows it", () => {
  const growth = new WindowGrowth(0);
  assertEquals(growth.read(1000, 10, 50), 0);
  assertEquals(growth.read(500, 50, 50), 6000);
});

Deno.test("echoes tell the round trip where the handshake's sample was too long", () => {
  const growth = new WindowGrowth(0);
  growth.sample(52);
  growth.sample(50);
  assertEquals(growth.read(1000, 49, 400), 0);
  assertEquals(growth.read(500, 50, 400), 6000);
});

Deno.test("echoes tell the round trip where the handshake's sample was too short", () => {
  const growth = new WindowGrowth(0);
  growth.sample(50);
  assertEquals(growth.read(1000, 49, 5), 0);
  assertEquals(growth.read(0, 50, 5), 4000);
});

Deno.test("a peer that pauses does not make the next round longer, two that do are believed", () => {
  const growth = new WindowGrowth(0);
  growth.sample(50);
  assertEquals(growth.read(1000, 50, 5), 4000);
  growth.sample(500);
  assertEquals(growth.read(1000, 100, 5), 4000);
  growth.sample(500);
  assertEquals(growth.read(1000, 200, 5), 0);
  assertEquals(growth.read(0, 600, 5), 4000);
});

Deno.test("a round is a millisecond at least", () => {
  const growth = new WindowGrowth(0);
  growth.sample(0);
  assertEquals(growth.read(1000, 0.5, 0), 0);
  assertEquals(growth.read(1000, 1, 0), 8000);
});
