import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { addUint16, checksum, sum } from "../../stack/checksum.ts";
import { Counters } from "../../stack/counters.ts";
import { ChecksumState } from "../../stack/packet.ts";
import { ErrorKind, Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Ports } from "../../stack/transport/ports.ts";
import { Udp } from "../../stack/transport/udp.ts";
import type { DatagramSender, UdpSocket } from "../../stack/transport/udp_socket.ts";
import { assertThrowsNamed } from "../helpers/errors.ts";
import { FakeNetwork, fakeNic } from "../helpers/fake_network.ts";

const any = IpAddress.unspecified4;
const own = IpAddress.parse("192.0.2.1");
const peer = IpAddress.parse("192.0.2.9");
const group = IpAddress.parse("239.1.2.3");

interface Bench {
  readonly network: FakeNetwork;
  readonly ports: Ports;
  readonly udp: Udp;
}

/** Runs a test on UDP over a network that goes nowhere, and checks that nothing is left behind. */
function test(name: string, body: (bench: Bench) => void, address = "192.0.2.1/24"): void {
  Deno.test(name, () => {
    const network = new FakeNetwork(address);
    const ports = new Ports(new SeededRandom(1));
    const udp = new Udp({
      networks: network,
      ports,
      pool: network.pool,
      random: new SeededRandom(2),
      counters: new Counters(),
      headroom: 64,
    });
    body({ network, ports, udp });
    for (const socket of udp.sockets) socket.close();
    assertEquals(network.pool.inUse, 0);
    assertEquals(ports.size, 0);
    assertEquals(network.nic.groups, []);
  });
}

interface Fields {
  source?: IpAddress;
  destination?: IpAddress;
  from?: number;
  to?: number;
  payload?: Uint8Array;
  /** The length field; by default the right one. */
  length?: number;
  /** The checksum field; by default the right one. */
  checksum?: number;
  /** Bytes behind the datagram. */
  padding?: number;
  multicast?: boolean;
  nic?: number;
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function datagram(fields: Fields): Required<Pick<Fields, "source" | "destination">> & { bytes: Uint8Array } {
  const { source = peer, destination = own, from = 4000, to = 7, payload = text("hello"), padding = 0 } = fields;
  const length = fields.length ?? 8 + payload.length;
  const bytes = new Uint8Array(8 + payload.length + padding).fill(0xee);
  const view = new DataView(bytes.buffer);
  bytes.set(payload, 8);
  view.setUint16(0, from);
  view.setUint16(2, to);
  view.setUint16(4, length);
  view.setUint16(6, 0);
  const addresses = new Uint8Array([...source.bytes, ...destination.bytes]);
  const pseudo = addUint16(length, addUint16(17, sum(new DataView(addresses.buffer), 0, addresses.length)));
  const computed = checksum(view, 0, Math.min(length, bytes.length), pseudo);
  view.setUint16(6, fields.checksum ?? (computed === 0 ? 0xffff : computed));
  return { source, destination, bytes };
}

function deliver({ network, udp }: Bench, fields: Fields = {}): Verdict {
  const { multicast = false, nic = 0 } = fields;
  return network.deliver(udp, { ...datagram(fields), multicast, nic });
}

/** The next datagram as text, or null. */
function receive(socket: UdpSocket): string | null {
  if (socket.receivable === 0 && !socket.failed) return null;
  const buffer = new Uint8Array(2000);
  const sender: DatagramSender = { address: any, port: 0 };
  const bytes = socket.receive(buffer, sender);
  return `${new TextDecoder().decode(buffer.subarray(0, bytes))} from ${sender.address}:${sender.port}`;
}

test("a datagram reaches the socket bound to its port, with its sender", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  assertEquals(deliver(bench), Verdict.done);
  assertEquals(receive(socket), "hello from 192.0.2.9:4000");
  assertEquals(receive(socket), null);
  assertEquals(bench.udp.counters.received, 1);
});

