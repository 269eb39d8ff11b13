import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress, IpPrefix } from "../../stack/address.ts";
import type { NicOptions } from "../../stack/link/nic.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { ethernetFrame, type Ipv4Fields, ipv4Packet, pattern, readIpv4 } from "../helpers/packets.ts";

function setUp(options: NicOptions = {}) {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"], ownMac, options);
  return {
    host,
    nic,
    receive(fields: Ipv4Fields, payload = pattern(8), to = ownMac): Verdict {
      return host.receive(nic, ethernetFrame(to, peerMac, 0x0800, ipv4Packet(fields, payload)));
    },
    /** What IPv4 counted but for packets received. */
    counted(): Record<string, number> {
      const { "ipv4.received": _received, ...others } = host.counted();
      return Object.fromEntries(Object.entries(others).filter(([name]) => name.startsWith("ipv4.")));
    },
  };
}

Deno.test("IPv4 hands the payload of a packet for us to the transport of its protocol", () => {
  const { host, receive, counted } = setUp();
  assertEquals(receive({}, pattern(100)), Verdict.done);
  assertEquals(host.transport.received, [{
    source: "192.0.2.1",
    destination: "192.0.2.2",
    payload: pattern(100),
    multicast: false,
  }]);
  assertEquals(counted(), { "ipv4.delivered": 1 });
  host.assertQuiet();
});

Deno.test("IPv4 cuts off the padding of short frames", () => {
  const { host, nic } = setUp();
  const packet = concat([ipv4Packet({}, pattern(3)), new Uint8Array(23).fill(0xee)]);
  host.receive(nic, ethernetFrame(ownMac, peerMac, 0x0800, packet));
  assertEquals(host.transport.received[0]!.payload, pattern(3));
  host.assertQuiet();
});

for (const words of [1, 2, 10]) {
  Deno.test(`IPv4 skips ${words * 4} bytes of options, whatever they hold`, () => {
    const { host, receive } = setUp();
    assertEquals(receive({ options: new Uint8Array(words * 4).fill(0xff) }), Verdict.done);
    assertEquals(host.transport.received[0]!.payload, pattern(8));
    host.assertQuiet();
  });
}

Deno.test("IPv4 drops packets shorter than a header", () => {
  const { host, nic, counted } = setUp();
  for (const length of [0, 1, 19]) {
    const frame = ethernetFrame(ownMac, peerMac, 0x0800, ipv4Packet({}, pattern(8)).slice(0, length));
    assertEquals(host.receive(nic, frame), Verdict.dropped);
  }
  assertEquals(counted(), { "ipv4.truncated": 3 });
  host.assertQuiet();
});

for (
  const [what, fields, counter] of [
    ["of version 6", { version: 6 }, "badHeader"],
    ["of version 0", { version: 0 }, "badHeader"],
    ["with a header length of 0", { headerWords: 0 }, "badHeader"],
    ["with a header length of 16 bytes", { headerWords: 4 }, "badHeader"],
    ["whose header is longer than the packet", { headerWords: 8 }, "badHeader"],
    ["with a wrong checksum", { checksumError: 1 }, "badChecksum"],
    ["whose total length is shorter than the header", { totalLength: 19 }, "badLength"],
    ["whose total length is 0", { totalLength: 0 }, "badLength"],
    ["whose total length is longer than the packet", { totalLength: 29 }, "badLength"],
    ["from a group", { source: "224.0.0.1" }, "martianSource"],
    ["from the broadcast address", { source: "255.255.255.255" }, "martianSource"],
    ["from the broadcast address of our subnet", { source: "192.0.2.255" }, "martianSource"],
    ["from a reserved address", { source: "240.0.0.1" }, "martianSource"],
    ["from a loopback address", { source: "127.0.0.1" }, "martianSource"],
    ["from nowhere to us", { source: "0.0.0.0" }, "martianSource"],
    ["from our own address", { source: "192.0.2.2" }, "ownSource"],
    ["to a loopback address", { destination: "127.0.0.1" }, "martianDestination"],
    ["to this network", { destination: "0.0.0.0" }, "martianDestination"],
    ["to a reserved address", { destination: "250.1.2.3" }, "martianDestination"],
    ["to another host", { destination: "192.0.2.3" }, "otherDestination"],
    ["to another subnet's broadcast address", { destination: "198.51.100.255" }, "otherDestination"],
    ["to a group that was not joined", { destination: "224.0.0.251" }, "otherGroup"],
  ] satisfies [string, Ipv4Fields, string][]
) {
  Deno.test(`IPv4 drops a packet ${what}`, () => {
    const { host, nic, receive, counted } = setUp();
    assertEquals(receive(fields), Verdict.dropped);
    assertEquals(counted(), { [`ipv4.${counter}`]: 1 });
    assertEquals(host.take(nic), []);
    host.assertQuiet();
  });
}

