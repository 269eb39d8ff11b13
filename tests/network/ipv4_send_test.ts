import { assert, assertEquals } from "@std/assert";
import { IpAddress, IpPrefix, MacAddress } from "../../stack/address.ts";
import { checksum } from "../../stack/checksum.ts";
import { ChecksumState } from "../../stack/packet.ts";
import { ErrorKind, Verdict } from "../../stack/protocol.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { packetOf, pattern, plainChecksum, readIpv4 } from "../helpers/packets.ts";

function setUp(mtu = 1500) {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"], ownMac, { mtu });
  host.neighbors.addPermanent(nic, IpAddress.parse("192.0.2.1"), MacAddress.parse(peerMac));
  return {
    host,
    nic,
    take: () => host.take(nic).map((frame) => readIpv4(frame.subarray(14))),
  };
}

Deno.test("IPv4 builds a header from the path, with a right checksum", () => {
  const { host, take } = setUp();
  const path = host.path("192.0.2.1");
  path.timeToLive = 3;
  path.trafficClass = 0xb8;
  path.dontFragment = true;
  assertEquals(host.send(path, pattern(11)), Verdict.done);
  assertEquals(take()[0]!, {
    identification: 0,
    source: "192.0.2.2",
    destination: "192.0.2.1",
    protocol: 253,
    trafficClass: 0xb8,
    totalLength: 31,
    dontFragment: true,
    moreFragments: false,
    offset: 0,
    timeToLive: 3,
    checksumRight: true,
    payload: pattern(11),
  });
  host.assertQuiet();
});

Deno.test("IPv4 sends with a TTL of 64 and allows fragmentation unless the path says otherwise", () => {
  const { host, take } = setUp();
  host.send(host.path("192.0.2.1"), pattern(1));
  const { timeToLive, dontFragment, trafficClass } = take()[0]!;
  assertEquals([timeToLive, dontFragment, trafficClass], [64, false, 0]);
  host.assertQuiet();
});

Deno.test("IPv4 repeats no identification for a destination within thousands of packets, and counts not in ones", () => {
  const { host, take } = setUp();
  const path = host.path("192.0.2.1");
  for (let count = 0; count < 10_000; count++) host.send(path, pattern(1));
  const identifications = take().map(({ identification }) => identification);
  assertEquals(new Set(identifications).size, 10_000);
  const steps = new Set(identifications.slice(1).map((value, at) => (value - identifications[at]!) & 0xffff));
  assert(steps.size > 1);
  host.assertQuiet();
});

Deno.test("packets that are not to be fragmented have one identification: receivers can put them together", () => {
  const { host, take } = setUp();
  const path = host.path("192.0.2.1");
  path.dontFragment = true;
  for (let count = 0; count < 4; count++) host.send(path, pattern(1));
  assertEquals(take().map(({ identification }) => identification), [0, 0, 0, 0]);
  host.assertQuiet();
});

Deno.test("IPv4 sends a packet of exactly the path's MTU whole", () => {
  const { host, take } = setUp();
  host.send(host.path("192.0.2.1"), pattern(1480));
  assertEquals(take().map(({ totalLength }) => totalLength), [1500]);
  host.assertQuiet();
});

Deno.test("IPv4 cuts a longer packet into fragments at multiples of eight bytes", () => {
  const { host, take } = setUp(1006);
  assertEquals(host.send(host.path("192.0.2.1"), pattern(2500)), Verdict.done);
  const fragments = take();
  assertEquals(fragments.map(({ offset, moreFragments, totalLength }) => [offset, moreFragments, totalLength]), [
    [0, true, 1004],
    [984, true, 1004],
    [1968, false, 552],
  ]);
  assertEquals(new Set(fragments.map(({ identification }) => identification)).size, 1);
  assert(fragments.every(({ checksumRight, dontFragment }) => checksumRight && !dontFragment));
  assertEquals(fragments.flatMap(({ payload }) => [...payload]), [...pattern(2500)]);
  assertEquals(host.counted()["ipv4.fragmented"], 1);
  host.assertQuiet();
});

Deno.test("IPv4 sends the largest packet in fragments, and refuses a larger one", () => {
  const { host, take } = setUp();
  const path = host.path("192.0.2.1");
  assertEquals(host.send(path, pattern(65515)), Verdict.done);
  assertEquals(take().reduce((sum, { payload }) => sum + payload.length, 0), 65515);
  assertEquals(host.send(path, pattern(65516)), Verdict.dropped);
  assertEquals(host.counted()["ipv4.tooLong"], 1);
  assertEquals(take(), []);
  host.assertQuiet();
});

Deno.test("All fragments of the largest packet wait for the neighbour together", () => {
  const { host, nic } = setUp();
  assertEquals(host.send(host.path("192.0.2.9"), pattern(65515)), Verdict.queued);
  assertEquals(host.neighbors.list().at(-1)!.pending, 45);
  host.neighbors.addPermanent(nic, IpAddress.parse("192.0.2.9"), MacAddress.parse(peerMac));
  host.assertQuiet();
});

Deno.test("IPv4 completes a checksum that was left to the device before it cuts a packet", () => {
  const { host, take } = setUp(1006);
  const packet = packetOf(host.pool, pattern(2000));
  packet.view.setUint16(packet.head + 6, 0x1111);
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.head;
  packet.checksumOffset = 6;
  const right = checksum(packet.view, packet.head, 2000);
  host.ipv4.push(packet, host.path("192.0.2.1"));
  const bytes = new Uint8Array(take().flatMap(({ payload }) => [...payload]));
  assertEquals((bytes[6]! << 8) | bytes[7]!, right);
  bytes.set([0x11, 0x11], 6);
  assertEquals(plainChecksum(bytes), right);
  host.assertQuiet();
});

