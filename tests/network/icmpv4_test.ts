import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress, IpPrefix } from "../../stack/address.ts";
import type { EchoListener } from "../../stack/network/icmpv4.ts";
import { ChecksumState } from "../../stack/packet.ts";
import { type ErrorEvent, ErrorKind, Verdict } from "../../stack/protocol.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import {
  echoMessage,
  ethernetFrame,
  icmpMessage,
  type Ipv4Fields,
  ipv4Packet,
  packetOf,
  pattern,
  plainChecksum,
  readIpv4,
  uint16,
} from "../helpers/packets.ts";

/** An echo listener that knows identifier 7 and keeps what it is told. */
class RecordingEcho implements EchoListener {
  readonly replies: Uint8Array[] = [];
  readonly errors: [kind: number, identifier: number][] = [];

  reply(packet: Parameters<EchoListener["reply"]>[0]): boolean {
    if (packet.view.getUint16(packet.transportAt + 4) !== 7) return false;
    this.replies.push(packet.bytes.slice(packet.transportAt, packet.tail));
    return true;
  }

  control({ kind, packet }: ErrorEvent): void {
    this.errors.push([kind, packet.view.getUint16(packet.transportAt + 4)]);
  }
}

function setUp(options: ConstructorParameters<typeof Ipv4Host>[0] = {}) {
  const echo = new RecordingEcho();
  const host = new Ipv4Host({ echo, ...options });
  const nic = host.addTun(["192.0.2.2/24"]);
  return {
    host,
    nic,
    echo,
    /** Lets an ICMP message arrive. */
    receive(message: Uint8Array, fields: Ipv4Fields = {}): Verdict {
      return host.receive(nic, ipv4Packet({ ...fields, protocol: 1 }, message));
    },
    /** Lets a packet arrive that nobody receives. */
    provoke(fields: Ipv4Fields, payload = pattern(8)): Verdict {
      return host.receive(nic, ipv4Packet({ protocol: 99, ...fields }, payload));
    },
    take: () => host.take(nic).map(readIpv4),
    counted(): Record<string, number> {
      return Object.fromEntries(Object.entries(host.counted()).filter(([name]) => name.startsWith("icmpv4.")));
    },
  };
}

/** A packet that we could have sent, as routers quote it. */
function quoted(fields: Ipv4Fields = {}, transport = pattern(8)): Uint8Array {
  return ipv4Packet({ source: "192.0.2.2", destination: "203.0.113.9", ...fields }, transport);
}

Deno.test("ICMP answers an echo request with the same identifier, sequence number and data", () => {
  const { host, receive, take, counted } = setUp();
  assertEquals(receive(echoMessage(8, 0x1234, 7, pattern(56)), { timeToLive: 3 }), Verdict.done);
  const [reply] = take();
  assertEquals(reply!.payload, echoMessage(0, 0x1234, 7, pattern(56)));
  assertEquals([reply!.source, reply!.destination, reply!.timeToLive], ["192.0.2.2", "192.0.2.1", 64]);
  assertEquals(counted(), { "icmpv4.received": 1, "icmpv4.echoAnswered": 1 });
  host.assertQuiet();
});

Deno.test("ICMP answers echo requests of every length, odd ones and empty ones included, with a right checksum", () => {
  const { host, receive, take } = setUp();
  for (const length of [0, 1, 2, 3, 55, 1471, 1472]) {
    receive(echoMessage(8, 1, length, pattern(length)));
    const [reply] = take();
    assertEquals([reply!.payload.length, plainChecksum(reply!.payload)], [8 + length, 0]);
  }
  host.assertQuiet();
});

Deno.test("ICMP answers an echo request whose checksum ends at either zero rightly", () => {
  const { host, receive, take } = setUp();
  for (let identifier = 0xf7f0; identifier <= 0xf800; identifier++) {
    receive(echoMessage(8, identifier, 0, new Uint8Array(0)));
    assertEquals(plainChecksum(take()[0]!.payload), 0);
  }
  host.assertQuiet();
});

