import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import type { ImpairmentOptions } from "../../../stack/link/impairment.ts";
import { createWire, type WireEnd, type WireOptions } from "../../../stack/link/wire.ts";
import { type Packet, PacketPool } from "../../../stack/packet.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { Stack } from "../../../stack/stack.ts";
import { AckNeed } from "../../../stack/transport/tcp/ack_policy.ts";
import { Flag, writeHeader } from "../../../stack/transport/tcp/header.ts";
import { Receiver } from "../../../stack/transport/tcp/receive.ts";
import { SpareReceiveBuffers } from "../../../stack/transport/tcp/receive_buffer.ts";
import { RingStorage } from "../../../stack/transport/tcp/ring.ts";
import { Segment } from "../../../stack/transport/tcp/segment.ts";
import type { UserConnection } from "../../../stack/transport/tcp/user.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";
import { patternBytes } from "./pattern.ts";

const chunk = patternBytes(0, 65_536);

/** Two stacks on a wire, and an established connection from one to the other. */
class Pair {
  readonly time = new VirtualTime();
  readonly left: Stack;
  readonly right: Stack;
  readonly leftEnd: WireEnd;
  readonly rightEnd: WireEnd;
  readonly sender: UserConnection;
  readonly receiver: UserConnection;
  /** Most bytes of the frames that the left end was handed. */
  longestSent = 0;
  /** How many frames that were. */
  framesSent = 0;
  sent = 0;
  received = 0;

  constructor(options: WireOptions) {
    const make = (seed: number) =>
      this.time.add(new Stack({ timers: this.time.timers, random: new SeededRandom(seed), eventLoop: false }));
    this.left = make(1);
    this.right = make(2);
    [this.leftEnd, this.rightEnd] = createWire(options);
    this.#watch();
    this.left.attach(this.leftEnd, { addresses: ["10.0.0.1/24"] });
    this.right.attach(this.rightEnd, { addresses: ["10.0.0.2/24"] });
    const listener = this.right.tcp.listen({ local: { address: IpAddress.unspecified4, port: 80 } });
    this.sender = this.left.tcp.connect({ remote: { address: IpAddress.parse("10.0.0.2"), port: 80 } });
    this.time.advance(1000);
    this.receiver = listener.accept()!;
    listener.close();
  }

  #watch(): void {
    const transmit = this.leftEnd.transmit.bind(this.leftEnd);
    this.leftEnd.transmit = (packet: Packet) => {
      this.longestSent = Math.max(this.longestSent, packet.length);
      this.framesSent++;
      return transmit(packet);
    };
  }

  /** Sends until the receiver has read `bytes` in all, each of them checked. */
  transfer(bytes: number): void {
    const buffer = new Uint8Array(chunk.length);
    const pump = {
      step: () => {
        for (let taken = 1; taken > 0 && this.sent < bytes; this.sent += taken) {
          const from = this.sent % chunk.length;
          taken = this.sender.send(chunk.subarray(from, Math.min(chunk.length, from + bytes - this.sent)));
        }
        while (this.receiver.receivable > 0) {
          const length = this.receiver.receive(buffer);
          for (let index = 0; index < length; index++) {
            assert(buffer[index] === chunk[(this.received + index) % chunk.length], `byte ${this.received + index}`);
          }
          this.received += length;
        }
        return 0;
      },
    };
    this.time.add(pump);
    this.time.runUntil(() => this.received === bytes);
    this.time.remove(pump);
  }

  async end(): Promise<void> {
    this.sender.abort();
    this.receiver.abort();
    this.time.settle();
    for (const stack of [this.left, this.right]) {
      await stack.close();
      assertEquals([stack.pool.inUse, stack.ports.size, stack.tcp.storage.inUse], [0, 0, 0]);
    }
    this.leftEnd.close();
    this.time.settle();
    assertEquals(this.time.timers.running, 0);
  }
}

Deno.test("a link that cuts segments is handed whole multiples of them, and counts as many as it would carry", async () => {
  const pair = new Pair({ offload: true });
  pair.transfer(4_000_000);
  assertGreater(pair.longestSent, 60_000);
  assertEquals((pair.longestSent - 14 - 20 - 32) % pair.sender.info().sendMss, 0);
  assertLess(pair.framesSent, 400);
  assertGreater(pair.sender.info().segmentsSent, 4_000_000 / 1448);
  assertGreater(pair.receiver.info().segmentsReceived, 4_000_000 / 1448);
  assertEquals(pair.sender.info().bytesRetransmitted, 0);
  await pair.end();
});

