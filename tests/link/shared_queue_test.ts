import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { VirtualClock } from "../../stack/clock.ts";
import type { Device } from "../../stack/link/device.ts";
import { DeviceWrapper } from "../../stack/link/device_wrapper.ts";
import { LoopbackDevice } from "../../stack/link/loopback.ts";
import { type FramePort, SharedQueue } from "../../stack/link/shared_queue.ts";
import { createWire, type WireEnd } from "../../stack/link/wire.ts";
import { ChecksumState, type Packet } from "../../stack/packet.ts";
import { Timers } from "../../stack/timers.ts";
import { TestHost } from "../helpers/frames.ts";
import {
  arpMessage,
  echoMessage,
  ethernetFrame,
  icmpMessage,
  type Ipv4Fields,
  ipv4Packet,
  packetOf,
  uint16,
} from "../helpers/packets.ts";

const ours = "02:00:00:00:00:02";
const theirs = "02:00:00:00:00:01";
const Protocol = { icmp: 1, igmp: 2, tcp: 6, udp: 17 } as const;

/** Ports whose two ends call each other at once. */
function channel(): [FramePort, FramePort] {
  const make = (other: () => FramePort): FramePort => ({
    postMessage: (data) => other().onmessage?.({ data: structuredClone(data) } as MessageEvent),
    onmessage: null,
    close(): void {
      this.onmessage = null;
    },
  });
  const left: FramePort = make(() => right);
  const right: FramePort = make(() => left);
  return [left, right];
}

interface Queues {
  host: TestHost;
  queues: SharedQueue[];
  /** The kernel's end of each queue. */
  kernel: WireEnd[];
}

/** Three queues of one interface. */
function setUp(): Queues {
  const host = new TestHost(new Timers(new VirtualClock()));
  const wires = [0, 1, 2].map(() => createWire());
  const ports: (FramePort | null)[][] = [[null, null, null], [null, null, null], [null, null, null]];
  for (const [left, right] of [[0, 1], [0, 2], [1, 2]] as const) {
    const [toRight, toLeft] = channel();
    ports[left]![right] = toRight;
    ports[right]![left] = toLeft;
  }
  const queues = wires.map(([, inner], index) => new SharedQueue(inner, { index, count: 3 }, ports[index]!));
  for (const queue of queues) queue.attach(host);
  const kernel = wires.map(([end]) => end);
  for (const end of kernel) end.attach(host);
  return { host, queues, kernel };
}

/** Gives a frame to one queue, and returns to which queues' stacks it comes. */
function deliver({ host, queues, kernel }: Queues, queue: number, frame: Uint8Array): number[] {
  kernel[queue]!.transmit(packetOf(host.pool, frame));
  const reached: number[] = [];
  // The queue that has it hands it on before the others look.
  for (const index of [queue, ...[0, 1, 2].filter((other) => other !== queue)]) {
    for (let packet = queues[index]!.receive(); packet !== null; packet = queues[index]!.receive()) {
      assertEquals(packet.contents(), frame as Uint8Array<ArrayBuffer>);
      reached.push(index);
      packet.release();
    }
  }
  return reached.sort();
}

function ipv4(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  return ethernetFrame(ours, theirs, 0x0800, ipv4Packet(fields, payload));
}

/** The ports of a TCP or UDP header, and something behind them. */
function flow(destinationPort: number): Uint8Array {
  return concat([uint16(80), uint16(destinationPort), new Uint8Array(16)]);
}

function assertNothingLeft({ host, queues, kernel }: Queues): void {
  for (const device of [...queues, ...kernel]) device.close();
  assertEquals(host.pool.inUse, 0);
}

Deno.test("a segment for an ephemeral port comes to the stack whose port it is, whichever queue it came by", () => {
  const world = setUp();
  for (const protocol of [Protocol.tcp, Protocol.udp]) {
    for (const port of [49152, 50000, 65535]) {
      for (const queue of [0, 1, 2]) assertEquals(deliver(world, queue, ipv4({ protocol }, flow(port))), [port % 3]);
    }
  }
  assertNothingLeft(world);
});

Deno.test("a segment for a listening port stays with the queue that the kernel chose", () => {
  const world = setUp();
  for (const queue of [0, 1, 2]) {
    assertEquals(deliver(world, queue, ipv4({ protocol: Protocol.tcp }, flow(7))), [queue]);
  }
  assertEquals(world.queues.map(({ counters }) => counters.misdirected), [0, 0, 0]);
  assertNothingLeft(world);
});