Deno.test("ICMP answers from the address that was asked", () => {
  const { host, nic, receive, take } = setUp();
  host.addresses.add(nic, IpPrefix.parse("10.0.0.2/8"));
  receive(echoMessage(8, 1, 1, pattern(8)), { destination: "10.0.0.2" });
  assertEquals(take()[0]!.source, "10.0.0.2");
  host.assertQuiet();
});

Deno.test("ICMP answers over Ethernet in the frame that brought the request", () => {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"]);
  host.neighbors.addPermanent(nic, IpAddress.parse("192.0.2.1"), nic.mac!);
  const request = ipv4Packet({ protocol: 1 }, echoMessage(8, 1, 1, pattern(1472)));
  host.receive(nic, ethernetFrame(ownMac, peerMac, 0x0800, request));
  assertEquals(host.take(nic)[0]!.slice(34), echoMessage(0, 1, 1, pattern(1472)));
  host.assertQuiet();
});

for (const destination of ["255.255.255.255", "192.0.2.255", "224.0.0.1"]) {
  Deno.test(`ICMP does not answer an echo request to ${destination}`, () => {
    const { host, receive, take, counted } = setUp();
    assertEquals(receive(echoMessage(8, 1, 1, pattern(8)), { destination }), Verdict.dropped);
    assertEquals([take(), counted()["icmpv4.echoToMany"]], [[], 1]);
    host.assertQuiet();
  });
}

Deno.test("ICMP drops an echo request that it knows no way to answer", () => {
  const { host, receive, counted } = setUp();
  assertEquals(receive(echoMessage(8, 1, 1, pattern(8)), { source: "203.0.113.1" }), Verdict.dropped);
  assertEquals(counted()["icmpv4.noReplyPath"], 1);
  host.assertQuiet();
});

Deno.test("ICMP drops messages that are too short or damaged", () => {
  const { host, receive, counted } = setUp();
  for (const length of [0, 1, 7]) assertEquals(receive(pattern(length)), Verdict.dropped);
  const damaged = echoMessage(8, 1, 1, pattern(9));
  damaged[16]! ^= 1;
  assertEquals(receive(damaged), Verdict.dropped);
  assertEquals(counted(), { "icmpv4.received": 4, "icmpv4.truncated": 3, "icmpv4.badChecksum": 1 });
  host.assertQuiet();
});

Deno.test("ICMP does not sum what the device has verified", () => {
  const { host, nic } = setUp();
  const damaged = echoMessage(8, 1, 1, pattern(9));
  damaged[2]! ^= 1;
  const packet = packetOf(host.pool, ipv4Packet({ protocol: 1 }, damaged));
  packet.nic = nic.index;
  packet.checksum = ChecksumState.verified;
  assertEquals(nic.link.pop(packet), Verdict.done);
  host.assertQuiet();
});

for (
  const [type, code] of [[4, 0], [5, 1], [9, 0], [10, 0], [13, 0], [14, 0], [15, 0], [17, 0], [8, 1], [0, 5], [255, 0]]
) {
  Deno.test(`ICMP counts a message of type ${type} and code ${code}, and does nothing about it`, () => {
    const { host, receive, take, counted } = setUp();
    assertEquals(receive(icmpMessage(type!, code!, new Uint8Array(4), quoted())), Verdict.dropped);
    assertEquals([take(), counted()["icmpv4.unhandledType"]], [[], 1]);
    assertEquals(host.transport.told, []);
    host.assertQuiet();
  });
}

Deno.test("ICMP hands echo replies to whoever waits for them, and counts the others", () => {
  const { host, receive, echo, counted } = setUp();
  assertEquals(receive(echoMessage(0, 7, 1, pattern(8))), Verdict.done);
  assertEquals(receive(echoMessage(0, 8, 1, pattern(8))), Verdict.dropped);
  assertEquals(echo.replies, [echoMessage(0, 7, 1, pattern(8))]);
  assertEquals(counted(), { "icmpv4.received": 2, "icmpv4.echoReplies": 1, "icmpv4.strayReplies": 1 });
  host.assertQuiet();
});

