import { assertEquals, assertStrictEquals } from "@std/assert";
import { VirtualClock } from "../../stack/clock.ts";
import { Counters } from "../../stack/counters.ts";
import { BareIp } from "../../stack/link/bare_ip.ts";
import { capture } from "../../stack/link/capture.ts";
import { ChannelDevice } from "../../stack/link/channel.ts";
import type { Device } from "../../stack/link/device.ts";
import { DeviceWrapper } from "../../stack/link/device_wrapper.ts";
import { impair } from "../../stack/link/impaired_device.ts";
import { LoopbackDevice } from "../../stack/link/loopback.ts";
import { Nic } from "../../stack/link/nic.ts";
import { SharedQueue } from "../../stack/link/shared_queue.ts";
import { createWire } from "../../stack/link/wire.ts";
import type { Packet } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Timers } from "../../stack/timers.ts";
import { TestHost } from "../helpers/frames.ts";

/** The end of a wire that takes packets as they are, and notes which of them had borrowed. */
class Gathering extends DeviceWrapper {
  readonly gathers = true;
  readonly borrowed: boolean[] = [];

  override transmit(packet: Packet): Verdict {
    this.borrowed.push(packet.lender !== null);
    return super.transmit(packet);
  }
}

function setUp() {
  const host = new TestHost(new Timers(new VirtualClock()));
  const ring = Uint8Array.from({ length: 4096 }, (_, index) => index * 7);
  /** An IPv4 header's length of zeros, and 1000 bytes from around the end of the ring. */
  const send = (device: Device): Uint8Array => {
    const packet = host.pool.allocate(host.headroom, 1000)!;
    packet.borrow(ring, 3500, 1000);
    packet.bytes.fill(0, packet.push(20), packet.tail - 1000);
    const nic = new Nic(0, device.name, device, new BareIp({ counters: new Counters() }));
    const verdict = nic.transmit(packet);
    device.flush();
    assertEquals(verdict !== Verdict.dropped, true);
    return Uint8Array.from({ length: 1020 }, (_, index) => index < 20 ? 0 : ((3500 + index - 20) % 4096) * 7);
  };
  return { host, ring, send };
}

function received(device: Device): Uint8Array {
  const packet = device.receive()!;
  const bytes = packet.contents().slice();
  packet.release();
  return bytes;
}

for (const offload of [false, true]) {
  Deno.test(`a wire carries what a packet has borrowed, ${offload ? "with" : "without"} offload`, () => {
    const { host, ring, send } = setUp();
    const [left, right] = createWire({ medium: "ip", offload });
    left.attach(host);
    right.attach(host);
    const sent = send(left);
    ring.fill(0);
    assertEquals(received(right), sent);
    for (const end of [left, right]) end.close();
    assertEquals(host.pool.inUse, 0);
  });
}

Deno.test("a loopback carries what a packet has borrowed", () => {
  const { host, ring, send } = setUp();
  const device = new LoopbackDevice();
  device.attach(host);
  const sent = send(device);
  ring.fill(0);
  assertEquals(received(device), sent);
  device.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("a channel carries what a packet has borrowed", () => {
  const { host, ring, send } = setUp();
  const [left, right] = [new ChannelDevice(), new ChannelDevice()];
  left.attach(host);
  right.attach(host);
  const messages: Uint8Array[] = [];
  left.open({ bufferedBytes: 0, send: (message) => messages.push(message) });
  const sent = send(left);
  ring.fill(0);
  for (const message of messages) right.deliver(message);
  assertEquals(received(right), sent);
  for (const end of [left, right]) end.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("a capture records what a packet has borrowed, and hands it on filled", () => {
  const { host, ring, send } = setUp();
  const [left, right] = createWire({ medium: "ip" });
  const gathering = new Gathering(left);
  const blocks: Uint8Array[] = [];
  const device = capture(gathering, (bytes) => blocks.push(bytes));
  device.attach(host);
  right.attach(host);
  const sent = send(device);
  ring.fill(0);
  assertEquals(gathering.borrowed, [false]);
  assertEquals(received(right), sent);
  // The frame stands behind the 28 bytes of its block's header.
  assertEquals(blocks.at(-1)!.slice(28, 28 + sent.length), sent);
  device.close();
  right.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("a bad network delays what a packet has borrowed, whatever becomes of the ring meanwhile", () => {
  const { host, ring, send } = setUp();
  const [left, right] = createWire({ medium: "ip" });
  const gathering = new Gathering(left);
  const device = impair(gathering, { impairments: { delay: 10 } });
  device.attach(host);
  right.attach(host);
  const sent = send(device);
  ring.fill(0);
  (host.timers.clock as VirtualClock).set(10);
  host.timers.run();
  assertEquals(gathering.borrowed, [false]);
  assertEquals(received(right), sent);
  device.close();
  right.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("one queue of several hands on what a packet has borrowed as it is", () => {
  const { host, send } = setUp();
  const [left, right] = createWire();
  const gathering = new Gathering(left);
  const device = new SharedQueue(gathering, { index: 0, count: 1 }, [null]);
  device.attach(host);
  right.attach(host);
  const sent = send(device);
  assertEquals(gathering.borrowed, [true]);
  assertEquals(received(right), sent);
  device.close();
  right.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("a packet that cannot be sent gives back what it has borrowed with itself", () => {
  const { host, ring } = setUp();
  const device = new LoopbackDevice({ queuePackets: 1 });
  device.attach(host);
  const nic = new Nic(0, "lo", device, new BareIp({ counters: new Counters() }));
  const packets = [0, 1].map(() => {
    const packet = host.pool.allocate(host.headroom, 10)!;
    packet.borrow(ring, 0, 10);
    return packet;
  });
  assertEquals(packets.map((packet) => nic.transmit(packet)), [Verdict.done, Verdict.dropped]);
  assertStrictEquals(packets[1]!.lender, null);
  device.close();
  assertEquals(host.pool.inUse, 0);
});
