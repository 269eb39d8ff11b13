import { assertEquals } from "@std/assert";
import { NetworkTable } from "../../stack/network/networks.ts";
import { Ipv4Host } from "../helpers/ipv4_host.ts";

Deno.test("The network protocols of a stack are found by their family", () => {
  const { ipv4 } = new Ipv4Host();
  const networks = new NetworkTable(ipv4);
  assertEquals([networks.of(4), networks.of(6)], [ipv4, null]);
});
