import { assert, assertEquals, assertFalse, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { isDeviceUnavailable, openTap, openTun, type TapOptions, type TunTapDevice } from "../../ffi/tuntap.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Timers } from "../../stack/timers.ts";
import { kernelTest, run } from "../kernel/namespace.ts";

const headroom = 64;
const etherTypeAt = 12;
/** Ethernet's experimental EtherType, which the kernel hands to nobody else. */
const experimental = 0x88b5;

interface Attached {
  device: TunTapDevice;
  pool: PacketPool;
  changes: () => number;
}

function attach(device: TunTapDevice, pool = new PacketPool()): Attached {
  let changes = 0;
  device.attach({
    pool,
    headroom,
    timers: new Timers(new VirtualClock()),
    wake: () => {},
    linkChanged: () => changes++,
  });
  return { device, pool, changes: () => changes };
}

/** A frame with these bytes, which starts in a packet of `pool`. */
function frame(pool: PacketPool, bytes: ArrayLike<number>): Packet {
  const packet = pool.allocate(headroom, bytes.length)!;
  packet.bytes.set(bytes, packet.head);
  packet.tail += bytes.length;
  return packet;
}

/** The received frames that `wanted` accepts, until there are none; all are released. */
function receiveAll(device: TunTapDevice, wanted: (packet: Packet) => boolean): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let packet = device.receive(); packet !== null; packet = device.receive()) {
    if (wanted(packet)) frames.push(packet.contents().slice());
    packet.release();
  }
  return frames;
}

function isArp(packet: Packet): boolean {
  return packet.view.getUint16(packet.head + etherTypeAt) === 0x0806;
}

/** An ARP request of the stack's end for the kernel's address. */
function arpRequest(device: TunTapDevice, from: number[], to: number[]): number[] {
  const mac = Array.from(device.address!.bytes);
  return [
    ...[255, 255, 255, 255, 255, 255, ...mac, 0x08, 0x06],
    ...[0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...from, 0, 0, 0, 0, 0, 0, ...to],
  ];
}

/** Sends one datagram into the device from the kernel's side, which takes an ARP request or goes to a TUN directly. */
async function knock(address: string): Promise<void> {
  await new Deno.Command("ping", { args: ["-c", "1", "-W", "0.1", address], stdout: "null", stderr: "null" }).spawn()
    .status;
}

kernelTest("the kernel chooses the first free name", () => {
  using first = openTap();
  using second = openTap();
  using tun = openTun();
  assertEquals([first.name, second.name, tun.name], ["tap0", "tap1", "tun0"]);
  assertEquals([first.medium, tun.medium], ["ethernet", "ip"]);
});

kernelTest("the interface goes away when the device is closed", async () => {
  const device = openTap({ name: "tap9" });
  assertStringIncludes(await run("ip", "-brief", "link"), "tap9");
  device.close();
  device.close();
  assertFalse((await run("ip", "-brief", "link")).includes("tap9"));
});

kernelTest("the stack's end has an Ethernet address of its own, locally administered", () => {
  using device = openTap();
  assertNotEquals(String(device.address), String(device.host.info().mac));
  assertEquals(device.address!.bytes[0]! & 3, 2);
  using chosen = openTap({ mac: "02:00:00:00:00:09" });
  assertEquals(String(chosen.address), "02:00:00:00:00:09");
});