test("a packet too short for the header is dropped", (bench) => {
  const bytes = new Uint8Array(7);
  assertEquals(bench.network.deliver(bench.udp, { source: peer, destination: own, bytes }), Verdict.dropped);
  assertEquals(bench.udp.counters.badLength, 1);
  assertEquals(bench.network.rejected, []);
});

test("a length field below 8 or beyond the packet is dropped", (bench) => {
  bench.udp.bind({ local: { address: any, port: 7 } });
  for (const length of [0, 7, 14, 65535]) assertEquals(deliver(bench, { length }), Verdict.dropped);
  assertEquals(bench.udp.counters.badLength, 4);
});

test("bytes behind the datagram's own length are not delivered", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  assertEquals(deliver(bench, { padding: 18 }), Verdict.done);
  assertEquals(receive(socket), "hello from 192.0.2.9:4000");
});

test("an empty datagram is a datagram", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  assertEquals(deliver(bench, { payload: new Uint8Array(0) }), Verdict.done);
  assertEquals(socket.receivable, 1);
  assertEquals(receive(socket), " from 192.0.2.9:4000");
});

test("a datagram with a wrong checksum is dropped and not answered", (bench) => {
  deliver(bench, { checksum: 0x1234 });
  assertEquals(bench.udp.counters.badChecksum, 1);
  assertEquals(bench.network.rejected, []);
});

test("a checksum that covers other addresses is wrong", (bench) => {
  bench.udp.bind({ local: { address: any, port: 7 } });
  const { bytes } = datagram({ source: IpAddress.parse("192.0.2.8") });
  bench.network.deliver(bench.udp, { source: peer, destination: own, bytes });
  assertEquals(bench.udp.counters.badChecksum, 1);
});

test("over IPv4 a datagram without a checksum is accepted", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  deliver(bench, { checksum: 0 });
  assertEquals(receive(socket), "hello from 192.0.2.9:4000");
});

test("over IPv6 a datagram without a checksum is dropped, and one with it accepted", (bench) => {
  const source = IpAddress.parse("2001:db8::9");
  const destination = IpAddress.parse("2001:db8::1");
  const socket = bench.udp.bind({ local: { address: IpAddress.unspecified6, port: 7 } });
  assertEquals(deliver(bench, { source, destination, checksum: 0 }), Verdict.dropped);
  assertEquals(bench.udp.counters.missingChecksum, 1);
  assertEquals(deliver(bench, { source, destination }), Verdict.done);
  assertEquals(receive(socket), "hello from 2001:db8::9:4000");
}, "2001:db8::1/64");

test("a checksum that the device has verified is not computed again", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  for (const state of [ChecksumState.verified, ChecksumState.partial]) {
    const packet = network.packet(datagram({ checksum: 0x1234 }));
    packet.checksum = state;
    assertEquals(udp.pop(packet), Verdict.done);
  }
  assertEquals(socket.receivable, 2);
});

test("a datagram to a port that nobody has is answered with port unreachable", (bench) => {
  deliver(bench);
  assertEquals(bench.network.rejected, [ErrorKind.portUnreachable]);
  assertEquals(bench.udp.counters.noSocket, 1);
});

test("a broadcast that nobody wants is not answered", (bench) => {
  assertEquals(deliver(bench, { destination: IpAddress.broadcast4, multicast: true }), Verdict.dropped);
  assertEquals(bench.network.rejected, []);
  assertEquals(bench.udp.counters.noSocket, 1);
});

test("the connected socket comes before the one bound to the address, and that before the wildcard", (bench) => {
  const { udp } = bench;
  const wildcard = udp.bind({ local: { address: any, port: 7 }, reuse: true });
  const specific = udp.bind({ local: { address: own, port: 7 }, reuse: true });
  const connected = udp.connect({ remote: { address: peer, port: 4000 }, localPort: 7, reuse: true });
  deliver(bench);
  deliver(bench, { from: 4001 });
  deliver(bench, { destination: IpAddress.parse("192.0.2.77") });
  assertEquals([connected, specific, wildcard].map((socket) => socket.receivable), [1, 1, 1]);
});