Deno.test("IPv4 gives a packet up when there are no packets for its fragments", () => {
  const { host } = setUp();
  const path = host.path("192.0.2.1");
  const packet = packetOf(host.pool, pattern(3000));
  const held = [];
  for (let spare = host.pool.allocate(0, 2048); spare !== null; spare = host.pool.allocate(0, 2048)) held.push(spare);
  for (let spare = host.pool.allocate(0, 4096); spare !== null; spare = host.pool.allocate(0, 4096)) held.push(spare);
  assertEquals(host.ipv4.push(packet, path), Verdict.dropped);
  assertEquals(host.counted()["ipv4.noPacket"], 1);
  for (const spare of held) spare.release();
  host.assertQuiet();
});

Deno.test("IPv4 does not send a packet that is too big and not to be fragmented, and tells its transport", () => {
  const { host, take } = setUp();
  const path = host.path("192.0.2.1");
  path.dontFragment = true;
  path.mtu = 1000;
  assertEquals(host.send(path, pattern(981)), Verdict.dropped);
  assertEquals(take(), []);
  assertEquals(host.transport.told, [{
    kind: ErrorKind.packetTooBig,
    type: -1,
    code: -1,
    mtu: 1000,
    source: "192.0.2.2",
    destination: "192.0.2.1",
    transport: pattern(981),
  }]);
  assertEquals(host.counted()["ipv4.tooBig"], 1);
  host.assertQuiet();
});

Deno.test("IPv4 sends a super-segment that is longer than the MTU, as the segments that it stands for", () => {
  const { host, take } = setUp();
  const path = host.path("192.0.2.1");
  path.dontFragment = true;
  const packet = packetOf(host.pool, pattern(20 + 2 * 1460 + 100));
  packet.view.setUint8(packet.head + 12, 0x50);
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.head;
  packet.checksumOffset = 16;
  packet.segmentBytes = 1460;
  assertEquals(host.ipv4.push(packet, path), Verdict.done);
  assertEquals(take().map(({ totalLength }) => totalLength), [1500, 1500, 140]);
  host.assertQuiet();
});

Deno.test("IPv4 tells the transport of packets whose next hop does not answer, and then at once", () => {
  const { host } = setUp();
  const path = host.path("192.0.2.9");
  assertEquals(host.send(path, pattern(8)), Verdict.queued);
  host.advance(3000);
  assertEquals(host.send(path, pattern(9)), Verdict.dropped);
  assertEquals(host.transport.told.map(({ kind, transport }) => [kind, transport.length]), [
    [ErrorKind.neighborUnreachable, 8],
    [ErrorKind.neighborUnreachable, 9],
  ]);
  host.assertQuiet();
});

Deno.test("IPv4 tells the transport once of a fragmented packet whose next hop does not answer", () => {
  const { host } = setUp();
  host.send(host.path("192.0.2.9"), pattern(4000));
  host.advance(3000);
  assertEquals(host.transport.told.length, 1);
  assertEquals(host.counted()["ipv4.neighborUnreachable"], 3);
  host.assertQuiet();
});

Deno.test("IPv4 sends what is meant for ourselves to the loopback, to all of our addresses", () => {
  const { host, take } = setUp();
  for (const destination of ["192.0.2.2", "127.0.0.1", "127.8.8.8"]) host.send(host.path(destination), pattern(9));
  assertEquals(take(), []);
  assertEquals(host.runLoopback(), 3);
  assertEquals(host.transport.received.map(({ source, destination }) => `${source} ${destination}`), [
    "192.0.2.2 192.0.2.2",
    "127.0.0.1 127.0.0.1",
    "127.0.0.1 127.8.8.8",
  ]);
  host.assertQuiet();
});

Deno.test("IPv4 sends the largest packet over the loopback in one piece", () => {
  const { host } = setUp();
  const path = host.path("127.0.0.1");
  assertEquals(path.mtu, 65535);
  host.send(path, pattern(65515));
  assertEquals(host.runLoopback(), 1);
  assertEquals(host.transport.received[0]!.payload, pattern(65515));
  host.assertQuiet();
});

Deno.test("IPv4 follows a change of routes with the next packet along an old path", () => {
  const { host, nic, take } = setUp();
  const second = host.addTun(["198.51.100.2/24"], { mtu: 1300 });
  host.routes.add({ prefix: IpPrefix.parse("0.0.0.0/0"), nic, gateway: IpAddress.parse("192.0.2.1") });
  const path = host.path("203.0.113.5");
  host.send(path, pattern(1));
  assertEquals([take().length, path.mtu], [1, 1500]);
  host.routes.add({ prefix: IpPrefix.parse("203.0.113.0/24"), nic: second });
  host.send(path, pattern(1));
  assertEquals([take().length, host.take(second).length, path.nic, path.mtu], [0, 1, second, 1300]);
  assertEquals(path.source.toString(), "192.0.2.2");
  host.assertQuiet();
});

Deno.test("IPv4 tells the transport when there is no route any more, or the path's source is no longer ours", () => {
  const { host, nic, take } = setUp();
  host.addresses.add(nic, IpPrefix.parse("198.51.100.2/24"));
  host.take(nic);
  const paths = [host.path("198.51.100.1"), host.path("192.0.2.1", "198.51.100.2")];
  host.addresses.remove(nic, IpAddress.parse("198.51.100.2"));
  for (const path of paths) assertEquals(host.send(path, pattern(8)), Verdict.dropped);
  assertEquals(host.transport.told.map(({ kind }) => kind), [
    ErrorKind.networkUnreachable,
    ErrorKind.networkUnreachable,
  ]);
  assertEquals([take(), host.counted()["ipv4.noRoute"]], [[], 2]);
  host.assertQuiet();
});
