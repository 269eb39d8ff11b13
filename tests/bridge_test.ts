import { assert, assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { MacAddress } from "../stack/address.ts";
import { Bridge, type BridgeOptions } from "../stack/bridge.ts";
import type { Device } from "../stack/link/device.ts";
import { createWire } from "../stack/link/wire.ts";
import { PacketPool } from "../stack/packet.ts";
import { SeededRandom } from "../stack/random.ts";
import { Stack } from "../stack/stack.ts";
import { hex, packetOf, pattern } from "./helpers/packets.ts";
import { VirtualTime } from "./helpers/virtual_time.ts";

/** A bridge with three ports, whose other ends the test holds. */
class TestBridge implements AsyncDisposable {
  readonly time = new VirtualTime();
  readonly pool = new PacketPool();
  readonly bridge: Bridge;
  readonly ends: Device[] = [];

  constructor(options: BridgeOptions = {}, mtus = [1500, 1500, 1500]) {
    const { timers } = this.time;
    this.bridge = this.time.add(new Bridge({ timers, eventLoop: false, random: new SeededRandom(1), ...options }));
    for (const mtu of mtus) {
      const end = this.bridge.connect({ mtu });
      end.attach({ pool: this.pool, headroom: 128, timers, wake() {}, linkChanged() {} });
      this.ends.push(end);
    }
  }

  /** Sends a frame from the station with the number `from` behind a port; 0 stands for everybody as receiver. */
  send(port: number, from: number, to: number, payload = pattern(46)): void {
    const frame = concat([macBytes(to), macBytes(from), hex("88b5"), payload]);
    this.ends[port]!.transmit(packetOf(this.pool, frame));
    this.time.settle();
  }

  /** For each port, the senders of the frames that came out there. */
  take(): number[][] {
    return this.ends.map((end) => {
      const senders = [];
      for (let packet = end.receive(); packet !== null; packet = end.receive()) {
        senders.push(packet.bytes[packet.head + 11]!);
        packet.release();
      }
      return senders;
    });
  }

  counted(port: number): Record<string, number> {
    const counters = Object.entries(this.bridge.ports[port]!.counters);
    return Object.fromEntries(counters.filter(([, value]) => value !== 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.ends) end.close();
    await this.bridge.close();
    assertEquals([this.pool.inUse, this.time.timers.running], [0, 0]);
  }
}

function macBytes(station: number): Uint8Array {
  return station === 0 ? hex("ffffffffffff") : new Uint8Array([2, 0, 0, 0, 1, station]);
}

Deno.test("a frame to an unknown station or to everybody goes to all other ports", async () => {
  await using test = new TestBridge();
  test.send(0, 1, 2);
  assertEquals(test.take(), [[], [1], [1]]);
  test.send(1, 2, 0);
  assertEquals(test.take(), [[2], [], [2]]);
  assertEquals(test.counted(0), { received: 1, sent: 1, flooded: 1 });
});

Deno.test("a frame to a station that was heard of goes to its port only", async () => {
  await using test = new TestBridge();
  test.send(1, 2, 0);
  test.take();
  test.send(0, 1, 2);
  assertEquals(test.take(), [[], [1], []]);
  test.send(1, 2, 1);
  assertEquals(test.take(), [[2], [], []]);
});

Deno.test("a frame to a station of the same port goes nowhere", async () => {
  await using test = new TestBridge();
  test.send(0, 1, 0);
  test.send(0, 2, 0);
  test.take();
  test.send(0, 1, 2);
  assertEquals(test.take(), [[], [], []]);
  assertEquals(test.counted(0).filtered, 1);
});

Deno.test("a station that moves is found at its new port with its next frame", async () => {
  await using test = new TestBridge();
  test.send(1, 2, 0);
  test.send(2, 2, 0);
  test.take();
  test.send(0, 1, 2);
  assertEquals(test.take(), [[], [], [1]]);
});

Deno.test("a station that is not heard of is forgotten", async () => {
  await using test = new TestBridge({ maximumAge: 1000 });
  test.send(1, 2, 0);
  test.take();
  assertEquals(test.bridge.stations().map(({ address, port, age }) => [String(address), port.index, age]), [
    ["02:00:00:00:01:02", 1, 0],
  ]);
  test.time.advance(999);
  test.send(0, 1, 2);
  assertEquals(test.take(), [[], [1], []]);
  test.time.advance(1);
  test.send(0, 1, 2);
  assertEquals(test.take(), [[], [1], [1]]);
  assertEquals(test.bridge.stations().map(({ port }) => port.index), [0]);
});

Deno.test("the table is bounded: a thousand strangers push each other out", async () => {
  await using test = new TestBridge({ capacity: 64, floodLimit: { burst: 10_000, perSecond: 1 } });
  const strangers = new PacketPool();
  for (let number = 0; number < 1000; number++) {
    const source = MacAddress.local(number, 7).bytes;
    const frame = concat([hex("ffffffffffff"), source, hex("88b5"), pattern(46)]);
    test.ends[0]!.transmit(packetOf(strangers, frame));
    test.time.settle();
    test.take();
    assert(test.bridge.stations().length <= 64);
  }
  assertEquals(test.bridge.stations().length, 64);
  assertEquals(strangers.inUse, 0);
});

Deno.test("what one port floods is limited, and what is for one station is not", async () => {
  await using test = new TestBridge({ floodLimit: { burst: 3, perSecond: 10 } });
  test.send(1, 2, 0);
  test.take();
  for (let count = 0; count < 5; count++) test.send(0, 1, 0);
  assertEquals(test.take(), [[], [1, 1, 1], [1, 1, 1]]);
  assertEquals(test.counted(0), { received: 5, flooded: 3, floodLimited: 2, sent: 1 });
  test.send(0, 1, 2);
  test.send(1, 2, 0);
  assertEquals(test.take(), [[2], [1], [2]]);
  test.time.advance(100);
  test.send(0, 1, 0);
  assertEquals(test.take(), [[], [1], [1]]);
});

Deno.test("frames for bridges, from groups or too short are dropped", async () => {
  await using test = new TestBridge();
  for (
    const frame of [
      concat([hex("0180c200000e 020000000101 88cc"), pattern(46)]),
      concat([hex("ffffffffffff 030000000101 88b5"), pattern(46)]),
      concat([hex("ffffffffffff 000000000000 88b5"), pattern(46)]),
      hex("ffffffffffff 0200000001"),
    ]
  ) test.ends[0]!.transmit(packetOf(test.pool, frame));
  test.time.settle();
  assertEquals(test.take(), [[], [], []]);
  assertEquals(test.counted(0), { received: 4, malformed: 3, reserved: 1 });
});

Deno.test("a frame larger than a port's MTU does not leave by it", async () => {
  await using test = new TestBridge({}, [1500, 1000, 1500]);
  test.send(0, 1, 0, pattern(1001));
  assertEquals(test.take(), [[], [], [1]]);
  assertEquals(test.counted(1), { oversized: 1 });
});

Deno.test("three stacks on one bridge: TCP between two of them, and the third sees no segment of it", async () => {
  const time = new VirtualTime();
  const bridge = time.add(new Bridge({ timers: time.timers, eventLoop: false, random: new SeededRandom(1) }));
  const stacks = [1, 2, 3].map((seed) => {
    const stack = time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
    stack.attach(bridge.connect(), { addresses: [`10.0.0.${seed}/24`] });
    return stack;
  });
  const [left, right, third] = stacks as [Stack, Stack, Stack];
  const listener = right.listen({ port: 7 });
  const client = await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 7 }));
  const server = await time.waitFor(listener.accept());
  const before = third.nics[1]!.counters.receivedFrames;
  const bytes = pattern(200_000);
  const writing = client.writable.getWriter().write(bytes);
  const received = new Uint8Array(bytes.length);
  for (let length = 0; length < received.length;) {
    length += await time.waitFor(server.read(received.subarray(length))) ?? 0;
  }
  await time.waitFor(writing);
  assertEquals(received, bytes);
  assertEquals(third.nics[1]!.counters.receivedFrames, before);
  listener.close();
  client.close();
  server.close();
  for (const stack of stacks) await stack.close();
  await bridge.close();
  time.settle();
  assertEquals([...stacks.map(({ pool }) => pool.inUse), time.timers.running], [0, 0, 0, 0]);
});

Deno.test("a bridge on the system's clock runs by itself", async () => {
  await using bridge = new Bridge();
  await using left = new Stack();
  await using right = new Stack();
  left.attach(bridge.connect(), { addresses: ["10.0.0.1/24"] });
  right.attach(bridge.connect(), { addresses: ["10.0.0.2/24"] });
  for await (const { kind } of left.ping("10.0.0.2", { count: 2, interval: 1 })) assertEquals(kind, "reply");
});

Deno.test("a device without Ethernet cannot be a port, and a closed bridge takes none", async () => {
  const bridge = new Bridge({ eventLoop: false });
  const [end, other] = createWire({ medium: "ip" });
  assertThrows(() => bridge.add(end), TypeError, "it carries IP without Ethernet");
  await bridge.close();
  await bridge.close();
  assertThrows(() => bridge.connect(), Error, "the bridge has been closed");
  end.close();
  other.close();
});
