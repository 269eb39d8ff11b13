import { assertEquals, assertThrows } from "@std/assert";
import { HostChanges, routeProtocol } from "../../ffi/host_changes.ts";
import { HostLease } from "../../ffi/host_lease.ts";
import { Rtnetlink } from "../../ffi/rtnetlink.ts";
import { openTap } from "../../ffi/tuntap.ts";
import type { Logger } from "../../stack/logger.ts";
import { kernelTest, run } from "../kernel/namespace.ts";

/** An interface that stays when whoever changed it ends, with the address 192.0.2.1/24 and a default route. */
async function makeInterface(name = "keep0"): Promise<void> {
  await run("ip", "link", "add", name, "type", "veth", "peer", "name", "far0");
  await run("ip", "link", "set", "far0", "up");
  await run("ip", "address", "add", "192.0.2.1/24", "dev", name);
  await run("ip", "link", "set", name, "up");
  await run("ip", "route", "add", "default", "via", "192.0.2.254");
}

/** The IPv4 addresses and routes of the namespace, but those of the loopback. */
function state(): string[] {
  using kernel = new Rtnetlink();
  const addresses = kernel.addresses().filter(({ prefix }) =>
    prefix.address.family === 4 && !prefix.address.isLoopback
  );
  return [
    ...addresses.map(({ prefix, peer }) => peer === null ? `${prefix}` : `${prefix} peer ${peer}`),
    ...kernel.routes().map(({ destination, gateway }) =>
      gateway === null ? `${destination}` : `${destination} ${gateway}`
    ),
  ].sort();
}

function warnings(): { lines: string[]; logger: Logger } {
  const lines: string[] = [];
  return { lines, logger: { debug() {}, info() {}, error() {}, warn: (line: string) => lines.push(line) } };
}

kernelTest("every kind of change is made, and undone in reverse order", async () => {
  await makeInterface();
  using kernel = new Rtnetlink();
  const before = [state(), kernel.link("keep0")];
  const { lines, logger } = warnings();
  using changes = new HostChanges(logger);
  changes.changeLink("keep0", { mtu: 1400, txQueueLength: 100 });
  changes.addAddress("keep0", "10.1.1.1", { peer: "10.1.1.2" });
  changes.addAddress("keep0", "198.51.100.1/24");
  changes.addRoute({ destination: "203.0.113.0/24", gateway: "198.51.100.9" });
  changes.pinRoute("8.8.8.8");
  changes.redirectDefault({ gateway: "10.1.1.2", link: "keep0" });
  const { mtu, txQueueLength } = kernel.link("keep0");
  assertEquals([mtu, txQueueLength], [1400, 100]);
  assertEquals(state(), [
    "0.0.0.0/0 192.0.2.254",
    "0.0.0.0/1 10.1.1.2",
    "10.1.1.1/32 peer 10.1.1.2",
    "10.1.1.2/32",
    "128.0.0.0/1 10.1.1.2",
    "192.0.2.0/24",
    "192.0.2.1/24",
    "198.51.100.0/24",
    "198.51.100.1/24",
    "203.0.113.0/24 198.51.100.9",
    "8.8.8.8/32 192.0.2.254",
  ]);
  assertEquals(String(kernel.routeTo("8.8.8.8")?.gateway), "192.0.2.254");
  assertEquals(String(kernel.routeTo("8.8.4.4")?.gateway), "10.1.1.2");
  assertEquals(changes.list.length, 7);
  changes.undo();
  assertEquals([state(), kernel.link("keep0")], before);
  assertEquals(changes.list, []);
  assertEquals(lines, []);
}, { programs: ["ip"] });

kernelTest("what is as it should be is left alone, and stays", async () => {
  await makeInterface();
  const before = state();
  {
    using changes = new HostChanges();
    changes.changeLink("keep0", { up: true, mtu: 1500 });
    changes.addAddress("keep0", "192.0.2.1/24");
    changes.pinRoute("192.0.2.7");
    changes.pinRoute("192.0.2.7");
    assertEquals(changes.list, ["the route to 192.0.2.7/32"]);
  }
  assertEquals(state(), before);
}, { programs: ["ip"] });

kernelTest("a redirection that fails half-way leaves nothing behind", async () => {
  await makeInterface();
  const before = state();
  using changes = new HostChanges();
  assertThrows(() => changes.redirectDefault({ gateway: "10.9.9.9" }), Deno.errors.NetworkUnreachable);
  assertEquals([state(), changes.list], [before, []]);
}, { programs: ["ip"] });

kernelTest("a way that is not there cannot be kept", () => {
  using changes = new HostChanges();
  assertThrows(() => changes.pinRoute("192.0.2.1"), Deno.errors.NetworkUnreachable, "the host has no route to it");
});

kernelTest("an interface that is gone has taken its changes with it", () => {
  const { lines, logger } = warnings();
  using changes = new HostChanges(logger);
  {
    using tap = openTap();
    changes.addAddress(tap.name, "198.51.100.1/24");
    changes.addRoute({ destination: "203.0.113.0/24", link: tap.name });
  }
  changes.undo();
  assertEquals(lines, []);
});

kernelTest("what somebody else has removed meanwhile is logged, and the rest is undone", async () => {
  await makeInterface();
  const before = state();
  const { lines, logger } = warnings();
  using changes = new HostChanges(logger);
  changes.addRoute({ destination: "203.0.113.0/24", link: "keep0" });
  changes.addRoute({ destination: "198.51.100.0/24", link: "keep0" });
  await run("ip", "route", "del", "198.51.100.0/24");
  changes.undo();
  assertEquals(state(), before);
  assertEquals(lines.length, 1);
}, { programs: ["ip"] });

kernelTest(
  "what a killed program has left behind is removed by the next one, and that of a running one is not",
  async () => {
    await makeInterface();
    const before = state();
    using running = new HostChanges();
    running.addAddress("keep0", "10.2.2.2/32");
    running.addRoute({ destination: "10.3.3.0/24", link: "keep0" });
    const during = state();
    // As a program that was killed leaves it: marked with a number that nobody has any more.
    using lease = new HostLease();
    const { id } = lease;
    lease.close();
    using kernel = new Rtnetlink();
    kernel.addAddress("keep0", "10.4.4.4/32", { label: `keep0:t${HostLease.format(id)}` });
    kernel.addRoute({ destination: "10.5.5.0/24", link: "keep0", metric: id, protocol: routeProtocol });
    const { lines, logger } = warnings();
    using _next = new HostChanges(logger);
    assertEquals(lines, [
      "Removed what an earlier run had left behind: the route to 10.5.5.0/24",
      'Removed what an earlier run had left behind: the address 10.4.4.4/32 of "keep0"',
    ]);
    assertEquals(state(), during);
    running.undo();
    assertEquals(state(), before);
  },
  { programs: ["ip"] },
);

kernelTest("a number is held as long as its lease", () => {
  using lease = new HostLease();
  assertEquals(HostLease.isHeld(lease.id), true);
  assertEquals(HostLease.parse(HostLease.format(lease.id)), lease.id);
  lease.close();
  assertEquals(HostLease.isHeld(lease.id), false);
  assertEquals(["", "abc", "ABCD", "12345"].map((text) => HostLease.parse(text)), [null, null, null, null]);
});