kernelTest("the kernel's ARP request is received as the bytes of a frame, at the stack's headroom", async () => {
  using device = openTap({ hostAddresses: ["10.0.0.1/24"] });
  const { pool } = attach(device);
  await knock("10.0.0.2");
  const [request] = receiveAll(device, (packet) => {
    assertEquals(packet.head, headroom);
    return isArp(packet);
  });
  const mac = device.host.info().mac!.bytes;
  assertEquals(request!.subarray(0, 12), new Uint8Array([255, 255, 255, 255, 255, 255, ...mac]));
  assertEquals(request!.subarray(28, 42), new Uint8Array([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]));
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("a frame that is written reaches the kernel, which answers", () => {
  using device = openTap({ hostAddresses: ["10.0.0.1/24"] });
  const { pool } = attach(device);
  const packet = frame(pool, arpRequest(device, [10, 0, 0, 2], [10, 0, 0, 1]));
  assertEquals(device.transmit(packet), Verdict.done);
  const replies = receiveAll(device, (packet) => isArp(packet) && packet.view.getUint16(packet.head + 20) === 2);
  assertEquals(replies.length, 1);
  assertEquals(replies[0]!.subarray(28, 32), new Uint8Array([10, 0, 0, 1]));
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("a TUN device carries IP packets without a link header", async () => {
  using device = openTun({ hostAddresses: [{ address: "10.1.1.1", peer: "10.1.1.2" }] });
  const { pool } = attach(device);
  await knock("10.1.1.2");
  const packets = receiveAll(device, (packet) => packet.bytes[packet.head] === 0x45);
  assertEquals(packets[0]!.subarray(12, 20), new Uint8Array([10, 1, 1, 1, 10, 1, 1, 2]));
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("the MTU is that of both ends, whoever sets it", async () => {
  using device = openTap({ mtu: 1400, txQueueLength: 100 });
  const { changes } = attach(device);
  assertEquals([device.mtu, device.host.info().mtu, device.host.info().txQueueLength], [1400, 1400, 100]);
  device.mtu = 9000;
  assertEquals([device.mtu, device.host.info().mtu, changes()], [9000, 9000, 1]);
  device.host.change({ mtu: 1500 });
  assertEquals([device.mtu, changes()], [1500, 2]);
  await run("ip", "link", "set", device.name, "mtu", "1300");
  device.refresh();
  assertEquals([device.mtu, changes()], [1300, 3]);
});

kernelTest("the largest MTU is 65521 bytes, and a frame of that size passes both ways", async () => {
  using device = openTap({ mtu: 65521, hostAddresses: ["10.0.0.1/24"] });
  const { pool } = attach(device);
  await run("ip", "neighbor", "add", "10.0.0.2", "lladdr", String(device.address), "dev", device.name);
  await new Deno.Command("ping", { args: ["-c1", "-W0.1", "-Mdo", "-s", String(65521 - 28), "10.0.0.2"] }).output();
  const [largest] = receiveAll(device, (packet) => packet.length === 65535);
  assertEquals(largest?.length, 65535);
  const back = frame(pool, largest!);
  back.view.setUint16(back.head + etherTypeAt, experimental);
  assertEquals(device.transmit(back), Verdict.done);
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("a frame above the MTU that was in force is counted, and the MTU read again", async () => {
  using device = openTap({ hostAddresses: ["10.0.0.1/24"] });
  const { pool, changes } = attach(device);
  receiveAll(device, () => false);
  await run("ip", "link", "set", device.name, "mtu", "3000");
  await run("ip", "neighbor", "add", "10.0.0.2", "lladdr", String(device.address), "dev", device.name);
  const ping = ["-c2", "-i0.2", "-W0.1", "-Mdo", "-s", String(3000 - 28), "10.0.0.2"];
  await new Deno.Command("ping", { args: ping }).output();
  const frames = receiveAll(device, (packet) => packet.length === 3014);
  assertEquals([device.counters.receiveOversized, frames.length], [1, 1]);
  assertEquals([device.mtu, changes()], [3000, 1]);
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("a frame that finds no packet is given up and counted", () => {
  using device = openTap({ hostAddresses: ["10.0.0.1/24"] });
  attach(device, new PacketPool({ limitBytes: 0 }));
  const pool = new PacketPool();
  device.transmit(frame(pool, arpRequest(device, [10, 0, 0, 2], [10, 0, 0, 1])));
  assertEquals(pool.inUse, 0);
  for (let attempt = 0; attempt < 20; attempt++) assertEquals(device.receive(), null);
  assert(device.counters.receiveNoPacket >= 1);
});

kernelTest("while the kernel's end is down, frames are dropped and counted; afterwards they pass again", () => {
  using device = openTap();
  const { pool, changes } = attach(device);
  const bytes = arpRequest(device, [10, 0, 0, 2], [10, 0, 0, 1]);
  device.host.change({ up: false });
  assertEquals(device.transmit(frame(pool, bytes)), Verdict.dropped);
  assertEquals(device.transmit(frame(pool, bytes)), Verdict.dropped);
  assertEquals([device.counters.transmitDown, device.running, changes()], [2, false, 1]);
  device.host.change({ up: true });
  assertEquals(device.transmit(frame(pool, bytes)), Verdict.done);
  assertEquals([device.running, changes()], [true, 2]);
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("an interface that was deleted under the device is reported once, and poll passes it over", async () => {
  using device = openTap();
  const { pool, changes } = attach(device);
  receiveAll(device, () => true);
  await run("ip", "link", "delete", device.name);
  assertEquals(device.receive(), null);
  assertEquals(device.receive(), null);
  assertEquals([device.counters.receiveErrors, device.running, device.descriptor, changes()], [1, false, -1, 1]);
  assertEquals(device.transmit(frame(pool, new Uint8Array(60))), Verdict.dropped);
  device.flush();
  device.close();
  assertEquals(pool.inUse, 0);
});

kernelTest("a device that is closed drops what it is given", () => {
  const device = openTap();
  const { pool } = attach(device);
  device.close();
  assertEquals(device.receive(), null);
  assertEquals(device.transmit(frame(pool, new Uint8Array(60))), Verdict.dropped);
  assertEquals([pool.inUse, device.closed, device.descriptor], [0, true, -1]);
});

kernelTest("a frame that is shorter than its header is refused by the kernel and counted", () => {
  using device = openTap();
  const { pool } = attach(device);
  assertEquals(device.transmit(frame(pool, new Uint8Array(5))), Verdict.dropped);
  assertEquals([device.counters.transmitErrors, pool.inUse], [1, 0]);
});

kernelTest("a device that another one has open is busy", () => {
  using first = openTap({ name: "tap0" });
  const error = assertThrows(() => openTap({ name: first.name }), Deno.errors.Busy, "another program has it open");
  assertFalse(isDeviceUnavailable(error));
});

kernelTest("a name that belongs to another kind of interface is refused", () => {
  assertThrows(() => openTap({ name: "lo" }), Error, "an interface of another kind has that name");
});

kernelTest("an address that the kernel's end was given twice ends the opening, and leaves no device", () => {
  const hostAddresses = ["10.0.0.1/24", "10.0.0.1/24"];
  assertThrows(() => openTap({ name: "tap0", hostAddresses }), Deno.errors.AddrInUse, "10.0.0.1/24");
  using again = openTap({ name: "tap0" });
  assertEquals(again.name, "tap0");
});

kernelTest("the kernel's own Ethernet address is refused", async () => {
  await run("ip", "tuntap", "add", "tap5", "mode", "tap");
  await run("ip", "link", "set", "tap5", "address", "02:00:00:00:00:05");
  assertThrows(() => openTap({ name: "tap5", mac: "02:00:00:00:00:05" }), TypeError, "the kernel's end has it");
});

kernelTest("a persistent device is taken over, and stays", async () => {
  await run("ip", "tuntap", "add", "tap5", "mode", "tap");
  openTap({ name: "tap5" }).close();
  assertStringIncludes(await run("ip", "-brief", "link"), "tap5");
});

kernelTest("a program without the privilege is told what to do", async () => {
  const module = new URL("../../ffi/tuntap.ts", import.meta.url).href;
  const code = `import { isDeviceUnavailable, openTap } from "${module}";
    try { openTap({ name: "tap0" }); } catch (error) { console.log(isDeviceUnavailable(error), String(error)); }`;
  const output = await run("unshare", "--user", Deno.execPath(), "eval", "--no-config", code);
  assertStringIncludes(output, 'true PermissionDenied: Cannot open the TAP device "tap0": ');
  assertStringIncludes(output, "run as root");
});

for (
  const [name, options, message] of [
    ["a name of sixteen bytes", { name: "sixteen-bytes-xx" }, "it has 16 bytes, choose one of at most 15"],
    ["an MTU below 68 bytes", { mtu: 67 }, "it goes from 68 to 65521 bytes"],
    ["an MTU above 65521 bytes", { mtu: 65522 }, "it goes from 68 to 65521 bytes"],
    ["a group's Ethernet address", { mac: "01:00:5e:00:00:01" }, "it is a group's address"],
    ["a text that is no Ethernet address", { mac: "tap" }, 'Cannot parse "tap" as an Ethernet address'],
  ] as const satisfies [string, TapOptions, string][]
) {
  Deno.test(`${name} is refused before the kernel is asked`, () => {
    const error = assertThrows(() => openTap(options), Error, message);
    assert(error instanceof TypeError || error instanceof RangeError);
  });
}

Deno.test("without --allow-ffi, the error names the flag", async () => {
  const module = new URL("../../ffi/tuntap.ts", import.meta.url).href;
  const code = `import { isDeviceUnavailable, openTap } from "${module}";
    try { openTap(); } catch (error) { console.log(isDeviceUnavailable(error), String(error)); }`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, code);
  const output = await run(Deno.execPath(), "run", "--no-prompt", "--no-config", file);
  await Deno.remove(file);
  assertStringIncludes(output, "true NotCapable");
  assertStringIncludes(output, "--allow-ffi");
});
