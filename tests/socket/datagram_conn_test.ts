import { assert, assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { Counters } from "../../stack/counters.ts";
import { ErrorKind } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { connectUdp, type DatagramConn, listenUdp } from "../../stack/socket/datagram_conn.ts";
import { Ports } from "../../stack/transport/ports.ts";
import { Udp } from "../../stack/transport/udp.ts";
import { assertRejectsNamed, assertThrowsNamed } from "../helpers/errors.ts";
import { FakeNetwork, fakeNic } from "../helpers/fake_network.ts";

const peer = IpAddress.parse("192.0.2.9");
const peerAddr: Deno.NetAddr = { transport: "udp", hostname: "192.0.2.9", port: 4000 };

class Bench {
  readonly network = new FakeNetwork();
  readonly nics = [fakeNic(9, ["127.0.0.1/8"], true), this.network.nic];
  readonly ports = new Ports(new SeededRandom(1));
  readonly udp = new Udp({
    networks: this.network,
    ports: this.ports,
    pool: this.network.pool,
    random: new SeededRandom(2),
    counters: new Counters(),
    headroom: 64,
  });

  listen(options: Parameters<typeof listenUdp>[2] = { port: 7 }): DatagramConn {
    return listenUdp(this.udp, this.nics, options);
  }

  connect(options: Parameters<typeof connectUdp>[2]): DatagramConn {
    return connectUdp(this.udp, this.nics, options);
  }

  /** A datagram from the peer, without a checksum. */
  arrive(text: string, to = 7): void {
    const payload = new TextEncoder().encode(text);
    const bytes = new Uint8Array(8 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 4000);
    view.setUint16(2, to);
    view.setUint16(4, bytes.length);
    bytes.set(payload, 8);
    this.network.deliver(this.udp, { source: peer, destination: this.network.own, bytes });
  }
}

function test(name: string, body: (bench: Bench) => Promise<void> | void): void {
  Deno.test(name, async () => {
    const bench = new Bench();
    await body(bench);
    for (const socket of bench.udp.sockets) socket.close();
    assertEquals([bench.network.pool.inUse, bench.ports.size], [0, 0]);
  });
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

test("receive gives a datagram in a buffer of its size, with its sender", async (bench) => {
  const socket = bench.listen();
  bench.arrive("hello");
  const [bytes, sender] = await socket.receive();
  assertEquals([decode(bytes), bytes.buffer.byteLength, sender], ["hello", 5, peerAddr]);
});

test("receive waits, and receives are served in order", async (bench) => {
  const socket = bench.listen();
  const received = [socket.receive(), socket.receive()];
  bench.arrive("first");
  bench.arrive("second");
  assertEquals((await Promise.all(received)).map(([bytes]) => decode(bytes)), ["first", "second"]);
});

test("receive into a buffer gives the part that was filled; what does not fit is lost", async (bench) => {
  const socket = bench.listen();
  bench.arrive("hello");
  bench.arrive("again");
  const buffer = new Uint8Array(3);
  const [bytes] = await socket.receive(buffer);
  assertEquals([decode(bytes), bytes.buffer === buffer.buffer], ["hel", true]);
  assertEquals(decode((await socket.receive(new Uint8Array(100)))[0]), "again");
});

test("an empty datagram is received, and any datagram into an empty buffer", async (bench) => {
  const socket = bench.listen();
  bench.arrive("");
  bench.arrive("hello");
  assertEquals((await socket.receive())[0].length, 0);
  assertEquals((await socket.receive(new Uint8Array(0)))[0].length, 0);
});

test("send resolves with the length and sends one datagram", async (bench) => {
  const socket = bench.listen();
  assertEquals(await socket.send(new Uint8Array(5), peerAddr), 5);
  assertEquals(await socket.send(new Uint8Array(0), peerAddr), 0);
  assertEquals(bench.network.sent.map(({ bytes }) => bytes.length), [13, 8]);
});

test("a socket sends to many hosts, and each datagram to the right one", async (bench) => {
  const socket = bench.listen();
  for (let host = 1; host < 200; host++) {
    await socket.send(new Uint8Array(1), { ...peerAddr, hostname: `192.0.2.${host}` });
  }
  assertEquals(bench.network.sent[150]!.path.destination.toString(), "192.0.2.151");
});

test("a destination that makes no sense is refused", async (bench) => {
  const socket = bench.listen();
  const one = new Uint8Array(1);
  await assertRejectsNamed("TypeError", socket.send(one, { ...peerAddr, hostname: "example.com" }));
  await assertRejectsNamed("TypeError", socket.send(one, { ...peerAddr, transport: "tcp" }));
  await assertRejectsNamed("RangeError", socket.send(one, { ...peerAddr, port: 0 }));
  await socket.send(one, peerAddr);
  await assertRejectsNamed("RangeError", socket.send(one, { ...peerAddr, port: 65536 }));
  await assertRejectsNamed("NotConnected", socket.send(one));
  await assertRejectsNamed("InvalidData", socket.send(new Uint8Array(65508), peerAddr));
  bench.network.unreachable.add("198.51.100.1");
  await assertRejectsNamed("NetworkUnreachable", socket.send(one, { ...peerAddr, hostname: "198.51.100.1" }));
});

test("broadcast needs the option", async (bench) => {
  const everybody = { ...peerAddr, hostname: "255.255.255.255" };
  await assertRejectsNamed("PermissionDenied", bench.listen().send(new Uint8Array(1), everybody));
  assertEquals(await bench.listen({ port: 8, broadcast: true }).send(new Uint8Array(1), everybody), 1);
});

test("close interrupts what waits, and everything after it fails with BadResource", async (bench) => {
  const socket = bench.listen();
  const received = [socket.receive(), socket.receive()];
  socket.close();
  for (const receive of received) await assertRejectsNamed("Interrupted", receive);
  await assertRejectsNamed("BadResource", socket.receive());
  await assertRejectsNamed("BadResource", socket.send(new Uint8Array(1), peerAddr));
  await assertRejectsNamed("BadResource", socket.joinMulticastV4("239.1.2.3", "0.0.0.0"));
  assertThrowsNamed("BadResource", () => socket.close());
  socket[Symbol.dispose]();
  assertEquals(socket.addr, { transport: "udp", hostname: "0.0.0.0", port: 7 });
});

test("iterating gives the datagrams and ends when the socket is closed", async (bench) => {
  const socket = bench.listen();
  const seen: string[] = [];
  const loop = (async () => {
    for await (const [bytes] of socket) seen.push(decode(bytes));
  })();
  bench.arrive("one");
  bench.arrive("two");
  await new Promise((resolve) => setTimeout(resolve, 0));
  socket.close();
  await loop;
  for await (const [bytes] of socket) seen.push(decode(bytes));
  assertEquals(seen, ["one", "two"]);
});

test("leaving the loop leaves the socket open", async (bench) => {
  const socket = bench.listen();
  bench.arrive("one");
  bench.arrive("two");
  for await (const [bytes] of socket) {
    assertEquals(decode(bytes), "one");
    break;
  }
  assertEquals(decode((await socket.receive())[0]), "two");
});

test("a connected socket sends without an address and learns that its peer is not there", async (bench) => {
  const socket = bench.connect({ hostname: "192.0.2.9", port: 4000, localPort: 5000 });
  assertEquals([socket.addr.port, socket.remoteAddr], [5000, peerAddr]);
  await socket.send(new Uint8Array(1));
  const received = socket.receive();
  bench.network.report(
    bench.udp,
    { kind: ErrorKind.portUnreachable, type: 3, code: 3, reporter: peer },
    { source: bench.network.own, destination: peer, bytes: bench.network.sent[0]!.bytes },
  );
  await assertRejectsNamed("ConnectionRefused", received);
  bench.arrive("here now", 5000);
  assertEquals(decode((await socket.receive())[0]), "here now");
});

test("without options a socket is bound to all IPv4 addresses and an ephemeral port", (bench) => {
  const { addr, remoteAddr } = bench.listen({});
  assertEquals([addr.transport, addr.hostname, remoteAddr], ["udp", "0.0.0.0", null]);
  assert(addr.port >= Ports.ephemeralFirst);
});

test("options are handed to UDP", (bench) => {
  const first = bench.listen({
    port: 7,
    reuseAddress: true,
    timeToLive: 3,
    trafficClass: 0x28,
    receiveBufferBytes: 30,
  });
  bench.listen({ port: 7, reuseAddress: true });
  assertEquals([first.settings.timeToLive, first.settings.trafficClass], [3, 0x28]);
  first.configure({ timeToLive: 4, multicastTimeToLive: 0 });
  const { timeToLive, multicastTimeToLive, trafficClass } = first.settings;
  assertEquals([timeToLive, multicastTimeToLive, trafficClass], [4, 0, 0x28]);
});

test("settings that cannot be are refused, and none of them is changed", (bench) => {
  const socket = bench.listen();
  const before = { ...socket.settings };
  for (
    const [name, least, most] of [["timeToLive", 1, 255], ["multicastTimeToLive", 0, 255], [
      "trafficClass",
      0,
      255,
    ]] as const
  ) {
    for (const value of [least - 1, most + 1]) {
      assertThrowsNamed("RangeError", () => socket.configure({ broadcast: true, [name]: value }));
    }
    assertThrowsNamed("TypeError", () => socket.configure({ [name]: 1.5 }));
  }
  for (const name of ["broadcast", "multicastLoopback", "dontFragment"]) {
    assertThrowsNamed("TypeError", () => socket.configure({ [name]: 1 as never }));
  }
  assertEquals(socket.settings, before);
  socket.close();
  assertThrowsNamed("BadResource", () => socket.configure({}));
});

test("with loopback a datagram to a group comes back to the sockets that have joined it, and goes out too", async (bench) => {
  const member = bench.listen({ port: 7 });
  await member.joinMulticastV4("239.1.2.3", "192.0.2.1");
  const sender = bench.listen({ port: 8, loopback: true });
  bench.listen({ port: 9 });
  const to: Deno.NetAddr = { transport: "udp", hostname: "239.1.2.3", port: 7 };
  await sender.send(new TextEncoder().encode("hello"), to);
  const [data, from] = await member.receive();
  assertEquals([decode(data), from], ["hello", { transport: "udp", hostname: "192.0.2.1", port: 8 }]);
  await sender.send(new Uint8Array(1), { ...to, port: 9 });
  assertEquals([bench.network.sent.length, bench.udp.counters.noSocket], [2, 1]);
});

test("setLoopback changes whether datagrams to groups come back", async (bench) => {
  const socket = bench.listen({ port: 7 });
  const membership = await socket.joinMulticastV4("239.1.2.3", "192.0.2.1");
  const to: Deno.NetAddr = { transport: "udp", hostname: "239.1.2.3", port: 7 };
  await socket.send(Uint8Array.of(1), to);
  await membership.setLoopback(true);
  await socket.send(Uint8Array.of(2), to);
  await membership.setLoopback(false);
  await socket.send(Uint8Array.of(3), to);
  assertEquals([...(await socket.receive())[0]], [2]);
  assertEquals(bench.udp.counters.received, 1);
});

test("bad options are refused and hold nothing", (bench) => {
  const cases: [string, Parameters<typeof listenUdp>[2]][] = [
    ["RangeError", { port: 65536 }],
    ["RangeError", { port: 7, timeToLive: 0 }],
    ["RangeError", { port: 7, trafficClass: 256 }],
    ["RangeError", { port: 7, multicastTimeToLive: 256 }],
    ["TypeError", { port: 7, loopback: 1 as never }],
    ["TypeError", { port: 7, hostname: "example.com" }],
    ["TypeError", { port: 7, transport: "tcp" as "udp" }],
    ["RangeError", { port: 7, receiveBufferBytes: -1 }],
    ["AddrNotAvailable", { port: 7, hostname: "192.0.2.9" }],
  ];
  for (const [name, options] of cases) assertThrowsNamed(name, () => bench.listen(options));
  assertEquals(bench.ports.size, 0);
  bench.listen();
  assertThrowsNamed("AddrInUse", () => bench.listen());
});

test("a group is joined on the interface that has the address, and left once", async (bench) => {
  const socket = bench.listen();
  const membership = await socket.joinMulticastV4("239.1.2.3", "192.0.2.1");
  assertEquals(bench.network.nic.groups.map(String), ["239.1.2.3"]);
  await assertRejectsNamed("AddrInUse", socket.joinMulticastV4("239.1.2.3", "192.0.2.1"));
  await membership.setTTL(9);
  assertEquals(socket.settings.multicastTimeToLive, 9);
  await assertRejectsNamed("RangeError", membership.setTTL(256));
  await membership.leave();
  assertEquals(bench.network.nic.groups, []);
  await assertRejectsNamed("AddrNotAvailable", membership.leave());
});

test("without an interface a group is joined on the first one that is not the loopback", async (bench) => {
  await bench.listen().joinMulticastV4("239.1.2.3", "0.0.0.0");
  assertEquals(bench.network.nic.groups.map(String), ["239.1.2.3"]);
});

test("an IPv6 group is joined on the interface with the index", async (bench) => {
  const socket = bench.listen();
  const membership = await socket.joinMulticastV6("ff02::fb", 0);
  assertEquals(bench.network.nic.groups.map(String), ["ff02::fb"]);
  await membership.leave();
  await assertRejectsNamed("AddrNotAvailable", socket.joinMulticastV6("ff02::fb", 3));
});

test("a group that is none, and an interface that is not there, are refused", async (bench) => {
  const socket = bench.listen();
  await assertRejectsNamed("TypeError", socket.joinMulticastV4("10.0.0.1", "192.0.2.1"));
  await assertRejectsNamed("TypeError", socket.joinMulticastV4("ff02::fb", "192.0.2.1"));
  await assertRejectsNamed("TypeError", socket.joinMulticastV6("239.1.2.3", 0));
  await assertRejectsNamed("AddrNotAvailable", socket.joinMulticastV4("239.1.2.3", "192.0.2.7"));
});
