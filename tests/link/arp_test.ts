import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress, IpPrefix, MacAddress } from "../../stack/address.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { type ArpFields, arpMessage, ethernetFrame } from "../helpers/packets.ts";

const zeroMac = "00:00:00:00:00:00";
const broadcastMac = "ff:ff:ff:ff:ff:ff";

function setUp() {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"]);
  return {
    host,
    nic,
    receive(fields: ArpFields, destination = broadcastMac) {
      const verdict = host.receive(nic, ethernetFrame(destination, fields.sender[0], 0x0806, arpMessage(fields)));
      return verdict;
    },
    table: () => host.neighbors.list().map(({ address, mac, state }) => `${address} ${mac} ${state}`),
    counted: () => Object.fromEntries(Object.entries(host.counted()).filter(([name]) => name.startsWith("arp."))),
  };
}

const request: ArpFields = { operation: 1, sender: [peerMac, "192.0.2.1"], target: [zeroMac, "192.0.2.2"] };

Deno.test("ARP answers a request for our address to its sender, with both addresses of both", () => {
  const { host, nic, receive, counted } = setUp();
  assertEquals(receive(request), Verdict.done);
  const reply = arpMessage({ operation: 2, sender: [ownMac, "192.0.2.2"], target: [peerMac, "192.0.2.1"] });
  assertEquals(host.take(nic), [ethernetFrame(peerMac, ownMac, 0x0806, reply)]);
  assertEquals(counted(), { "arp.announcementsSent": 1, "arp.requestsReceived": 1, "arp.repliesSent": 1 });
  host.assertQuiet();
});

Deno.test("ARP cuts the padding of a short frame from its reply", () => {
  const { host, nic } = setUp();
  host.receive(nic, ethernetFrame(broadcastMac, peerMac, 0x0806, concat([arpMessage(request), new Uint8Array(18)])));
  assertEquals(host.take(nic)[0]!.length, 14 + 28);
  host.assertQuiet();
});

Deno.test("ARP learns who asks for our address, without believing that the way back works", () => {
  const { host, receive, table } = setUp();
  receive(request);
  assertEquals(table(), [`192.0.2.1 ${peerMac} STALE`]);
  host.assertQuiet();
});

Deno.test("ARP neither answers nor learns from requests for others", () => {
  const { host, nic, receive, table, counted } = setUp();
  assertEquals(receive({ ...request, target: [zeroMac, "192.0.2.9"] }), Verdict.done);
  assertEquals(host.take(nic), []);
  assertEquals(table(), []);
  assertEquals(counted()["arp.overheard"], 1);
  host.assertQuiet();
});

Deno.test("ARP answers on an interface only for that interface's addresses", () => {
  const { host, nic, receive } = setUp();
  const second = host.addEthernet(["198.51.100.2/24"], "02:00:00:00:01:02");
  receive({ ...request, target: [zeroMac, "198.51.100.2"] });
  assertEquals([host.take(nic), host.take(second)], [[], []]);
  host.assertQuiet();
});

Deno.test("ARP answers for each of an interface's addresses, and no longer for a removed one", () => {
  const { host, nic, receive } = setUp();
  host.addresses.add(nic, IpPrefix.parse("192.0.2.7/24"));
  host.take(nic);
  receive({ ...request, target: [zeroMac, "192.0.2.7"] });
  assertEquals(host.take(nic).length, 1);
  host.addresses.remove(nic, IpAddress.parse("192.0.2.7"));
  receive({ ...request, target: [zeroMac, "192.0.2.7"] });
  assertEquals(host.take(nic), []);
  host.assertQuiet();
});

Deno.test("ARP answers a probe (RFC 5227) and learns nothing from it", () => {
  const { host, nic, receive, table } = setUp();
  receive({ operation: 1, sender: [peerMac, "0.0.0.0"], target: [zeroMac, "192.0.2.2"] });
  const reply = arpMessage({ operation: 2, sender: [ownMac, "192.0.2.2"], target: [peerMac, "0.0.0.0"] });
  assertEquals(host.take(nic), [ethernetFrame(peerMac, ownMac, 0x0806, reply)]);
  assertEquals(table(), []);
  host.assertQuiet();
});

Deno.test("ARP updates a known neighbour from an announcement, and ignores announcements of others", () => {
  const { host, receive, table } = setUp();
  receive(request);
  const moved = "02:00:00:00:00:77";
  receive({ operation: 1, sender: [moved, "192.0.2.1"], target: [zeroMac, "192.0.2.1"] });
  receive({ operation: 2, sender: [moved, "192.0.2.8"], target: [moved, "192.0.2.8"] });
  assertEquals(table(), [`192.0.2.1 ${moved} STALE`]);
  host.assertQuiet();
});

