import { assert, assertEquals, assertFalse } from "@std/assert";
import { concat } from "@std/bytes";
import {
  canCut,
  completeChecksum,
  cutSegment,
  longestPacket,
  Offload,
  segmentCount,
} from "../../stack/link/segmentation.ts";
import { ChecksumState, type Packet, PacketPool } from "../../stack/packet.ts";
import { ethernetFrame, hex, ipv4Packet, packetOf, pattern, plainChecksum, uint16 } from "../helpers/packets.ts";

const cwr = 0x80;
const psh = 0x08;
const ack = 0x10;
const fin = 0x01;
const source4 = hex("c0000201");
const destination4 = hex("c0000202");
const addresses6 = hex("20010db8000000000000000000000001 20010db8000000000000000000000002");
const all = Offload.checksum | Offload.tcp4 | Offload.tcp6 | Offload.ecn;

function tcpHeader(sequence: number, flags: number, sum = 0): Uint8Array {
  const header = hex("1388 0050 00000000 11223344 8010 ffff 0000 0000 0101080a0000000100000002");
  const view = new DataView(header.buffer);
  view.setUint32(4, sequence);
  view.setUint8(13, flags);
  view.setUint16(16, sum);
  return header;
}

interface Shape {
  payload: Uint8Array;
  segmentBytes: number;
  flags?: number;
  sequence?: number;
  family?: 4 | 6;
  medium?: "ethernet" | "ip" | "tagged";
}

/** A super-segment as a device or a transport hands it over: with no more than the pseudo-header's sum in it. */
function superSegment(pool: PacketPool, shape: Shape): { packet: Packet; linkBytes: number } {
  const { payload, segmentBytes, flags = ack, sequence = 1000, family = 4, medium = "ethernet" } = shape;
  const segment = concat([tcpHeader(sequence, flags), payload]);
  const network = family === 4
    ? ipv4Packet({ protocol: 6, identification: 0xffff, dontFragment: true }, segment)
    : concat([hex("60000000"), uint16(segment.length), hex("0640"), addresses6, segment]);
  const etherType = family === 4 ? 0x0800 : 0x86dd;
  const ethernet = (type: number, rest: Uint8Array) =>
    ethernetFrame("02:00:00:00:00:02", "02:00:00:00:00:01", type, rest);
  const frame = medium === "ip"
    ? network
    : medium === "tagged"
    ? ethernet(0x8100, concat([uint16(5), uint16(etherType), network]))
    : ethernet(etherType, network);
  const packet = packetOf(pool, frame);
  packet.family = family;
  packet.segmentBytes = segmentBytes;
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.tail - segment.length;
  packet.checksumOffset = 16;
  return { packet, linkBytes: medium === "ip" ? 0 : 14 };
}

/** The segments as finished frames, and back to the pool with all of it. */
function cut(pool: PacketPool, { packet, linkBytes }: { packet: Packet; linkBytes: number }): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let index = 0; index < segmentCount(packet); index++) {
    const frame = cutSegment(packet, index, 64, linkBytes)!;
    assertEquals([frame.head, frame.segmentBytes, frame.checksum], [64, 0, ChecksumState.partial]);
    completeChecksum(frame);
    assertEquals(frame.checksum, ChecksumState.none);
    frames.push(frame.contents().slice());
    frame.release();
  }
  packet.release();
  assertEquals(pool.inUse, 0);
  return frames;
}

/** Whether the TCP checksum is right, by the plain way. */
function hasRightChecksum(addresses: Uint8Array, tcp: Uint8Array): boolean {
  return plainChecksum(concat([addresses, uint16(0), uint16(tcp.length), uint16(6), tcp])) === 0;
}

Deno.test("a super-segment over IPv4 becomes segments with headers, sequence numbers and sums of their own", () => {
  const pool = new PacketPool();
  const payload = pattern(2500);
  const frames = cut(pool, superSegment(pool, { payload, segmentBytes: 1000, sequence: 0xffff_ff00 }));
  assertEquals(frames.map(({ length }) => length), [14 + 20 + 32 + 1000, 14 + 20 + 32 + 1000, 14 + 20 + 32 + 500]);
  const received: Uint8Array[] = [];
  for (const [index, frame] of frames.entries()) {
    const view = new DataView(frame.buffer);
    assertEquals(view.getUint16(14 + 2), frame.length - 14);
    assertEquals(view.getUint16(14 + 4), (0xffff + index) & 0xffff);
    assertEquals(plainChecksum(frame.subarray(14, 34)), 0);
    assertEquals(view.getUint32(34 + 4), (0xffff_ff00 + 1000 * index) >>> 0);
    assertEquals(frame.subarray(34 + 20, 34 + 32), hex("0101080a0000000100000002"));
    assert(hasRightChecksum(concat([source4, destination4]), frame.subarray(34)));
    received.push(frame.subarray(34 + 32));
  }
  assertEquals(concat(received), payload);
});