for (
  const [type, code, kind] of [
    [3, 0, ErrorKind.networkUnreachable],
    [3, 1, ErrorKind.hostUnreachable],
    [3, 2, ErrorKind.protocolUnreachable],
    [3, 3, ErrorKind.portUnreachable],
    [3, 4, ErrorKind.packetTooBig],
    [3, 5, ErrorKind.hostUnreachable],
    [3, 6, ErrorKind.networkUnreachable],
    [3, 7, ErrorKind.hostUnreachable],
    [3, 8, ErrorKind.hostUnreachable],
    [3, 9, ErrorKind.prohibited],
    [3, 10, ErrorKind.prohibited],
    [3, 11, ErrorKind.networkUnreachable],
    [3, 12, ErrorKind.hostUnreachable],
    [3, 13, ErrorKind.prohibited],
    [3, 14, ErrorKind.prohibited],
    [3, 15, ErrorKind.prohibited],
    [11, 0, ErrorKind.timeExceeded],
    [11, 1, ErrorKind.timeExceeded],
    [12, 0, ErrorKind.parameterProblem],
  ] as const
) {
  Deno.test(`ICMP passes an error of type ${type} and code ${code} on to the transport that it is about`, () => {
    const { host, receive, counted } = setUp();
    const rest = concat([uint16(0), uint16(1400)]);
    assertEquals(receive(icmpMessage(type, code, rest, quoted()), { source: "203.0.113.254" }), Verdict.done);
    assertEquals(host.transport.told, [{
      kind,
      type,
      code,
      mtu: kind === ErrorKind.packetTooBig ? 1400 : 0,
      source: "192.0.2.2",
      destination: "203.0.113.9",
      transport: pattern(8),
    }]);
    assertEquals(counted(), { "icmpv4.received": 1, "icmpv4.errorsReceived": 1 });
    host.assertQuiet();
  });
}

Deno.test("ICMP finds the transport behind options of the quoted packet", () => {
  const { host, receive } = setUp();
  receive(icmpMessage(3, 3, new Uint8Array(4), quoted({ options: new Uint8Array(12) }, pattern(20))));
  assertEquals(host.transport.told[0]!.transport, pattern(20));
  host.assertQuiet();
});

for (
  const [what, quote] of [
    ["is cut short in the header", quoted().slice(0, 19)],
    ["has less than eight bytes of transport", quoted().slice(0, 27)],
    ["is of another version", quoted({ version: 6 })],
    ["has a header length that is too small", quoted({ headerWords: 4 })],
    ["has a header that reaches beyond the quote", quoted({ headerWords: 6 })],
    ["was not sent by us", quoted({ source: "192.0.2.7" })],
    ["is not a first fragment", quoted({ offset: 8 })],
  ] as const
) {
  Deno.test(`ICMP drops an error whose quoted packet ${what}`, () => {
    const { host, receive, counted } = setUp();
    assertEquals(receive(icmpMessage(3, 1, new Uint8Array(4), quote)), Verdict.dropped);
    assertEquals(counted(), { "icmpv4.received": 1, "icmpv4.badQuote": 1 });
    assertEquals(host.transport.told, []);
    host.assertQuiet();
  });
}

Deno.test("ICMP drops an error that was sent to many", () => {
  const { host, receive, counted } = setUp();
  receive(icmpMessage(3, 1, new Uint8Array(4), quoted()), { destination: "255.255.255.255" });
  assertEquals([host.transport.told, counted()["icmpv4.badQuote"]], [[], 1]);
  host.assertQuiet();
});

Deno.test("ICMP accepts an error about a packet from an address that its interface spoofs", () => {
  const { host, nic, receive } = setUp();
  nic.spoofing = true;
  assertEquals(receive(icmpMessage(3, 1, new Uint8Array(4), quoted({ source: "203.0.113.80" }))), Verdict.done);
  assertEquals(host.transport.told[0]!.source, "203.0.113.80");
  host.assertQuiet();
});

Deno.test("ICMP takes note of an error about a protocol that nobody sends, and does nothing", () => {
  const { host, receive } = setUp();
  assertEquals(receive(icmpMessage(3, 2, new Uint8Array(4), quoted({ protocol: 47 }))), Verdict.done);
  assertEquals(host.transport.told, []);
  host.assertQuiet();
});

