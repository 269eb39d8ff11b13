import { assertEquals, assertThrows } from "@std/assert";
import { type NetlinkMessage, NetlinkRequest, parseNetlinkMessages, uint32Bytes } from "../../ffi/netlink_message.ts";
import {
  addAddressRequest,
  addAlternativeNameRequest,
  addRouteRequest,
  changeLinkRequest,
  getLinkRequest,
  parseAddress,
  parseLink,
  parseRoute,
  removeAlternativeNameRequest,
  removeRouteRequest,
} from "../../ffi/rtnetlink_message.ts";
import { IpAddress, IpPrefix } from "../../stack/address.ts";

/** Everything behind the message header, in hexadecimal. */
function body(request: NetlinkRequest): string {
  return Array.from(request.finish(1).subarray(16), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** What the kernel would send: a request's bytes read as an answer. */
function answer(type: number, structure: readonly number[], attributes: [number, ArrayLike<number>][]): NetlinkMessage {
  const request = new NetlinkRequest(type, 0).structure(structure);
  for (const [attribute, value] of attributes) request.attribute(attribute, value);
  return parseNetlinkMessages(request.finish(1))[0]!;
}

const routeTo = (length: number) => [2, length, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];

Deno.test("switching an interface on touches no other flag", () => {
  assertEquals(body(changeLinkRequest(3, { up: true })), "00 00 00 00 03 00 00 00 01 00 00 00 01 00 00 00");
  assertEquals(body(changeLinkRequest(3, { up: false })), "00 00 00 00 03 00 00 00 00 00 00 00 01 00 00 00");
});

Deno.test("setting the MTU and the queue length leaves the switch alone", () => {
  assertEquals(
    body(changeLinkRequest(3, { mtu: 1400, txQueueLength: 100 })),
    "00 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00 08 00 04 00 78 05 00 00 08 00 0d 00 64 00 00 00",
  );
});

Deno.test("another name of an interface stands in a list of properties, with a zero byte behind", () => {
  const head = "00 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00";
  const list = "0c 00 34 80 06 00 35 00 61 00 00 00";
  assertEquals(body(addAlternativeNameRequest(3, "a")), `${head} ${list}`);
  assertEquals(body(removeAlternativeNameRequest(3, "a")), `${head} ${list}`);
});

Deno.test("a router of another family than the destination, or on no subnet, is said so", () => {
  const destination = IpPrefix.parse("10.0.0.0/8");
  const request = addRouteRequest({ destination, gateway: IpAddress.parse("fe80::1"), onLink: true });
  assertEquals(
    body(request),
    "02 08 00 00 fe 04 00 01 04 00 00 00 08 00 0f 00 fe 00 00 00 08 00 01 00 0a 00 00 00 " +
      "16 00 12 00 0a 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00",
  );
  const route = parseRoute(answer(24, [2, 0, 0, 0, 254, 3, 0, 1, 4, 0, 0, 0], [[5, [172, 31, 1, 1]]]))!;
  assertEquals([route.onLink, parseRoute(answer(24, routeTo(0), []))!.onLink], [true, false]);
});

Deno.test("an interface is asked for by name only if it can have it", () => {
  assertThrows(() => getLinkRequest("sixteen-bytes-xx"), TypeError, "it has 16 bytes, choose one of at most 15");
});

Deno.test("an IPv4 address carries its subnet's broadcast address", () => {
  assertEquals(
    body(addAddressRequest({ index: 2, prefix: IpPrefix.parse("10.0.0.1/24") })),
    "02 18 00 00 02 00 00 00 08 00 02 00 0a 00 00 01 08 00 01 00 0a 00 00 01 08 00 04 00 0a 00 00 ff",
  );
});

Deno.test("with a peer, the peer's address stands where the subnet's did", () => {
  const peer = IpAddress.parse("10.1.1.2");
  assertEquals(
    body(addAddressRequest({ index: 2, prefix: IpPrefix.parse("10.1.1.1"), peer })),
    "02 20 00 00 02 00 00 00 08 00 02 00 0a 01 01 01 08 00 01 00 0a 01 01 02",
  );
});

Deno.test("an IPv6 address can go without duplicate address detection", () => {
  const request = addAddressRequest({ index: 2, prefix: IpPrefix.parse("fd00::1/64"), duplicateDetection: false });
  assertEquals(body(request).slice(0, 23), "0a 40 02 00 02 00 00 00");
});

Deno.test("a route to a subnet names the subnet without host bits, with link scope where there is no gateway", () => {
  assertEquals(
    body(addRouteRequest({ destination: IpPrefix.parse("10.2.3.4/16"), index: 2 })),
    "02 10 00 00 fe 04 fd 01 00 00 00 00 08 00 0f 00 fe 00 00 00 08 00 01 00 0a 02 00 00 08 00 04 00 02 00 00 00",
  );
});

Deno.test("a default route names no destination, and a gateway makes its scope global", () => {
  const destination = IpPrefix.parse("0.0.0.0/0");
  assertEquals(
    body(addRouteRequest({ destination, gateway: IpAddress.parse("10.0.0.1") })),
    "02 00 00 00 fe 04 00 01 00 00 00 00 08 00 0f 00 fe 00 00 00 08 00 05 00 0a 00 00 01",
  );
});

Deno.test("a table above 255 stands in its attribute alone", () => {
  const request = addRouteRequest({ destination: IpPrefix.parse("10.0.0.0/8"), index: 1, table: 1000 });
  assertEquals(body(request).slice(12, 14), "00");
  assertEquals(body(request).slice(36, 59), "08 00 0f 00 e8 03 00 00");
});

Deno.test("a route is removed whoever added it and whatever its scope is", () => {
  const request = removeRouteRequest({ destination: IpPrefix.parse("10.0.0.0/8"), index: 1 });
  assertEquals(body(request).slice(15, 23), "00 ff 00");
});

Deno.test("a link is read with its switches, name and Ethernet address", () => {
  const link = parseLink(answer(16, [0, 0, 1, 0, 7, 0, 0, 0, 0x03, 0x11, 1, 0, 0, 0, 0, 0], [
    [3, [0x74, 0x61, 0x70, 0x30, 0]],
    [1, [2, 0, 0, 0, 0, 9]],
    [4, uint32Bytes(1400)],
    [13, uint32Bytes(100)],
    [52 | 0x8000, [5, 0, 53, 0, 0x61, 0, 0, 0, 6, 0, 53, 0, 0x62, 0, 0, 0]],
  ]))!;
  assertEquals({ ...link, mac: String(link.mac) }, {
    index: 7,
    name: "tap0",
    alternativeNames: ["a", "b"],
    mac: "02:00:00:00:00:09",
    mtu: 1400,
    txQueueLength: 100,
    up: true,
    running: true,
    loopback: false,
    promiscuous: true,
  });
});

Deno.test("an interface that is no Ethernet has no Ethernet address", () => {
  const loopback = answer(16, [0, 0, 4, 3, 1, 0, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0], [[1, [0, 0, 0, 0, 0, 0]]]);
  assertEquals(parseLink(loopback)?.mac, null);
  assertEquals(parseLink(loopback)?.loopback, true);
});

Deno.test("an address without a peer has the same local and far address, or the far one alone", () => {
  const both = parseAddress(answer(20, [2, 24, 0, 0, 2, 0, 0, 0], [[1, [10, 0, 0, 1]], [2, [10, 0, 0, 1]]]))!;
  assertEquals([String(both.prefix), both.peer, both.index], ["10.0.0.1/24", null, 2]);
  const bytes = IpAddress.parse("fd00::1").bytes;
  assertEquals(String(parseAddress(answer(20, [10, 64, 0, 0, 2, 0, 0, 0], [[1, bytes]]))?.prefix), "fd00::1/64");
});

Deno.test("an address with a peer is the local one", () => {
  const address = parseAddress(answer(20, [2, 32, 0, 0, 2, 0, 0, 0], [[1, [10, 1, 1, 2]], [2, [10, 1, 1, 1]]]))!;
  assertEquals([String(address.prefix), String(address.peer)], ["10.1.1.1/32", "10.1.1.2"]);
});

Deno.test("a route is read with gateway, interface, metric, source and table", () => {
  const route = parseRoute(answer(24, routeTo(8), [
    [1, [10, 0, 0, 0]],
    [5, [192, 0, 2, 1]],
    [4, uint32Bytes(3)],
    [6, uint32Bytes(100)],
    [7, [192, 0, 2, 9]],
    [15, uint32Bytes(1000)],
  ]))!;
  assertEquals(String(route.destination), "10.0.0.0/8");
  assertEquals([String(route.gateway), String(route.source)], ["192.0.2.1", "192.0.2.9"]);
  assertEquals([route.index, route.metric, route.table], [3, 100, 1000]);
});

Deno.test("the default route leads to 0.0.0.0/0", () => {
  const route = parseRoute(answer(24, routeTo(0), [[5, [192, 0, 2, 1]], [4, uint32Bytes(3)]]))!;
  assertEquals([String(route.destination), route.metric, route.table], ["0.0.0.0/0", 0, 254]);
});

Deno.test("of several next hops the first stands for all", () => {
  const hop = (router: number) => [16, 0, 0, 0, router, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, router];
  const route = parseRoute(answer(24, routeTo(0), [[9, [...hop(7), ...hop(8)]]]))!;
  assertEquals([String(route.gateway), route.index], ["192.0.2.7", 7]);
});

Deno.test("an IPv4 route can have an IPv6 gateway", () => {
  const gateway = IpAddress.parse("fe80::1");
  const route = parseRoute(answer(24, routeTo(0), [[18, [10, 0, ...gateway.bytes]], [4, uint32Bytes(3)]]))!;
  assertEquals(String(route.gateway), "fe80::1");
});

Deno.test("broadcast routes, other families and other messages are passed over", () => {
  assertEquals(parseRoute(answer(24, [2, 32, 0, 0, 255, 2, 253, 3, 0, 0, 0, 0], [])), null);
  assertEquals(parseRoute(answer(24, [7, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0], [])), null);
  assertEquals(parseAddress(answer(24, [2, 24, 0, 0, 2, 0, 0, 0], [[1, [10, 0, 0, 1]]])), null);
  assertEquals(parseLink(answer(16, [0, 0, 1, 0], [])), null);
});
