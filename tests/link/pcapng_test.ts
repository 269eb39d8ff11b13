import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { CaptureReader, readCapture } from "../../stack/link/pcap_reader.ts";
import {
  Direction,
  enhancedPacketBlock,
  interfaceDescriptionBlock,
  LinkType,
  sectionHeaderBlock,
} from "../../stack/link/pcapng.ts";
import { range } from "../helpers/frames.ts";

const record = { interfaceIndex: 0, timestamp: 0, direction: Direction.unknown, originalLength: 0 };
const description = { linkType: LinkType.ethernet, snapLength: 100, name: "tap0" };

/** Bytes from fields of 1, 2 or 4 bytes in one byte order; texts and byte arrays as they are. */
function pack(little: boolean, ...fields: (["u8" | "u16" | "u32", number] | Uint8Array)[]): Uint8Array {
  return concat(fields.map((field) => {
    if (field instanceof Uint8Array) return field;
    const [type, value] = field;
    const view = new DataView(new ArrayBuffer(type === "u8" ? 1 : type === "u16" ? 2 : 4));
    if (type === "u8") view.setUint8(0, value);
    else if (type === "u16") view.setUint16(0, value, little);
    else view.setUint32(0, value, little);
    return new Uint8Array(view.buffer);
  }));
}

/** A pcapng block around a body. */
function block(little: boolean, type: number, body: Uint8Array): Uint8Array {
  return pack(little, ["u32", type], ["u32", body.length + 12], body, ["u32", body.length + 12]);
}

function section(little: boolean): Uint8Array {
  const unknown = new Uint8Array(8).fill(0xff);
  return block(little, 0x0a0d0d0a, pack(little, ["u32", 0x1a2b3c4d], ["u16", 1], ["u16", 0], unknown));
}

