import { assertEquals } from "@std/assert";
import { PacketPool } from "../../../stack/packet.ts";
import { Flag, writeHeader } from "../../../stack/transport/tcp/header.ts";
import { Receiver } from "../../../stack/transport/tcp/receive.ts";
import { SpareReceiveBuffers } from "../../../stack/transport/tcp/receive_buffer.ts";
import { RingStorage } from "../../../stack/transport/tcp/ring.ts";
import { Segment } from "../../../stack/transport/tcp/segment.ts";
import { tcpTest } from "./harness.ts";

/** A receiver with a buffer of `maximum` bytes whose peer's data begin at 1, and what hands it segments. */
function reception(maximum: number) {
  const receiver = new Receiver(new SpareReceiveBuffers(new RingStorage()), maximum);
  const pool = new PacketPool();
  const segment = new Segment();
  receiver.start(0);
  const handed = (start: number, length: number, what: (segment: Segment) => void) => {
    const packet = pool.allocate(0, 20 + length)!;
    packet.tail = 20 + length;
    packet.transportAt = 0;
    writeHeader(packet.view, 0, 1, 2, start, 0, 20, Flag.ack, 0);
    segment.load(packet);
    what(segment);
    packet.release();
  };
  return { receiver, handed };
}

Deno.test("of the data of a SYN that crosses ours, no more are kept than the window announces", () => {
  const { receiver, handed } = reception(1000);
  handed(1, 1500, (segment) => receiver.hold(segment));
  assertEquals([receiver.takeHeld(0), receiver.rcvNxt, receiver.queued], [true, 1001, 1000]);
  receiver.discard();
});

Deno.test("a window that grows becomes twice as large at least, so that it takes few steps", () => {
  const { receiver, handed } = reception(1_000_000);
  receiver.windowScale = Receiver.scaleFor(1_000_000);
  const before = receiver.window;
  handed(1, 20_000, (segment) => receiver.take(segment, 0));
  // Four times what was read in a round trip is a little more than the window.
  receiver.read(new Uint8Array(20_000), 10, 10);
  receiver.announce(true);
  const step = 2 ** receiver.windowScale;
  assertEquals([before, Math.floor(receiver.window / step)], [65_535, Math.floor(2 * 65_535 / step)]);
});

tcpTest(
  "a closed window is probed after the time-out as it is without back-off: losses before count for nothing",
  (t) => {
    t.accept("mss 1000").write(1000);
    t.takeSent();
    t.wait(t.connection.sender.rtt.timeout + 1);
    assertEquals(t.takeSent().length, 1);
    t.receives(". 1:1(0) ack 1001 win 0").write(500);
    const { rtt } = t.connection.sender;
    assertEquals(rtt.timeout, 2 * rtt.baseTimeout);
    t.wait(rtt.baseTimeout - 1);
    assertEquals(t.takeSent(), []);
    t.wait(2);
    assertEquals(t.takeSent().map(({ length }) => length), [1]);
  },
);
