import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { IpAddress, IpPrefix } from "../../stack/address.ts";
import { fold } from "../../stack/checksum.ts";
import type { Path } from "../../stack/network/path.ts";
import { below, SeededRandom } from "../../stack/random.ts";
import { Ipv4Host } from "../helpers/ipv4_host.ts";
import { ipv4Packet, packetOf, pattern, plainChecksum } from "../helpers/packets.ts";

const secondMac = "02:00:00:00:01:02";

function setUp() {
  const host = new Ipv4Host();
  const eth = host.addEthernet(["192.0.2.2/24", "10.0.0.2/8"]);
  host.routes.add({ prefix: IpPrefix.parse("0.0.0.0/0"), nic: eth, gateway: IpAddress.parse("192.0.2.1") });
  return { host, eth };
}

function show(path: Path | null): string {
  return path === null ? "none" : `${path.source} ${path.nic.name} ${path.neighbor.destination}`;
}

/** The reply path to a packet that arrived on an interface. */
function replyPath(host: Ipv4Host, nic: number, source: string, destination: string, multicast = false): Path | null {
  const packet = packetOf(host.pool, ipv4Packet({ source, destination }, pattern(8)));
  packet.nic = nic;
  packet.looped = host.nics[nic]!.device.loopback;
  packet.sourceAt = packet.head + 12;
  packet.destinationAt = packet.head + 16;
  packet.multicast = multicast;
  const path = host.ipv4.replyPath(packet, 253);
  packet.release();
  return path;
}

Deno.test("A path's source is the address whose subnet holds the next hop", () => {
  const { host } = setUp();
  assertEquals(host.path("192.0.2.9").source.toString(), "192.0.2.2");
  assertEquals(host.path("10.9.9.9").source.toString(), "10.0.0.2");
  assertEquals(host.path("203.0.113.1").source.toString(), "192.0.2.2");
});

Deno.test("A path's source is the one that the route prefers", () => {
  const { host, eth } = setUp();
  host.routes.add({
    prefix: IpPrefix.parse("203.0.113.0/24"),
    nic: eth,
    gateway: IpAddress.parse("192.0.2.1"),
    source: IpAddress.parse("10.0.0.2"),
  });
  assertEquals(host.path("203.0.113.1").source.toString(), "10.0.0.2");
});

Deno.test("A path from an interface without addresses borrows one of another interface", () => {
  const { host } = setUp();
  const tun = host.addTun([]);
  host.routes.add({ prefix: IpPrefix.parse("198.51.100.0/24"), nic: tun });
  assertEquals(show(host.path("198.51.100.1")), "192.0.2.2 tun2 null");
});

Deno.test("A path's source must be ours, unless the interface may spoof", () => {
  const { host, eth } = setUp();
  assertEquals(host.path("192.0.2.9", "10.0.0.2").source.toString(), "10.0.0.2");
  assertEquals(host.findPath("192.0.2.9", "192.0.2.77"), null);
  eth.spoofing = true;
  assertEquals(host.path("192.0.2.9", "192.0.2.77").source.toString(), "192.0.2.77");
  assertEquals(host.findPath("192.0.2.9", "224.0.0.1"), null);
});

Deno.test("Loopback addresses never leave the host, as source or as destination", () => {
  const { host, eth } = setUp();
  assertEquals(host.findPath("192.0.2.9", "127.0.0.1"), null);
  assertEquals(host.path("127.1.2.3", null, eth).nic, host.loopback);
  host.addresses.remove(host.loopback, IpAddress.loopback4);
  assertEquals(host.findPath("127.0.0.1"), null);
});

Deno.test("There is no path to this network, to reserved addresses, or without a route", () => {
  const { host } = setUp();
  for (const destination of ["0.0.0.0", "0.1.2.3", "250.0.0.1"]) assertEquals(host.findPath(destination), null);
  host.routes.remove({ gateway: IpAddress.parse("192.0.2.1") });
  assertEquals(host.findPath("203.0.113.1"), null);
  assertEquals(host.ipv4.findPath({ destination: IpAddress.loopback6, protocol: 253 }), null);
});

