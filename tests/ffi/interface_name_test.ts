import { assertEquals, assertThrows } from "@std/assert";
import { decodeInterfaceName, encodeAlternativeName, encodeInterfaceName } from "../../ffi/interface_name.ts";

Deno.test("a name is padded with zeros to sixteen bytes", () => {
  assertEquals(encodeInterfaceName("tap0"), new Uint8Array([0x74, 0x61, 0x70, 0x30, ...new Array(12).fill(0)]));
});

Deno.test("a name of fifteen bytes comes back as it was", () => {
  assertEquals(decodeInterfaceName(encodeInterfaceName("fifteen-bytes-x")), "fifteen-bytes-x");
});

Deno.test("bytes count, not characters", () => {
  assertThrows(() => encodeInterfaceName("größergrößer"), TypeError, "it has 16 bytes, choose one of at most 15");
});

for (const name of ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "a\0b"]) {
  Deno.test(`${JSON.stringify(name)} is no interface name`, () => {
    assertThrows(() => encodeInterfaceName(name), TypeError, "as an interface name: choose 1 to 15 bytes");
  });
}

Deno.test("another name of an interface has at most 127 bytes, without slash and white space", () => {
  assertEquals(encodeAlternativeName("a:b"), new Uint8Array([0x61, 0x3a, 0x62, 0]));
  assertEquals(encodeAlternativeName("x".repeat(127)).length, 128);
  for (const name of ["", "a b", "a/b", "x".repeat(128)]) {
    assertThrows(() => encodeAlternativeName(name), TypeError, `Cannot use "${name}" as an interface's other name`);
  }
});