Deno.test("a super-segment over IPv6 becomes segments with payload lengths of their own", () => {
  const pool = new PacketPool();
  const frames = cut(pool, superSegment(pool, { payload: pattern(101), segmentBytes: 50, family: 6, medium: "ip" }));
  assertEquals(frames.map(({ length }) => length), [40 + 32 + 50, 40 + 32 + 50, 40 + 32 + 1]);
  for (const frame of frames) {
    assertEquals(new DataView(frame.buffer).getUint16(4), frame.length - 40);
    assert(hasRightChecksum(addresses6, frame.subarray(40)));
  }
});

Deno.test("a super-segment behind a VLAN tag is cut where its IP header is", () => {
  const pool = new PacketPool();
  const frames = cut(pool, superSegment(pool, { payload: pattern(90), segmentBytes: 50, medium: "tagged" }));
  assertEquals(frames.map((frame) => plainChecksum(frame.subarray(18, 38))), [0, 0]);
  for (const frame of frames) assert(hasRightChecksum(concat([source4, destination4]), frame.subarray(38)));
});

Deno.test("of the control bits, FIN and PSH go with the last segment and CWR with the first (RFC 3168)", () => {
  const pool = new PacketPool();
  const shape = { payload: pattern(30), segmentBytes: 10, flags: ack | psh | fin | cwr };
  const frames = cut(pool, superSegment(pool, shape));
  assertEquals(frames.map((frame) => frame[34 + 13]), [ack | cwr, ack, ack | psh | fin]);
});

Deno.test("a payload of whole segments leaves no empty one behind", () => {
  const pool = new PacketPool();
  assertEquals(cut(pool, superSegment(pool, { payload: pattern(3000), segmentBytes: 1000 })).length, 3);
});

Deno.test("an ordinary packet counts as one segment, as long as it is", () => {
  const pool = new PacketPool();
  const packet = packetOf(pool, pattern(700));
  assertEquals([segmentCount(packet), longestPacket(packet, packet.head + 14)], [1, 686]);
  packet.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("the longest packet of a super-segment is that of a full segment, or less when there is no full one", () => {
  const pool = new PacketPool();
  for (const [length, longest] of [[2500, 20 + 32 + 1000], [600, 20 + 32 + 600]] as const) {
    const { packet } = superSegment(pool, { payload: pattern(length), segmentBytes: 1000 });
    assertEquals(longestPacket(packet, packet.head + 14), longest);
    packet.release();
  }
});

Deno.test("a device cuts what its offloads name: the family, and CWR only when it knows what to do with it", () => {
  const pool = new PacketPool();
  const { packet } = superSegment(pool, { payload: pattern(30), segmentBytes: 10 });
  assert(canCut(packet, Offload.checksum | Offload.tcp4));
  assertFalse(canCut(packet, Offload.tcp4));
  assertFalse(canCut(packet, Offload.checksum | Offload.tcp6));
  assertFalse(canCut(packet, 0));
  packet.release();
  const marked = superSegment(pool, { payload: pattern(30), segmentBytes: 10, flags: ack | cwr }).packet;
  assertFalse(canCut(marked, Offload.checksum | Offload.tcp4));
  assert(canCut(marked, all));
  marked.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("a segment is not made when the pool is exhausted", () => {
  const pool = new PacketPool({ limitBytes: 128 * 2048 });
  const { packet } = superSegment(pool, { payload: pattern(1000), segmentBytes: 500 });
  const taken: Packet[] = [packet];
  for (let other = pool.allocate(0, 1000); other !== null; other = pool.allocate(0, 1000)) taken.push(other);
  assertEquals(cutSegment(packet, 0, 64, 14), null);
  for (const each of taken) each.release();
  assertEquals(pool.inUse, 0);
});

Deno.test("a checksum that comes out as zero is written as all ones (RFC 768), and a finished one is left alone", () => {
  const pool = new PacketPool();
  const packet = packetOf(pool, hex("ffff 0000 0000 0000"));
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.head;
  packet.checksumOffset = 6;
  completeChecksum(packet);
  assertEquals(packet.view.getUint16(packet.head + 6), 0xffff);
  packet.bytes[packet.head] = 0;
  completeChecksum(packet);
  assertEquals(packet.view.getUint16(packet.head + 6), 0xffff);
  packet.release();
  assertEquals(pool.inUse, 0);
});