Deno.test("ICMP tells the sender of an echo request of errors about it, and nobody of errors about replies", () => {
  const { host, receive, echo } = setUp();
  receive(icmpMessage(11, 0, new Uint8Array(4), quoted({ protocol: 1 }, echoMessage(8, 7, 3, pattern(0)))));
  receive(icmpMessage(11, 0, new Uint8Array(4), quoted({ protocol: 1 }, echoMessage(0, 7, 3, pattern(0)))));
  assertEquals(echo.errors, [[ErrorKind.timeExceeded, 7]]);
  host.assertQuiet();
});

Deno.test("ICMP tells the sender of an echo request that the next hop did not answer", () => {
  const echo = new RecordingEcho();
  const host = new Ipv4Host({ echo });
  host.addEthernet(["192.0.2.2/24"]);
  const path = host.ipv4.findPath({ destination: IpAddress.parse("192.0.2.9"), protocol: 1 })!;
  host.ipv4.push(packetOf(host.pool, echoMessage(8, 7, 1, pattern(8))), path);
  host.advance(3000);
  assertEquals(echo.errors, [[ErrorKind.neighborUnreachable, 7]]);
  host.assertQuiet();
});

for (
  const [kind, type, code] of [
    [ErrorKind.networkUnreachable, 3, 0],
    [ErrorKind.hostUnreachable, 3, 1],
    [ErrorKind.protocolUnreachable, 3, 2],
    [ErrorKind.portUnreachable, 3, 3],
    [ErrorKind.prohibited, 3, 13],
    [ErrorKind.timeExceeded, 11, 0],
    [ErrorKind.parameterProblem, 12, 0],
    [ErrorKind.neighborUnreachable, 3, 1],
  ] as const
) {
  Deno.test(`ICMP reports error kind ${kind} as type ${type}, code ${code}, with the packet that it is about`, () => {
    const { host, nic, take } = setUp();
    const bytes = ipv4Packet({}, pattern(40));
    host.ipv4.register({
      name: "rejecting",
      protocolNumber: 253,
      pop: (packet) => host.ipv4.reject(packet, kind),
      control() {},
    });
    assertEquals(host.receive(nic, bytes), Verdict.done);
    const [error] = take();
    assertEquals([error!.source, error!.destination, error!.protocol], ["192.0.2.2", "192.0.2.1", 1]);
    assertEquals(error!.payload, icmpMessage(type, code, new Uint8Array(4), bytes));
    host.assertQuiet();
  });
}

Deno.test("ICMP reports the next hop's MTU with a packet that is too big", () => {
  const { host, nic, take } = setUp();
  host.ipv4.forward = (packet) => host.icmpv4.report(packet, ErrorKind.packetTooBig, 1280);
  host.receive(nic, ipv4Packet({ destination: "203.0.113.9", dontFragment: true }, pattern(40)));
  const [error] = take();
  assertEquals([...error!.payload.slice(0, 2), ...error!.payload.slice(4, 8)], [3, 4, 0, 0, 5, 0]);
  assertEquals(error!.source, "192.0.2.2");
  host.assertQuiet();
});

Deno.test("ICMP quotes as much as fits into 576 bytes", () => {
  const { host, provoke, take } = setUp();
  provoke({}, pattern(1480));
  const [error] = take();
  assertEquals([error!.totalLength, plainChecksum(error!.payload)], [576, 0]);
  assertEquals(error!.payload.slice(8), ipv4Packet({ protocol: 99 }, pattern(1480)).slice(0, 548));
  host.assertQuiet();
});

for (
  const [what, fields, payload] of [
    ["a packet to everybody", { destination: "255.255.255.255" }, pattern(8)],
    ["a packet to our subnet", { destination: "192.0.2.255" }, pattern(8)],
    ["a packet to a group", { destination: "224.0.0.1" }, pattern(8)],
  ] satisfies [string, Ipv4Fields, Uint8Array][]
) {
  Deno.test(`ICMP never reports errors about ${what}`, () => {
    const { host, provoke, take, counted } = setUp();
    assertEquals(provoke(fields, payload), Verdict.dropped);
    assertEquals([take(), counted()["icmpv4.errorsSuppressed"]], [[], 1]);
    host.assertQuiet();
  });
}

