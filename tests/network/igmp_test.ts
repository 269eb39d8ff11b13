import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress } from "../../stack/address.ts";
import type { Nic } from "../../stack/link/nic.ts";
import { Igmp } from "../../stack/network/igmp.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { ethernetFrame, hex, ipv4Packet, plainChecksum, readIpv4, uint16 } from "../helpers/packets.ts";

const group = IpAddress.parse("239.1.2.3");
const otherGroup = IpAddress.parse("239.200.2.3");

/** What a sent frame says: to whom (Ethernet and IP), and the message behind the checksum, in hexadecimal. */
function readReport(frame: Uint8Array): { mac: string; to: string; message: string } {
  const packet = readIpv4(frame.slice(14));
  assertEquals([packet.protocol, packet.timeToLive, packet.checksumRight], [2, 1, true]);
  // RFC 2113: the Router Alert option.
  assertEquals(frame.slice(34, 38), hex("94040000"));
  assertEquals(plainChecksum(packet.payload), 0);
  const text = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const { payload } = packet;
  return {
    mac: text(frame.slice(0, 6)),
    to: packet.destination,
    message: text(concat([payload.slice(0, 1), payload.slice(4)])),
  };
}

function setUp() {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"]);
  const { nics, pool, timers, random, counters } = host;
  const igmp = new Igmp({ nics, pool, timers, random, counters, headroom: 14 });
  host.ipv4.register(igmp);
  return {
    host,
    nic,
    igmp,
    join(address = group, to = nic): void {
      to.joinGroup(address);
      igmp.joined(to, address);
    },
    leave(address = group, from = nic): void {
      from.leaveGroup(address);
      igmp.left(from, address);
    },
    /** The reports sent since the last call. */
    take: (from: Nic = nic) => host.take(from).map(readReport),
    /** A message arrives; its checksum is put in. */
    receive(message: Uint8Array, destination = "224.0.0.1", timeToLive = 1): void {
      message = message.slice();
      message.set(uint16(plainChecksum(message)), 2);
      const packet = ipv4Packet({ protocol: 2, destination, timeToLive, options: hex("94040000") }, message);
      host.receive(nic, ethernetFrame("01:00:5e:00:00:01", peerMac, 0x0800, packet));
    },
    counted(): Record<string, number> {
      const all = Object.entries(host.counted()).filter(([name]) => name.startsWith("igmp."));
      return Object.fromEntries(all.map(([name, value]) => [name.slice("igmp.".length), value]));
    },
    end(): void {
      igmp.close();
      host.assertQuiet();
    },
  };
}

const toExclude = { mac: "01005e000016", to: "224.0.0.22", message: "220000000104000000ef010203" };
const toInclude = { ...toExclude, message: "220000000103000000ef010203" };
const isExclude = { ...toExclude, message: "220000000102000000ef010203" };
const reportV2 = { mac: "01005e010203", to: "239.1.2.3", message: "16ef010203" };
const leaveV2 = { mac: "01005e000002", to: "224.0.0.2", message: "17ef010203" };
const queryV2 = hex("11 0a 0000 00000000");
const queryV3 = hex("11 0a 0000 00000000 00 00 0000");

Deno.test("a group that is joined is reported at once, and once more within a second", () => {
  const { host, join, take, end } = setUp();
  join();
  assertEquals(take(), [toExclude]);
  host.advance(1000);
  assertEquals(take(), [toExclude]);
  host.advance(10_000);
  assertEquals(take(), []);
  end();
});

Deno.test("a group that is left is reported so twice, and then forgotten", () => {
  const { host, join, leave, take, receive, end } = setUp();
  join();
  host.advance(1000);
  take();
  leave();
  assertEquals(take(), [toInclude]);
  host.advance(1000);
  assertEquals(take(), [toInclude]);
  receive(queryV3);
  host.advance(5000);
  assertEquals(take(), []);
  host.assertQuiet();
  end();
});

Deno.test("a group that is joined again while its end is reported is joined", () => {
  const { host, join, leave, take, end } = setUp();
  join();
  leave();
  join();
  assertEquals(take(), [toExclude, toInclude, toExclude]);
  host.advance(1000);
  assertEquals(take(), [toExclude]);
  end();
});

Deno.test("all groups of an interface are in one answer to a general query, within its time", () => {
  const { host, join, take, receive, counted, end } = setUp();
  join();
  join(otherGroup);
  host.advance(1000);
  take();
  receive(queryV3);
  assertEquals(take(), []);
  host.advance(1000);
  assertEquals(take(), [{ ...toExclude, message: "220000000202000000ef01020302000000efc80203" }]);
  host.advance(10_000);
  assertEquals(take(), []);
  assertEquals(counted(), { received: 1, queries: 1, reportsSent: 5 });
  end();
});

