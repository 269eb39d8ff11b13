import { assert, assertEquals } from "@std/assert";
import { IpAddress, IpPrefix, MacAddress, SeededRandom } from "../../../mod.ts";
import { MessageType, OptionCode } from "../../../stack/dhcp_format.ts";
import { below } from "../../../stack/random.ts";
import { describeDhcp } from "../../../stack/describe/dhcp.ts";
import { leaseFrom } from "../../../stack/application/dhcp/lease.ts";
import { decodeMessage, type DhcpMessageParts, encodeMessage } from "../../../stack/application/dhcp/message.ts";
import {
  addressBytes,
  addressesOf,
  addressOf,
  maskLength,
  maskOf,
  routeBytes,
  routesOf,
  secondsBytes,
  secondsOf,
  textBytes,
  textOf,
  uint16Bytes,
  uint16Of,
  uint8Of,
} from "../../../stack/application/dhcp/options.ts";

const ip = (text: string) => IpAddress.parse(text);
const mac = MacAddress.parse("02:00:00:00:00:07");

const parts: DhcpMessageParts = {
  operation: 2,
  type: MessageType.ack,
  transaction: 0xdead_beef,
  seconds: 7,
  broadcast: true,
  clientAddress: ip("10.0.0.1"),
  yourAddress: ip("10.0.0.2"),
  relayAddress: ip("10.0.0.3"),
  clientHardware: mac,
  options: new Map([
    [OptionCode.serverIdentifier, addressBytes(ip("10.0.0.4"))],
    [OptionCode.leaseTime, secondsBytes(600)],
    [OptionCode.domainName, textBytes("test")],
    [OptionCode.interfaceMtu, uint16Bytes(1400)],
  ]),
};

function withOptions(...bytes: number[]): Uint8Array {
  const message = encodeMessage({ ...parts, options: new Map() });
  message.set([...bytes, OptionCode.end], 243);
  return message;
}

Deno.test("a message that is written is read the same", () => {
  const message = decodeMessage(encodeMessage(parts))!;
  const { clientAddress, yourAddress, relayAddress, clientHardware, ...rest } = message;
  assertEquals([clientAddress, yourAddress, relayAddress].join(), "10.0.0.1,10.0.0.2,10.0.0.3");
  assertEquals(String(clientHardware), String(mac));
  const { operation, type, transaction, seconds, broadcast, options } = parts;
  assertEquals(rest, { operation, type, transaction, seconds: seconds!, broadcast: broadcast!, options });
});

Deno.test("a message has BOOTP's 300 bytes at least, and the form that others read", () => {
  const bytes = encodeMessage(parts);
  assertEquals(bytes.length, 300);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { text } = describeDhcp({ view, at: 0, end: bytes.length, available: bytes.length })!;
  assertEquals(text, "DHCP Ack, xid 0xdeadbeef, to 02:00:00:00:00:07, address 10.0.0.2");
});

Deno.test("seconds stop at what the field holds", () => {
  assertEquals(decodeMessage(encodeMessage({ ...parts, seconds: 1e6 }))!.seconds, 65535);
});

Deno.test("options for which there is no room are left out, and the others stay", () => {
  const options = new Map([
    [200, new Uint8Array(255)],
    [201, new Uint8Array(255)],
    [OptionCode.domainName, textBytes("test")],
  ]);
  const bytes = encodeMessage({ ...parts, options });
  assert(bytes.length <= 548);
  assertEquals([...decodeMessage(bytes)!.options.keys()], [200, OptionCode.domainName]);
});

Deno.test("long options are split and joined (RFC 3396)", () => {
  const value = Uint8Array.from({ length: 290 }, (_, index) => index);
  const bytes = encodeMessage({ ...parts, options: new Map([[121, value]]) });
  assertEquals(decodeMessage(bytes)!.options.get(121), value);
  assertEquals(bytes.slice(243, 245), new Uint8Array([121, 255]));
});

Deno.test("options continue in the fields of the server's name and the boot file", () => {
  const bytes = withOptions(OptionCode.overload, 1, 3, 61, 1, 1);
  bytes.set([61, 1, 2, OptionCode.end, 99], 108);
  bytes.set([OptionCode.pad, 61, 1, 3, OptionCode.end], 44);
  const { options } = decodeMessage(bytes)!;
  assertEquals([...options], [[61, new Uint8Array([1, 2, 3])]]);
  bytes.set([61, 200], 44);
  assertEquals(decodeMessage(bytes), null);
});

Deno.test("what is none of DHCP's messages is none", () => {
  const good = encodeMessage(parts);
  const changed = (at: number, value: number) => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  const bad = {
    "nothing": new Uint8Array(0),
    "cut off before the options": good.subarray(0, 239),
    "no type": good.subarray(0, 240),
    "an unknown operation": changed(0, 3),
    "not Ethernet": changed(1, 6),
    "hardware addresses of 16 bytes": changed(2, 16),
    "another cookie": changed(236, 0),
    "an unknown type": changed(242, 9),
    "type 0": changed(242, 0),
    "an option that is cut off": withOptions(1, 255),
  };
  for (const [what, bytes] of Object.entries(bad)) assertEquals(decodeMessage(bytes), null, what);
  assertEquals(decodeMessage(good)!.type, MessageType.ack);
});