test("a connected socket hears its peer only", (bench) => {
  const connected = bench.udp.connect({ remote: { address: peer, port: 4000 } });
  const to = connected.local.port;
  deliver(bench, { to });
  deliver(bench, { to, from: 4001 });
  deliver(bench, { to, source: IpAddress.parse("192.0.2.8") });
  assertEquals(connected.receivable, 1);
  assertEquals(bench.network.rejected.length, 2);
});

test("of the sockets that share a port, the one bound last receives what is sent to one host", (bench) => {
  const sockets = [1, 2, 3].map(() => bench.udp.bind({ local: { address: any, port: 7 }, reuse: true }));
  deliver(bench);
  assertEquals(sockets.map(({ receivable }) => receivable), [0, 0, 1]);
  sockets[2]!.close();
  deliver(bench);
  assertEquals(sockets.map(({ receivable }) => receivable), [0, 1, 0]);
});

test("a broadcast reaches every socket with its port, but connected ones", (bench) => {
  const { udp } = bench;
  const sockets = [1, 2].map(() => udp.bind({ local: { address: any, port: 7 }, reuse: true }));
  const specific = udp.bind({ local: { address: own, port: 7 }, reuse: true });
  const connected = udp.connect({ remote: { address: peer, port: 4000 }, localPort: 7, reuse: true });
  assertEquals(deliver(bench, { destination: IpAddress.broadcast4, multicast: true }), Verdict.done);
  assertEquals([...sockets, specific, connected].map(({ receivable }) => receivable), [1, 1, 0, 0]);
});

test("a multicast datagram reaches the sockets that have joined its group on its interface", (bench) => {
  const { network, udp } = bench;
  const [joined, other, elsewhere, outside] = [1, 2, 3, 4].map(() =>
    udp.bind({ local: { address: any, port: 7 }, reuse: true })
  ) as [UdpSocket, UdpSocket, UdpSocket, UdpSocket];
  const bound = udp.bind({ local: { address: group, port: 7 }, reuse: true });
  joined.joinGroup(network.nic, group);
  other.joinGroup(network.nic, IpAddress.parse("239.1.2.4"));
  elsewhere.joinGroup(fakeNic(1, []), group);
  deliver(bench, { destination: group, multicast: true });
  assertEquals([joined, other, elsewhere, outside, bound].map(({ receivable }) => receivable), [1, 0, 0, 0, 1]);
});

test("an interface is in a group for as long as any socket is", ({ network, udp }) => {
  const [first, second] = [7, 8].map((port) => udp.bind({ local: { address: any, port } })) as [UdpSocket, UdpSocket];
  first.joinGroup(network.nic, group);
  second.joinGroup(network.nic, group);
  assertEquals(network.nic.groups, [group]);
  first.leaveGroup(network.nic, group);
  assertEquals(network.nic.groups, [group]);
  second.close();
  assertEquals(network.nic.groups, []);
});

test("joining a group twice and leaving one that was not joined are errors", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  assertThrowsNamed("AddrNotAvailable", () => socket.leaveGroup(network.nic, group));
  socket.joinGroup(network.nic, group);
  assertThrowsNamed("AddrInUse", () => socket.joinGroup(network.nic, group));
});

test("the receive queue drops and counts what does not fit, and takes more once there is room", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 }, receiveBufferBytes: 300 });
  const payload = new Uint8Array(100);
  assertEquals([deliver(bench, { payload }), deliver(bench, { payload })], [Verdict.done, Verdict.done]);
  assertEquals(deliver(bench, { payload }), Verdict.dropped);
  assertEquals([socket.dropped, bench.udp.counters.queueFull], [1, 1]);
  receive(socket);
  assertEquals(deliver(bench, { payload }), Verdict.done);
  assertEquals(bench.network.rejected, []);
});

test("empty datagrams do not wait without limit either", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 }, receiveBufferBytes: 240 });
  for (let count = 0; count < 20; count++) deliver(bench, { payload: new Uint8Array(0) });
  assertEquals([socket.receivable, socket.dropped], [10, 10]);
});