Deno.test("Broadcasts go to everybody on the link, groups to the hardware address made from them", () => {
  const { host } = setUp();
  assertEquals(show(host.path("255.255.255.255")), "192.0.2.2 eth1 ff:ff:ff:ff:ff:ff");
  assertEquals(show(host.path("192.0.2.255")), "192.0.2.2 eth1 ff:ff:ff:ff:ff:ff");
  assertEquals(show(host.path("10.255.255.255")), "10.0.0.2 eth1 ff:ff:ff:ff:ff:ff");
  assertEquals(show(host.path("224.0.0.251")), "192.0.2.2 eth1 01:00:5e:00:00:fb");
  assertEquals(show(host.path("239.255.255.250")), "192.0.2.2 eth1 01:00:5e:7f:ff:fa");
});

Deno.test("A host that has no address yet may send from none, and only to everybody", () => {
  const host = new Ipv4Host();
  const eth = host.addEthernet([]);
  assertEquals(show(host.path("255.255.255.255", "0.0.0.0", eth)), "0.0.0.0 eth1 ff:ff:ff:ff:ff:ff");
  assertEquals(host.findPath("255.255.255.255", null, eth), null);
  host.routes.add({ prefix: IpPrefix.parse("0.0.0.0/0"), nic: eth });
  assertEquals(host.findPath("192.0.2.1", "0.0.0.0"), null);
});

Deno.test("A path can be asked for on one interface", () => {
  const { host, eth } = setUp();
  const second = host.addEthernet(["192.0.2.3/24"], secondMac);
  assertEquals(host.path("192.0.2.9", null, second).nic, second);
  assertEquals(host.path("192.0.2.9", null, eth).nic, eth);
  assertEquals(host.path("255.255.255.255", null, second).source.toString(), "192.0.2.3");
  assertEquals(host.findPath("203.0.113.1", null, second), null);
});

Deno.test("A path asked for on one interface stays there when routes change", () => {
  const { host, eth } = setUp();
  const second = host.addTun(["198.51.100.2/24"]);
  const path = host.path("203.0.113.1", null, eth);
  host.routes.add({ prefix: IpPrefix.parse("203.0.113.0/24"), nic: second });
  host.send(path, pattern(1));
  assertEquals(path.nic, eth);
  host.neighbors.clear();
  host.assertQuiet();
});

Deno.test("A path knows the sum of its pseudo-header", () => {
  const { host } = setUp();
  const bytes = new Uint8Array([192, 0, 2, 2, 203, 0, 113, 1, 0, 253]);
  assertEquals(fold(host.path("203.0.113.1").pseudoSum) ^ 0xffff, plainChecksum(bytes));
});

Deno.test("Two addresses in one subnet share its route, which stays until the last one goes", () => {
  const { host, eth } = setUp();
  host.addresses.add(eth, IpPrefix.parse("192.0.2.7/24"));
  assertEquals(host.path("192.0.2.9").source.toString(), "192.0.2.2");
  host.addresses.remove(eth, IpAddress.parse("192.0.2.2"));
  assertEquals(host.path("192.0.2.9").source.toString(), "192.0.2.7");
  host.addresses.remove(eth, IpAddress.parse("192.0.2.7"));
  host.routes.remove({ gateway: IpAddress.parse("192.0.2.1") });
  assertEquals(host.findPath("192.0.2.9"), null);
});

Deno.test("Removing an address that an interface does not have changes nothing", () => {
  const { host, eth } = setUp();
  const { generation } = host.routes;
  assertEquals(host.addresses.remove(eth, IpAddress.parse("192.0.2.77")), false);
  assertEquals(host.routes.generation, generation);
});

Deno.test("A reply goes back to the sender from the address that was sent to", () => {
  const { host } = setUp();
  const path = replyPath(host, 1, "203.0.113.1", "10.0.0.2")!;
  assertEquals([path.source.toString(), path.destination.toString()], ["10.0.0.2", "203.0.113.1"]);
});

Deno.test("Replies to one sender share a path until routes change", () => {
  const { host, eth } = setUp();
  const first = replyPath(host, 1, "203.0.113.1", "192.0.2.2");
  assertStrictEquals(replyPath(host, 1, "203.0.113.1", "192.0.2.2"), first);
  assertNotStrictEquals(replyPath(host, 1, "203.0.113.1", "10.0.0.2"), first);
  host.addresses.add(eth, IpPrefix.parse("192.0.2.7/24"));
  assertNotStrictEquals(replyPath(host, 1, "203.0.113.1", "192.0.2.2"), first);
});

