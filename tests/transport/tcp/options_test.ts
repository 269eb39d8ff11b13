import { assertEquals } from "@std/assert";
import { below, fill, SeededRandom } from "../../../stack/random.ts";
import {
  maximumSackBlocks,
  sackBytes,
  TcpOptions,
  timestampsBytes,
  writeMaximumSegmentSize,
  writePadding,
  writeSack,
  writeSackPermitted,
  writeTimestamps,
  writeWindowScale,
} from "../../../stack/transport/tcp/options.ts";

/** What the options in `bytes` say. */
function parse(...bytes: number[]): TcpOptions {
  const options = new TcpOptions();
  options.parse(new DataView(Uint8Array.from(bytes).buffer), 0, bytes.length);
  return options;
}

Deno.test("no options", () => {
  const options = parse();
  const { maximumSegmentSize, windowScale, sackPermitted, hasTimestamps, sackBlocks } = options;
  assertEquals([maximumSegmentSize, windowScale, sackPermitted, hasTimestamps, sackBlocks], [0, -1, false, false, 0]);
});

Deno.test("what is written is read", () => {
  const view = new DataView(new ArrayBuffer(80));
  let at = writeMaximumSegmentSize(view, 4, 1460);
  at = writeSackPermitted(view, at);
  at = writeTimestamps(view, at, 0xdead_beef, 0xffff_ffff);
  at = writeWindowScale(view, at, 7);
  assertEquals(at, 24);
  const edges = Int32Array.of(1, 2, -16, 5, 7, 9, 11, 13);
  const end = writeSack(view, at, edges, 3);
  assertEquals(end - at, sackBytes(3));
  const options = new TcpOptions();
  options.parse(view, 4, end);
  assertEquals([options.maximumSegmentSize, options.windowScale, options.sackPermitted], [1460, 7, true]);
  assertEquals([options.timestampValue, options.timestampEcho], [0xdead_beef | 0, -1]);
  assertEquals([options.sackBlocks, ...options.sackEdges.subarray(0, 6)], [3, 1, 2, -16, 5, 7, 9]);
});

Deno.test("options keep the header a multiple of four bytes long", () => {
  const view = new DataView(new ArrayBuffer(40));
  assertEquals(writeTimestamps(view, writePadding(view, 0, 2), 1, 2), timestampsBytes);
  for (let blocks = 0; blocks <= maximumSackBlocks; blocks++) assertEquals(sackBytes(blocks) % 4, 0);
  assertEquals([sackBytes(0), sackBytes(4), timestampsBytes + sackBytes(3)], [0, 36, 40]);
});

Deno.test("a shift count above 14 is 14 (RFC 7323 2.3)", () => {
  assertEquals([parse(3, 3, 14).windowScale, parse(3, 3, 15).windowScale, parse(3, 3, 255).windowScale], [14, 14, 14]);
});

Deno.test("reading stops at the end of options, and at what cannot be right", () => {
  assertEquals(parse(0, 2, 4, 5, 180).maximumSegmentSize, 0);
  assertEquals(parse(1, 1, 2, 4, 5, 180).maximumSegmentSize, 1460);
  // A length of 0 or 1 would never end; one that is too long reaches out of the header; one is missing.
  assertEquals(parse(77, 0, 2, 4, 5, 180).maximumSegmentSize, 0);
  assertEquals(parse(77, 1, 2, 4, 5, 180).maximumSegmentSize, 0);
  assertEquals(parse(77, 9, 2, 4, 5, 180).maximumSegmentSize, 0);
  assertEquals(parse(2, 4, 5, 180, 2).maximumSegmentSize, 1460);
});

Deno.test("unknown options are skipped, known ones of a wrong length too", () => {
  assertEquals(parse(77, 3, 9, 2, 4, 5, 180).maximumSegmentSize, 1460);
  const wrong = parse(2, 3, 5, 3, 4, 7, 7, 4, 3, 0, 8, 3, 0, 5, 7, 1, 2, 3, 4, 5, 3, 3, 2);
  const { maximumSegmentSize, windowScale, sackPermitted, hasTimestamps, sackBlocks } = wrong;
  assertEquals([maximumSegmentSize, windowScale, sackPermitted, hasTimestamps, sackBlocks], [0, 2, false, false, 0]);
});

Deno.test("options of the segment before are forgotten", () => {
  const options = parse(4, 2, 3, 3, 3, 2, 4, 1, 1);
  options.parse(new DataView(new ArrayBuffer(0)), 0, 0);
  assertEquals([options.maximumSegmentSize, options.windowScale, options.sackPermitted], [0, -1, false]);
});

Deno.test("random bytes never throw, nor do they make values out of range", () => {
  const random = new SeededRandom(3);
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  const options = new TcpOptions();
  const kinds = [0, 1, 2, 3, 4, 5, 8];
  for (let round = 0; round < 50_000; round++) {
    fill(random, bytes);
    const at = below(random, 20);
    const end = at + below(random, 41);
    for (let index = at; index < end; index += 1 + below(random, 9)) {
      bytes[index] = kinds[below(random, kinds.length)]!;
      if (index + 1 < 60) bytes[index + 1] = below(random, 37);
    }
    options.parse(view, at, end);
    assertEquals(options.sackBlocks >= 0 && options.sackBlocks <= maximumSackBlocks, true);
    assertEquals(options.windowScale >= -1 && options.windowScale <= 14, true);
    assertEquals(options.maximumSegmentSize <= 65_535, true);
  }
});
