import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { ChannelDevice, type ChannelDeviceOptions } from "../../stack/link/channel.ts";
import { recordHeaderBytes } from "../../stack/link/channel_frames.ts";
import { ChecksumState } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { fill, SeededRandom } from "../../stack/random.ts";
import { TestHost } from "../helpers/frames.ts";
import { ipv4Packet, packetOf, pattern } from "../helpers/packets.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

class Recorder {
  readonly messages: Uint8Array[] = [];
  bufferedBytes = 0;

  send(message: Uint8Array): void {
    this.messages.push(message);
  }
}

function setUp(options: ChannelDeviceOptions = {}) {
  const time = new VirtualTime();
  const host = new TestHost(time.timers);
  const device = new ChannelDevice(options);
  const channel = new Recorder();
  device.attach(host);
  device.open(channel);
  const transmit = (bytes: Uint8Array) => device.transmit(packetOf(host.pool, bytes));
  const finish = () => {
    device.close();
    assertEquals(host.pool.inUse, 0);
    assertEquals(time.timers.running, 0);
  };
  return { host, device, channel, transmit, finish };
}

/** A TCP header without options, and some payload. */
function tcpBytes(payload: number): Uint8Array {
  const header = new Uint8Array(20);
  header[12] = 5 << 4;
  return concat([header, pattern(payload)]);
}

Deno.test("packets of one batch share a message, and arrive as they were, in order", () => {
  const { device, channel, transmit, finish } = setUp();
  const packets = [1, 100, 1400].map((length) => pattern(length));
  for (const packet of packets) assertEquals(transmit(packet), Verdict.queued);
  assertEquals(channel.messages.length, 0);
  device.flush();
  assertEquals(channel.messages.length, 1);
  assertEquals(device.traffic, { sentPackets: 3, sentBytes: 1501 });
  const other = setUp();
  other.device.deliver(channel.messages[0]!);
  for (const expected of packets) {
    const packet = other.device.receive()!;
    assertEquals(packet.contents(), expected);
    packet.release();
  }
  assertEquals(other.device.receive(), null);
  finish();
  other.finish();
});

Deno.test("a batch that is too large for one message goes in several", () => {
  const { device, channel, transmit, finish } = setUp();
  for (let packets = 0; packets < 100; packets++) transmit(pattern(1400));
  device.flush();
  assertEquals(channel.messages.length, 3);
  assert(channel.messages.every(({ length }) => length <= 65536));
  finish();
});

Deno.test("a super-segment crosses as one, with what is left to be done about it", () => {
  const { host, device, channel, finish } = setUp();
  const packet = packetOf(host.pool, ipv4Packet({ protocol: 6 }, tcpBytes(60_000)));
  packet.family = 4;
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = packet.head + 20;
  packet.checksumOffset = 16;
  packet.segmentBytes = 1360;
  const expected = packet.contents().slice();
  device.transmit(packet);
  device.flush();
  const other = setUp();
  other.device.deliver(channel.messages[0]!);
  const received = other.device.receive()!;
  assertEquals(received.contents(), expected);
  assertEquals([received.family, received.checksum, received.checksumOffset, received.segmentBytes], [
    4,
    ChecksumState.partial,
    16,
    1360,
  ]);
  assertEquals(received.checksumStart - received.head, 20);
  received.release();
  finish();
  other.finish();
});

for (
  const [what, change] of [
    ["a segment size of nothing", (view: DataView) => view.setUint16(6, 0)],
    ["a checksum beyond the end", (view: DataView) => view.setUint8(4, 255)],
    ["a transport header at another place than IP says", (view: DataView) => view.setUint8(3, 24)],
    ["segments without a partial checksum", (view: DataView) => view.setUint8(2, 2)],
    ["another protocol than TCP", (view: DataView) => view.setUint8(recordHeaderBytes + 9, 17)],
    ["a TCP header beyond the end", (view: DataView) => view.setUint8(recordHeaderBytes + 20 + 12, 0xf0)],
    ["another version of IP", (view: DataView) => view.setUint8(recordHeaderBytes, 0x75)],
  ] as const
) {
  Deno.test(`a super-segment with ${what} is dropped and counted`, () => {
    const { device, finish } = setUp();
    const packet = ipv4Packet({ protocol: 6 }, tcpBytes(30));
    const header = new Uint8Array([0, packet.length, 3, 20, 16, 0, 0, 100]);
    const message = concat([header, packet]);
    device.deliver(message);
    device.receive()!.release();
    change(new DataView(message.buffer));
    device.deliver(message);
    assertEquals(device.receive(), null);
    assertEquals(device.counters.receiveMalformed, 1);
    finish();
  });
}

Deno.test("a message that ends within a packet gives the packets before it", () => {
  const { device, finish } = setUp();
  const record = concat([new Uint8Array([0, 3, 0, 0, 0, 0, 0, 0]), pattern(3)]);
  for (let cut = 1; cut < record.length; cut++) {
    device.deliver(concat([record, record.subarray(0, cut)]));
    device.receive()!.release();
    assertEquals(device.receive(), null);
    assertEquals(device.counters.receiveMalformed, cut);
  }
  device.deliver(new Uint8Array(8));
  assertEquals(device.receive(), null);
  assertEquals(device.counters.receiveMalformed, record.length);
  finish();
});