test("what does not fit into the buffer is lost, and the next datagram is whole", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  deliver(bench);
  deliver(bench, { payload: text("again") });
  const small = new Uint8Array(2);
  assertEquals(socket.nextLength, 5);
  assertEquals(socket.receive(small, { address: any, port: 0 }), 2);
  assertEquals(new TextDecoder().decode(small), "he");
  assertEquals(receive(socket), "again from 192.0.2.9:4000");
});

test("a queue that fills and empties many times over keeps every datagram whole and in order", (bench) => {
  const random = new SeededRandom(3);
  const socket = bench.udp.bind({ local: { address: any, port: 7 }, receiveBufferBytes: 20_000 });
  const expected: string[] = [];
  for (let count = 0; count < 2000; count++) {
    const payload = `${count} `.repeat(1 + random.uint32() % 300);
    const source = IpAddress.fromUint32(0xc0000200 + random.uint32() % 250);
    if (deliver(bench, { payload: text(payload), source, from: count + 1 }) === Verdict.done) {
      expected.push(`${payload} from ${source}:${count + 1}`);
    }
    while (expected.length > 0 && random.uint32() % 9 < 4) assertEquals(receive(socket), expected.shift()!);
  }
  assert(socket.dropped > 0);
  while (expected.length > 0) assertEquals(receive(socket), expected.shift()!);
});

test("the sender's address object is made once for a sender that comes again", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  const sender: DatagramSender = { address: any, port: 0 };
  const seen = [1, 2].map(() => {
    deliver(bench);
    socket.receive(new Uint8Array(8), sender);
    return sender.address;
  });
  assertStrictEquals(seen[0], seen[1]);
});

test("a datagram is sent with both ports, its length and a checksum over the pseudo-header", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  socket.send(text("hello"), { address: peer, port: 4000 });
  const expected = datagram({ source: own, destination: peer, from: 7, to: 4000 });
  assertEquals(network.sent[0]!.bytes, expected.bytes);
});

test("a checksum that comes out as zero is sent as 65535", (bench) => {
  const { network, udp } = bench;
  const socket = udp.bind({ local: { address: any, port: 7 } });
  // The two bytes of payload that make the sum zero are what the checksum would be with a payload of zeros.
  const { bytes } = datagram({ source: own, destination: peer, from: 7, to: 4000, payload: new Uint8Array(2) });
  socket.send(bytes.slice(6, 8), { address: peer, port: 4000 });
  assertEquals(network.sent[0]!.bytes.slice(6, 8), new Uint8Array([0xff, 0xff]));
});

test("the longest payload is 65,507 bytes", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  socket.send(new Uint8Array(65507), { address: peer, port: 4000 });
  assertEquals(network.sent[0]!.bytes.length, 65515);
  assertThrowsNamed("InvalidData", () => socket.send(new Uint8Array(65508), { address: peer, port: 4000 }));
});

test("paths are looked up once for each destination", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  const before = network.lookups;
  for (let count = 0; count < 100; count++) {
    socket.send(text("x"), { address: IpAddress.parse(`192.0.2.${9 + count % 3}`), port: 4000 + count });
  }
  assertEquals(network.lookups - before, 3);
  assertEquals(network.sent[4]!.path.destination.toString(), "192.0.2.10");
});

test("settings apply from the next datagram on", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  const destination = { address: peer, port: 4000 };
  socket.send(text("x"), destination);
  socket.settings.timeToLive = 5;
  socket.send(text("x"), destination);
  socket.send(text("x"), { address: group, port: 4000 });
  assertEquals(network.sent.map(({ timeToLive }) => timeToLive), [64, 5, 1]);
});

test("broadcasts are sent only where the socket's settings allow them", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  for (const address of [IpAddress.broadcast4, IpAddress.parse("192.0.2.255")]) {
    assertThrowsNamed("PermissionDenied", () => socket.send(text("x"), { address, port: 9 }));
  }
  socket.settings.broadcast = true;
  socket.send(text("x"), { address: IpAddress.parse("192.0.2.255"), port: 9 });
  assertEquals(network.sent.length, 1);
});

