import { assertEquals } from "@std/assert";
import { PacketPool } from "../../../stack/packet.ts";
import * as header from "../../../stack/transport/tcp/header.ts";
import { Segment } from "../../../stack/transport/tcp/segment.ts";

const { Flag } = header;

Deno.test("the fields of a header stand where RFC 9293 3.1 puts them", () => {
  const bytes = new Uint8Array(26).fill(0xee);
  const view = new DataView(bytes.buffer);
  header.writeHeader(view, 3, 0x0102, 0xfffe, 0xdead_beef, 0x8000_0001, 20, Flag.syn | Flag.ack, 0xabcd);
  // deno-fmt-ignore
  assertEquals([...bytes.subarray(3, 23)], [
    0x01, 0x02, 0xff, 0xfe, 0xde, 0xad, 0xbe, 0xef, 0x80, 0x00, 0x00, 0x01, 0x50, 0x12, 0xab, 0xcd, 0, 0, 0, 0,
  ]);
  assertEquals([bytes[2], bytes[23]], [0xee, 0xee]);
  assertEquals(
    [
      header.sourcePort(view, 3),
      header.destinationPort(view, 3),
      header.sequenceNumber(view, 3),
      header.acknowledgementNumber(view, 3),
      header.headerBytes(view, 3),
      header.flags(view, 3),
      header.windowField(view, 3),
      header.urgentPointer(view, 3),
    ],
    [0x0102, 0xfffe, 0xdead_beef, 0x8000_0001, 20, Flag.syn | Flag.ack, 0xabcd, 0],
  );
});

Deno.test("the longest header has sixty bytes", () => {
  const view = new DataView(new ArrayBuffer(60));
  header.writeHeader(view, 0, 1, 2, 3, 4, header.maximumHeaderBytes, Flag.ack, 5);
  assertEquals(header.headerBytes(view, 0), 60);
});

/** A segment with these control bits and this many bytes of data behind `options`. */
function segment(flags: number, length: number, sequence: number, options: number[] = []): Segment {
  const pool = new PacketPool();
  const size = 20 + options.length;
  const packet = pool.allocate(0, size + length)!;
  packet.tail = size + length;
  packet.transportAt = 0;
  packet.arrivedAt = 12.5;
  header.writeHeader(packet.view, 0, 1, 2, sequence, 77, size, flags, 500);
  packet.bytes.set(options, 20);
  const loaded = new Segment();
  loaded.load(packet);
  packet.release();
  return loaded;
}

Deno.test("a segment is taken apart", () => {
  const { sequence, acknowledgement, window, dataAt, length, arrivedAt, options } = segment(Flag.ack, 5, 9, [
    2,
    4,
    1,
    0,
  ]);
  assertEquals([sequence, acknowledgement, window, dataAt, length, arrivedAt], [9, 77, 500, 24, 5, 12.5]);
  assertEquals(options.maximumSegmentSize, 256);
});

Deno.test("SYN and FIN take a sequence number each", () => {
  assertEquals(segment(Flag.ack, 10, 1).sequenceLength, 10);
  assertEquals(segment(Flag.syn, 0, 1).sequenceLength, 1);
  assertEquals(segment(Flag.syn | Flag.fin, 3, 1).sequenceLength, 5);
  assertEquals(segment(Flag.fin | Flag.ack, 3, 0xffff_fffe).end, 2);
});

Deno.test("every control bit is seen by itself", () => {
  const names = ["syn", "ack", "fin", "rst"] as const;
  for (const name of names) {
    const loaded = segment(Flag[name], 0, 1);
    assertEquals(names.filter((other) => loaded[other]), [name]);
  }
  assertEquals(names.some((name) => segment(Flag.psh | Flag.urg | Flag.ece | Flag.cwr, 0, 1)[name]), false);
});
