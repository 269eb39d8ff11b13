import { assertEquals } from "@std/assert";
import { DescriptorDevice } from "../../ffi/descriptor_device.ts";
import { cString, Libc } from "../../ffi/libc.ts";
import { virtioHeaderBytes } from "../../ffi/virtio_header.ts";
import { VirtualClock } from "../../stack/clock.ts";
import type { Packet } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Timers } from "../../stack/timers.ts";
import { TestHost } from "../helpers/frames.ts";

const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;

/** What a pipe takes whole or not at all, in bytes: PIPE_BUF of pipe(7). */
const atomicBytes = 4096;
const payloadBytes = atomicBytes - virtioHeaderBytes;

/** A device whose frames go into a pipe with a name: it can be full, and what was written can be read. */
class PipeDevice extends DescriptorDevice {
  readonly mtu = atomicBytes;
  protected readonly frameBytes = atomicBytes;
  protected oversized(): void {}

  constructor(path: string) {
    const libc = Libc.open();
    const descriptor = libc.calls.open(cString(path), O_RDWR | O_NONBLOCK);
    super(libc, descriptor, { name: "pipe", medium: "ip", address: null, headerBytes: virtioHeaderBytes });
  }

  /** The oldest frame, with its header, or null. */
  read(): Uint8Array | null {
    const frame = new Uint8Array(atomicBytes);
    return this.libc.calls.read(this.descriptor, frame, frame.length) === frame.length ? frame : null;
  }
}

async function setUp() {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/pipe`;
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const host = new TestHost(new Timers(new VirtualClock()));
  const device = new PipeDevice(path);
  device.attach(host);
  const ring = new Uint8Array(8192);
  /** A packet whose payload, all `mark`s, lies around the end of the ring. */
  const borrow = (mark: number): Packet => {
    ring.fill(mark);
    const packet = host.pool.allocate(host.headroom, payloadBytes)!;
    packet.borrow(ring, 6000, payloadBytes);
    return packet;
  };
  const end = async () => {
    device.close();
    await Deno.remove(directory, { recursive: true });
    assertEquals(host.pool.inUse, 0);
  };
  return { device, ring, borrow, end };
}

/** The virtio-net header says nothing, and the payload is `mark`s. */
function frameOf(mark: number): Uint8Array {
  return new Uint8Array(atomicBytes).fill(mark, virtioHeaderBytes);
}

Deno.test("what a packet has borrowed is written from where it is, behind the header, as one frame", async () => {
  const { device, borrow, end } = await setUp();
  const packet = borrow(7);
  packet.retain();
  assertEquals(device.transmit(packet), Verdict.done);
  // It was not fetched for that.
  assertEquals(packet.lender !== null, true);
  packet.release();
  assertEquals(device.read(), frameOf(7));
  assertEquals(device.read(), null);
  await end();
});

Deno.test("a packet that has to wait for the operating system keeps what it had borrowed when it came", async () => {
  const { device, ring, borrow, end } = await setUp();
  let sent = 0;
  let verdict: Verdict = Verdict.done;
  while (verdict === Verdict.done) verdict = device.transmit(borrow(++sent));
  assertEquals([verdict, device.wantsWrite, device.counters.transmitQueued], [Verdict.queued, true, 1]);
  assertEquals(device.transmit(borrow(++sent)), Verdict.queued);
  ring.fill(0);
  for (let mark = 1; mark <= sent; mark++) {
    device.flush();
    assertEquals(device.read(), frameOf(mark), `frame ${mark} of ${sent}`);
  }
  assertEquals([device.wantsWrite, device.read()], [false, null]);
  await end();
});