test("a destination without a route, of the other family or with port 0 is refused", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  network.unreachable.add("198.51.100.1");
  const error = assertThrowsNamed(
    "NetworkUnreachable",
    () => socket.send(text("x"), { address: IpAddress.parse("198.51.100.1"), port: 9 }),
  );
  assertMatch(error.message, /198\.51\.100\.1:9/);
  assertThrowsNamed("NetworkUnreachable", () => socket.send(text("x"), { address: IpAddress.loopback6, port: 9 }));
  assertThrowsNamed("TypeError", () => socket.send(text("x"), { address: peer, port: 0 }));
  assertThrowsNamed("NotConnected", () => socket.send(text("x")));
});

test("without a packet to be had, a datagram is dropped and counted", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  const allocate = network.pool.allocate;
  network.pool.allocate = () => null;
  socket.send(text("x"), { address: peer, port: 9 });
  network.pool.allocate = allocate;
  assertEquals([udp.counters.noPacket, udp.counters.sent], [1, 0]);
});

test("binding a taken port, or an address that is not ours, is refused and holds nothing", ({ ports, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  const error = assertThrowsNamed("AddrInUse", () => udp.bind({ local: { address: own, port: 7 } }));
  assertMatch(error.message, /192\.0\.2\.1:7/);
  assertThrowsNamed("AddrNotAvailable", () => udp.bind({ local: { address: peer, port: 8 } }));
  assertThrowsNamed("AddrNotAvailable", () => udp.bind({ local: { address: IpAddress.loopback6, port: 8 } }));
  assertEquals(ports.size, 1);
  socket.close();
  udp.bind({ local: { address: own, port: 7 } });
});

test("connecting without a route, or twice with the same ends, is refused and holds nothing", ({ network, ports, udp }) => {
  const remote = { address: peer, port: 9 };
  udp.connect({ remote, localPort: 5000, reuse: true });
  assertThrowsNamed("AddrInUse", () => udp.connect({ remote, localPort: 5000, reuse: true }));
  network.unreachable.add("192.0.2.9");
  assertThrowsNamed("NetworkUnreachable", () => udp.connect({ remote }));
  assertEquals(ports.size, 1);
});

test("port 0 binds an ephemeral port", ({ udp }) => {
  const { port } = udp.bind({ local: { address: any, port: 0 } }).local;
  assert(port >= Ports.ephemeralFirst && port <= Ports.ephemeralLast);
});

test("a port unreachable error is thrown once by the connected socket whose datagram it quotes", (bench) => {
  const { network, udp } = bench;
  const socket = udp.connect({ remote: { address: peer, port: 9 } });
  const other = udp.connect({ remote: { address: peer, port: 10 } });
  socket.send(text("x"));
  let calls = 0;
  socket.onReceivable = () => calls++;
  const error = { kind: ErrorKind.portUnreachable, type: 3, code: 3, reporter: peer };
  network.report(udp, error, { source: own, destination: peer, bytes: network.sent[0]!.bytes.slice(0, 8) });
  assertEquals([socket.failed, other.failed, calls], [true, false, 1]);
  assertMatch(assertThrowsNamed("ConnectionRefused", () => receive(socket)).message, /192\.0\.2\.9:9/);
  socket.send(text("x"));
  assertEquals(receive(socket), null);
});

test("a smaller MTU of the path is taken over by a connected socket, which is told of no error", ({ network, udp }) => {
  const socket = udp.connect({ remote: { address: peer, port: 9 } });
  socket.send(text("x"));
  const quoted = { source: own, destination: peer, bytes: network.sent[0]!.bytes };
  network.report(udp, { kind: ErrorKind.packetTooBig, mtu: 1300, reporter: peer }, quoted);
  assertEquals([network.sent[0]!.path.mtu, socket.failed], [1300, false]);
});

test("a smaller MTU is taken over by an unconnected socket, for the destination that it is about", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  const other = IpAddress.parse("192.0.2.10");
  for (const address of [peer, other]) socket.send(text("x"), { address, port: 9 });
  const quoted = { source: own, destination: peer, bytes: network.sent[0]!.bytes };
  network.report(udp, { kind: ErrorKind.packetTooBig, mtu: 1300, reporter: peer }, quoted);
  assertEquals(network.sent.map(({ path }) => path.mtu), [1300, 1500]);
});

