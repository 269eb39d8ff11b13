import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { capture, type CaptureOptions } from "../../stack/link/capture.ts";
import type { Device, DeviceHost, Poller } from "../../stack/link/device.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import { Direction, LinkType } from "../../stack/link/pcapng.ts";
import { createWire } from "../../stack/link/wire.ts";
import { Verdict } from "../../stack/protocol.ts";
import type { Packet } from "../../stack/packet.ts";
import { drain, TestHost } from "../helpers/frames.ts";
import { hasProgram } from "../helpers/programs.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

function setUp(options: CaptureOptions = {}, medium: "ethernet" | "ip" = "ethernet") {
  const time = new VirtualTime(0);
  const blocks: Uint8Array[] = [];
  const [near, far] = createWire({ medium });
  const device = capture(near, (bytes) => blocks.push(bytes), options);
  const host = new TestHost(time.timers);
  const farHost = new TestHost(time.timers);
  device.attach(host);
  far.attach(farHost);
  const finish = () => {
    device.close();
    far.close();
    assertEquals(host.pool.inUse + farHost.pool.inUse, 0);
    assertEquals(time.timers.running, 0);
  };
  return { time, far, device, host, farHost, file: () => concat(blocks), finish };
}

Deno.test("a capture is a valid file before anything passes", () => {
  const { file, finish } = setUp();
  const { interfaces, frames } = readCapture(file());
  assertEquals(interfaces, [{ name: "wire0", linkType: LinkType.ethernet, snapLength: 262_144 }]);
  assertEquals(frames, []);
  finish();
});

Deno.test("a capture records both directions with their times, and passes the frames on", () => {
  const { time, far, device, host, farHost, file, finish } = setUp({ epoch: 1_792_000_000_000 });
  time.advance(1.5);
  assertEquals(device.transmit(host.frame(1, 61)), Verdict.done);
  time.advance(1000);
  far.transmit(farHost.frame(2, 62));
  assertEquals(drain(device), [2]);
  assertEquals(drain(far), [1]);
  assertEquals(device.receive(), null);
  const { frames } = readCapture(file());
  assertEquals(frames.map(({ timestamp, direction, bytes }) => [timestamp, direction, bytes.length, bytes[3]!]), [
    [1_792_000_000_001.5, Direction.outbound, 61, 1],
    [1_792_000_001_001.5, Direction.inbound, 62, 2],
  ]);
  assertEquals(device.frames, 2);
  finish();
});

Deno.test("a capture keeps at most the snap length of a frame, and its true length", () => {
  const { device, host, file, finish } = setUp({ snapLength: 50 });
  for (const length of [49, 50, 51]) device.transmit(host.frame(0, length));
  const { interfaces, frames } = readCapture(file());
  assertEquals(interfaces[0]!.snapLength, 50);
  assertEquals(frames.map(({ bytes, originalLength }) => [bytes.length, originalLength]), [[49, 49], [50, 50], [
    50,
    51,
  ]]);
  finish();
});

Deno.test("a capture of a medium without link headers says so", () => {
  const { file, finish } = setUp({}, "ip");
  assertEquals(readCapture(file()).interfaces[0]!.linkType, LinkType.raw);
  finish();
});

Deno.test("a capture refuses a snap length that keeps nothing", () => {
  const [device] = createWire();
  assertThrows(() => capture(device, () => {}, { snapLength: 0 }), RangeError, "Cannot keep 0 bytes of each frame");
  assertThrows(() => capture(device, () => {}, { snapLength: NaN }), RangeError, "Cannot keep NaN bytes");
});

/** A device that waits in the operating system, or says it does. */
class DescriptorDevice implements Device {
  readonly name = "tap0";
  readonly medium = "ethernet";
  readonly mtu = 1400;
  readonly address = null;
  readonly headerBytes = 10;
  readonly loopback = false;
  readonly descriptor = 7;
  readonly poller = {} as Poller;
  readonly calls: string[] = [];
  wantsWrite = false;

  createPoller(): Poller {
    return this.poller;
  }

  attach(_host: DeviceHost): void {
    this.calls.push("attach");
  }

  receive(): Packet | null {
    return null;
  }

  transmit(packet: Packet): Verdict {
    packet.release();
    return Verdict.queued;
  }

  flush(): void {
    this.calls.push("flush");
  }

  close(): void {
    this.calls.push("close");
  }
}

Deno.test("a capture leaves everything else to the device behind it", () => {
  const inner = new DescriptorDevice();
  const device = capture(inner, () => {});
  const host = new TestHost(new VirtualTime().timers);
  device.attach(host);
  assertEquals(device.descriptor, 7);
  assertStrictEquals(device.createPoller!(), inner.poller);
  assertEquals([device.mtu, device.headerBytes, device.loopback, device.address], [1400, 10, false, null]);
  assertEquals(device.wantsWrite, false);
  inner.wantsWrite = true;
  assertEquals(device.wantsWrite, true);
  assertEquals(device.transmit(host.frame(1)), Verdict.queued);
  device.flush();
  device.close();
  assertEquals(inner.calls, ["attach", "flush", "close"]);
  assertEquals(host.pool.inUse, 0);
});

Deno.test({
  name: "tshark reads a capture without complaint, with the right times, lengths and directions",
  ignore: !hasProgram("tshark", "--version"),
  async fn() {
    const { time, far, device, host, farHost, file, finish } = setUp({ epoch: 1_792_000_000_000, snapLength: 64 });
    time.advance(0.25);
    device.transmit(host.frame(1, 61));
    time.advance(3000);
    far.transmit(farHost.frame(2, 1514));
    drain(device);
    drain(far);
    const path = await Deno.makeTempFile({ suffix: ".pcapng" });
    try {
      await Deno.writeFile(path, file());
      const fields = ["time_epoch", "len", "cap_len", "interface_name", "packet_flags_direction"];
      const args = ["-r", path, "-T", "fields", ...fields.flatMap((field) => ["-e", `frame.${field}`])];
      const { success, stdout, stderr } = await new Deno.Command("tshark", { args }).output();
      const complaints = new TextDecoder().decode(stderr).split("\n").filter((line) =>
        line !== "" && !line.startsWith("Running as user")
      );
      assertEquals(complaints, []);
      assertEquals(success, true);
      assertEquals(new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => line.split("\t")), [
        ["1792000000.000250000", "61", "61", "wire0", "0x00000002"],
        ["1792000003.000250000", "1514", "64", "wire0", "0x00000001"],
      ]);
    } finally {
      await Deno.remove(path);
    }
    finish();
  },
});
