import { assert, assertAlmostEquals, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { analyze } from "../../apps/plot/analysis.ts";
import { readCapturedConnections } from "../../apps/plot/capture_source.ts";
import { drawConnection, type DrawingOptions } from "../../apps/plot/chart.ts";
import type { RecordedConnection, RecordedSegment } from "../../apps/plot/connection.ts";
import { isConnectionLog, readLoggedConnections } from "../../apps/plot/log_source.ts";
import { coordinate, element, textElement } from "../../apps/plot/svg.ts";
import { enhancedPacketBlock, interfaceDescriptionBlock, sectionHeaderBlock } from "../../stack/link/pcapng.ts";
import { Flag, TcpField, writeHeader } from "../../stack/transport/tcp/header.ts";
import { recordTransfer } from "../helpers/recorded_transfer.ts";

const whole: DrawingOptions = { width: 1280, height: 800, from: 0, until: Infinity };

const recording = await recordTransfer({
  seed: 4,
  bytes: 400_000,
  impairments: [{ loss: 0.02, delay: 20, rate: 10_000_000 }, { delay: 20 }],
});
const logFile = new TextEncoder().encode(recording.log.map((line) => `${line}\n`).join(""));
const captured = readCapturedConnections(recording.capture)[0]!;
const logged = readLoggedConnections(logFile)[0]!;

const { syn, ack, fin, rst, psh } = Flag;

/** A segment that differs from an empty one of side 0 in what is given. */
function segment(given: Partial<RecordedSegment>): RecordedSegment {
  return {
    time: 0,
    from: 0,
    number: 1,
    sequence: 1,
    length: 0,
    flags: ack,
    acknowledgement: 1,
    window: null,
    sack: [],
    ...given,
  };
}

function connectionOf(...segments: Partial<RecordedSegment>[]): RecordedConnection {
  return { ends: ["a", "b"], segments: segments.map(segment), congestion: [] };
}

/** The elements of a class in a document, with their attributes. The legend shows each class once: it is left out. */
function elementsOf(svg: string, name: string): Record<string, string>[] {
  const graph = svg.replace(/<g class="legend">[\s\S]*?<\/g>/g, "");
  return [...graph.matchAll(/<\w+((?: [\w:-]+="[^"]*")*)\/?>/g)]
    .map(([, attributes]) =>
      Object.fromEntries([...attributes!.matchAll(/ ([\w:-]+)="([^"]*)"/g)].map((m) => m.slice(1)))
    )
    .filter((attributes) => attributes.class?.split(" ").includes(name));
}

/** The subpaths of the one path of a class, as their texts. */
function subpaths(svg: string, name: string): string[] {
  const paths = elementsOf(svg, name);
  assertEquals(paths.length, 1, name);
  return paths[0]!.d!.split("M").slice(1);
}

/** The bar of a segment: where it stands, and from where to where it goes. */
function bar({ d }: Record<string, string>): { x: number; bottom: number; top: number } {
  const [, x, bottom, top] = /^M([\d.]+) ([\d.]+)V([\d.]+)/.exec(d!)!.map(Number);
  return { x: x!, bottom: bottom!, top: top! };
}

/** Asserts that every element of a document is closed, in the right order. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  for (
    const [, closing, name, empty] of svg.matchAll(/<(\/?)([A-Za-z]+)(?: [\w:-]+="[^"<>&]*(?:&\w+;[^"<>&]*)*")*(\/?)>/g)
  ) {
    if (closing === "/") assertEquals(open.pop(), name);
    else if (empty === "") open.push(name!);
  }
  assertEquals(open, []);
  const rest = svg.replace(/<\/?[A-Za-z]+(?: [\w:-]+="[^"]*")*\/?>/g, "").replace(/<\?xml[^>]*\?>/, "");
  assert(!/[<]|&(?!\w+;)/.test(rest), "markup in a text");
}

Deno.test("a capture shows every data segment once, and those sent again by their own mark", () => {
  const svg = drawConnection(captured, 0, whole);
  const sent = recording.log.map((line) => JSON.parse(line)).filter(({ name, data }) =>
    name === "tcp:segment_sent" && data.len > 0
  );
  assertEquals(elementsOf(svg, "segment").length, sent.length);
  assertEquals(elementsOf(svg, "retransmission").length, recording.info.segmentsRetransmitted);
  assert(recording.info.segmentsRetransmitted > 2);
  assertWellFormed(svg);
});

Deno.test("a log and the capture of the same transfer give the same time-sequence graph", () => {
  const marks = (svg: string) =>
    ["segment", "sack", "duplicate", "ack", "edge", "mark"].map((name) => elementsOf(svg, name));
  const withoutCongestion = { ...logged, congestion: [] };
  assertEquals(marks(drawConnection(withoutCongestion, 0, whole)), marks(drawConnection(captured, 0, whole)));
});

Deno.test("below a log are the congestion window, the slow-start threshold and what is in flight", () => {
  const svg = drawConnection(logged, 0, whole);
  assertWellFormed(svg);
  for (const name of ["cwnd", "ssthresh", "flight"]) assertEquals(subpaths(svg, name).length, 1, name);
  const recoveries = logged.congestion.filter(({ congestionState }, index) =>
    congestionState === "recovery" && logged.congestion[index - 1]?.congestionState !== "recovery"
  );
  assert(recoveries.length > 0);
  // Each in both panels.
  assertEquals(elementsOf(svg, "recovery").length, 2 * recoveries.length);
  assertStringIncludes(svg, "slow-start threshold");
});

Deno.test("below a capture is what was sent and not acknowledged", () => {
  const svg = drawConnection(captured, 0, whole);
  assertEquals([elementsOf(svg, "cwnd").length, elementsOf(svg, "flight").length], [0, 1]);
  assertStringIncludes(svg, "sent and not acknowledged");
  const { outstanding } = analyze(captured, 0);
  assertEquals(outstanding.at(-1)!.value, 0);
  assert(outstanding.some(({ value }) => value > 20_000));
});

Deno.test("marks stand where their time and sequence number say", () => {
  const svg = drawConnection(
    connectionOf(
      { time: 0, sequence: 0, flags: syn, acknowledgement: null },
      { time: 100, sequence: 1, length: 1000 },
      { time: 200, sequence: 1001, length: 2000 },
      { time: 400, sequence: 3001, length: 1000 },
      { time: 1000, from: 1, acknowledgement: 4001 },
    ),
    0,
    whole,
  );
  const [first, second, third] = elementsOf(svg, "segment").map(bar);
  assertAlmostEquals((third!.x - first!.x) / (second!.x - first!.x), 3, 0.01);
  assertAlmostEquals((second!.bottom - second!.top) / (first!.bottom - first!.top), 2, 0.01);
  assertEquals([first!.top, second!.top], [second!.bottom, third!.bottom]);
  const [line] = elementsOf(svg, "ack");
  assertEquals(Number(/^M[\d.]+ ([\d.]+)/.exec(line!.d!)![1]), third!.top);
});

Deno.test("a part of the time is shown by itself", () => {
  const [from, until] = [100, 300];
  const svg = drawConnection(captured, 0, { ...whole, from, until });
  const shown = captured.segments.filter(({ time, from: side, length }) =>
    side === 0 && length > 0 && time >= from && time <= until
  );
  assertEquals(elementsOf(svg, "segment").length, shown.length);
  for (const { x } of elementsOf(svg, "segment").map(bar)) assert(x >= 78 && x <= 1256, String(x));
});

Deno.test("SYN, FIN and RST are marked by name, and a closed window's probe is no retransmission", () => {
  const connection = connectionOf(
    { sequence: 0, flags: syn, acknowledgement: null },
    { time: 1, from: 1, sequence: 0, flags: syn | ack, acknowledgement: 1, window: 1000 },
    { time: 2, length: 1000, window: 5000 },
    { time: 3, from: 1, acknowledgement: 1001, window: 0 },
    { time: 200, sequence: 1001, length: 1 },
    { time: 400, sequence: 1001, length: 1 },
    { time: 401, from: 1, acknowledgement: 1001, window: 1000 },
    { time: 402, sequence: 1001, length: 500, flags: ack | psh | fin },
    { time: 403, from: 1, acknowledgement: null, flags: rst },
  );
  assertEquals(
    analyze(connection, 0).data.map(({ kind }) => kind),
    ["new", "new", "probe", "probe", "new"],
  );
  const svg = drawConnection(connection, 0, whole);
  const names = [...svg.matchAll(/<text class="mark[^>]*>(\w+)</g)].map(([, name]) => name);
  assertEquals(names, ["SYN", "FIN", "RST"]);
});

Deno.test("a segment is sent again if its bytes have passed, and fills a hole if they have not", () => {
  const connection = connectionOf(
    { length: 1000 },
    { sequence: 2001, length: 1000 },
    { sequence: 1001, length: 1000 },
    { sequence: 1001, length: 1000 },
    { sequence: 2501, length: 1000 },
    { sequence: 3501, length: 500 },
  );
  const { data, bytes } = analyze(connection, 0);
  assertEquals(data.map(({ kind }) => kind), ["new", "new", "late", "retransmission", "retransmission", "new"]);
  assertEquals(bytes, 4000);
});

Deno.test("an ACK is a duplicate if it repeats the last one, without data, while data are out", () => {
  const ackOf = (given: Partial<RecordedSegment>) => ({ from: 1 as const, window: 5000, ...given });
  const { duplicateAcks, acknowledged, windowEdge } = analyze(
    connectionOf(
      { length: 1000 },
      ackOf({ acknowledgement: 501 }),
      ackOf({ time: 1, acknowledgement: 501 }),
      ackOf({ time: 2, acknowledgement: 501, window: 6000 }),
      ackOf({ time: 3, acknowledgement: 501, window: 6000, length: 10 }),
      ackOf({ time: 4, acknowledgement: 1001, window: 6000, sequence: 11 }),
      ackOf({ time: 5, acknowledgement: 1001, window: 6000, sequence: 11 }),
      ackOf({ time: 6, acknowledgement: 501, window: 6000, sequence: 11 }),
    ),
    0,
  );
  assertEquals(duplicateAcks, [{ time: 1, value: 501 }]);
  assertEquals(acknowledged.map(({ value }) => value), [501, 1001]);
  assertEquals(windowEdge.map(({ value }) => value), [5501, 6501, 7001]);
});

Deno.test("without the handshake the window's scale is not known, and its edge not shown", () => {
  const blocks = splitBlocks(recording.capture);
  // The section header, the interface, and the frames behind the third segment.
  const rest = blocks.slice(2 + captured.segments[2]!.number);
  const [connection] = readCapturedConnections(concat([...blocks.slice(0, 2), ...rest]));
  assertEquals(connection!.segments.every(({ window }) => window === null), true);
  assertEquals(connection!.segments[0]!.sequence, 1);
  const svg = drawConnection(connection!, 0, whole);
  assertEquals(elementsOf(svg, "edge"), []);
  assertWellFormed(svg);
});

Deno.test("a new SYN between the same ends opens another connection, a repeated one does not", () => {
  const frames = [
    tcpFrame({ flags: syn, sequence: 100 }),
    tcpFrame({ flags: syn, sequence: 100 }),
    tcpFrame({ flags: rst, sequence: 101 }),
    tcpFrame({ flags: syn, sequence: 0xffff_ffff }),
    tcpFrame({ flags: ack, sequence: 0, acknowledgement: 7, payload: 10 }),
  ];
  const connections = readCapturedConnections(captureOf(1, frames));
  assertEquals(connections.map(({ segments }) => segments.length), [3, 2]);
  assertEquals(connections[1]!.segments.map(({ sequence }) => sequence), [0, 1]);
  assertEquals(connections[1]!.ends, ["192.0.2.1:1000", "192.0.2.2:80"]);
});

Deno.test("segments are found behind Ethernet, VLAN tags, Linux cooked headers and nothing, in IPv4 and IPv6", () => {
  const packet = tcpPacket({ flags: ack, sequence: 5, payload: 10 });
  const packet6 = tcpPacket6({ flags: ack, sequence: 5, payload: 10 });
  const [mac, type4, type6] = [new Uint8Array(12), [0x08, 0x00], [0x86, 0xdd]];
  const frame = (...parts: (Uint8Array | number[])[]) => concat(parts.map((part) => Uint8Array.from(part)));
  const cases: [number, Uint8Array][] = [
    [1, frame(mac, type4, packet)],
    [1, frame(mac, [0x81, 0, 0, 5], type4, packet)],
    [1, frame(mac, type6, packet6)],
    [101, packet],
    [101, packet6],
    [113, frame(new Uint8Array(14), type4, packet)],
    [276, frame(type4, new Uint8Array(18), packet)],
  ];
  for (const [linkType, bytes] of cases) {
    const [connection] = readCapturedConnections(captureOf(linkType, [bytes]));
    assertEquals([connection?.segments.length, connection?.segments[0]?.length], [1, 10], `link type ${linkType}`);
    for (let length = 0; length < bytes.length - 10; length++) {
      assertEquals(readCapturedConnections(captureOf(linkType, [bytes.subarray(0, length)])), [], `${length} bytes`);
    }
  }
  assertEquals(readCapturedConnections(captureOf(9, [packet])), []);
});

Deno.test("a log that is cut off in its last line is read up to there, and damage elsewhere is reported", () => {
  assert(isConnectionLog(logFile));
  assert(!isConnectionLog(recording.capture));
  const cut = readLoggedConnections(logFile.subarray(0, logFile.length - 5));
  assertEquals(cut[0]!.segments.length, logged.segments.length);
  const message = (lines: string[]) => {
    try {
      readLoggedConnections(new TextEncoder().encode(lines.join("\n")));
    } catch (error) {
      return (error as Error).message;
    }
  };
  assertEquals(
    message([...recording.log.slice(0, 4), "nonsense", ...recording.log.slice(4)]),
    "Cannot read the connection log: line 5 is no event",
  );
  const withoutFlags = recording.log.map((line, index) => index === 4 ? line.replace('"flags"', '"other"') : line);
  assertEquals(message(withoutFlags), "Cannot read the connection log: line 5 is no segment");
});

Deno.test("texts and attributes are escaped", () => {
  assertEquals(element("path", { d: "M0 0", x: 1.26, y: undefined }), '<path d="M0 0" x="1.3"/>');
  assertEquals(textElement({ class: '"' }, "a < b & c"), '<text class="&quot;">a &lt; b &amp; c</text>');
  assertEquals([coordinate(-0.04), coordinate(12.34)], ["0", "12.3"]);
});

Deno.test("a graph has titles for its axes, units that fit, and both sets of colours", () => {
  const svg = drawConnection(captured, 0, whole);
  assertStringIncludes(svg, "10.0.0.1:50000 → 10.0.0.2:80");
  assertStringIncludes(svg, "sequence number (kB)");
  assertStringIncludes(svg, "time since the first segment (ms)");
  assertMatch(svg, /400,000 bytes in 0\.\d+ s · [\d.]+ Mbit\/s · \d+ retransmissions · \d+ duplicate ACKs/);
  assertStringIncludes(svg, "@media (prefers-color-scheme: dark)");
});

/** The blocks of a little-endian pcapng file. */
function splitBlocks(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < file.length;) {
    const length = view.getUint32(at + 4, true);
    blocks.push(file.subarray(at, at + length));
    at += length;
  }
  return blocks;
}

function captureOf(linkType: number, frames: readonly Uint8Array[]): Uint8Array {
  return concat([
    sectionHeaderBlock("test"),
    interfaceDescriptionBlock({ linkType, snapLength: 0, name: "if0" }),
    ...frames.map((frame, index) =>
      enhancedPacketBlock(
        { interfaceIndex: 0, timestamp: index * 1000, direction: 0, originalLength: frame.length },
        frame,
      )
    ),
  ]);
}

interface TcpFields {
  flags: number;
  sequence: number;
  acknowledgement?: number;
  payload?: number;
}

function tcpBytes({ flags, sequence, acknowledgement = 0, payload = 0 }: TcpFields): Uint8Array {
  const bytes = new Uint8Array(TcpField.options + payload);
  writeHeader(new DataView(bytes.buffer), 0, 1000, 80, sequence, acknowledgement, TcpField.options, flags, 500);
  return bytes;
}

function tcpPacket(fields: TcpFields): Uint8Array {
  const segment = tcpBytes(fields);
  const length = 20 + segment.length;
  const header = [0x45, 0, length >> 8, length & 0xff, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
  return concat([Uint8Array.from(header), segment]);
}

/** With a hop-by-hop header of eight bytes. */
function tcpPacket6(fields: TcpFields): Uint8Array {
  const segment = tcpBytes(fields);
  const header = new Uint8Array(48);
  header.set([0x60, 0, 0, 0, 0, 8 + segment.length, 0, 64]);
  header[23] = 1;
  header[39] = 2;
  header[40] = 6;
  return concat([header, segment]);
}

function tcpFrame(fields: TcpFields): Uint8Array {
  return concat([new Uint8Array(12), Uint8Array.from([0x08, 0]), tcpPacket(fields)]);
}

/** The texts of the upper panel's legend. */
function legendOf(svg: string): string[] {
  const [, legend] = /<g class="legend">([\s\S]*?)<\/g>/.exec(svg)!;
  return [...legend!.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
}

Deno.test("the legend tells what can be seen in the part that is drawn, and how much of it", () => {
  const connection = connectionOf(
    { time: 0, length: 100, flags: ack | psh },
    { time: 100, length: 100, sequence: 101, flags: ack | psh },
    { time: 200, length: 100, sequence: 1, flags: ack | psh },
    { time: 300, from: 1, acknowledgement: 201, window: 10_000 },
    { time: 1000, length: 100, sequence: 201, flags: ack | psh },
  );
  assertEquals(legendOf(drawConnection(connection, 0, whole)), [
    "data (3)",
    "sent again (1)",
    "ACK",
    "window edge (above)",
  ]);
  assertEquals(legendOf(drawConnection(connection, 0, { ...whole, until: 150 })), ["data (2)", "ACK"]);
  assertEquals(legendOf(drawConnection(connection, 0, { ...whole, from: 500 })), [
    "data (1)",
    "ACK",
    "window edge (above)",
  ]);
});

Deno.test("the legend shows what was sent again as the graph does: with a pointer below the bar", () => {
  const svg = drawConnection(logged, 0, whole);
  const [, legend] = /<g class="legend">([\s\S]*?)<\/g>/.exec(svg)!;
  const [, sample] = /class="segment retransmission" d="([^"]*)"/.exec(legend!)!;
  const [again] = elementsOf(svg, "retransmission");
  const pointer = "l-3.5 7h7z";
  assertEquals([sample!.endsWith(pointer), again!.d!.endsWith(pointer)], [true, true]);
});