test("a smaller MTU is not taken over from a port that did not send there", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  const other = udp.bind({ local: { address: any, port: 8 } });
  socket.send(text("x"), { address: peer, port: 9 });
  const quoted = { source: own, destination: peer, bytes: Uint8Array.of(0, 8, 0, 9, 0, 9, 0, 0) };
  network.report(udp, { kind: ErrorKind.packetTooBig, mtu: 1300, reporter: peer }, quoted);
  assertEquals([network.sent[0]!.path.mtu, other.failed], [1500, false]);
});

test("errors are told to connected sockets under the name that fits", ({ network, udp }) => {
  const socket = udp.connect({ remote: { address: peer, port: 9 } });
  socket.send(text("x"));
  const quoted = { source: own, destination: peer, bytes: network.sent[0]!.bytes };
  const names: [ErrorKind, string][] = [
    [ErrorKind.protocolUnreachable, "ConnectionRefused"],
    [ErrorKind.networkUnreachable, "NetworkUnreachable"],
    [ErrorKind.hostUnreachable, "HostUnreachable"],
    [ErrorKind.neighborUnreachable, "HostUnreachable"],
    [ErrorKind.prohibited, "HostUnreachable"],
    [ErrorKind.timeExceeded, "HostUnreachable"],
  ];
  for (const [kind, name] of names) {
    network.report(udp, { kind, reporter: peer }, quoted);
    assertThrowsNamed(name, () => socket.send(text("x")));
  }
  network.report(udp, { kind: ErrorKind.packetTooBig, mtu: 600, reporter: peer }, quoted);
  assertEquals(socket.failed, false);
  assertEquals(udp.counters.errors, 7);
});

test("an error about an unconnected socket's datagram, or about nobody's, changes nothing", ({ network, udp }) => {
  const socket = udp.bind({ local: { address: any, port: 7 } });
  socket.send(text("x"), { address: peer, port: 9 });
  const error = { kind: ErrorKind.portUnreachable, reporter: peer };
  network.report(udp, error, { source: own, destination: peer, bytes: network.sent[0]!.bytes });
  network.report(udp, error, { source: own, destination: peer, bytes: new Uint8Array(8) });
  assertEquals(socket.failed, false);
  assertEquals(udp.counters.errors, 2);
});

test("a closed socket receives nothing more, and its port is free", (bench) => {
  const socket = bench.udp.bind({ local: { address: any, port: 7 } });
  deliver(bench);
  socket.close();
  socket.close();
  assertEquals(deliver(bench), Verdict.done);
  assertEquals(bench.network.rejected, [ErrorKind.portUnreachable]);
  assertEquals([socket.receivable, bench.ports.size], [0, 0]);
});

test("no bytes whatsoever make it throw", (bench) => {
  const { network, udp } = bench;
  udp.bind({ local: { address: any, port: 7 } });
  const random = new SeededRandom(5);
  const { bytes } = datagram({});
  for (let round = 0; round < 3000; round++) {
    const mutant = bytes.slice(0, random.uint32() % (bytes.length + 1));
    for (let flips = random.uint32() % 4; flips > 0 && mutant.length > 0; flips--) {
      mutant[random.uint32() % mutant.length]! ^= 1 << random.uint32() % 8;
    }
    network.deliver(udp, { source: peer, destination: own, bytes: mutant, multicast: round % 5 === 0 });
  }
  const { received, badLength, badChecksum, noSocket, queueFull } = udp.counters;
  assertEquals(received + badLength + badChecksum + noSocket + queueFull, 3000);
});
