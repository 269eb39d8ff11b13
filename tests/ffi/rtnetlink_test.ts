import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { Rtnetlink } from "../../ffi/rtnetlink.ts";
import { openTap } from "../../ffi/tuntap.ts";
import { kernelTest, run } from "../kernel/namespace.ts";

kernelTest("an address is added, listed and removed, as the ip program sees it", async () => {
  using device = openTap({ name: "tap0" });
  using netlink = new Rtnetlink();
  netlink.addAddress("tap0", "10.0.0.1/24");
  netlink.addAddress("tap0", "fd00::1/64", { duplicateDetection: false });
  assertMatch(await run("ip", "address", "show", "tap0"), /10\.0\.0\.1\/24 brd 10\.0\.0\.255[^]*fd00::1\/64/);
  const texts = () =>
    netlink.addresses("tap0").map(({ prefix }) => String(prefix)).filter((text) => !/^fe80/.test(text));
  assertEquals(texts(), ["10.0.0.1/24", "fd00::1/64"]);
  netlink.removeAddress("tap0", "10.0.0.1/24");
  netlink.removeAddress("tap0", "fd00::1/64");
  assertEquals(texts(), []);
  assertEquals(device.name, "tap0");
});

kernelTest("an address with a peer makes a route to the peer", () => {
  using device = openTap({ name: "tap0" });
  device.host.addAddress("10.1.1.1", { peer: "10.1.1.2" });
  const [address] = device.host.addresses().filter(({ prefix }) => prefix.address.family === 4);
  assertEquals([String(address?.prefix), String(address?.peer)], ["10.1.1.1/32", "10.1.1.2"]);
  using netlink = new Rtnetlink();
  assertEquals(netlink.routes().map(({ destination }) => String(destination)), ["10.1.1.2/32"]);
  device.host.removeAddress("10.1.1.1", { peer: "10.1.1.2" });
  assertEquals(netlink.routes(), []);
});

kernelTest("an interface is switched, and its MTU and transmit queue set", () => {
  using _device = openTap({ name: "tap0", up: false });
  using netlink = new Rtnetlink();
  assertEquals(netlink.link("tap0").up, false);
  netlink.changeLink("tap0", { up: true, mtu: 1400, txQueueLength: 100 });
  const { up, mtu, txQueueLength } = netlink.link("tap0");
  assertEquals([up, mtu, txQueueLength], [true, 1400, 100]);
  netlink.changeLink("tap0", { up: false });
  assertEquals(netlink.link("tap0").up, false);
});

kernelTest("frames for which a device has no room are counted", async () => {
  using device = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
  device.host.change({ txQueueLength: 2 });
  using netlink = new Rtnetlink();
  const before = netlink.transmitDrops("tap0");
  await run("ip", "neigh", "add", "10.0.0.2", "lladdr", "02:00:00:00:00:01", "dev", "tap0");
  await run("sh", "-c", "ping -q -c 10 -i 0.002 -W 0.01 10.0.0.2 || true");
  assert(netlink.transmitDrops("tap0") >= before + 8);
  assertThrows(() => netlink.transmitDrops("tap7"), Deno.errors.NotFound, 'look up the interface "tap7"');
}, { programs: ["ip", "ping"] });

kernelTest("routes by link, by gateway and by metric are added, listed and removed", async () => {
  using device = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
  using netlink = new Rtnetlink();
  device.host.addRoute({ destination: "192.0.2.0/24" });
  netlink.addRoute({ destination: "198.51.100.0/24", gateway: "10.0.0.2", metric: 7 });
  netlink.addRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.2", source: "10.0.0.1" });
  const { index } = device.host.info();
  const lines = netlink.routes().map(({ destination, gateway, metric, source, index }) =>
    [destination, gateway, metric, source, index].join(" ")
  );
  assertEquals(lines, [
    `0.0.0.0/0 10.0.0.2 0 10.0.0.1 ${index}`,
    `10.0.0.0/24  0 10.0.0.1 ${index}`,
    `192.0.2.0/24  0  ${index}`,
    `198.51.100.0/24 10.0.0.2 7  ${index}`,
  ]);
  assertStringIncludes(await run("ip", "route"), "198.51.100.0/24 via 10.0.0.2 dev tap0 proto static metric 7");

  device.host.removeRoute({ destination: "192.0.2.0/24" });
  netlink.removeRoute({ destination: "198.51.100.0/24" });
  netlink.removeRoute({ destination: "0.0.0.0/0" });
  assertEquals(netlink.routes().map(({ destination }) => String(destination)), ["10.0.0.0/24"]);
});