Deno.test("a link that gathers is handed super-segments that are in the send buffer still, unless somebody watches", async () => {
  const pair = new Pair({ offload: true });
  Object.defineProperty(pair.leftEnd, "gathers", { value: true });
  const transmit = pair.leftEnd.transmit.bind(pair.leftEnd);
  let borrowed = 0;
  let copied = 0;
  pair.leftEnd.transmit = (packet: Packet) => {
    if (packet.length > 10_000) {
      if (packet.lender === null) copied++;
      else borrowed++;
    }
    packet.fill();
    return transmit(packet);
  };
  pair.transfer(2_000_000);
  assertGreater(borrowed, 20);
  assertEquals(copied, 0);
  borrowed = 0;
  pair.left.trace = { segment: () => {} };
  pair.transfer(4_000_000);
  assertEquals(borrowed, 0);
  assertGreater(copied, 20);
  await pair.end();
});

Deno.test("the send buffer takes half a megabyte, or twice what is in the network, and no more than that", async () => {
  const pair = new Pair({ impairments: { delay: 5 } });
  const { sender, receiver } = pair;
  const data = new Uint8Array(4 << 20);
  const buffer = new Uint8Array(data.length);
  assertEquals(sender.send(data), 512 * 1024);
  assertEquals(sender.send(data), 0);
  let most = 0;
  for (let step = 0; step < 200; step++) {
    pair.time.advance(1);
    receiver.receive(buffer);
    const { bytesInFlight, sendQueued } = sender.info();
    const room = Math.min(data.length, Math.max(512 * 1024, 2 * bytesInFlight)) - sendQueued;
    assertEquals(sender.send(data), room);
    most = Math.max(most, sendQueued + room);
  }
  // The largest that it may become, by default.
  assertEquals(most, data.length);
  await pair.end();
});

Deno.test("a link that cuts nothing is handed segments", async () => {
  const pair = new Pair({});
  pair.transfer(1_000_000);
  assertEquals(pair.longestSent, 1514);
  await pair.end();
});

Deno.test("a wire with impairments is handed frames that can be lost one by one, whatever it was told", async () => {
  const pair = new Pair({ offload: true, impairments: { loss: 0.01, delay: 5 } });
  pair.transfer(1_000_000);
  assertEquals(pair.longestSent, 1514);
  await pair.end();
});

const badNetworks: [string, ImpairmentOptions][] = [
  ["loses 2 %", { loss: 0.02, delay: 5 }],
  ["reorders", { delay: 5, reorder: 0.1, reorderDelay: 3 }],
  ["corrupts and duplicates", { delay: 5, corrupt: 0.01, duplicate: 0.05 }],
];
for (const [what, impairments] of badNetworks) {
  Deno.test(`a link that ${what} from one moment on: super-segments are cut above it, and repaired one by one`, async () => {
    const pair = new Pair({ offload: true });
    pair.transfer(1_000_000);
    assertGreater(pair.longestSent, 60_000);
    pair.longestSent = 0;
    pair.leftEnd.impairment.configure(impairments);
    pair.transfer(3_000_000);
    assertEquals(pair.longestSent, 1514);
    assertLess(pair.sender.info().bytesRetransmitted, 300_000);
    await pair.end();
  });
}

/** Takes super-segments of these payload lengths in order, of 1000 bytes each segment. */
function takeInOrder(receiver: Receiver, pool: PacketPool, from: number, lengths: number[]): void {
  const segment = new Segment();
  for (const length of lengths) {
    const packet = pool.allocate(0, 20 + length)!;
    packet.tail = 20 + length;
    packet.transportAt = 0;
    packet.segmentBytes = length > 1000 ? 1000 : 0;
    writeHeader(packet.view, 0, 1, 2, from, 0, 20, Flag.ack, 0);
    segment.load(packet);
    receiver.take(segment, 0);
    packet.release();
    from += length;
  }
}

Deno.test("acknowledgements are counted by segments, however they come", () => {
  const pool = new PacketPool();
  const receiver = new Receiver(new SpareReceiveBuffers(new RingStorage()), 100_000, 65_535, 0);
  receiver.start(0);
  takeInOrder(receiver, pool, 1, [5000]);
  assertEquals([receiver.segmentBytes, receiver.acks.need], [1000, AckNeed.now]);
  receiver.acknowledged();
  // Had the super-segment counted as one segment, this would be less than two of them.
  takeInOrder(receiver, pool, 5001, [2000]);
  assertEquals(receiver.acks.need, AckNeed.now);
  receiver.acknowledged();
  takeInOrder(receiver, pool, 7001, [1000]);
  assertEquals(receiver.acks.need, AckNeed.delayed);
  receiver.discard();
  assertEquals(pool.inUse, 0);
});
