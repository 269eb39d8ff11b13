import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Ipv4Host } from "../helpers/ipv4_host.ts";
import { type Ipv4Fields, ipv4Packet, pattern, readIpv4 } from "../helpers/packets.ts";

function setUp() {
  const host = new Ipv4Host();
  const nic = host.addTun(["192.0.2.2/24"]);
  return {
    host,
    nic,
    /** Lets bytes `[begin, end)` of a payload arrive as a fragment. */
    receive(payload: Uint8Array, begin: number, end: number, more: boolean, fields: Ipv4Fields = {}): Verdict {
      const fragment = ipv4Packet({ ...fields, offset: begin, moreFragments: more }, payload.slice(begin, end));
      return host.receive(nic, fragment);
    },
    payloads: () => host.transport.received.map(({ payload }) => payload),
    counted(): Record<string, number> {
      return Object.fromEntries(Object.entries(host.counted()).filter(([name]) => name.startsWith("reassembly.")));
    },
  };
}

Deno.test("Fragments are put together in order", () => {
  const { host, receive, payloads, counted } = setUp();
  const payload = pattern(2000);
  assertEquals(receive(payload, 0, 800, true), Verdict.queued);
  assertEquals(receive(payload, 800, 1600, true), Verdict.queued);
  assertEquals(host.timers.running, 1);
  assertEquals(receive(payload, 1600, 2000, false), Verdict.done);
  assertEquals(payloads(), [payload]);
  assertEquals(counted(), { "reassembly.fragments": 3, "reassembly.reassembled": 1 });
  host.assertQuiet();
});

/** Begin, end, and whether more follows. */
type Part = [begin: number, end: number, more: boolean];

/** All orders of the given parts. */
function permutations(parts: number[]): number[][] {
  if (parts.length <= 1) return [parts];
  return parts.flatMap((part) => permutations(parts.filter((other) => other !== part)).map((rest) => [part, ...rest]));
}

for (const order of permutations([0, 1, 2, 3])) {
  Deno.test(`Fragments that arrive in the order ${order.join(", ")} are put together`, () => {
    const { host, receive, payloads } = setUp();
    const payload = pattern(1000);
    for (const part of order) receive(payload, part * 256, Math.min(1000, part * 256 + 256), part < 3);
    assertEquals(payloads(), [payload]);
    host.assertQuiet();
  });
}

Deno.test("Many fragments in random order, some twice, are put together", () => {
  const { host, receive, payloads, counted } = setUp();
  const random = new SeededRandom(3);
  const payload = pattern(64 * 1000);
  const parts = Array.from({ length: 64 }, (_, part) => part);
  for (let place = parts.length - 1; place > 0; place--) {
    const other = random.uint32() % (place + 1);
    [parts[place], parts[other]] = [parts[other]!, parts[place]!];
  }
  parts.splice(40, 0, ...parts.slice(10, 15));
  for (const part of parts) receive(payload, part * 1000, part * 1000 + 1000, part < 63);
  assertEquals(payloads(), [payload]);
  assertEquals(counted()["reassembly.duplicates"], 5);
  host.assertQuiet();
});

Deno.test("The largest packet is put together; a byte more is refused", () => {
  const { host, receive, payloads, counted } = setUp();
  const payload = pattern(65515);
  receive(payload, 0, 32000, true);
  assertEquals(receive(payload, 32000, 65515, false), Verdict.done);
  assertEquals(payloads(), [payload]);
  assertEquals(receive(pattern(65516), 65512, 65516, false), Verdict.dropped);
  assertEquals(counted()["reassembly.malformed"], 1);
  host.assertQuiet();
});

Deno.test("Packets with different sources, destinations, protocols and identifications are kept apart", () => {
  const { host, receive, payloads } = setUp();
  const fields: Ipv4Fields[] = [
    {},
    { source: "192.0.2.9" },
    { destination: "192.0.2.255" },
    { protocol: 1 },
    { identification: 0x4321 },
  ];
  const payloadOf = (place: number) => pattern(64, place);
  for (const [place, others] of fields.entries()) receive(payloadOf(place), 0, 32, true, others);
  assertEquals(payloads(), []);
  for (const [place, others] of fields.entries()) receive(payloadOf(place), 32, 64, false, others);
  assertEquals(payloads(), [0, 1, 2, 4].map(payloadOf));
  host.assertQuiet();
});

