import { assertEquals, assertThrows } from "@std/assert";
import { InvalidValue } from "../../apps/cli.ts";
import { logLevel } from "../../apps/logging.ts";
import {
  bitRate,
  duration,
  hostAddress,
  interfaceAddress,
  interfaceName,
  percentage,
  port,
  stationAddress,
  wholeNumber,
} from "../../apps/values.ts";

function assertRefused(parse: (text: string) => unknown, texts: string[], remedy: string): void {
  for (const text of texts) assertThrows(() => parse(text), InvalidValue, remedy, `"${text}" should be refused`);
}

Deno.test("a whole number lies within its bounds", () => {
  assertEquals([wholeNumber(0, 5)("0"), wholeNumber(0, 5)("5")], [0, 5]);
  assertRefused(
    wholeNumber(0, 5),
    ["6", "-1", "1.5", "1e0", "0x1", "", " 1", "five"],
    "give a whole number from 0 to 5",
  );
  assertRefused(wholeNumber(1, Infinity), ["0"], "give a whole number from 1");
});

Deno.test("a port goes from 1 to 65535", () => {
  assertEquals([port("1"), port("65535")], [1, 65535]);
  assertRefused(port, ["0", "65536", "http"], "give a whole number from 1 to 65535");
});

Deno.test("a duration is seconds, or has its unit", () => {
  const expected: [string, number][] = [
    ["1", 1000],
    ["0.2", 200],
    [".5", 500],
    ["2.", 2000],
    ["200ms", 200],
    ["1.5s", 1500],
    ["2m", 120_000],
    ["1h", 3_600_000],
  ];
  for (const [text, milliseconds] of expected) assertEquals(duration(0)(text), milliseconds, text);
});

Deno.test("a duration that is no number, too short or beyond a timer's reach is refused", () => {
  assertRefused(
    duration(1),
    ["", ".", "-1", "1 s", "1d", "s", "0.0001", "0", "600h"],
    "give seconds, or a number with",
  );
});

Deno.test("an interface address has a prefix length", () => {
  assertEquals(String(interfaceAddress("192.0.2.1/24")), "192.0.2.1/24");
  assertEquals(String(interfaceAddress("192.0.2.0/31")), "192.0.2.0/31");
  assertEquals(String(interfaceAddress("192.0.2.7/32")), "192.0.2.7/32");
  assertRefused(interfaceAddress, ["192.0.2.1"], "the prefix length is missing");
  assertRefused(interfaceAddress, ["192.0.2.1/0"], "a network cannot be everything");
  assertRefused(interfaceAddress, ["192.0.2/24", "192.0.2.256/24", "192.0.2.1/33", "tap0", ""], "write it like");
  assertRefused(interfaceAddress, ["2001:db8::1/64"], "this program speaks IPv4");
});

Deno.test("an address that no interface can have is refused", () => {
  assertRefused(interfaceAddress, ["0.0.0.0/8", "127.0.0.1/8", "224.0.0.1/4", "255.255.255.255/32"], "can have");
  assertRefused(interfaceAddress, ["192.0.2.0/24", "192.0.2.255/24"], "the network's own or its broadcast address");
});

Deno.test("a host is an IPv4 address or localhost", () => {
  assertEquals(String(hostAddress("192.0.2.1")), "192.0.2.1");
  assertEquals(String(hostAddress("localhost")), "127.0.0.1");
  assertRefused(hostAddress, ["example.com", "::1", "192.0.2.01", "1"], "names are not resolved here");
});

Deno.test("a station's Ethernet address is put into the usual form", () => {
  assertEquals(stationAddress("02-00-00-00-00-AB"), "02:00:00:00:00:ab");
  assertRefused(stationAddress, ["02:00:00:00:00", "02:00:00:00:00:zz", ""], "write it like");
  assertRefused(stationAddress, ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"], "that is a group's address");
  assertRefused(stationAddress, ["00:00:00:00:00:00"], "not all zeros");
});

Deno.test("an interface's name is what Linux allows", () => {
  assertEquals(interfaceName("tap0"), "tap0");
  assertEquals(interfaceName("x".repeat(15)), "x".repeat(15));
  assertRefused(interfaceName, ["x".repeat(16)], "the name has 16 bytes, Linux allows 15");
  assertRefused(interfaceName, ["é".repeat(8)], "the name has 16 bytes, Linux allows 15");
  assertRefused(interfaceName, ["", ".", "..", "a/b", "a b", "tap%d", "a:b"], "give an interface's name");
});

Deno.test("a log level is one of four", () => {
  assertEquals(logLevel.parse("debug"), "debug");
  assertRefused(
    (text) => logLevel.parse(text),
    ["", "verbose", "DEBUG", "constructor"],
    "give one of debug, info, warn, error",
  );
});

Deno.test("a percentage is a share from 0 to 1", () => {
  assertEquals(["0%", "2%", "0.5%", ".1%", "100%"].map(percentage), [0, 0.02, 0.005, 0.001, 1]);
  assertRefused(percentage, ["2", "0.02", "-1%", "101%", "%", "1%%", "1e1%"], "give a percentage");
});

Deno.test("a bit rate has its unit", () => {
  assertEquals(["8bit", "64kbit", "1.5mbit", "10Mbit", "1gbit"].map(bitRate), [8, 64_000, 1.5e6, 1e7, 1e9]);
  assertRefused(bitRate, ["10", "10m", "0bit", "0.5bit", "-1mbit", "2000gbit", "10mbps"], "give bits per second");
});