Deno.test("whatever a message holds, every packet that comes of it is within bounds, and none is lost", () => {
  const { device, finish } = setUp();
  const random = new SeededRandom(7);
  let received = 0;
  for (let round = 0; round < 5000; round++) {
    const message = fill(random, new Uint8Array(random.uint32() % 200));
    // Lengths that fit are rare otherwise.
    if (message.length > 8) message.set([0, random.uint32() % 150, message[2]! & 3], 0);
    device.deliver(message);
    for (let packet = device.receive(); packet !== null; packet = device.receive()) {
      received++;
      assertGreater(packet.length, 0);
      if (packet.checksum === ChecksumState.partial) {
        assert(packet.checksumStart + packet.checksumOffset + 2 <= packet.tail);
      }
      packet.release();
    }
  }
  assertGreater(received, 500);
  assertGreater(device.counters.receiveMalformed, 500);
  finish();
});

Deno.test("a packet that is longer than the MTU is dropped and counted, either way", () => {
  const { device, transmit, finish } = setUp({ mtu: 100 });
  assertEquals(transmit(pattern(101)), Verdict.dropped);
  assertEquals(transmit(pattern(100)), Verdict.queued);
  device.deliver(concat([new Uint8Array([0, 101, 0, 0, 0, 0, 0, 0]), pattern(101)]));
  assertEquals(device.receive(), null);
  assertEquals([device.counters.transmitOversized, device.counters.receiveOversized], [1, 1]);
  finish();
});

Deno.test("a channel accepts only while its queue has room for a packet of any length", () => {
  const { device, channel, transmit, finish } = setUp({ queuePackets: 2, queueBytes: 64 * 1024 + 100 });
  channel.bufferedBytes = 1e9;
  assertEquals(device.accepts, true);
  transmit(pattern(100));
  assertEquals(device.accepts, true);
  transmit(pattern(1));
  assertEquals(device.accepts, false);
  channel.bufferedBytes = 0;
  device.flush();
  assertEquals(device.accepts, true);
  channel.bufferedBytes = 1e9;
  transmit(pattern(101));
  assertEquals(device.accepts, false);
  finish();
});

Deno.test("a slow channel is not waited for: its queue is bounded in packets and bytes, and goes on when it drains", () => {
  const { host, device, channel, transmit, finish } = setUp({ queuePackets: 4, bufferBytes: 1000 });
  channel.bufferedBytes = 1000;
  const wakes = host.wakes;
  for (let packets = 0; packets < 6; packets++) transmit(pattern(100));
  device.flush();
  assertEquals([device.counters.transmitQueueFull, device.queueLength, device.wantsWrite], [2, 4, false]);
  assertEquals([channel.messages.length, host.wakes], [0, wakes]);
  channel.bufferedBytes = 999;
  device.drained();
  assertEquals([device.wantsWrite, host.wakes], [true, wakes + 1]);
  device.flush();
  assertEquals([channel.messages.length, device.queueLength], [1, 0]);
  device.drained();
  assertEquals(host.wakes, wakes + 1);
  finish();
  const bytes = setUp({ queueBytes: 250 });
  for (let packets = 0; packets < 3; packets++) bytes.transmit(pattern(100));
  assertEquals(bytes.device.counters.transmitQueueFull, 1);
  bytes.finish();
});

Deno.test("without a channel, packets are dropped and counted; a new channel goes on where the old one ended", () => {
  const { device, channel, transmit, finish } = setUp();
  transmit(pattern(10));
  device.shut();
  assertEquals(transmit(pattern(10)), Verdict.dropped);
  assertEquals([device.counters.transmitDown, device.wantsWrite], [2, false]);
  const next = new Recorder();
  device.open(next);
  transmit(pattern(20));
  device.flush();
  assertEquals([channel.messages.length, next.messages.length], [0, 1]);
  finish();
});

Deno.test("packets that nobody takes are bounded, too", () => {
  const { host, device, finish } = setUp({ mtu: 65535 });
  const message = concat([new Uint8Array([0xea, 0x60, 0, 0, 0, 0, 0, 0]), pattern(60_000)]);
  for (let messages = 0; messages < 80; messages++) device.deliver(message);
  assertEquals(host.pool.inUse + device.counters.receiveQueueFull, 80);
  assertGreater(device.counters.receiveQueueFull, 5);
  finish();
});

Deno.test("a change of the MTU is told; nonsense is refused", () => {
  const { host, device, finish } = setUp();
  device.mtu = 1300;
  device.mtu = 1300;
  assertEquals([device.mtu, host.linkChanges], [1300, 1]);
  assertThrows(() => device.mtu = 67, RangeError, "the MTU goes from 68 to 65535");
  assertThrows(() => new ChannelDevice({ mtu: 65536 }), RangeError);
  finish();
});