Deno.test("A fragment that repeats what is there, byte for byte, changes nothing", () => {
  const { host, receive, payloads, counted } = setUp();
  const payload = pattern(64);
  receive(payload, 0, 32, true);
  assertEquals(receive(payload, 0, 32, true), Verdict.queued);
  assertEquals(receive(payload, 8, 16, true), Verdict.queued);
  receive(payload, 32, 64, false);
  assertEquals(payloads(), [payload]);
  assertEquals(counted()["reassembly.duplicates"], 2);
  host.assertQuiet();
});

for (
  const [what, begin, end] of [
    ["replaces what is there", 0, 32],
    ["reaches into what is there from behind", 24, 48],
    ["covers what is there", 0, 48],
    ["reaches into what is there from the front", 32, 72],
  ] as const
) {
  Deno.test(`A fragment that ${what} ends its packet for good (RFC 5722)`, () => {
    const { host, receive, payloads, counted } = setUp();
    const payload = pattern(128);
    receive(payload, 0, 32, true);
    receive(payload, 64, 96, true);
    assertEquals(receive(pattern(128, 9), begin, end, true), Verdict.dropped);
    assertEquals(host.pool.inUse, 0);
    for (const [from, to] of [[0, 64], [64, 96], [96, 128]] as const) {
      assertEquals(receive(payload, from, to, to < 128), Verdict.dropped);
    }
    assertEquals(payloads(), []);
    assertEquals([counted()["reassembly.overlapping"], counted()["reassembly.abandoned"]], [1, 3]);
    host.advance(30_000);
    host.assertQuiet();
    receive(payload, 0, 64, true);
    receive(payload, 64, 128, false);
    assertEquals(payloads(), [payload]);
    host.assertQuiet();
  });
}

for (
  const [what, first, second] of [
    ["says that the packet ends elsewhere", [32, 64, false], [32, 48, false]],
    ["reaches beyond the packet's end", [32, 64, false], [64, 96, true]],
    ["ends the packet before what is there", [64, 96, true], [32, 64, false]],
  ] as [what: string, first: Part, second: Part][]
) {
  Deno.test(`A fragment that ${what} ends its packet`, () => {
    const { host, receive, counted } = setUp();
    const payload = pattern(128);
    assertEquals(receive(payload, ...first), Verdict.queued);
    assertEquals(receive(payload, ...second), Verdict.dropped);
    assertEquals(counted()["reassembly.contradicting"], 1);
    host.advance(30_000);
    host.assertQuiet();
  });
}

Deno.test("Fragments that are empty or that only a last one could be are dropped", () => {
  const { host, receive, counted } = setUp();
  const payload = pattern(64);
  for (const end of [0, 1, 7, 63]) assertEquals(receive(payload, 0, end, true), Verdict.dropped);
  assertEquals(receive(payload, 64, 64, false), Verdict.dropped);
  assertEquals(counted(), { "reassembly.fragments": 5, "reassembly.malformed": 5 });
  host.assertQuiet();
});

Deno.test("After 30 seconds a packet is given up, and its sender is told if the first fragment is there", () => {
  const { host, nic, receive, counted } = setUp();
  const payload = pattern(4000);
  receive(payload, 0, 1000, true);
  host.advance(15_000);
  receive(payload, 2000, 3000, true);
  host.advance(14_999);
  assertEquals([host.pool.inUse, host.take(nic)], [1, []]);
  host.advance(1);
  const message = readIpv4(host.take(nic)[0]!);
  assertEquals([message.destination, message.protocol, ...message.payload.slice(0, 2)], ["192.0.2.1", 1, 11, 1]);
  const quoted = ipv4Packet({ moreFragments: true }, payload.slice(0, 1000));
  assertEquals(message.payload.slice(8), quoted.slice(0, 548));
  assertEquals(counted()["reassembly.timedOut"], 1);
  host.assertQuiet();
});

Deno.test("After 30 seconds a packet without its first fragment is given up silently", () => {
  const { host, nic, receive, counted } = setUp();
  receive(pattern(64), 32, 64, false);
  host.advance(30_000);
  assertEquals([host.take(nic), counted()["reassembly.timedOut"]], [[], 1]);
  host.assertQuiet();
});

Deno.test("Each packet has its own 30 seconds, on one timer", () => {
  const { host, receive, counted } = setUp();
  receive(pattern(64), 32, 64, false, { identification: 1 });
  host.advance(10_000);
  receive(pattern(64), 32, 64, false, { identification: 2 });
  assertEquals(host.timers.running, 1);
  host.advance(20_000);
  assertEquals([counted()["reassembly.timedOut"], host.pool.inUse], [1, 1]);
  host.advance(10_000);
  assertEquals([counted()["reassembly.timedOut"], host.pool.inUse], [2, 0]);
  host.assertQuiet();
});