Deno.test("what is asked of the address is answered by one stack, and answers come to all of them", () => {
  const world = setUp();
  const message = (operation: number) =>
    ethernetFrame(
      ours,
      theirs,
      0x0806,
      arpMessage({ operation, sender: [theirs, "192.0.2.1"], target: [ours, "192.0.2.2"] }),
    );
  const icmp = (payload: Uint8Array) => ipv4({ protocol: Protocol.icmp }, payload);
  const rest = new Uint8Array(4);
  assertEquals(deliver(world, 1, message(1)), [1]);
  assertEquals(deliver(world, 1, message(2)), [0, 1, 2]);
  assertEquals(deliver(world, 2, icmp(echoMessage(8, 1, 1, rest))), [2]);
  assertEquals(deliver(world, 2, icmp(echoMessage(0, 1, 1, rest))), [0, 1, 2]);
  assertEquals(deliver(world, 0, icmp(icmpMessage(3, 4, rest, ipv4Packet({}, rest)))), [0, 1, 2]);
  assertEquals(deliver(world, 0, ipv4({ protocol: Protocol.igmp }, new Uint8Array(8))), [0, 1, 2]);
  assertNothingLeft(world);
});

Deno.test("fragments come together at the first stack", () => {
  const world = setUp();
  const fields = { protocol: Protocol.udp };
  assertEquals(deliver(world, 1, ipv4({ ...fields, moreFragments: true }, flow(50000))), [0]);
  assertEquals(deliver(world, 2, ipv4({ ...fields, offset: 1480 }, new Uint8Array(8))), [0]);
  assertNothingLeft(world);
});

Deno.test("frames that are too short to be read stay where they are", () => {
  const world = setUp();
  const whole = ipv4({ protocol: Protocol.tcp }, flow(50000));
  for (const length of [14, 15, 20, 33, 36]) {
    assertEquals(deliver(world, 1, whole.subarray(0, length)), [1], `${length} bytes`);
  }
  const arp = ethernetFrame(ours, theirs, 0x0806, new Uint8Array(7));
  assertEquals(deliver(world, 1, arp), [1]);
  assertNothingLeft(world);
});

Deno.test("a frame that is handed on keeps what is known of its checksum and segments, and wakes the stack", () => {
  const host = new TestHost(new Timers(new VirtualClock()));
  /** Hands out one packet that is marked as a device with offloads does. */
  class Marked extends DeviceWrapper {
    override receive(): Packet | null {
      const packet = super.receive();
      if (packet === null) return null;
      packet.checksum = ChecksumState.verified;
      packet.segmentBytes = 1448;
      return packet;
    }
  }
  const [kernel, inner] = createWire();
  const [here, there] = channel();
  const from = new SharedQueue(new Marked(inner), { index: 0, count: 2 }, [null, here]);
  const [, other] = createWire();
  const to = new SharedQueue(other, { index: 1, count: 2 }, [there, null]);
  for (const device of [from, to, kernel]) device.attach(host);
  const wakes = host.wakes;
  kernel.transmit(packetOf(host.pool, ipv4({ protocol: Protocol.tcp }, flow(50001))));
  assertEquals(from.receive(), null);
  const packet = to.receive()!;
  assertEquals([packet.checksum, packet.segmentBytes], [ChecksumState.verified, 1448]);
  assertEquals(host.wakes > wakes, true);
  assertEquals([from.counters.misdirected, to.counters.handed], [1, 1]);
  packet.release();
  for (const device of [from, to, kernel]) device.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("more frames from other queues than may wait are dropped and counted", () => {
  const world = setUp();
  const { host, queues, kernel } = world;
  for (let frame = 0; frame < 300; frame++) {
    kernel[0]!.transmit(packetOf(host.pool, ipv4({ protocol: Protocol.tcp }, flow(49153))));
    assertEquals(queues[0]!.receive(), null);
  }
  const { handed, handedDropped } = queues[49153 % 3]!.counters;
  assertEquals({ handed, handedDropped }, { handed: 300, handedDropped: 44 });
  assertNothingLeft(world);
});

Deno.test("a shared queue says which it is, through what is put in front of it, too", () => {
  const world = setUp();
  class Window extends DeviceWrapper {}
  const queue: Device = new Window(world.queues[1]!);
  assertStrictEquals(queue.share, world.queues[1]!.share);
  assertThrows(
    () => new SharedQueue(new LoopbackDevice(), { index: 0, count: 1 }, [null]),
    TypeError,
    "no Ethernet frames",
  );
  assertNothingLeft(world);
});