Deno.test("an option of another length than it should have says nothing", () => {
  const options = new Map([[1, new Uint8Array(3)], [2, new Uint8Array(0)], [3, new Uint8Array([0, 0])]]);
  assertEquals([uint8Of(options, 1), uint16Of(options, 1), secondsOf(options, 1), addressOf(options, 1)], [
    null,
    null,
    null,
    null,
  ]);
  assertEquals([addressesOf(options, 1), addressesOf(options, 2), addressesOf(options, 9)], [[], [], []]);
  assertEquals([textOf(options, 2), textOf(options, 3), textOf(options, 9)], [null, null, null]);
});

Deno.test("texts are printable, and end before their zeros", () => {
  const text = (value: string) => textOf(new Map([[15, textBytes(value)]]), 15);
  assertEquals([text("a.test\0\0"), text("two words"), text("a\nb"), text("\x1b[2J"), text("ä")], [
    "a.test",
    "two words",
    null,
    null,
    null,
  ]);
});

Deno.test("all ones is a time for ever, both ways", () => {
  assertEquals(secondsBytes(Infinity), new Uint8Array(4).fill(255));
  assertEquals(secondsOf(new Map([[51, secondsBytes(Infinity)]]), 51), Infinity);
  assertEquals(secondsOf(new Map([[51, secondsBytes(1.9)]]), 51), 1);
});

Deno.test("masks have their ones in front", () => {
  for (let length = 0; length <= 32; length++) {
    assertEquals(maskLength(maskOf(new IpPrefix(ip("10.0.0.1"), length))), length);
  }
  for (const text of ["255.0.255.0", "0.0.0.255", "255.255.255.253"]) assertEquals(maskLength(ip(text)), null);
});

Deno.test("classless routes are written as in the table of RFC 3442", () => {
  const read = (...bytes: number[]) =>
    routesOf(new Map([[121, new Uint8Array(bytes)]]))?.map(({ prefix, gateway }) => `${prefix} ${gateway}`) ?? null;
  assertEquals(read(0, 10, 0, 0, 1), ["0.0.0.0/0 10.0.0.1"]);
  assertEquals(read(8, 10, 1, 2, 3, 4), ["10.0.0.0/8 1.2.3.4"]);
  assertEquals(read(25, 10, 229, 0, 128, 1, 2, 3, 4), ["10.229.0.128/25 1.2.3.4"]);
  assertEquals(read(32, 10, 198, 122, 47, 0, 0, 0, 0), ["10.198.122.47/32 null"]);
  // Bits beyond the mask are none of the destination's (RFC 3442).
  assertEquals(read(9, 10, 255, 1, 2, 3, 4), ["10.128.0.0/9 1.2.3.4"]);
  for (const bad of [[], [33, 1, 2, 3, 4, 5, 6, 7, 8, 9], [24, 10, 0, 0, 1, 2, 3], [0, 1, 2, 3, 4, 8]]) {
    assertEquals(read(...bad), null);
  }
  const routes = [{ prefix: IpPrefix.parse("10.17.0.0/16"), gateway: ip("10.0.0.9") }];
  assertEquals([...routeBytes(routes)], [16, 10, 17, 10, 0, 0, 9]);
});

Deno.test("ten thousand mutated messages are read or refused, and never throw", () => {
  const random = new SeededRandom(2131);
  const good = encodeMessage({
    ...parts,
    options: new Map([...parts.options, [121, routeBytes([{ prefix: IpPrefix.parse("10.9.0.0/16"), gateway: null }])]]),
  });
  let read = 0;
  let leases = 0;
  for (let round = 0; round < 10_000; round++) {
    const bytes = good.slice(0, below(random, 4) === 0 ? below(random, good.length + 1) : good.length);
    for (let changes = below(random, 8); changes > 0 && bytes.length > 0; changes--) {
      // Most changes where the structure is.
      const at = below(random, 3) === 0
        ? below(random, bytes.length)
        : Math.min(bytes.length - 1, 236 + below(random, 64));
      bytes[at] = below(random, 256);
    }
    const message = decodeMessage(bytes);
    if (message === null) continue;
    read++;
    const lease = leaseFrom(message, 0);
    if (lease === null) continue;
    leases++;
    assert(lease.renewalTime < lease.rebindingTime || lease.leaseTime === Infinity);
    assert(lease.rebindingTime < lease.leaseTime || lease.leaseTime === Infinity);
    assert(lease.mtu === null || lease.mtu >= 576);
    for (const { prefix, gateway } of lease.routes) {
      assert(prefix.network.equals(prefix.address) && gateway !== undefined);
    }
  }
  assert(read > 1000 && leases > 100 && read < 10_000, `${read} read, ${leases} leases`);
});
