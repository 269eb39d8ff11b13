import { assert, assertEquals, assertFalse, assertStrictEquals, assertThrows } from "@std/assert";
import { IpAddress, IpPrefix, MacAddress } from "../stack/address.ts";
import { below, fill, SeededRandom } from "../stack/random.ts";

const ip = IpAddress.parse;
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

for (const text of ["0.0.0.0", "192.0.2.1", "255.255.255.255", "10.20.30.40"]) {
  Deno.test(`IPv4 ${text} reads and writes the same`, () => {
    const address = ip(text);
    assertEquals([address.family, address.bytes.length, address.toString()], [4, 4, text]);
    assertEquals([...address.bytes], text.split(".").map(Number));
    assert(IpAddress.fromUint32(address.words[0]!).equals(address));
  });
}

Deno.test("what is no address is refused with an example", () => {
  const refused = ["", " ", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", "a.b.c.d", "1..2.3"];
  refused.push(":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8");
  refused.push("12345::", "g::", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:::2", "fe80::1%eth0", "::1.2.3", "1.2.3.4::");
  refused.push("1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "[::1]", "::256.1.1.1");
  for (const text of refused) {
    assertEquals(IpAddress.tryParse(text), null, text);
    assertThrows(() => ip(text), TypeError, `Cannot parse "${text}" as an IP address: write it like 192.0.2.1`);
  }
});

// RFC 4291 section 2.2 and RFC 5952 sections 1, 2, 4 and 5.
const texts: [string, string][] = [
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
  ["FF01:0:0:0:0:0:0:101", "ff01::101"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["2001:0db8::0001", "2001:db8::1"],
  ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:aaaa:bbbb:cccc:dddd:eeee:AAAA", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["1:0:0:2:3:4:0:0", "1::2:3:4:0:0"],
  ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"],
  ["0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"],
  ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
  ["::FFFF:c000:0201", "::ffff:192.0.2.1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["::13.1.68.3", "::d01:4403"],
  ["::fffe:1.2.3.4", "::fffe:102:304"],
];
for (const [text, canonical] of texts) {
  Deno.test(`IPv6 ${text} is written ${canonical}`, () => {
    const address = ip(text);
    assertEquals([address.family, address.bytes.length, address.toString()], [6, 16, canonical]);
    assert(ip(canonical).equals(address));
  });
}

Deno.test("every IPv6 address reads back from its text, in the shortest form", () => {
  const random = new SeededRandom(1);
  for (let round = 0; round < 3000; round++) {
    const bytes = new Uint8Array(16);
    fill(random, bytes);
    for (let group = 0; group < 8; group++) {
      if (below(random, 2) === 0) bytes.fill(0, 2 * group, 2 * group + 2);
    }
    const address = IpAddress.fromBytes(bytes, 0, 6);
    const text = address.toString();
    assert(ip(text).equals(address), text);
    assertEquals([...ip(text).bytes], [...bytes]);
    assert(
      text.length <=
        Array.from({ length: 8 }, (_, group) => view(bytes).getUint16(2 * group).toString(16)).join(":").length,
    );
    assertEquals(new URL(`http://[${text}]`).hostname.toLowerCase().length > 0, true);
  }
});

Deno.test("an address from bytes is a copy of them", () => {
  const bytes = new Uint8Array([9, 10, 0, 0, 1, 9]);
  const address = IpAddress.fromBytes(bytes, 1, 4);
  bytes.fill(0);
  assertEquals(address.toString(), "10.0.0.1");
});

Deno.test("an address compares with others, and with bytes in a packet", () => {
  const address = ip("192.0.2.1");
  assert(address.equals(IpAddress.fromUint32(0xc000_0201)));
  assertFalse(address.equals(ip("192.0.2.2")));
  assertFalse(address.equals(ip("::ffff:192.0.2.1")));
  const packet = new Uint8Array([1, 192, 0, 2, 1, 192, 0, 2, 2]);
  assert(address.matches(view(packet), 1));
  assertFalse(address.matches(view(packet), 5));
  const address6 = ip("2001:db8::1");
  const bytes = address6.bytes.slice();
  assert(address6.matches(view(bytes), 0));
  for (const at of [0, 5, 10, 15]) {
    bytes[at]! ^= 1;
    assertFalse(address6.matches(view(bytes), 0));
    bytes[at]! ^= 1;
  }
});

Deno.test("words are the address in network order", () => {
  assertEquals(ip("255.0.2.1").words, [0xff00_0201]);
  assertEquals(ip("ffff:2:3:4:5:6:7:8").words, [0xffff_0002, 0x3_0004, 0x5_0006, 0x7_0008]);
});

Deno.test("the kinds of address are told apart at their borders", () => {
  const kinds = (text: string): string[] => {
    const address = ip(text);
    const all = ["isUnspecified", "isLoopback", "isMulticast", "isBroadcast", "isLinkLocal"] as const;
    return all.filter((kind) => address[kind]);
  };
  assertEquals(kinds("0.0.0.0"), ["isUnspecified"]);
  assertEquals(kinds("::"), ["isUnspecified"]);
  for (const text of ["127.0.0.0", "127.255.255.255", "::1"]) assertEquals(kinds(text), ["isLoopback"]);
  for (const text of ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"]) assertEquals(kinds(text), ["isMulticast"]);
  assertEquals(kinds("255.255.255.255"), ["isBroadcast"]);
  for (const text of ["169.254.0.0", "169.254.255.255", "fe80::", "febf::1"]) {
    assertEquals(kinds(text), ["isLinkLocal"]);
  }
  const ordinary = ["126.255.255.255", "128.0.0.0", "223.255.255.255", "240.0.0.0", "169.253.0.0", "169.255.0.0"];
  for (const text of [...ordinary, "::2", "fec0::", "fe7f::", "feff::"]) assertEquals(kinds(text), []);
  assertStrictEquals(IpAddress.unspecified(4), IpAddress.unspecified4);
  assertStrictEquals(IpAddress.unspecified(6), IpAddress.unspecified6);
});

Deno.test("a prefix reads and writes the same, host bits included", () => {
  for (const text of ["192.0.2.1/24", "0.0.0.0/0", "10.0.0.1/32", "2001:db8::1/64", "::/0", "::1/128"]) {
    assertEquals(IpPrefix.parse(text).toString(), text);
  }
  assertEquals(IpPrefix.parse("192.0.2.1").length, 32);
  assertEquals(IpPrefix.parse("::1").length, 128);
});

Deno.test("what is no prefix is refused with an example", () => {
  for (
    const text of ["", "/24", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/2.5", "::/129", "1.2.3.4/24/8"]
  ) {
    assertThrows(() => IpPrefix.parse(text), TypeError, `Cannot parse "${text}" as an address block`);
  }
  for (const length of [-1, 33, 1.5, NaN]) {
    assertThrows(() => new IpPrefix(ip("192.0.2.1"), length), RangeError, `Cannot use ${length} as a prefix length`);
  }
});

Deno.test("a prefix contains what shares its leading bits, compared bit by bit", () => {
  const random = new SeededRandom(2);
  const bits = (address: IpAddress): string =>
    [...address.bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  for (const family of [4, 6] as const) {
    const size = family === 4 ? 32 : 128;
    for (let round = 0; round < 1000; round++) {
      const bytes = fill(random, new Uint8Array(size / 8));
      const address = IpAddress.fromBytes(bytes, 0, family);
      const bit = below(random, size);
      bytes[bit >>> 3]! ^= 0x80 >>> (bit & 7);
      const other = IpAddress.fromBytes(bytes, 0, family);
      const prefix = new IpPrefix(address, below(random, size + 1));
      const expected = bits(address).slice(0, prefix.length) === bits(other).slice(0, prefix.length);
      assertEquals(expected, bit >= prefix.length);
      assertEquals(prefix.contains(other), expected);
      assertEquals(prefix.containsAt(view(other.bytes), 0), expected);
      assertEquals(bits(prefix.network), bits(address).slice(0, prefix.length).padEnd(size, "0"));
      if (family === 4 && prefix.length <= 30) {
        assertEquals(bits(prefix.broadcast!), bits(address).slice(0, prefix.length).padEnd(size, "1"));
      }
    }
  }
});

Deno.test("a prefix contains nothing of the other family", () => {
  assertFalse(IpPrefix.parse("0.0.0.0/0").contains(ip("::")));
  assertFalse(IpPrefix.parse("::/0").contains(ip("0.0.0.0")));
});

Deno.test("network and broadcast of a subnet, and where there is no broadcast", () => {
  const prefix = IpPrefix.parse("192.0.2.77/27");
  assertEquals([prefix.network.toString(), prefix.broadcast!.toString()], ["192.0.2.64", "192.0.2.95"]);
  assertEquals(IpPrefix.parse("10.0.0.1/0").broadcast!.toString(), "255.255.255.255");
  for (const text of ["192.0.2.1/31", "192.0.2.1/32", "2001:db8::1/64"]) {
    assertEquals(IpPrefix.parse(text).broadcast, null);
  }
});

Deno.test("an Ethernet address reads colons, dashes and capitals, and writes small letters", () => {
  for (const text of ["02:00:5e:10:AB:ff", "02-00-5E-10-ab-FF"]) {
    assertEquals(MacAddress.parse(text).toString(), "02:00:5e:10:ab:ff");
  }
  const address = MacAddress.parse("02:00:5e:10:ab:ff");
  assertEquals([address.high16, address.low32], [0x0200, 0x5e10_abff]);
  assertEquals([...address.bytes], [2, 0, 0x5e, 0x10, 0xab, 0xff]);
});

Deno.test("what is no Ethernet address is refused with an example", () => {
  for (
    const text of ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "2:0:0:0:0:0", "0g:00:00:00:00:00", "020000000000"]
  ) {
    assertThrows(() => MacAddress.parse(text), TypeError, `Cannot parse "${text}" as an Ethernet address`);
  }
});

Deno.test("an Ethernet address compares with others, and with bytes in a frame", () => {
  const bytes = new Uint8Array([0, 0x02, 0, 0, 0, 0, 0xff]);
  const address = MacAddress.fromBytes(bytes, 1);
  assert(address.equals(MacAddress.parse("02:00:00:00:00:ff")));
  assertFalse(address.equals(MacAddress.parse("02:00:00:00:00:fe")));
  assertFalse(address.equals(MacAddress.parse("03:00:00:00:00:ff")));
  assert(address.matches(view(bytes), 1));
  bytes[1] = 3;
  assertFalse(address.matches(view(bytes), 1));
  assertEquals(address.toString(), "02:00:00:00:00:ff");
});

Deno.test("group addresses are told from those of one station", () => {
  assert(MacAddress.broadcast.isGroup);
  assert(MacAddress.parse("01:00:5e:00:00:01").isGroup);
  assertFalse(MacAddress.parse("02:00:5e:00:00:01").isGroup);
});

Deno.test("a local address is unicast and locally administered, whatever the random bits", () => {
  const random = new SeededRandom(3);
  const seen = new Set<string>();
  for (let round = 0; round < 1000; round++) {
    const address = MacAddress.local(random.uint32(), random.uint32());
    assertEquals(address.bytes[0]! & 3, 2);
    seen.add(address.toString());
  }
  assertEquals(seen.size, 1000);
  assertEquals(MacAddress.local(0x0102_0304, 0xff05).toString(), "fe:05:01:02:03:04");
});
