import { assertEquals, assertThrows } from "@std/assert";
import {
  NetlinkFlag,
  NetlinkRequest,
  NetlinkType,
  parseAttributes,
  parseNetlinkError,
  parseNetlinkMessages,
} from "../../ffi/netlink_message.ts";

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** A message with its header, as the kernel sends it. */
function message(type: number, flags: number, sequence: number, payload: readonly number[]): number[] {
  const length = 16 + payload.length;
  const padding = new Array<number>((4 - length % 4) % 4).fill(0);
  return [length, 0, 0, 0, type, 0, flags & 0xff, flags >> 8, sequence, 0, 0, 0, 0, 0, 0, 0, ...payload, ...padding];
}

Deno.test("a request has its length, type, flags and sequence number in front", () => {
  const request = new NetlinkRequest(18, NetlinkFlag.acknowledge).structure([1, 2, 3, 4]);
  assertEquals(hex(request.finish(7)), "14 00 00 00 12 00 05 00 07 00 00 00 00 00 00 00 01 02 03 04");
});

Deno.test("an attribute is padded to four bytes, and its length does not count the padding", () => {
  const bytes = new NetlinkRequest(16, 0).attribute(3, [0x61, 0]).attributeUint32(4, 1500).finish(1);
  assertEquals(hex(bytes.subarray(16)), "06 00 03 00 61 00 00 00 08 00 04 00 dc 05 00 00");
  assertEquals(bytes[0], bytes.length);
});

Deno.test("a request grows with its attributes", () => {
  const request = new NetlinkRequest(16, 0);
  for (let type = 1; type <= 100; type++) request.attribute(type, new Uint8Array(20).fill(type));
  const attributes = parseAttributes(request.finish(1).subarray(16), 0);
  assertEquals(attributes.size, 100);
  assertEquals(attributes.get(100), new Uint8Array(20).fill(100));
});

Deno.test("a request can be finished again with another sequence number", () => {
  const request = new NetlinkRequest(18, NetlinkFlag.dump).structure([0, 0, 0, 0]);
  request.finish(1);
  const [again] = parseNetlinkMessages(request.finish(2));
  assertEquals(again?.sequence, 2);
  assertEquals(again?.payload.length, 4);
});

Deno.test("one datagram holds several messages", () => {
  const messages = parseNetlinkMessages(
    new Uint8Array([...message(16, NetlinkFlag.multi, 5, [1, 2, 3]), ...message(NetlinkType.done, 2, 5, [0, 0, 0, 0])]),
  );
  assertEquals(messages.map(({ type, flags, sequence }) => [type, flags, sequence]), [[16, 2, 5], [3, 2, 5]]);
  assertEquals(messages[0]?.payload, new Uint8Array([1, 2, 3]));
});

Deno.test("a message that is longer than its datagram is refused", () => {
  const cut = new Uint8Array(message(16, 0, 5, [1, 2, 3, 4])).subarray(0, 18);
  assertThrows(() => parseNetlinkMessages(cut), RangeError, "its length is 20, 18 are there");
});

Deno.test("a message that is shorter than its own header is refused", () => {
  const bytes = new Uint8Array(message(16, 0, 5, []));
  bytes[0] = 15;
  assertThrows(() => parseNetlinkMessages(bytes), RangeError, "its length is 15");
});

Deno.test("reading attributes ends at one that does not fit", () => {
  const attributes = parseAttributes(new Uint8Array([5, 0, 1, 0, 9, 0, 0, 0, 99, 0, 2, 0, 1, 1]), 0);
  assertEquals([...attributes], [[1, new Uint8Array([9])]]);
  assertEquals(parseAttributes(new Uint8Array([3, 0, 1, 0]), 0).size, 0);
});

Deno.test("the bits for nested and network byte order are no part of an attribute's type", () => {
  assertEquals([...parseAttributes(new Uint8Array([4, 0, 9, 0xc0]), 0).keys()], [9]);
});

Deno.test("an error message with errno 0 is an acknowledgement", () => {
  const [answer] = parseNetlinkMessages(new Uint8Array(message(NetlinkType.error, 0, 1, [0, 0, 0, 0])));
  assertEquals(parseNetlinkError(answer!), { errno: 0, text: undefined });
});

Deno.test("an error message has a negative errno and, behind the quoted request, the kernel's words", () => {
  const quoted = message(20, 5, 1, [1, 2, 3, 4]);
  const text = [8, 0, 1, 0, 0x4e, 0x6f, 0x21, 0];
  const full = message(NetlinkType.error, NetlinkFlag.acknowledgeAttributes, 1, [
    0xef,
    255,
    255,
    255,
    ...quoted,
    ...text,
  ]);
  assertEquals(parseNetlinkError(parseNetlinkMessages(new Uint8Array(full))[0]!), { errno: 17, text: "No!" });

  const flags = NetlinkFlag.acknowledgeAttributes | NetlinkFlag.capped;
  const capped = message(NetlinkType.error, flags, 1, [0xef, 255, 255, 255, ...quoted.slice(0, 16), ...text]);
  assertEquals(parseNetlinkError(parseNetlinkMessages(new Uint8Array(capped))[0]!), { errno: 17, text: "No!" });
});