for (const type of [3, 4, 5, 11, 12]) {
  Deno.test(`ICMP never reports errors about an ICMP error of type ${type}`, () => {
    const { host, nic, take, counted } = setUp();
    host.ipv4.forward = (packet) => host.ipv4.reject(packet, ErrorKind.hostUnreachable);
    const error = icmpMessage(type, 0, new Uint8Array(4), quoted());
    host.receive(nic, ipv4Packet({ destination: "203.0.113.9", protocol: 1 }, error));
    assertEquals([take(), counted()["icmpv4.errorsSuppressed"]], [[], 1]);
    host.assertQuiet();
  });
}

Deno.test("ICMP does report errors about echo requests", () => {
  const { host, nic, take } = setUp();
  host.ipv4.forward = (packet) => host.ipv4.reject(packet, ErrorKind.hostUnreachable);
  host.receive(nic, ipv4Packet({ destination: "203.0.113.9", protocol: 1 }, echoMessage(8, 1, 1, pattern(8))));
  assertEquals(take().length, 1);
  host.assertQuiet();
});

Deno.test("ICMP never reports errors about an ICMP message without a type, or about later fragments", () => {
  const { host, nic, take, counted } = setUp();
  host.ipv4.forward = (packet) => host.ipv4.reject(packet, ErrorKind.hostUnreachable);
  host.receive(nic, ipv4Packet({ destination: "203.0.113.9", protocol: 1 }, new Uint8Array(0)));
  host.receive(nic, ipv4Packet({ destination: "203.0.113.9", offset: 8 }, pattern(8)));
  assertEquals([take(), counted()["icmpv4.errorsSuppressed"]], [[], 2]);
  host.assertQuiet();
});

Deno.test("ICMP reports no more errors than its rate limit allows", () => {
  const { host, provoke, take, counted } = setUp({ rateLimit: { perSecond: 10, burst: 3 } });
  for (let count = 0; count < 5; count++) provoke({});
  assertEquals(take().length, 3);
  host.advance(99);
  provoke({});
  assertEquals(take().length, 0);
  host.advance(1);
  provoke({});
  assertEquals(take().length, 1);
  host.advance(1_000_000);
  for (let count = 0; count < 5; count++) provoke({});
  assertEquals([take().length, counted()["icmpv4.rateLimited"]], [3, 5]);
  host.assertQuiet();
});

Deno.test("ICMP answers echo requests without a rate limit", () => {
  const { host, receive, take } = setUp({ rateLimit: { perSecond: 0, burst: 0 } });
  for (let count = 0; count < 100; count++) receive(echoMessage(8, 1, count, pattern(8)));
  assertEquals(take().length, 100);
  host.assertQuiet();
});

Deno.test("ICMP reports to ourselves over the loopback", () => {
  const { host } = setUp();
  const path = host.ipv4.findPath({ destination: IpAddress.loopback4, protocol: 99 })!;
  host.ipv4.push(packetOf(host.pool, pattern(8)), path);
  assertEquals(host.runLoopback(), 2);
  assertEquals([host.counted()["icmpv4.errorsSent"], host.counted()["icmpv4.errorsReceived"]], [1, 1]);
  host.assertQuiet();
});

Deno.test("An echo request to ourselves is answered over the loopback", () => {
  const { host, echo } = setUp();
  const path = host.ipv4.findPath({ destination: IpAddress.parse("192.0.2.2"), protocol: 1 })!;
  host.ipv4.push(packetOf(host.pool, echoMessage(8, 7, 1, pattern(100))), path);
  assertEquals(host.runLoopback(), 2);
  assertEquals(echo.replies, [echoMessage(0, 7, 1, pattern(100))]);
  host.assertQuiet();
});

Deno.test("Without ICMP, IPv4 drops what it would reject", () => {
  const { host, provoke, take } = setUp();
  host.ipv4.reporter = null;
  assertEquals(provoke({}), Verdict.dropped);
  assertEquals(take(), []);
  host.assertQuiet();
});
