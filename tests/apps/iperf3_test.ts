import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { InvalidValue } from "../../apps/cli.ts";
import {
  cookieBytes,
  fromParameters,
  makeCookie,
  notImplemented,
  parseResults,
  RefusedParameters,
  streamId,
  TestError,
  type TestSettings,
  toParameters,
} from "../../apps/iperf3/protocol.ts";
import { Quota, since } from "../../apps/iperf3/stream.ts";
import { bitrate, byteAmount, formatBytes, formatRate } from "../../apps/iperf3/units.ts";

const settings: TestSettings = {
  transport: "tcp",
  duration: 3,
  omit: 1,
  bytes: 0,
  parallel: 2,
  reverse: true,
  blockBytes: 4096,
  bitrate: 1e6,
  noDelay: true,
  maximumSegmentBytes: 1000,
  bufferBytes: 65536,
  trafficClass: 16,
  wideCounters: false,
};

Deno.test("iperf3 shows amounts by 1024 and rates by 1000, with three digits that count", () => {
  assertEquals(formatBytes(0), "0.00 Bytes");
  assertEquals(formatBytes(1280), "1.25 KBytes");
  assertEquals(formatBytes(10 * 1024 ** 2), "10.0 MBytes");
  assertEquals(formatBytes(730 * 1024 ** 2), " 730 MBytes");
  assertEquals(formatRate(9.41e9), "9.41 Gbits/sec");
  assertEquals(formatRate(999), " 999 bits/sec");
});

Deno.test("iperf3 takes amounts and rates with a letter for the unit", () => {
  assertEquals(byteAmount("128K"), 131_072);
  assertEquals(byteAmount("1.5m"), 1_572_864);
  assertEquals(bitrate("100M"), 1e8);
  for (const text of ["", "M", "1X", "-1", "1e3", "9999999T"]) assertThrows(() => byteAmount(text), InvalidValue);
});

Deno.test("iperf3's parameters come back from the form in which they are sent", () => {
  assertEquals(fromParameters(JSON.parse(JSON.stringify(toParameters(settings)))), settings);
  const udp: TestSettings = { ...settings, transport: "udp", wideCounters: true, reverse: false, noDelay: false };
  assertEquals(fromParameters(JSON.parse(JSON.stringify(toParameters(udp)))), udp);
});

Deno.test("an iperf3 client that counts blocks is understood in bytes", () => {
  const { bytes, duration } = fromParameters({ tcp: true, blockcount: 3, len: 1000, time: 0 });
  assertEquals({ bytes, duration }, { bytes: 3000, duration: 0 });
});

Deno.test("parameters that make no sense are refused", () => {
  const senseless = [
    null,
    7,
    { tcp: true, parallel: 0 },
    { tcp: true, parallel: 1000 },
    { tcp: true, len: -1 },
    { tcp: true, time: "ten" },
    { tcp: true, num: Infinity },
    { udp: true, len: 8 },
    { udp: true, len: 100_000 },
  ];
  for (const parameters of senseless) assertThrows(() => fromParameters(parameters), RefusedParameters);
});

Deno.test("what the iperf3 server does not have is refused by iperf3's number for that", () => {
  const error = assertThrows(() => fromParameters({ tcp: true, bidirectional: 1 }), RefusedParameters, "bidirectional");
  assertInstanceOf(error, RefusedParameters);
  assertEquals(error.code, notImplemented);
});

Deno.test("iperf3 results without streams are refused, and what is missing in a stream counts as nothing", () => {
  for (const results of [null, [], {}, { streams: 1 }]) assertThrows(() => parseResults(results), TestError);
  const [stream] = parseResults({ streams: [{ id: 1, bytes: 5, retransmits: 2 ** 64 }] }).streams;
  assertEquals(stream!.bytes, 5);
  assertEquals(stream!.packets, 0);
  assertEquals(stream!.retransmits, -1);
});

Deno.test("iperf3 numbers its streams 1, 3, 4 and so on", () => {
  assertEquals([0, 1, 2, 3].map(streamId), [1, 3, 4, 5]);
});

Deno.test("an iperf3 cookie is 36 letters and digits, and another one each time", () => {
  const cookie = makeCookie();
  assertEquals(/^[a-z2-7]+$/.test(cookie) && cookie.length === cookieBytes - 1, true);
  assertEquals(cookie === makeCookie(), false);
});

Deno.test("a quota of bytes is shared out until it is spent", () => {
  const quota = new Quota(10);
  assertEquals([quota.take(6), quota.spent, quota.take(6), quota.spent, quota.take(1)], [6, false, 4, true, 0]);
  assertEquals(new Quota(0).take(1e9), 1e9);
});

Deno.test("a tally since another one holds the differences", () => {
  const before = { bytes: 1, retransmits: 2, datagrams: 3, lost: 1, outOfOrder: 0 };
  const now = { bytes: 10, retransmits: 2, datagrams: 5, lost: 1, outOfOrder: 1 };
  assertEquals(since(now, before), { bytes: 9, retransmits: 0, datagrams: 2, lost: 0, outOfOrder: 1 });
});