Deno.test("No more than 64 packets are under reassembly; the oldest makes room", () => {
  const { host, receive, payloads, counted } = setUp();
  const payload = pattern(64);
  for (let identification = 0; identification < 70; identification++) {
    receive(payload, 0, 32, true, { identification });
  }
  assertEquals([host.pool.inUse, counted()["reassembly.evicted"]], [64, 6]);
  receive(payload, 32, 64, false, { identification: 69 });
  assertEquals(payloads(), [payload]);
  host.ipv4.close();
  host.assertQuiet();
});

Deno.test("A packet in too many separate parts is given up", () => {
  const { host, receive, counted } = setUp();
  const payload = pattern(8192);
  for (let part = 0; part < 65; part++) receive(payload, part * 16, part * 16 + 8, true);
  assertEquals(counted()["reassembly.scattered"], 1);
  assertEquals(host.pool.inUse, 0);
  host.ipv4.close();
  host.assertQuiet();
});

Deno.test("A congestion mark on one fragment is a mark on the packet (RFC 3168 section 5.3)", () => {
  const { host, receive, counted } = setUp();
  const classes: number[] = [];
  host.ipv4.register({
    name: "watcher",
    protocolNumber: 253,
    pop(packet) {
      classes.push(packet.view.getUint8(packet.networkAt + 1));
      packet.release();
      return Verdict.done;
    },
    control() {},
  });
  const payload = pattern(64);
  const ecn = { capable: { trafficClass: 0xb8 | 2 }, marked: { trafficClass: 0xb8 | 3 }, not: { trafficClass: 0xb8 } };
  receive(payload, 0, 32, true, ecn.capable);
  receive(payload, 32, 64, false, ecn.marked);
  receive(payload, 0, 32, true, ecn.capable);
  receive(payload, 32, 64, false, ecn.capable);
  receive(payload, 0, 32, true, ecn.not);
  assertEquals(receive(payload, 32, 64, false, ecn.marked), Verdict.dropped);
  assertEquals(classes, [0xb8 | 3, 0xb8 | 2]);
  assertEquals(counted()["reassembly.contradicting"], 1);
  host.ipv4.close();
  host.assertQuiet();
});

Deno.test("A packet put together has a header that stands for all of it", () => {
  const { host, nic, receive } = setUp();
  const payload = pattern(64);
  receive(payload, 32, 64, false, { protocol: 99 });
  receive(payload, 0, 32, true, { protocol: 99, options: new Uint8Array([1, 1, 1, 0]) });
  const quoted = readIpv4(host.take(nic)[0]!).payload.slice(8);
  const { totalLength, moreFragments, offset, checksumRight } = readIpv4(quoted);
  assertEquals([totalLength, moreFragments, offset, checksumRight], [88, false, 0, true]);
  assertEquals(quoted.slice(24), payload);
  host.assertQuiet();
});

Deno.test("A fragmented echo request is answered, in fragments", () => {
  const { host, nic } = setUp();
  const request = concat([new Uint8Array([8, 0, 0, 0, 0, 1, 0, 1]), pattern(4992)]);
  const sum = request.reduce((total, byte, at) => total + (byte << (at % 2 === 0 ? 8 : 0)), 0);
  const checksum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
  request.set([checksum >>> 8, checksum & 255], 2);
  for (let at = 0; at < 5000; at += 1480) {
    const fragment = { protocol: 1, offset: at, moreFragments: at + 1480 < 5000 };
    host.receive(nic, ipv4Packet(fragment, request.slice(at, at + 1480)));
  }
  const fragments = host.take(nic).map(readIpv4);
  assertEquals(fragments.map(({ offset }) => offset), [0, 1480, 2960, 4440]);
  assertEquals(concat(fragments.map(({ payload }) => payload)).slice(8), pattern(4992));
  host.assertQuiet();
});

Deno.test("Reassembly runs out of packets without harm", () => {
  const { host, receive, counted } = setUp();
  // Leaves ordinary packets in the pool, for the fragments to arrive in.
  host.pool.allocate(0, 64)!.release();
  const held = [];
  for (let spare = host.pool.allocate(0, 4096); spare !== null; spare = host.pool.allocate(0, 4096)) held.push(spare);
  held.splice(0, 1)[0]!.release();
  assertEquals(receive(pattern(64), 0, 32, true), Verdict.queued);
  assertEquals(receive(pattern(64), 0, 32, true, { identification: 2 }), Verdict.dropped);
  assertEquals(counted()["reassembly.noPacket"], 1);
  for (const spare of held) spare.release();
  host.ipv4.close();
  host.assertQuiet();
});
