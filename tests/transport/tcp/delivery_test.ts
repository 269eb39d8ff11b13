import { assertEquals } from "@std/assert";
import { Delivery } from "../../../stack/transport/tcp/delivery.ts";

Deno.test("the rate is that of the last round trip, from one acknowledgement to another", () => {
  const delivery = new Delivery();
  // The first acknowledgement begins a round: how long its bytes took nobody knows.
  delivery.acknowledged(1000, 1000, 11_000, 100);
  assertEquals(delivery.rate, 0);
  delivery.acknowledged(4000, 5000, 15_000, 140);
  delivery.acknowledged(6000, 11_000, 21_000, 200);
  assertEquals([delivery.rate, delivery.bytes], [100_000, 11_000]);
});

Deno.test("what is acknowledged selectively has been delivered", () => {
  const delivery = new Delivery();
  delivery.acknowledged(1000, 1000, 11_000, 0);
  delivery.acknowledged(9000, 1000, 11_000, 50);
  delivery.acknowledged(1000, 11_000, 21_000, 100);
  assertEquals([delivery.rate, delivery.bytes], [100_000, 11_000]);
});

Deno.test("a time without anything in the network does not count", () => {
  const delivery = new Delivery();
  delivery.acknowledged(1000, 1000, 11_000, 0);
  delivery.acknowledged(10_000, 11_000, 11_000, 100);
  assertEquals(delivery.rate, 100_000);
  delivery.acknowledged(1000, 12_000, 22_000, 60_000);
  assertEquals(delivery.rate, 100_000);
  delivery.acknowledged(10_000, 22_000, 32_000, 60_050);
  assertEquals(delivery.rate, 200_000);
});

Deno.test("two acknowledgements at one moment leave the rate as it was", () => {
  const delivery = new Delivery();
  delivery.acknowledged(1000, 1000, 2000, 5);
  delivery.acknowledged(1000, 2000, 3000, 5);
  assertEquals(delivery.rate, 0);
});

Deno.test("sequence numbers may wrap in the middle of a round", () => {
  const delivery = new Delivery();
  delivery.acknowledged(1000, 0xffff_ff00, 0x1000, 0);
  delivery.acknowledged(2000, 0x0800, 0x2000, 10);
  assertEquals(delivery.rate, 0);
  delivery.acknowledged(2000, 0x1000, 0x2000, 20);
  assertEquals(delivery.rate, 200_000);
});
