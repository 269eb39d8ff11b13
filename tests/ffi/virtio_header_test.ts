import { assert, assertEquals, assertFalse } from "@std/assert";
import { pushVirtioHeader, readVirtioHeader, virtioHeaderBytes } from "../../ffi/virtio_header.ts";
import { ChecksumState, type Packet, PacketPool } from "../../stack/packet.ts";
import { hex, packetOf, pattern } from "../helpers/packets.ts";

/** Offset of the TCP header in the frames of these tests: behind Ethernet and IPv4. */
const tcpAt = 34;

/** A frame of 200 bytes with a TCP header of 32 bytes, behind a virtio-net header that is given in hexadecimal. */
function received(pool: PacketPool, header: string): Packet {
  const packet = packetOf(pool, pattern(200));
  packet.bytes[packet.head + tcpAt + 12] = 0x80;
  packet.bytes.set(hex(header), packet.head - virtioHeaderBytes);
  return packet;
}

function read(header: string): { accepted: boolean; packet: Packet; pool: PacketPool } {
  const pool = new PacketPool();
  const packet = received(pool, header);
  return { accepted: readVirtioHeader(packet, packet.head - virtioHeaderBytes), packet, pool };
}

Deno.test("a header of zeros says nothing about the frame", () => {
  const { accepted, packet } = read("00 00 0000 0000 0000 0000");
  assert(accepted);
  assertEquals([packet.checksum, packet.segmentBytes, packet.family], [ChecksumState.none, 0, 0]);
});

Deno.test("a frame whose checksum the device has verified needs no verification", () => {
  const { accepted, packet } = read("02 00 0000 0000 0000 0000");
  assert(accepted);
  assertEquals(packet.checksum, ChecksumState.verified);
});

Deno.test("a partial checksum comes with its place", () => {
  const { accepted, packet } = read("01 00 0000 0000 2200 1000");
  assert(accepted);
  assertEquals(
    [packet.checksum, packet.checksumStart - packet.head, packet.checksumOffset],
    [ChecksumState.partial, tcpAt, 16],
  );
});

for (const [type, family] of [["01", 4], ["04", 6], ["81", 4], ["84", 6]] as const) {
  Deno.test(`a super-segment of type 0x${type} comes with its family and the size of its segments`, () => {
    const { accepted, packet } = read(`01 ${type} 4200 a805 2200 1000`);
    assert(accepted);
    assertEquals([packet.family, packet.segmentBytes], [family, 1448]);
  });
}

for (
  const [what, header] of [
    ["a checksum behind the end of the frame", "01 00 0000 0000 c800 1000"],
    ["segments of no size", "01 01 4200 0000 2200 1000"],
    ["segments of a kind that was not asked for", "01 05 4200 a805 2200 1000"],
    ["segments whose checksum is finished, so that nothing tells where TCP starts", "00 01 4200 a805 0000 0000"],
    ["a TCP header that is cut off", "01 01 4200 a805 b500 1000"],
  ] as const
) {
  Deno.test(`a header is refused that speaks of ${what}`, () => {
    assertFalse(read(header).accepted);
  });
}

/** The header that goes in front of a frame which `prepare` has marked. */
function pushed(prepare: (packet: Packet) => void): Uint8Array {
  const pool = new PacketPool();
  const packet = received(pool, "ff ff ffff ffff ffff ffff");
  packet.bytes[packet.head + tcpAt + 13] = 0x10;
  prepare(packet);
  pushVirtioHeader(packet);
  const header = packet.contents().slice(0, virtioHeaderBytes);
  assertEquals(packet.length, 200 + virtioHeaderBytes);
  packet.release();
  assertEquals(pool.inUse, 0);
  return header;
}

Deno.test("a finished frame is sent behind a header of zeros", () => {
  assertEquals(pushed(() => {}), hex("00 00 0000 0000 0000 0000"));
});

function partial(packet: Packet): void {
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.head + tcpAt;
  packet.checksumOffset = 16;
}

Deno.test("a partial checksum is announced with its place", () => {
  assertEquals(pushed(partial), hex("01 00 0000 0000 2200 1000"));
});

Deno.test("a super-segment is announced with its kind, its headers and the size of its segments", () => {
  const mark = (family: 4 | 6) => (packet: Packet) => {
    partial(packet);
    packet.family = family;
    packet.segmentBytes = 1448;
  };
  assertEquals(pushed(mark(4)), hex("01 01 4200 a805 2200 1000"));
  assertEquals(pushed(mark(6)), hex("01 04 4200 a805 2200 1000"));
});

Deno.test("a super-segment with CWR says so", () => {
  const header = pushed((packet) => {
    partial(packet);
    packet.family = 4;
    packet.segmentBytes = 1448;
    packet.bytes[packet.head + tcpAt + 13] = 0x90;
  });
  assertEquals(header, hex("01 81 4200 a805 2200 1000"));
});