Deno.test("a section header block says its byte order, version and application", () => {
  assertEquals(
    [...sectionHeaderBlock("abc")],
    [
      ...[0x0a, 0x0d, 0x0d, 0x0a, 40, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
      ...[255, 255, 255, 255, 255, 255, 255, 255],
      ...[4, 0, 3, 0, 0x61, 0x62, 0x63, 0, 0, 0, 0, 0, 40, 0, 0, 0],
    ],
  );
});

Deno.test("an interface description block says link type, snap length, name and timestamp resolution", () => {
  assertEquals(
    [...interfaceDescriptionBlock({ linkType: 101, snapLength: 0x1234, name: "tun0" })],
    [
      ...[1, 0, 0, 0, 40, 0, 0, 0, 101, 0, 0, 0, 0x34, 0x12, 0, 0],
      ...[2, 0, 4, 0, 0x74, 0x75, 0x6e, 0x30, 9, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0],
    ],
  );
});

Deno.test("an enhanced packet block holds the padded data, both lengths, the time and the direction", () => {
  const timestamp = 5 * 2 ** 32 + 7;
  assertEquals(
    [...enhancedPacketBlock(
      { interfaceIndex: 2, timestamp, direction: Direction.outbound, originalLength: 300 },
      new Uint8Array([1, 2, 3, 4, 5]),
    )],
    [
      ...[6, 0, 0, 0, 52, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 44, 1, 0, 0],
      ...[1, 2, 3, 4, 5, 0, 0, 0, 2, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0],
    ],
  );
});

Deno.test("what the writer writes the reader reads, for every length of data", () => {
  const timestamp = 1_792_000_000_123_456;
  const frames = range(9).map((length) => new Uint8Array(range(length)));
  const capture = readCapture(concat([
    sectionHeaderBlock("test"),
    interfaceDescriptionBlock(description),
    interfaceDescriptionBlock({ linkType: LinkType.raw, snapLength: 0, name: "überall" }),
    ...frames.map((frame, index) =>
      enhancedPacketBlock({
        interfaceIndex: index % 2,
        timestamp: timestamp + index,
        direction: (index % 3) as Direction,
        originalLength: index + 10,
      }, frame)
    ),
  ]));
  const interfaces = [description, { linkType: LinkType.raw, snapLength: 0, name: "überall" }];
  assertEquals(capture.interfaces, interfaces);
  assertEquals(capture.truncated, false);
  assertEquals(capture.frames.length, 9);
  for (const [index, frame] of capture.frames.entries()) {
    assertEquals([...frame.bytes], range(index));
    assertEquals(frame.interface, interfaces[index % 2]!);
    assertEquals(frame.direction, index % 3 as Direction);
    assertEquals(frame.originalLength, index + 10);
    assertAlmostEquals(frame.timestamp, (timestamp + index) / 1000, 0.0003);
  }
});

for (const little of [true, false]) {
  const order = little ? "little-endian" : "big-endian";

  Deno.test(`the reader reads ${order} pcapng, skips what it does not know, and minds resolution and offset`, () => {
    const interfaceBody = pack(
      little,
      ...[["u16", 1], ["u16", 0], ["u32", 64]] as ["u16" | "u32", number][],
      ...[["u16", 1], ["u16", 3]] as ["u16", number][], // A comment of three bytes.
      new TextEncoder().encode("abc\0"),
      ...[["u16", 9], ["u16", 1], ["u8", 9]] as ["u8" | "u16", number][], // Nanoseconds.
      new Uint8Array(3),
      ...[["u16", 14], ["u16", 8]] as ["u16", number][],
      ...(little ? [["u32", 10], ["u32", 0]] : [["u32", 0], ["u32", 10]]) as ["u32", number][], // Ten seconds.
    );
    const packetBody = pack(
      little,
      ...[["u32", 0], ["u32", 0], ["u32", 2_500_000], ["u32", 3], ["u32", 99]] as ["u32", number][],
      new Uint8Array([7, 8, 9, 0]),
      ...[["u16", 2], ["u16", 4], ["u32", 0x101]] as ["u16" | "u32", number][],
    );
    const file = concat([
      section(little),
      block(little, 1, interfaceBody),
      block(little, 0x0bad, new Uint8Array(16)),
      block(little, 6, packetBody),
      block(little, 3, concat([pack(little, ["u32", 70]), new Uint8Array(64)])),
    ]);
    const { frames } = readCapture(file);
    assertEquals(frames.map(({ bytes, originalLength }) => [bytes.length, originalLength]), [[3, 99], [64, 70]]);
    assertEquals([...frames[0]!.bytes], [7, 8, 9]);
    assertEquals(frames[0]!.timestamp, 10_002.5);
    assertEquals(frames.map(({ direction }) => direction), [Direction.inbound, Direction.unknown]);
  });

  for (
    const [name, magic, units] of [["microsecond", 0xa1b2c3d4, 1000], ["nanosecond", 0xa1b23c4d, 1_000_000]] as const
  ) {
    Deno.test(`the reader reads ${order} classic pcap with ${name} timestamps`, () => {
      const header = pack(
        little,
        ...[["u32", magic], ["u16", 2], ["u16", 4], ["u32", 0], ["u32", 0], ["u32", 500]] as ["u16" | "u32", number][],
        ["u32", 101],
      );
      const record = pack(little, ["u32", 12], ["u32", 250 * units], ["u32", 2], ["u32", 60], new Uint8Array([5, 6]));
      const capture = readCapture(concat([header, record, record]));
      assertEquals(capture.interfaces, [{ name: "", linkType: 101, snapLength: 500 }]);
      assertEquals(capture.frames.length, 2);
      assertEquals(capture.frames[1]!.timestamp, 12_250);
      assertEquals([...capture.frames[1]!.bytes], [5, 6]);
      assertEquals(capture.frames[1]!.originalLength, 60);
      assertEquals(capture.truncated, false);
      const cut = readCapture(concat([header, record, record.subarray(0, 17)]));
      assertEquals([cut.frames.length, cut.truncated], [1, true]);
    });
  }
}

Deno.test("each section of a pcapng file has its own byte order and interfaces", () => {
  const second = pack(false, ["u16", 101], ["u16", 0], ["u32", 0]);
  const packet = pack(false, ["u32", 0], ["u32", 0], ["u32", 0], ["u32", 4], ["u32", 4], new Uint8Array(4));
  const capture = readCapture(concat([
    sectionHeaderBlock("first"),
    interfaceDescriptionBlock(description),
    section(false),
    block(false, 1, second),
    block(false, 6, packet),
  ]));
  assertEquals(capture.interfaces.length, 2);
  assertEquals(capture.frames[0]!.interface.linkType, 101);
});

Deno.test("a file that ends anywhere gives the frames up to there and never an unknown error", () => {
  const file = concat([
    sectionHeaderBlock("test"),
    interfaceDescriptionBlock(description),
    enhancedPacketBlock({ ...record, originalLength: 5 }, new Uint8Array(5)),
    enhancedPacketBlock({ ...record, originalLength: 6 }, new Uint8Array(6)),
  ]);
  const boundaries: number[] = [];
  for (const length of range(file.length + 1)) {
    if (length < 12) {
      assertThrows(() => readCapture(file.subarray(0, length)), TypeError, "neither a pcapng nor a pcap");
    } else if (!readCapture(file.subarray(0, length)).truncated) {
      boundaries.push(length);
    }
  }
  assertEquals(boundaries.length, 4);
  assertEquals(readCapture(file.subarray(0, boundaries[2]! + 1)).frames.length, 1);
});

/** A file of each format, with frames of 0 to 8 bytes. */
function sampleFiles(): [name: string, file: Uint8Array][] {
  const classic = (["u32", "u32", "u32", "u32", "u32"] as const).map((type) => [type, 0] as ["u32", number]);
  return [
    [
      "pcapng",
      concat([
        sectionHeaderBlock("test"),
        interfaceDescriptionBlock(description),
        ...range(9).map((length) => enhancedPacketBlock(record, new Uint8Array(range(length)))),
      ]),
    ],
    [
      "classic pcap",
      concat([
        pack(true, ["u32", 0xa1b2c3d4], ...classic),
        ...range(9).map((length) =>
          pack(true, ["u32", 0], ["u32", 0], ["u32", length], ["u32", length], new Uint8Array(range(length)))
        ),
      ]),
    ],
  ];
}

for (const [name, file] of sampleFiles()) {
  Deno.test(`a ${name} file in pieces of any size gives the frames of the whole, each as soon as it is complete`, () => {
    const whole = readCapture(file);
    assertEquals(whole.frames.map(({ bytes }) => [...bytes]), range(9).map((length) => range(length)));
    for (const size of range(file.length).map((size) => size + 1)) {
      const reader = new CaptureReader();
      const frames: unknown[] = [];
      for (let at = 0; at < file.length; at += size) {
        frames.push(...reader.push(file.subarray(at, at + size)));
        const soFar = file.subarray(0, Math.min(at + size, file.length));
        if (soFar.length >= 24) assertEquals(frames.length, readCapture(soFar).frames.length);
      }
      assertEquals(frames, whole.frames);
      assertEquals([reader.interfaces, reader.end()], [whole.interfaces, false]);
    }
  });
}

Deno.test("a frame in a piece of its own is not copied", () => {
  const reader = new CaptureReader();
  assertEquals([...reader.push(concat([sectionHeaderBlock("test"), interfaceDescriptionBlock(description)]))], []);
  const block = enhancedPacketBlock(record, new Uint8Array(100));
  for (let frame = 0; frame < 3; frame++) assertEquals([...reader.push(block)][0]!.bytes.buffer, block.buffer);
});

Deno.test("the place of damage is that in the file, whatever the pieces, and what came before it is read", () => {
  const start = concat([sectionHeaderBlock("test"), interfaceDescriptionBlock(description)]);
  const packet = enhancedPacketBlock(record, new Uint8Array(4));
  const file = concat([start, packet, packet, new Uint8Array(12)]);
  const reason = `at byte ${start.length + 2 * packet.length} there is a block of 0 bytes`;
  const reader = new CaptureReader();
  let frames = 0;
  assertThrows(
    () => {
      for (let at = 0; at < file.length; at += 7) {
        for (const _ of reader.push(file.subarray(at, at + 7))) frames++;
      }
    },
    TypeError,
    reason,
  );
  assertEquals(frames, 2);
});

Deno.test("a record of more than 16 MiB is damage, not a reason to wait for it", () => {
  const [[, pcapng], [, classic]] = sampleFiles() as [[string, Uint8Array], [string, Uint8Array]];
  const huge = (file: Uint8Array, lengthAt: number) => {
    const bytes = file.slice();
    new DataView(bytes.buffer).setUint32(lengthAt, 0x0100_0004, true);
    return bytes;
  };
  assertThrows(() => readCapture(huge(pcapng, 4)), TypeError, "at byte 0 there is a block of 16777220 bytes");
  assertThrows(() => readCapture(huge(classic, 32)), TypeError, "at byte 24 there is a frame of 16777220 bytes");
});

Deno.test("a damaged file is refused with the place and the reason", () => {
  const start = concat([sectionHeaderBlock("test"), interfaceDescriptionBlock(description)]);
  const packet = enhancedPacketBlock(record, new Uint8Array(4));
  const damage = (at: number, value: number, of: Uint8Array = packet) => {
    const bytes = of.slice();
    new DataView(bytes.buffer).setUint32(at, value, true);
    return concat([start, bytes]);
  };
  const at = `at byte ${start.length} there is`;
  assertThrows(() => readCapture(damage(4, 3)), TypeError, `${at} a block of 3 bytes`);
  assertThrows(() => readCapture(damage(packet.length - 4, 8)), TypeError, `${at} a block with two lengths`);
  assertThrows(() => readCapture(damage(8, 7)), TypeError, `${at} a packet of interface 7`);
  assertThrows(() => readCapture(damage(20, 1000)), TypeError, "1000 bytes in a block that has 16 left");
  assertThrows(() => readCapture(damage(32, 0xffff_0002)), TypeError, "65535 bytes in a block");
  assertThrows(() => readCapture(damage(8, 1, sectionHeaderBlock(""))), TypeError, "a section without byte order");
  assertThrows(() => readCapture(new TextEncoder().encode("This is not a capture file")), TypeError, "neither");
});
