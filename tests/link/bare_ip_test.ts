import { assertEquals, assertThrows } from "@std/assert";
import { Counters } from "../../stack/counters.ts";
import { BareIp } from "../../stack/link/bare_ip.ts";
import { EtherType, Nic } from "../../stack/link/nic.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { RecordingDevice } from "../helpers/ipv4_host.ts";
import { packetOf } from "../helpers/packets.ts";

function setUp(etherTypes: number[]) {
  const pool = new PacketPool();
  const counters = new Counters();
  const bareIp = new BareIp({ counters });
  const received: [etherType: number, head: number][] = [];
  for (const etherType of etherTypes) {
    bareIp.register(etherType, {
      name: "upper",
      pop(packet: Packet) {
        received.push([etherType, packet.head]);
        packet.release();
        return Verdict.done;
      },
    });
  }
  return { pool, bareIp, received, counted: () => counters.snapshot({ nonZero: true }) };
}

Deno.test("Bare IP tells the versions apart by the first four bits and consumes nothing", () => {
  const { pool, bareIp, received } = setUp([EtherType.ipv4, EtherType.ipv6]);
  assertEquals(bareIp.pop(packetOf(pool, new Uint8Array([0x45, 0]))), Verdict.done);
  assertEquals(bareIp.pop(packetOf(pool, new Uint8Array([0x60, 0]))), Verdict.done);
  assertEquals(received, [[EtherType.ipv4, 128], [EtherType.ipv6, 128]]);
  assertEquals(pool.inUse, 0);
});

Deno.test("Bare IP drops empty packets, other versions, and versions that nobody receives", () => {
  const { pool, bareIp, counted } = setUp([EtherType.ipv4]);
  for (const bytes of [[], [0x00], [0x50], [0xf0], [0x60]]) {
    assertEquals(bareIp.pop(packetOf(pool, new Uint8Array(bytes))), Verdict.dropped);
  }
  assertEquals(counted(), { "bareIp.unknownVersion": 5 });
  assertEquals(pool.inUse, 0);
});

Deno.test("Bare IP sends packets as they are", () => {
  const { pool, bareIp } = setUp([]);
  const device = new RecordingDevice("tun0", "ip");
  const nic = new Nic(3, "tun0", device, bareIp);
  const session = { nic, etherType: EtherType.ipv4, destination: null };
  assertEquals(bareIp.push(packetOf(pool, new Uint8Array([0x45, 1, 2])), session), Verdict.done);
  assertEquals(device.take(), [new Uint8Array([0x45, 1, 2])]);
  assertEquals(pool.inUse, 0);
});

Deno.test("Bare IP refuses protocols that need a link header", () => {
  const { bareIp } = setUp([]);
  assertThrows(() => bareIp.register(EtherType.arp, { name: "arp", pop: () => Verdict.done }), RangeError, "0x806");
});
