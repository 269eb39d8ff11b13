import { assertEquals, assertNotEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { addUint16, verify } from "../../stack/checksum.ts";
import { Counters } from "../../stack/counters.ts";
import { ErrorKind, Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Echo, type EchoError, type EchoReply } from "../../stack/transport/echo.ts";
import { assertThrowsNamed } from "../helpers/errors.ts";
import { FakeNetwork } from "../helpers/fake_network.ts";

const peer = IpAddress.parse("192.0.2.9");
const router = IpAddress.parse("192.0.2.254");

class Observer {
  readonly replies: EchoReply[] = [];
  readonly errors: EchoError[] = [];
  replied(reply: EchoReply): void {
    this.replies.push(reply);
  }
  failed(error: EchoError): void {
    this.errors.push(error);
  }
}

interface Bench {
  readonly network: FakeNetwork;
  readonly echo: Echo;
  readonly observer: Observer;
  /** Answers the request that was sent last, as the peer would. */
  reply(changes?: { sequence?: number; source?: IpAddress }): boolean;
}

function test(name: string, body: (bench: Bench) => void, address = "192.0.2.1/24"): void {
  Deno.test(name, () => {
    const network = new FakeNetwork(address);
    const echo = new Echo({
      networks: network,
      pool: network.pool,
      random: new SeededRandom(1),
      counters: new Counters(),
      headroom: 64,
    });
    const reply = (changes: { sequence?: number; source?: IpAddress } = {}) => {
      const request = network.sent.at(-1)!;
      const bytes = request.bytes.slice();
      bytes[0] = network.family === 4 ? 0 : 129;
      if (changes.sequence !== undefined) new DataView(bytes.buffer).setUint16(6, changes.sequence);
      const source = changes.source ?? request.path.destination;
      const packet = network.packet({ source, destination: network.own, bytes, arrivedAt: 1234.5, timeToLive: 61 });
      const wanted = echo.reply(packet);
      packet.release();
      return wanted;
    };
    body({ network, echo, observer: new Observer(), reply });
    assertEquals(network.pool.inUse, 0);
  });
}

test("a request carries type 8, the identifier, the sequence number, the data and a checksum", (bench) => {
  const { network, echo, observer } = bench;
  const socket = echo.open(peer, observer, { dataBytes: 4 });
  assertEquals(socket.send(0x1234), Verdict.done);
  const { bytes } = network.sent[0]!;
  const { identifier } = socket;
  assertEquals([...bytes.slice(0, 2)], [8, 0]);
  assertEquals([...bytes.slice(4)], [identifier >> 8, identifier & 0xff, 0x12, 0x34, 0, 1, 2, 3]);
  assertEquals(verify(new DataView(bytes.buffer), 0, bytes.length), true);
});

test("over IPv6 a request carries type 128 and a checksum over the pseudo-header", ({ network, echo, observer }) => {
  echo.open(IpAddress.parse("2001:db8::9"), observer).send(1);
  const { bytes, path } = network.sent[0]!;
  assertEquals(bytes[0], 128);
  assertEquals(path.protocol, 58);
  assertEquals(verify(new DataView(bytes.buffer), 0, bytes.length, addUint16(bytes.length, path.pseudoSum)), true);
}, "2001:db8::1/64");

test("the data is as long as it is asked to be and repeats the pattern", ({ network, echo, observer }) => {
  echo.open(peer, observer, { dataBytes: 5, pattern: new Uint8Array([0xab, 0xcd]) }).send(1);
  echo.open(peer, observer, { dataBytes: 0 }).send(1);
  echo.open(peer, observer).send(1);
  assertEquals([...network.sent[0]!.bytes.slice(8)], [0xab, 0xcd, 0xab, 0xcd, 0xab]);
  assertEquals(network.sent.slice(1).map(({ bytes }) => bytes.length), [8, 64]);
});

test("the time to live is the socket's", ({ network, echo, observer }) => {
  echo.open(peer, observer, { timeToLive: 3 }).send(1);
  assertEquals(network.sent[0]!.timeToLive, 3);
});

test("a reply is told with its sequence number, source, size, TTL and moment of arrival", ({ echo, observer, reply }) => {
  echo.open(peer, observer).send(7);
  assertEquals(reply({ source: router }), true);
  const [{ source, ...rest }] = observer.replies as [EchoReply];
  assertEquals(source.toString(), "192.0.2.254");
  assertEquals(rest, { sequence: 7, bytes: 64, timeToLive: 61, arrivedAt: 1234.5 });
});

test("a reply over IPv6 is told likewise", ({ echo, observer, reply }) => {
  echo.open(IpAddress.parse("2001:db8::9"), observer).send(7);
  reply();
  assertEquals([observer.replies[0]!.source.toString(), observer.replies[0]!.timeToLive], ["2001:db8::9", 61]);
}, "2001:db8::1/64");

test("each socket has an identifier of its own and hears its own replies only", ({ echo, observer, reply }) => {
  const other = new Observer();
  const first = echo.open(peer, observer);
  const second = echo.open(peer, other);
  assertNotEquals(first.identifier, second.identifier);
  second.send(1);
  reply();
  assertEquals([observer.replies.length, other.replies.length], [0, 1]);
});

test("a reply that nobody waits for is counted", ({ echo, observer, reply }) => {
  const socket = echo.open(peer, observer);
  socket.send(1);
  socket.close();
  socket.close();
  assertEquals(reply(), false);
  assertEquals([echo.counters.strayReplies, echo.counters.replies, echo.size], [1, 0, 0]);
});

test("an error is told with who reported it and which request it quotes", ({ network, echo, observer }) => {
  echo.open(peer, observer).send(9);
  const quoted = { source: network.own, destination: peer, bytes: network.sent[0]!.bytes.slice(0, 8) };
  network.report(echo, { kind: ErrorKind.hostUnreachable, type: 3, code: 1, reporter: router }, quoted);
  const [{ source, ...rest }] = observer.errors as [EchoError];
  assertEquals(source.toString(), "192.0.2.254");
  assertEquals(rest, { sequence: 9, kind: ErrorKind.hostUnreachable, type: 3, code: 1, mtu: 0 });
});

test("an error that the stack raised itself comes from our own address", ({ network, echo, observer }) => {
  echo.open(peer, observer).send(9);
  const quoted = { source: network.own, destination: peer, bytes: network.sent[0]!.bytes };
  network.report(echo, { kind: ErrorKind.neighborUnreachable, reporter: router }, quoted);
  assertEquals(observer.errors[0]!.source.toString(), "192.0.2.1");
});

test("an error that quotes another destination, a reply, or nobody's identifier is not believed", (bench) => {
  const { network, echo, observer } = bench;
  const socket = echo.open(peer, observer);
  socket.send(9);
  const error = { kind: ErrorKind.hostUnreachable, type: 3, code: 1, reporter: router };
  const quoted = { source: network.own, destination: peer, bytes: network.sent[0]!.bytes.slice(0, 8) };
  network.report(echo, error, { ...quoted, destination: router });
  network.report(echo, error, { ...quoted, bytes: Uint8Array.of(0, ...quoted.bytes.slice(1)) });
  socket.close();
  network.report(echo, error, quoted);
  assertEquals([observer.errors.length, echo.counters.errors], [0, 0]);
});

test("an error that says the MTU of a link is told, and heeded by the requests to come", ({ network, echo, observer }) => {
  echo.open(peer, observer).send(9);
  const quoted = { source: network.own, destination: peer, bytes: network.sent[0]!.bytes };
  network.report(echo, { kind: ErrorKind.packetTooBig, type: 3, code: 4, mtu: 1300, reporter: router }, quoted);
  assertEquals([observer.errors[0]!.mtu, network.sent[0]!.path.mtu], [1300, 1300]);
});

test("a destination without a route cannot be opened", ({ network, echo, observer }) => {
  network.unreachable.add("192.0.2.9");
  assertThrowsNamed("NetworkUnreachable", () => echo.open(peer, observer));
  assertThrowsNamed("NetworkUnreachable", () => echo.open(IpAddress.loopback6, observer));
  assertEquals(echo.size, 0);
});

test("without a packet to be had, a request is dropped and counted", ({ network, echo, observer }) => {
  const socket = echo.open(peer, observer);
  const allocate = network.pool.allocate;
  network.pool.allocate = () => null;
  assertEquals(socket.send(1), Verdict.dropped);
  network.pool.allocate = allocate;
  assertEquals([echo.counters.noPacket, echo.counters.requests], [1, 0]);
});
