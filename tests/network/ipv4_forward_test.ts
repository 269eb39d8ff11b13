import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress, IpPrefix, MacAddress } from "../../stack/address.ts";
import { Ipv4Forwarder } from "../../stack/network/ipv4_forward.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { ethernetFrame, hex, type Ipv4Fields, ipv4Packet, pattern, readIpv4, uint16 } from "../helpers/packets.ts";

const farMac = "02:00:00:00:00:03";
const far = "198.51.100.9";

/** A router with 192.0.2.2/24 on one link and 198.51.100.1/24 on another, whose hosts are known, and a default route. */
function setUp(farMtu = 1500) {
  const host = new Ipv4Host();
  const near = host.addEthernet(["192.0.2.2/24"]);
  const out = host.addEthernet(["198.51.100.1/24"], "02:00:00:00:00:04", { mtu: farMtu });
  const tun = host.addTun(["10.9.0.1/30"]);
  const { routes, neighbors, counters } = host;
  const forwarder = new Ipv4Forwarder({ network: host.ipv4, routes, neighbors, counters });
  host.ipv4.forward = (packet) => forwarder.forward(packet);
  host.neighbors.addPermanent(near, IpAddress.parse("192.0.2.1"), MacAddress.parse(peerMac));
  host.neighbors.addPermanent(out, IpAddress.parse(far), MacAddress.parse(farMac));
  host.routes.add({ prefix: IpPrefix.parse("203.0.113.0/24"), nic: out, gateway: IpAddress.parse(far) });
  host.routes.add({ prefix: IpPrefix.parse("10.0.0.0/8"), nic: tun });
  return {
    host,
    near,
    out,
    tun,
    /** A packet from 192.0.2.1 arrives. */
    receive(fields: Ipv4Fields, payload = pattern(8), to = ownMac): void {
      host.receive(near, ethernetFrame(to, peerMac, 0x0800, ipv4Packet({ destination: far, ...fields }, payload)));
    },
    counted(): Record<string, number> {
      const entries = Object.entries(host.counted()).filter(([name]) => name.startsWith("forward."));
      return Object.fromEntries(entries.map(([name, value]) => [name.slice("forward.".length), value]));
    },
  };
}

/** What an ICMP error in an Ethernet frame says: type, code, the second word's lower half, and the quoted destination. */
function readError(frame: Uint8Array) {
  const packet = readIpv4(frame.subarray(14));
  assertEquals([packet.protocol, packet.checksumRight], [1, true]);
  const { payload } = packet;
  return {
    from: packet.source,
    to: packet.destination,
    type: payload[0],
    code: payload[1],
    mtu: (payload[6]! << 8) | payload[7]!,
    quoted: readIpv4(payload.subarray(8)).destination,
  };
}

Deno.test("a packet for a neighbor on another link is sent on with one less time to live and a right checksum", () => {
  const { host, out, receive, counted } = setUp();
  for (const timeToLive of [255, 64, 2]) {
    receive({ timeToLive, trafficClass: 0xb8, identification: 77 }, pattern(100));
    const [frame] = host.take(out);
    assertEquals(frame!.slice(0, 14), concat([hex("020000000003 020000000004"), uint16(0x0800)]));
    const packet = readIpv4(frame!.slice(14));
    assertEquals(
      [packet.timeToLive, packet.checksumRight, packet.trafficClass, packet.identification, packet.source],
      [timeToLive - 1, true, 0xb8, 77, "192.0.2.1"],
    );
    assertEquals(packet.payload, pattern(100));
  }
  assertEquals(counted(), { forwarded: 3 });
  host.assertQuiet();
});

Deno.test("the longest prefix decides: to a router, or to a link without addresses", () => {
  const { host, out, tun, receive, counted } = setUp();
  receive({ destination: "203.0.113.200" });
  assertEquals(host.take(out)[0]!.slice(0, 6), hex("020000000003"));
  receive({ destination: "10.1.2.3" });
  assertEquals(readIpv4(host.take(tun)[0]!).destination, "10.1.2.3");
  assertEquals(counted(), { forwarded: 2 });
  host.assertQuiet();
});

Deno.test("a way that changes is changed for the next packet", () => {
  const { host, out, tun, receive } = setUp();
  receive({ destination: "10.1.2.3" });
  host.routes.add({ prefix: IpPrefix.parse("10.1.0.0/16"), nic: out, gateway: IpAddress.parse(far) });
  receive({ destination: "10.1.2.3" });
  assertEquals([host.take(tun).length, host.take(out).length], [1, 1]);
  host.assertQuiet();
});

for (const timeToLive of [1, 0]) {
  Deno.test(`a time to live of ${timeToLive} ends here, and its sender is told from an address of ours`, () => {
    const { host, near, out, receive, counted } = setUp();
    receive({ timeToLive });
    assertEquals(host.take(out), []);
    const [error] = host.take(near);
    assertEquals(readError(error!), { from: "192.0.2.2", to: "192.0.2.1", type: 11, code: 0, mtu: 0, quoted: far });
    assertEquals(counted(), { timeExceeded: 1 });
    host.assertQuiet();
  });
}

Deno.test("a packet to where no route leads is answered with network unreachable", () => {
  const { host, near, receive, counted } = setUp();
  receive({ destination: "8.8.8.8" });
  assertEquals(readError(host.take(near)[0]!), {
    from: "192.0.2.2",
    to: "192.0.2.1",
    type: 3,
    code: 0,
    mtu: 0,
    quoted: "8.8.8.8",
  });
  assertEquals(counted(), { noRoute: 1 });
  host.assertQuiet();
});

