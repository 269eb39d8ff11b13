import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { MacAddress } from "../../stack/address.ts";
import { Counters } from "../../stack/counters.ts";
import { Ethernet } from "../../stack/link/ethernet.ts";
import { Nic, type NicOptions } from "../../stack/link/nic.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { RecordingDevice } from "../helpers/ipv4_host.ts";
import { ethernetFrame, hex, packetOf, pattern } from "../helpers/packets.ts";

const own = "02:00:00:00:00:02";
const peer = "02:00:00:00:00:01";
const other = "02:00:00:00:00:03";
const experimental = 0x88b5;

function setUp(options: NicOptions = {}) {
  const pool = new PacketPool();
  const counters = new Counters();
  const nics: Nic[] = [];
  const ethernet = new Ethernet({ nics, counters });
  const device = new RecordingDevice("tap0", "ethernet", MacAddress.parse(own));
  const nic = new Nic(0, "tap0", device, ethernet, options);
  nics.push(nic);
  const received: { payload: Uint8Array; multicast: boolean; linkAt: number }[] = [];
  ethernet.register(experimental, {
    name: "upper",
    pop(packet: Packet) {
      received.push({ payload: packet.contents().slice(), multicast: packet.multicast, linkAt: packet.linkAt });
      packet.release();
      return Verdict.done;
    },
  });
  return {
    pool,
    nic,
    ethernet,
    device,
    received,
    receive(frame: Uint8Array) {
      const packet = packetOf(pool, frame);
      packet.nic = 0;
      const verdict = ethernet.pop(packet);
      assertEquals(pool.inUse, 0);
      return verdict;
    },
    counted: () => counters.snapshot({ nonZero: true }),
  };
}

Deno.test("Ethernet hands the payload of a frame for our address to the protocol of its EtherType", () => {
  const { receive, received, counted } = setUp();
  assertEquals(receive(ethernetFrame(own, peer, experimental, pattern(46))), Verdict.done);
  assertEquals(received, [{ payload: pattern(46), multicast: false, linkAt: 128 }]);
  assertEquals(counted(), { "ethernet.received": 1 });
});

for (const destination of ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"]) {
  Deno.test(`Ethernet accepts frames to the group ${destination} and marks them`, () => {
    const { receive, received } = setUp();
    assertEquals(receive(ethernetFrame(destination, peer, experimental, pattern(46))), Verdict.done);
    assertEquals(received[0]!.multicast, true);
  });
}

Deno.test("Ethernet drops frames for other stations", () => {
  const { receive, counted } = setUp();
  assertEquals(receive(ethernetFrame(other, peer, experimental, pattern(46))), Verdict.dropped);
  assertEquals(counted(), { "ethernet.otherDestination": 1 });
});

Deno.test("Ethernet accepts frames for other stations while the interface is promiscuous", () => {
  const { receive, received, nic } = setUp({ promiscuous: true });
  assertEquals(receive(ethernetFrame(other, peer, experimental, pattern(46))), Verdict.done);
  nic.promiscuous = false;
  assertEquals(receive(ethernetFrame(other, peer, experimental, pattern(46))), Verdict.dropped);
  assertEquals(received.length, 1);
});

Deno.test("Ethernet drops frames shorter than a header, an empty one included", () => {
  const { receive, counted } = setUp();
  for (const length of [0, 1, 13]) assertEquals(receive(new Uint8Array(length)), Verdict.dropped);
  assertEquals(counted(), { "ethernet.truncated": 3 });
});

Deno.test("Ethernet accepts a frame that is nothing but a header", () => {
  const { receive, received } = setUp();
  assertEquals(receive(ethernetFrame(own, peer, experimental, new Uint8Array(0))), Verdict.done);
  assertEquals(received[0]!.payload.length, 0);
});

for (const source of ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"]) {
  Deno.test(`Ethernet drops frames from ${source}, which is no station`, () => {
    const { receive, counted } = setUp();
    assertEquals(receive(ethernetFrame(own, source, experimental, pattern(46))), Verdict.dropped);
    assertEquals(counted(), { "ethernet.badSource": 1 });
  });
}

Deno.test("Ethernet drops reflections of what we sent, except on a promiscuous interface", () => {
  const { receive, nic, counted } = setUp();
  const frame = ethernetFrame("ff:ff:ff:ff:ff:ff", own, experimental, pattern(46));
  assertEquals(receive(frame), Verdict.dropped);
  assertEquals(counted(), { "ethernet.ownSource": 1 });
  nic.promiscuous = true;
  assertEquals(receive(frame), Verdict.done);
});

for (const etherType of [0x0000, 0x0600, 0x05dc, 0x8100]) {
  Deno.test(`Ethernet counts frames of EtherType 0x${etherType.toString(16)}, which nobody receives`, () => {
    const { receive, counted } = setUp();
    assertEquals(receive(ethernetFrame(own, peer, etherType, pattern(46))), Verdict.dropped);
    assertEquals(counted(), { "ethernet.unknownEtherType": 1 });
  });
}

Deno.test("Ethernet drops what arrives on an interface that is gone", () => {
  const { pool, ethernet, counted } = setUp();
  const packet = packetOf(pool, ethernetFrame(own, peer, experimental, pattern(46)));
  packet.nic = 7;
  assertEquals(ethernet.pop(packet), Verdict.dropped);
  assertEquals(counted(), { "ethernet.otherDestination": 1 });
  assertEquals(pool.inUse, 0);
});

Deno.test("Ethernet sends destination, own source, EtherType and payload", () => {
  const { pool, nic, ethernet, device } = setUp();
  const session = { nic, etherType: 0x0800, destination: MacAddress.parse(peer) };
  assertEquals(ethernet.push(packetOf(pool, hex("c0ffee")), session), Verdict.done);
  assertEquals(device.take(), [hex("020000000001 020000000002 0800 c0ffee")]);
  assertEquals(pool.inUse, 0);
});

Deno.test("Ethernet drops what has no receiver's hardware address", () => {
  const { pool, nic, ethernet, counted } = setUp();
  const session = { nic, etherType: 0x0800, destination: null };
  assertEquals(ethernet.push(packetOf(pool, pattern(4)), session), Verdict.dropped);
  assertEquals(counted(), { "ethernet.noAddress": 1 });
  assertEquals(pool.inUse, 0);
});

Deno.test("Ethernet receives what it has sent", () => {
  const { receive, received, pool, nic, ethernet, device } = setUp({ promiscuous: true });
  const session = { nic, etherType: experimental, destination: MacAddress.parse(peer) };
  ethernet.push(packetOf(pool, pattern(100)), session);
  receive(concat(device.take()));
  assertEquals(received[0]!.payload, pattern(100));
});