kernelTest("IPv6 routes are added, listed and removed", () => {
  using device = openTap({ name: "tap0", hostAddresses: [{ address: "fd00::1/64", duplicateDetection: false }] });
  using netlink = new Rtnetlink();
  device.host.addRoute({ destination: "::/0", gateway: "fd00::2", metric: 5 });
  const route = netlink.defaultRoute(6);
  assertEquals([String(route?.destination), String(route?.gateway), route?.metric], ["::/0", "fd00::2", 5]);
  device.host.removeRoute({ destination: "::/0", gateway: "fd00::2" });
  assertEquals(netlink.defaultRoute(6), null);
});

kernelTest("the default route with the lowest metric wins", () => {
  using device = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
  using netlink = new Rtnetlink();
  assertEquals(netlink.defaultRoute(), null);
  device.host.addRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.3", metric: 20 });
  device.host.addRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.2", metric: 10 });
  assertEquals(String(netlink.defaultRoute()?.gateway), "10.0.0.2");
});

kernelTest("a dump of more routes than one datagram holds is complete", () => {
  using device = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
  using netlink = new Rtnetlink();
  const { index } = device.host.info();
  for (let host = 0; host < 1000; host++) {
    netlink.addRoute({ destination: `192.0.${2 + (host >> 8)}.${host & 255}/32`, link: "tap0" });
  }
  const hosts = netlink.routes().filter(({ destination }) => destination.length === 32);
  assertEquals(hosts.length, 1000);
  assert(hosts.every((route) => route.index === index));
});

kernelTest("an address that the interface has is in use", () => {
  using device = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
  const error = assertThrows(() => device.host.addAddress("10.0.0.1/24"), Deno.errors.AddrInUse);
  assertMatch(String(error), /Cannot add the address 10\.0\.0\.1\/24 to "tap0": .*EEXIST.*; "tap0" has it/);
});

kernelTest("an address that the interface does not have is not available", () => {
  using device = openTap({ name: "tap0" });
  const remove = () => device.host.removeAddress("10.0.0.1/24");
  assertThrows(remove, Deno.errors.AddrNotAvailable, '"tap0" does not have it');
});

kernelTest("a route that is there already, and one that is not there, say so", () => {
  using device = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
  const route = { destination: "192.0.2.0/24" };
  device.host.addRoute(route);
  assertThrows(() => device.host.addRoute(route), Deno.errors.AlreadyExists, "there is one already");
  device.host.removeRoute(route);
  assertThrows(() => device.host.removeRoute(route), Deno.errors.NotFound, "remove the route to 192.0.2.0/24");
});

kernelTest("a gateway that no link reaches is refused", () => {
  using netlink = new Rtnetlink();
  const add = () => netlink.addRoute({ destination: "192.0.2.0/24", gateway: "10.9.9.9" });
  assertThrows(add, Deno.errors.NetworkUnreachable, "give the interface an address in the gateway's subnet first");
});

kernelTest("an interface that does not exist is not found, and the error names those that do", () => {
  using netlink = new Rtnetlink();
  assertEquals(netlink.findLink("tap7"), null);
  assertThrows(() => netlink.link("tap7"), Deno.errors.NotFound, 'Cannot find the interface "tap7"');
  assertThrows(() => netlink.link("tap7"), Deno.errors.NotFound, "there are lo");
});

kernelTest("a request after one that failed gets its own answer", () => {
  using netlink = new Rtnetlink();
  assertThrows(() => netlink.changeLink("lo", { mtu: 0xffff_ffff }), Error, "choose another MTU");
  assertEquals(netlink.link("lo").name, "lo");
});

kernelTest("a program without the privilege is told what to do", async () => {
  const module = new URL("../../ffi/rtnetlink.ts", import.meta.url).href;
  const code = `import { Rtnetlink } from "${module}";
    try { new Rtnetlink().changeLink("lo", { mtu: 1400 }); } catch (error) { console.log(String(error)); }`;
  const output = await run("unshare", "--user", Deno.execPath(), "eval", "--no-config", code);
  assertStringIncludes(output, 'PermissionDenied: Cannot set mtu 1400 on "lo": netlink failed with EPERM');
  assertStringIncludes(output, "it needs CAP_NET_ADMIN: run as root, or inside `unshare -rn`");
});
