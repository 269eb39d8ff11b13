import { assertEquals, assertMatch } from "@std/assert";
import { checkNumber, checkPort, parseHostname } from "../../stack/socket/options.ts";
import { assertThrowsNamed } from "../helpers/errors.ts";

Deno.test("a hostname is an IP address, in brackets if it is IPv6, or localhost", () => {
  const parsed = ["192.0.2.1", "2001:db8::1", "[2001:db8::1]", "localhost"].map((text) => String(parseHostname(text)));
  assertEquals(parsed, ["192.0.2.1", "2001:db8::1", "2001:db8::1", "127.0.0.1"]);
});

Deno.test("any other hostname is refused with what to do about it", () => {
  for (const text of ["example.com", "", "1.2.3", "[192.0.2.1]", "[::1", "localhost."]) {
    const { message } = assertThrowsNamed("TypeError", () => parseHostname(text));
    assertMatch(message, /^Cannot use ".*" as a hostname: give an IP address, or resolve the name first$/);
  }
});

Deno.test("a port is a whole number in its range", () => {
  assertEquals([checkPort(0, 0), checkPort(1, 1), checkPort(65535, 1)], [0, 1, 65535]);
  const { message } = assertThrowsNamed("TypeError", () => checkPort("80" as unknown as number, 1));
  assertEquals(message, 'Cannot use "80" as a port: it must be a whole number from 1 to 65535');
  for (const port of [-1, 65536]) assertThrowsNamed("RangeError", () => checkPort(port, 0));
  assertThrowsNamed("RangeError", () => checkPort(0, 1));
});

Deno.test("a number names what it is for", () => {
  const { message } = assertThrowsNamed("RangeError", () => checkNumber("a TTL", 256, 1, 255));
  assertEquals(message, "Cannot use 256 as a TTL: it must be a whole number from 1 to 255");
});