Deno.test("ARP drops truncated messages and those about other kinds of addresses", () => {
  const { host, nic, counted } = setUp();
  const message = arpMessage(request);
  const wrong = [message.slice(0, 27), new Uint8Array(0)];
  for (const at of [1, 3, 4, 5]) {
    const bytes = message.slice();
    bytes[at]! ^= 1;
    wrong.push(bytes);
  }
  for (const bytes of wrong) {
    assertEquals(host.receive(nic, ethernetFrame(ownMac, peerMac, 0x0806, bytes)), Verdict.dropped);
  }
  assertEquals(counted()["arp.malformed"], wrong.length);
  assertEquals(host.take(nic), []);
  host.assertQuiet();
});

for (const operation of [0, 3, 4, 8, 9, 65535]) {
  Deno.test(`ARP counts a message with the unknown operation ${operation}`, () => {
    const { host, receive, table, counted } = setUp();
    assertEquals(receive({ ...request, operation }), Verdict.dropped);
    assertEquals(counted()["arp.unknownOperation"], 1);
    assertEquals(table(), []);
    host.assertQuiet();
  });
}

for (
  const [mac, ip] of [
    [broadcastMac, "192.0.2.1"],
    ["01:00:5e:00:00:01", "192.0.2.1"],
    [zeroMac, "192.0.2.1"],
    [peerMac, "224.0.0.1"],
    [peerMac, "255.255.255.255"],
    [peerMac, "127.0.0.1"],
    [peerMac, "192.0.2.255"],
    [peerMac, "0.0.0.1"],
  ] as const
) {
  Deno.test(`ARP learns nothing from a sender that claims to be ${ip} at ${mac}`, () => {
    const { host, nic, table, counted } = setUp();
    const message = arpMessage({ operation: 1, sender: [mac, ip], target: [zeroMac, "192.0.2.2"] });
    assertEquals(host.receive(nic, ethernetFrame(ownMac, peerMac, 0x0806, message)), Verdict.dropped);
    assertEquals(counted()["arp.badSender"], 1);
    assertEquals([table(), host.take(nic)], [[], []]);
    host.assertQuiet();
  });
}

Deno.test("ARP defends our address against another host that uses it, once in ten seconds (RFC 5227)", () => {
  const { host, nic, receive, table, counted } = setUp();
  const conflict: ArpFields = { operation: 1, sender: [peerMac, "192.0.2.2"], target: [zeroMac, "192.0.2.2"] };
  const announcement = arpMessage({ operation: 1, sender: [ownMac, "192.0.2.2"], target: [zeroMac, "192.0.2.2"] });
  assertEquals(receive(conflict), Verdict.dropped);
  assertEquals(host.take(nic), [ethernetFrame(broadcastMac, ownMac, 0x0806, announcement)]);
  host.advance(9_999);
  receive(conflict);
  assertEquals(host.take(nic), []);
  host.advance(1);
  receive(conflict);
  assertEquals(host.take(nic).length, 1);
  assertEquals(counted()["arp.addressConflict"], 3);
  assertEquals(table(), []);
  host.assertQuiet();
});

Deno.test("ARP announces an address when it is added", () => {
  const { host, nic } = setUp();
  host.addresses.add(nic, IpPrefix.parse("192.0.2.7/24"));
  const message = arpMessage({ operation: 1, sender: [ownMac, "192.0.2.7"], target: [zeroMac, "192.0.2.7"] });
  assertEquals(host.take(nic), [ethernetFrame(broadcastMac, ownMac, 0x0806, message)]);
  host.assertQuiet();
});

Deno.test("ARP asks everybody, or the one that had the address last, from the address on the target's subnet", () => {
  const { host, nic } = setUp();
  host.addresses.add(nic, IpPrefix.parse("198.51.100.2/24"));
  host.take(nic);
  const target = IpAddress.parse("198.51.100.9");
  host.arp.solicit(nic, target, null);
  host.arp.solicit(nic, target, MacAddress.parse(peerMac));
  const message = arpMessage({ operation: 1, sender: [ownMac, "198.51.100.2"], target: [zeroMac, "198.51.100.9"] });
  assertEquals(host.take(nic), [
    ethernetFrame(broadcastMac, ownMac, 0x0806, message),
    ethernetFrame(peerMac, ownMac, 0x0806, message),
  ]);
  host.assertQuiet();
});

Deno.test("ARP does not ask where it has no address to ask from", () => {
  const host = new Ipv4Host();
  const nic = host.addEthernet([]);
  host.arp.solicit(nic, IpAddress.parse("192.0.2.1"), null);
  assertEquals(host.take(nic), []);
  assertEquals(host.counted(), { "arp.notSent": 1 });
  host.assertQuiet();
});

Deno.test("ARP takes an answer to our question as proof that the way works", () => {
  const { host, nic, receive, table } = setUp();
  host.send(host.path("192.0.2.1"), new Uint8Array(1));
  host.take(nic);
  receive({ operation: 2, sender: [peerMac, "192.0.2.1"], target: [ownMac, "192.0.2.2"] }, ownMac);
  assertEquals(table(), [`192.0.2.1 ${peerMac} REACHABLE`]);
  assertEquals(host.take(nic).length, 1);
  host.assertQuiet();
});