Deno.test("Replies to many strangers, most of whom find another's path in their place, go where each came from", () => {
  const { host, eth } = setUp();
  const tun = host.addTun(["198.51.100.2/24"]);
  const others = IpPrefix.parse("203.0.113.0/24");
  host.routes.add({ prefix: others, nic: eth, gateway: IpAddress.parse("192.0.2.3") });
  host.routes.add({ prefix: IpPrefix.parse("100.64.0.0/10"), nic: tun });
  const narrow = IpAddress.parse("20.0.0.7");
  host.ipv4.lowerMtu(host.path(narrow.toString()), 1000);
  const random = new SeededRandom(1);
  // Behind the first router, behind another, on two links, through the tunnel, and beyond a narrow place.
  const places = [
    [0x1400_0000, 5000],
    [0xcb00_7100, 200],
    [0xc000_0280, 100],
    [0x0a01_0000, 200],
    [0x6440_0000, 5000],
    [narrow.words[0]!, 1],
  ] as const;
  for (let round = 0; round < 5000; round++) {
    const [first, count] = places[below(random, places.length)]!;
    const source = IpAddress.fromUint32(first + below(random, count));
    const local = below(random, 2) === 0 ? "192.0.2.2" : "10.0.0.2";
    const reply = replyPath(host, 1, source.toString(), local)!;
    const own = host.path(source.toString(), local);
    assertEquals(
      [show(reply), `${reply.destination}`, reply.mtu, fold(reply.pseudoSum)],
      [show(own), `${own.destination}`, own.mtu, fold(own.pseudoSum)],
    );
    assertEquals("address" in own.neighbor, "address" in reply.neighbor);
    if ("address" in own.neighbor) assertStrictEquals(reply.neighbor, own.neighbor);
  }
});

Deno.test("A reply from one own address to another stays within the host, whichever strangers came before", () => {
  const { host, eth } = setUp();
  host.addresses.add(eth, IpPrefix.parse("20.1.1.1/32"));
  for (let number = 1; number < 2000; number++) {
    const source = IpAddress.fromUint32(0x1400_0000 + number);
    assertEquals(replyPath(host, 1, source.toString(), "192.0.2.2")?.nic, eth);
  }
  const { loopback } = host;
  const reply = replyPath(host, loopback.index, "20.1.1.1", "192.0.2.2");
  assertEquals([reply?.nic, reply?.destination.toString()], [loopback, "20.1.1.1"]);
});

Deno.test("Nothing is sent back to what is no single host, or about what was sent to many", () => {
  const { host } = setUp();
  for (const source of ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.255"]) {
    assertEquals(replyPath(host, 1, source, "192.0.2.2"), null);
  }
  assertEquals(replyPath(host, 1, "192.0.2.1", "192.0.2.2", true), null);
  assertEquals(replyPath(host, 1, "192.0.2.1", "224.0.0.1"), null);
});

Deno.test("A reply from an address that is not ours needs an interface that may spoof", () => {
  const { host, eth } = setUp();
  assertEquals(replyPath(host, 1, "192.0.2.1", "203.0.113.80"), null);
  eth.spoofing = true;
  assertEquals(replyPath(host, 1, "192.0.2.1", "203.0.113.80")?.source.toString(), "203.0.113.80");
});

Deno.test("An MTU reported for a path holds for new paths to the same destination, for ten minutes", () => {
  const { host } = setUp();
  const path = host.path("203.0.113.1");
  host.ipv4.lowerMtu(path, 1400);
  host.ipv4.lowerMtu(path, 1450);
  assertEquals([path.mtu, host.path("203.0.113.1").mtu, host.path("203.0.113.2").mtu], [1400, 1400, 1500]);
  host.advance(599_999);
  assertEquals(host.path("203.0.113.1").mtu, 1400);
  host.advance(1);
  assertEquals(host.path("203.0.113.1").mtu, 1500);
});

Deno.test("An MTU smaller than any in use is not believed", () => {
  const { host } = setUp();
  const path = host.path("203.0.113.1");
  host.ipv4.lowerMtu(path, 68);
  assertEquals([path.mtu, host.path("203.0.113.1").mtu], [552, 552]);
});

Deno.test("The reported MTUs of only so many destinations are remembered, the latest ones", () => {
  const { host } = setUp();
  for (let place = 0; place < 600; place++) {
    host.ipv4.lowerMtu(host.path(`203.0.${place >> 8}.${place & 255}`), 1000);
  }
  assertEquals([host.path("203.0.0.0").mtu, host.path("203.0.2.87").mtu], [1500, 1000]);
});
