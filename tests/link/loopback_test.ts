import { assertEquals, assertStrictEquals } from "@std/assert";
import { VirtualClock } from "../../stack/clock.ts";
import { LoopbackDevice } from "../../stack/link/loopback.ts";
import { ChecksumState } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Timers } from "../../stack/timers.ts";
import { TestHost } from "../helpers/frames.ts";

function setUp(options?: ConstructorParameters<typeof LoopbackDevice>[0]) {
  const host = new TestHost(new Timers(new VirtualClock()));
  const device = new LoopbackDevice(options);
  device.attach(host);
  return { host, device };
}

Deno.test("The loopback hands back the very packets that were sent, in order", () => {
  const { host, device } = setUp();
  const packets = [host.frame(1), host.frame(2)];
  for (const packet of packets) assertEquals(device.transmit(packet), Verdict.done);
  for (const packet of packets) {
    assertStrictEquals(device.receive(), packet);
    packet.release();
  }
  assertEquals(device.receive(), null);
  assertEquals(host.pool.inUse, 0);
});

Deno.test("The loopback needs no checksums and cuts no segments", () => {
  const { host, device } = setUp();
  const packet = host.frame(1);
  packet.checksum = ChecksumState.partial;
  packet.segmentBytes = 1460;
  packet.networkAt = packet.head;
  device.transmit(packet);
  device.receive();
  assertEquals(packet.checksum, ChecksumState.verified);
  assertEquals(packet.segmentBytes, 0);
  assertEquals(packet.networkAt, -1);
  packet.release();
});

Deno.test("The loopback wakes the stack once for what waits together", () => {
  const { host, device } = setUp();
  device.transmit(host.frame(1));
  device.transmit(host.frame(2));
  assertEquals(host.wakes, 1);
  device.receive()?.release();
  device.receive()?.release();
  device.transmit(host.frame(3));
  assertEquals(host.wakes, 2);
  device.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("The loopback drops and counts what does not fit into its queue", () => {
  const { host, device } = setUp({ queuePackets: 2 });
  const verdicts = [1, 2, 3].map((mark) => device.transmit(host.frame(mark)));
  assertEquals(verdicts, [Verdict.done, Verdict.done, Verdict.dropped]);
  assertEquals(device.queueDropped, 1);
  device.close();
  assertEquals(host.pool.inUse, 0);
});

Deno.test("The loopback releases what waits when it is closed, and takes nothing more", () => {
  const { host, device } = setUp();
  device.transmit(host.frame(1));
  device.close();
  assertEquals(host.pool.inUse, 0);
  assertEquals(device.transmit(host.frame(2)), Verdict.dropped);
  assertEquals(device.receive(), null);
  assertEquals(host.pool.inUse, 0);
});

Deno.test("The loopback carries the largest IP packet unless told otherwise", () => {
  assertEquals(setUp().device.mtu, 65535);
  assertEquals(setUp({ mtu: 1280 }).device.mtu, 1280);
  assertEquals(setUp().device.loopback, true);
});
