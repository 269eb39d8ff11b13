import { assert, assertEquals, assertThrows } from "@std/assert";
import { HostChanges } from "../../ffi/host_changes.ts";
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

/** One that is off, and whose name leaves no room for anything beside it. */
async function makeLongInterface(): Promise<void> {
  await run("ip", "link", "add", "averylongname0", "type", "veth", "peer", "name", "far1");
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

/** Makes changes of all kinds of `keep0` in a program that is killed when `script` has run. */
async function killAfter(script: string): Promise<void> {
  const changes = new URL("../../ffi/host_changes.ts", import.meta.url);
  const code = `import { HostChanges } from "${changes}";\nconst changes = new HostChanges();\n${script}\n` +
    `console.log("changed");\nawait new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  assertEquals(new TextDecoder().decode(value), "changed\n");
}

kernelTest("what a killed program has left behind is undone by the next one, whatever kind it is of", async () => {
  await makeInterface();
  await makeLongInterface();
  using kernel = new Rtnetlink();
  const before = [state(), kernel.link("keep0"), kernel.link("averylongname0")];
  await killAfter(`
    changes.changeLink("keep0", { mtu: 1400, txQueueLength: 100 });
    changes.changeLink("averylongname0", { up: true });
    changes.changeLink("keep0", { mtu: 1300 });
    changes.addAddress("averylongname0", "10.1.1.1", { peer: "10.1.1.2" });
    changes.addAddress("keep0", "198.51.100.1/24");
    changes.addAddress("keep0", "fd00::7/64", { duplicateDetection: false });
    changes.addRoute({ destination: "203.0.113.0/24", gateway: "198.51.100.9" });
    changes.addRoute({ destination: "10.7.0.0/16", link: "averylongname0" });
    changes.pinRoute("8.8.8.8");
    changes.redirectDefault({ link: "averylongname0" });
  `);
  assertEquals(kernel.link("keep0").mtu, 1300);
  const { lines, logger } = warnings();
  using _next = new HostChanges(logger);
  assertEquals(
    lines.map((line) => line.replace("Undid what an earlier run had left behind: ", "")),
    [
      "the route to 0.0.0.0/1",
      "the route to 8.8.8.8/32",
      "the route to 10.7.0.0/16",
      "the route to 128.0.0.0/1",
      "the route to 203.0.113.0/24",
      'the address fd00::7/64 of "keep0"',
      'the address 198.51.100.1/24 of "keep0"',
      'the address 10.1.1.1/32 of "averylongname0"',
      'mtu 1300 on "keep0"',
      'up true on "averylongname0"',
      'mtu 1400, txQueueLength 100 on "keep0"',
    ],
  );
  assertEquals([state(), kernel.link("keep0"), kernel.link("averylongname0")], before);
  assertEquals(kernel.addresses("keep0").filter(({ prefix }) => String(prefix) === "fd00::7/64"), []);
}, { programs: ["ip"] });

kernelTest("what somebody has changed again since a program was killed is left alone", async () => {
  await makeInterface();
  await killAfter(`
    changes.changeLink("keep0", { mtu: 1400, txQueueLength: 100 });
    changes.addAddress("keep0", "198.51.100.1/24");
  `);
  await run("ip", "link", "set", "keep0", "mtu", "1280");
  await run("ip", "address", "del", "198.51.100.1/24", "dev", "keep0");
  using kernel = new Rtnetlink();
  using _next = new HostChanges();
  const { mtu, txQueueLength, alternativeNames } = kernel.link("keep0");
  assertEquals([mtu, txQueueLength, alternativeNames], [1280, 1000, []]);
}, { programs: ["ip"] });

kernelTest("what a running program has changed is left alone by the next one", async () => {
  await makeInterface();
  const before = state();
  using running = new HostChanges();
  running.changeLink("keep0", { mtu: 1400 });
  running.addAddress("keep0", "10.2.2.2/32");
  running.addRoute({ destination: "10.3.3.0/24", link: "keep0" });
  const during = state();
  const { lines, logger } = warnings();
  using _next = new HostChanges(logger);
  using kernel = new Rtnetlink();
  assertEquals([state(), kernel.link("keep0").mtu, lines], [during, 1400, []]);
  running.undo();
  assertEquals([state(), kernel.link("keep0").mtu, kernel.link("keep0").alternativeNames], [before, 1500, []]);
}, { programs: ["ip"] });

kernelTest("a change that the kernel refuses leaves no mark", async () => {
  await makeInterface();
  using changes = new HostChanges();
  assertThrows(() => changes.changeLink("keep0", { txQueueLength: 77, mtu: 20 }), Error, "mtu 20");
  assertThrows(
    () => changes.addAddress("lo", "127.0.0.2/8", { label: "other" } as object),
    Error,
    "Cannot add the address",
  );
  using kernel = new Rtnetlink();
  const { txQueueLength, alternativeNames } = kernel.link("keep0");
  assertEquals([txQueueLength, alternativeNames, changes.list], [1000, [], []]);
}, { programs: ["ip"] });

kernelTest("a way by a router outside of the interface's subnets, or of IPv6, is kept", async () => {
  await run("ip", "link", "add", "keep0", "type", "veth", "peer", "name", "far0");
  await run("ip", "address", "add", "192.0.2.1/32", "dev", "keep0");
  await run("ip", "link", "set", "keep0", "up");
  await run("ip", "route", "add", "default", "via", "172.31.1.1", "dev", "keep0", "onlink");
  await run("ip", "route", "add", "203.0.113.0/24", "via", "inet6", "fe80::1", "dev", "keep0");
  const before = state();
  using changes = new HostChanges();
  changes.pinRoute("8.8.8.8");
  changes.pinRoute("203.0.113.9");
  using kernel = new Rtnetlink();
  const way = (address: string) => String(kernel.routeTo(address)?.gateway);
  assertEquals([way("8.8.8.8"), way("203.0.113.9")], ["172.31.1.1", "fe80::1"]);
  assert(state().includes("8.8.8.8/32 172.31.1.1"));
  changes.undo();
  assertEquals(state(), before);
}, { programs: ["ip"] });

kernelTest("a number is held as long as its lease", () => {
  using lease = new HostLease();
  assertEquals(HostLease.isHeld(lease.id), true);
  assertEquals(HostLease.parse(HostLease.format(lease.id)), lease.id);
  lease.close();
  assertEquals(HostLease.isHeld(lease.id), false);
  assertEquals(["", "abc", "ABCD", "12345"].map((text) => HostLease.parse(text)), [null, null, null, null]);
});
