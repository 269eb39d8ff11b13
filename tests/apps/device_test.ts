import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../apps/cli.ts";
import { chooseAddresses } from "../../apps/device.ts";
import { IpPrefix } from "../../mod.ts";

function choose(address: string | null, host: string | null): string[] {
  const parse = (text: string | null) => text === null ? null : IpPrefix.parse(text);
  const chosen = chooseAddresses({ address: parse(address), host: parse(host) });
  return [String(chosen.address), String(chosen.host)];
}

Deno.test("without any address, both ends are in a documentation network", () => {
  assertEquals(choose(null, null), ["192.0.2.2/24", "192.0.2.1/24"]);
});

Deno.test("the end whose address is not given gets the first free address of the other's network", () => {
  assertEquals(choose("10.9.8.7/24", null), ["10.9.8.7/24", "10.9.8.1/24"]);
  assertEquals(choose("10.9.8.1/24", null), ["10.9.8.1/24", "10.9.8.2/24"]);
  assertEquals(choose(null, "10.9.8.1/16"), ["10.9.0.1/16", "10.9.8.1/16"]);
  assertEquals(choose(null, "192.0.2.2/30"), ["192.0.2.1/30", "192.0.2.2/30"]);
});

Deno.test("a network of two addresses has no address of its own and no broadcast address", () => {
  assertEquals(choose("192.0.2.0/31", null), ["192.0.2.0/31", "192.0.2.1/31"]);
  assertEquals(choose("192.0.2.1/31", null), ["192.0.2.1/31", "192.0.2.0/31"]);
});

Deno.test("a network of one address leaves none for the other end", () => {
  assertThrows(() => choose("192.0.2.1/32", null), UsageError, "has no second address, give --host");
  assertThrows(() => choose(null, "192.0.2.1/32"), UsageError, "has no second address, give --address");
});

Deno.test("both addresses are taken as given where they are neighbors", () => {
  assertEquals(choose("10.0.0.5/24", "10.0.0.9/24"), ["10.0.0.5/24", "10.0.0.9/24"]);
});

Deno.test("one address for both ends is refused", () => {
  assertThrows(() => choose("10.0.0.1/24", "10.0.0.1/24"), UsageError, "give two addresses");
});

Deno.test("addresses of different networks are refused", () => {
  assertThrows(() => choose("10.0.0.1/24", "10.0.1.1/24"), UsageError, "give two addresses of one network");
  assertThrows(() => choose("10.0.0.1/16", "10.0.1.1/24"), UsageError, "give two addresses of one network");
});