for (const destination of ["255.255.255.255", "192.0.2.255", "224.0.0.1"]) {
  Deno.test(`IPv4 accepts ${destination} and marks the packet as one to many`, () => {
    const { host, receive } = setUp();
    assertEquals(receive({ destination }, pattern(8), "ff:ff:ff:ff:ff:ff"), Verdict.done);
    assertEquals(host.transport.received[0]!.multicast, true);
    host.assertQuiet();
  });
}

Deno.test("IPv4 accepts a packet from nowhere to everybody, which a host without an address sends", () => {
  const { host, receive } = setUp();
  receive({ source: "0.0.0.0", destination: "255.255.255.255" }, pattern(8), "ff:ff:ff:ff:ff:ff");
  assertEquals(host.transport.received[0]!.source, "0.0.0.0");
  host.assertQuiet();
});

Deno.test("IPv4 drops a packet to us in a frame to everybody (RFC 1122 section 3.3.6)", () => {
  const { host, receive, counted } = setUp();
  assertEquals(receive({}, pattern(8), "ff:ff:ff:ff:ff:ff"), Verdict.dropped);
  assertEquals(counted(), { "ipv4.linkBroadcast": 1 });
  host.assertQuiet();
});

Deno.test("IPv4 accepts groups while they are joined, on the interface that joined", () => {
  const { host, nic, receive, counted } = setUp();
  const second = host.addEthernet(["198.51.100.2/24"], "02:00:00:00:01:02");
  const group = IpAddress.parse("224.0.0.251");
  second.joinGroup(group);
  assertEquals(receive({ destination: "224.0.0.251" }, pattern(8), "01:00:5e:00:00:fb"), Verdict.dropped);
  nic.joinGroup(group);
  assertEquals(receive({ destination: "224.0.0.251" }, pattern(8), "01:00:5e:00:00:fb"), Verdict.done);
  nic.leaveGroup(group);
  assertEquals(receive({ destination: "224.0.0.251" }, pattern(8), "01:00:5e:00:00:fb"), Verdict.dropped);
  assertEquals(counted(), { "ipv4.delivered": 1, "ipv4.otherGroup": 2 });
  host.assertQuiet();
});

Deno.test("IPv4 accepts an own address on any interface: the weak host model", () => {
  const { host, receive } = setUp();
  host.addEthernet(["198.51.100.2/24"], "02:00:00:00:01:02");
  assertEquals(receive({ destination: "198.51.100.2" }), Verdict.done);
  host.assertQuiet();
});

Deno.test("IPv4 accepts each of several addresses, and not one that was removed", () => {
  const { host, nic, receive, counted } = setUp();
  host.addresses.add(nic, IpPrefix.parse("10.0.0.2/8"));
  assertEquals(receive({ destination: "10.0.0.2" }), Verdict.done);
  host.addresses.remove(nic, IpAddress.parse("10.0.0.2"));
  assertEquals(receive({ destination: "10.0.0.2" }), Verdict.dropped);
  assertEquals(counted()["ipv4.otherDestination"], 1);
  host.assertQuiet();
});

Deno.test("IPv4 accepts packets for anybody on a promiscuous interface", () => {
  const { host, receive } = setUp({ promiscuous: true });
  assertEquals(receive({ destination: "203.0.113.9" }, pattern(8), "02:00:00:00:00:99"), Verdict.done);
  assertEquals(host.transport.received[0]!.destination, "203.0.113.9");
  host.assertQuiet();
});

Deno.test("IPv4 hands packets for other hosts to whoever forwards, whole and with their header", () => {
  const { host, receive, counted } = setUp();
  const forwarded: Uint8Array[] = [];
  host.ipv4.forward = (packet) => {
    forwarded.push(packet.contents().slice());
    packet.release();
    return Verdict.done;
  };
  assertEquals(receive({ destination: "203.0.113.9" }), Verdict.done);
  receive({ destination: "224.0.0.251" }, pattern(8), "01:00:5e:00:00:fb");
  assertEquals(forwarded, [ipv4Packet({ destination: "203.0.113.9" }, pattern(8))]);
  assertEquals(counted(), { "ipv4.forwarded": 1, "ipv4.otherGroup": 1 });
  host.assertQuiet();
});

Deno.test("IPv4 answers a protocol that nobody receives with ICMP", () => {
  const { host, nic, receive, counted } = setUp();
  host.neighbors.addPermanent(nic, IpAddress.parse("192.0.2.1"), nic.mac!);
  assertEquals(receive({ protocol: 99 }), Verdict.done);
  assertEquals(counted(), { "ipv4.unknownProtocol": 1, "ipv4.sent": 1 });
  const { protocol, payload } = readIpv4(host.take(nic)[0]!.subarray(14));
  assertEquals([protocol, payload[0], payload[1]], [1, 3, 2]);
  host.assertQuiet();
});

Deno.test("IPv4 accepts packets on a medium without link headers", () => {
  const host = new Ipv4Host();
  const tun = host.addTun(["10.0.0.2/32"]);
  assertEquals(
    host.receive(tun, ipv4Packet({ source: "10.0.0.1", destination: "10.0.0.2" }, pattern(8))),
    Verdict.done,
  );
  assertEquals(host.transport.received.length, 1);
  host.assertQuiet();
});