Deno.test("a neighbor that does not answer is reported as host unreachable after three requests", () => {
  const { host, near, out, receive } = setUp();
  receive({ destination: "198.51.100.77" });
  host.advance(4000);
  assertEquals(host.take(out).length, 3);
  const { type, code, quoted } = readError(host.take(near)[0]!);
  assertEquals([type, code, quoted], [3, 1, "198.51.100.77"]);
  host.assertQuiet();
});

Deno.test("a packet that is too large and not to be fragmented is answered with the next link's MTU", () => {
  const { host, near, out, receive, counted } = setUp(1280);
  receive({ dontFragment: true }, pattern(1261));
  assertEquals(readError(host.take(near)[0]!), {
    from: "192.0.2.2",
    to: "192.0.2.1",
    type: 3,
    code: 4,
    mtu: 1280,
    quoted: far,
  });
  receive({ dontFragment: true }, pattern(1260));
  assertEquals(host.take(out).length, 1);
  assertEquals(counted(), { forwarded: 1, tooBig: 1 });
  host.assertQuiet();
});

Deno.test("a packet that is too large is fragmented, which the receiver puts together", () => {
  const { host, out, receive, counted } = setUp(576);
  receive({ identification: 5 }, pattern(1400));
  const fragments = host.take(out).map((frame) => readIpv4(frame.slice(14)));
  assertEquals(fragments.map(({ offset, totalLength, moreFragments }) => [offset, totalLength, moreFragments]), [
    [0, 572, true],
    [552, 572, true],
    [1104, 316, false],
  ]);
  assertEquals(concat(fragments.map(({ payload }) => payload)), pattern(1400));
  for (const { checksumRight, identification, timeToLive } of fragments) {
    assertEquals([checksumRight, identification, timeToLive], [true, 5, 63]);
  }
  assertEquals(counted(), { forwarded: 1, fragmented: 1 });
  host.assertQuiet();
});

Deno.test("a fragment is fragmented in its own place, and stays one before others", () => {
  const { host, out, receive } = setUp(576);
  receive({ offset: 800, moreFragments: true }, pattern(800));
  const fragments = host.take(out).map((frame) => readIpv4(frame.slice(14)));
  assertEquals(fragments.map(({ offset, moreFragments }) => [offset, moreFragments]), [[800, true], [1352, true]]);
  assertEquals(concat(fragments.map(({ payload }) => payload)), pattern(800));
  host.assertQuiet();
});

Deno.test("only options that are to be copied are in all fragments (RFC 791 section 3.1)", () => {
  const { host, out, receive } = setUp(576);
  // Record route, which is not copied; a stream identifier, which is; and the end of the options.
  receive({ options: hex("07 07 04 00000000 88 04 1234 00") }, pattern(600));
  const headers = host.take(out).map((frame) => frame.slice(14 + 20, 14 + 32));
  assertEquals(headers, [hex("07 07 04 00000000 88 04 1234 00"), hex("01 01 01 01010101 88 04 1234 00")]);
  host.assertQuiet();
});

Deno.test("options that contradict themselves do not get beyond the first fragment", () => {
  const { host, out, receive } = setUp(576);
  receive({ options: hex("88 00 1234") }, pattern(600));
  const headers = host.take(out).map((frame) => frame.slice(14 + 20, 14 + 24));
  assertEquals(headers, [hex("88 00 1234"), hex("01010101")]);
  host.assertQuiet();
});

for (
  const [what, fields, counter] of [
    ["to a link-local address", { destination: "169.254.3.4" }, "linkLocal"],
    ["from a link-local address", { source: "169.254.3.4" }, "linkLocal"],
    ["to the broadcast address of another link", { destination: "198.51.100.255" }, "directedBroadcast"],
  ] as const
) {
  Deno.test(`a packet ${what} is not sent on, nor answered`, () => {
    const { host, near, out, receive, counted } = setUp();
    receive(fields);
    assertEquals([host.take(out), host.take(near)], [[], []]);
    assertEquals(counted(), { [counter]: 1 });
    host.assertQuiet();
  });
}

for (
  const [what, fields, to] of [
    ["in a frame to everybody", {}, "ff:ff:ff:ff:ff:ff"],
    ["to a group", { destination: "239.1.2.3" }, "01:00:5e:01:02:03"],
    ["to the broadcast address", { destination: "255.255.255.255" }, "ff:ff:ff:ff:ff:ff"],
    ["to the loopback", { destination: "127.0.0.1" }, ownMac],
    ["from the loopback", { source: "127.0.0.1" }, ownMac],
    ["from a group", { source: "239.1.2.3" }, ownMac],
    ["from an address of the router", { source: "198.51.100.1" }, ownMac],
    ["to a reserved address", { destination: "240.0.0.1" }, ownMac],
  ] as const
) {
  Deno.test(`a packet ${what} does not come to forwarding`, () => {
    const { host, out, receive, counted } = setUp();
    receive(fields, pattern(8), to);
    assertEquals([host.take(out), counted()], [[], {}]);
    host.assertQuiet();
  });
}

Deno.test("an error about an error is never sent", () => {
  const { host, near, receive, counted } = setUp();
  receive({ timeToLive: 1, protocol: 1 }, hex("03 01 0000 00000000"));
  receive({ timeToLive: 1, offset: 8 }, pattern(8));
  assertEquals(host.take(near), []);
  assertEquals(counted(), { timeExceeded: 2 });
  host.assertQuiet();
});
