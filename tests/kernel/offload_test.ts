import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import type { TapOptions } from "../../ffi/tuntap.ts";
import { impair } from "../../stack/link/impaired_device.ts";
import type { Packet } from "../../stack/packet.ts";
import { Host, type HostOptions, Recorder } from "./host.ts";
import { configureKernel, kernelTest } from "./namespace.ts";
import { assertExact, connect, noise, type Opener } from "./transfer.ts";

const bytes = 8 << 20;
const openers: readonly Opener[] = ["the kernel", "the stack"];

/** Transfers both ways and returns the longest frames that the device was handed and gave. */
async function longestFrames(options: HostOptions, opener: Opener): Promise<{ sent: number; received: number }> {
  await using host = new Host(options);
  let sent = 0;
  let received = 0;
  const { device } = host.nic;
  const transmit = device.transmit.bind(device);
  const receive = device.receive.bind(device);
  device.transmit = (packet: Packet) => {
    sent = Math.max(sent, packet.length);
    return transmit(packet);
  };
  device.receive = () => {
    const packet = receive();
    if (packet !== null) received = Math.max(received, packet.length);
    return packet;
  };
  using ends = await connect(host, opener);
  await assertExact([ends.ours, ends.theirs], noise(bytes, 1), noise(bytes, 2));
  assertEquals(host.stack.tcp.counters.badChecksum, 0);
  assertEquals(host.tap.counters.receiveBadHeader, 0);
  assertEquals(host.tap.counters.transmitErrors, 0);
  return { sent, received };
}

for (const opener of openers) {
  kernelTest(`super-segments pass both ways, ${opener} connects: exact`, async () => {
    const { sent, received } = await longestFrames({}, opener);
    assertGreater(sent, 10_000);
    assertGreater(received, 10_000);
  });

  kernelTest(`without offload no frame is longer than a wire's, ${opener} connects: exact`, async () => {
    const tap: TapOptions = { offload: false };
    assertEquals(await longestFrames({ tap }, opener), { sent: 1514, received: 1514 });
  });
}

kernelTest("a bad network in front of the device is given the frames of a wire by both ends", async () => {
  const wrap: HostOptions["wrap"] = (tap) => impair(tap, { seed: 1, impairments: { loss: 0.001 } });
  assertEquals(await longestFrames({ wrap }, "the stack"), { sent: 1514, received: 1514 });
});

kernelTest("a capture of super-segments shows the frames of a wire", async () => {
  const recorder = new Recorder();
  const { sent } = await longestFrames({ wrap: recorder.wrap }, "the stack");
  assertGreater(sent, 10_000);
  for (const { length } of recorder.frames) assertLessOrEqual(length, 1514);
});

kernelTest("congestion marks on super-segments: CWR stays with the first segment", async () => {
  configureKernel("ipv4/tcp_ecn", 1);
  const { sent } = await longestFrames({ tcp: { ecn: "request" } }, "the stack");
  assertGreater(sent, 10_000);
}, { settings: true });

kernelTest("a device that finds no packet for a super-segment goes on with the next", async () => {
  await using host = new Host({ packetMemory: 600_000 });
  const { pool } = host.stack;
  using ends = await connect(host, "the kernel");
  const held: Packet[] = [];
  const hold = (bytes: number) => {
    for (let packet = pool.allocate(0, bytes); packet !== null; packet = pool.allocate(0, bytes)) held.push(packet);
  };
  hold(60_000);
  hold(1000);
  const receive = host.tap.receive.bind(host.tap);
  host.tap.receive = () => {
    const packet = receive();
    if (host.tap.counters.receiveNoPacket > 0) { for (const each of held.splice(0)) each.release(); }
    else if (packet !== null) held.push(packet);
    return held.length > 0 ? null : packet;
  };
  await assertExact([ends.ours, ends.theirs], noise(1000, 1), noise(300_000, 2));
  assertGreater(host.tap.counters.receiveNoPacket, 0);
});