Deno.test("more groups than a packet holds are in several answers", () => {
  const { host, igmp, take, receive, end } = setUp();
  const small = host.addEthernet(["198.51.100.2/24"], "02:00:00:00:00:05", { mtu: 68 });
  for (let last = 1; last <= 9; last++) igmp.joined(small, IpAddress.parse(`239.0.0.${last}`));
  host.advance(1000);
  host.take(small);
  // The query arrives on the other link, whose groups are others.
  receive(queryV3);
  host.advance(1000);
  assertEquals([take(), take(small)], [[], []]);
  const query = ipv4Packet({ protocol: 2, destination: "224.0.0.1", timeToLive: 1 }, hex("110aeef5 00000000 00000000"));
  host.receive(small, ethernetFrame("01:00:5e:00:00:01", peerMac, 0x0800, query));
  host.advance(1000);
  // 68 bytes less 24 of header and 8 of report: four records of 8 bytes.
  assertEquals(take(small).map(({ message }) => parseInt(message.slice(6, 10), 16)), [4, 4, 1]);
  end();
});

Deno.test("a query about one group is answered if that is received, and only once for two queries", () => {
  const { host, join, take, receive, end } = setUp();
  join();
  join(otherGroup);
  host.advance(1000);
  take();
  receive(hex("11 0a 0000 ef010203 00 00 0000"), "239.1.2.3");
  receive(hex("11 0a 0000 ef010203 00 00 0000"), "239.1.2.3");
  receive(hex("11 0a 0000 ef999999 00 00 0000"));
  host.advance(1000);
  assertEquals(take(), [isExclude]);
  end();
});

Deno.test("to a router of version 2, its own messages are sent, until it has been silent for 260 seconds", () => {
  const { host, join, leave, take, receive, end } = setUp();
  join();
  host.advance(1000);
  take();
  receive(queryV2);
  host.advance(1000);
  assertEquals(take(), [reportV2]);
  leave();
  assertEquals(take(), [leaveV2]);
  host.advance(20_000);
  assertEquals(take(), []);
  join();
  assertEquals(take(), [reportV2]);
  host.advance(10_000);
  assertEquals(take(), [reportV2]);
  host.advance(260_000);
  leave();
  assertEquals(take(), [toInclude]);
  end();
});

Deno.test("to a router of version 1, reports of its version are sent, and nothing when a group is left", () => {
  const { host, join, leave, take, receive, end } = setUp();
  join();
  host.advance(1000);
  take();
  receive(hex("11 00 0000 00000000"));
  host.advance(10_000);
  assertEquals(take(), [{ ...reportV2, message: "12ef010203" }]);
  leave();
  assertEquals(take(), []);
  host.assertQuiet();
  end();
});

Deno.test("the report of another host makes ours superfluous, for a router of version 2 only", () => {
  const { host, join, take, receive, counted, end } = setUp();
  join();
  host.advance(1000);
  take();
  receive(queryV2);
  receive(hex("16 00 0000 ef010203"), "239.1.2.3");
  host.advance(10_000);
  assertEquals(take(), []);
  assertEquals(counted().suppressed, 1);
  host.advance(260_000);
  receive(queryV3);
  receive(hex("16 00 0000 ef010203"), "239.1.2.3");
  host.advance(1000);
  assertEquals(take(), [isExclude]);
  end();
});

Deno.test("a query's time of more than 12.7 seconds has an exponent", () => {
  const { host, join, take, receive, end } = setUp();
  join();
  host.advance(1000);
  take();
  // A mantissa of 15 and an exponent of 7: (15 + 16) * 2^10 tenths of a second, which is 3174.4 seconds.
  receive(hex("11 ff 0000 00000000 00 00 0000"));
  const started = host.clock.now();
  const due = host.timers.nextDeadline() - started;
  assert(due > 12_700 && due <= 3_174_400, `${due} ms`);
  host.advance(due);
  assertEquals(take(), [isExclude]);
  end();
});

Deno.test("of all hosts, and within this one, nothing is reported", () => {
  const { host, igmp, nic, take, end } = setUp();
  igmp.joined(nic, IpAddress.parse("224.0.0.1"));
  igmp.left(nic, IpAddress.parse("224.0.0.1"));
  igmp.joined(host.loopback, group);
  igmp.left(host.loopback, group);
  igmp.left(nic, group);
  assertEquals([take(), host.runLoopback()], [[], 0]);
  end();
});

Deno.test("a host without an address reports from none", () => {
  const { host, igmp, end } = setUp();
  const bare = host.addEthernet([], "02:00:00:00:00:06");
  igmp.joined(bare, group);
  assertEquals(readIpv4(host.take(bare)[0]!.slice(14)).source, "0.0.0.0");
  end();
});

Deno.test("messages that are cut short, damaged, from beyond the link or of other types are dropped and counted", () => {
  const { host, nic, join, take, receive, counted, end } = setUp();
  join();
  host.advance(1000);
  take();
  receive(queryV3, "224.0.0.1", 2);
  receive(hex("11 0a 0000"));
  receive(hex("22 00 0000 00000000"));
  receive(hex("13 00 0000 00000000"));
  const damaged = ipv4Packet({ protocol: 2, destination: "224.0.0.1", timeToLive: 1 }, queryV3);
  host.receive(nic, ethernetFrame(ownMac, peerMac, 0x0800, damaged));
  host.advance(10_000);
  assertEquals(take(), []);
  assertEquals(counted(), { received: 5, truncated: 1, badChecksum: 1, ignored: 3, reportsSent: 2 });
  end();
});
