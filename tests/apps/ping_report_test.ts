import { assertEquals } from "@std/assert";
import { formatHeading, formatTime, PingStatistics } from "../../apps/ping_report.ts";

Deno.test("a round-trip time has three significant digits, or is given to the microsecond", () => {
  const expected: [number, string][] = [
    [0, "0.000"],
    [0.0691, "0.069"],
    [0.9994, "0.999"],
    [1.234, "1.23"],
    [12.34, "12.3"],
    [123.4, "123"],
    [12345.6, "12346"],
  ];
  for (const [time, text] of expected) assertEquals(formatTime(time), text);
});

Deno.test("a round-trip time that is rounded up to the next power of ten loses a digit", () => {
  assertEquals(formatTime(0.9996), "1.00");
  assertEquals(formatTime(9.996), "10.0");
  assertEquals(formatTime(99.96), "100");
});

Deno.test("the heading counts the payload and the whole IPv4 packet", () => {
  assertEquals(formatHeading("192.0.2.1", "192.0.2.1", 56), "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.");
});

Deno.test("the summary has least, average, most and deviation of the round-trip times", () => {
  const statistics = new PingStatistics();
  statistics.transmitted = 3;
  for (const time of [0.1, 0.2, 0.6]) statistics.reply(time, false);
  assertEquals(statistics.summary("192.0.2.1", 2003.4), [
    "--- 192.0.2.1 ping statistics ---",
    "3 packets transmitted, 3 received, 0% packet loss, time 2003ms",
    "rtt min/avg/max/mdev = 0.100/0.300/0.600/0.216 ms",
  ]);
});

Deno.test("equal round-trip times have no deviation", () => {
  const statistics = new PingStatistics();
  statistics.transmitted = 3;
  for (let replies = 0; replies < 3; replies++) statistics.reply(0.1, false);
  assertEquals(statistics.summary("x", 0)[2], "rtt min/avg/max/mdev = 0.100/0.100/0.100/0.000 ms");
});

Deno.test("the summary says what was lost, in at most six digits", () => {
  const statistics = new PingStatistics();
  statistics.transmitted = 3;
  statistics.reply(1, false);
  statistics.reply(1, false);
  assertEquals(statistics.summary("x", 0)[1], "3 packets transmitted, 2 received, 33.3333% packet loss, time 0ms");
});

Deno.test("a summary without replies has no round-trip times", () => {
  const statistics = new PingStatistics();
  statistics.transmitted = 2;
  statistics.errors = 2;
  assertEquals(statistics.summary("x", 1000), [
    "--- x ping statistics ---",
    "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1000ms",
  ]);
});

Deno.test("a summary before anything was sent has no loss", () => {
  assertEquals(new PingStatistics().summary("x", 0)[1], "0 packets transmitted, 0 received, time 0ms");
});

Deno.test("duplicates are counted apart and take part in the round-trip times", () => {
  const statistics = new PingStatistics();
  statistics.transmitted = 1;
  statistics.reply(1, false);
  statistics.reply(3, true);
  assertEquals(statistics.summary("x", 0).slice(1), [
    "1 packets transmitted, 1 received, +1 duplicates, 0% packet loss, time 0ms",
    "rtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms",
  ]);
});
