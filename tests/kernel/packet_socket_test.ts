import { assert, assertEquals, assertThrows } from "@std/assert";
import { HostGuard } from "../../ffi/host_guard.ts";
import { openPacketSocket, type PacketSocketOptions } from "../../ffi/packet_socket.ts";
import { Rtnetlink } from "../../ffi/rtnetlink.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { impair } from "../../stack/link/impaired_device.ts";
import type { Device } from "../../stack/link/device.ts";
import { PacketPool } from "../../stack/packet.ts";
import { Stack } from "../../stack/stack.ts";
import { Timers } from "../../stack/timers.ts";
import { assertClosed } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, noise } from "./transfer.ts";

const programs = { programs: ["ip"] };

/** The kernel's end of a veth pair, with 192.0.2.1/24, and the stack's end `out0`, with `address` where one is given. */
async function makeVeth(address?: string): Promise<void> {
  await run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "out0");
  await run("ip", "address", "add", "192.0.2.1/24", "dev", "veth0");
  if (address !== undefined) await run("ip", "address", "add", address, "dev", "out0");
  for (const name of ["veth0", "out0"]) await run("ip", "link", "set", name, "up");
}

/** A stack with 192.0.2.2 on `out0`. */
class Neighbor implements AsyncDisposable {
  readonly stack = new Stack();

  constructor(options: Partial<PacketSocketOptions> = {}, wrap = (device: Device): Device => device) {
    this.stack.attach(wrap(openPacketSocket({ interface: "out0", ...options })), { addresses: ["192.0.2.2/24"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.close();
    assertClosed(this.stack);
  }
}

for (const kind of ["as it is", "behind an impairment, which wants the frames of a wire"] as const) {
  kernelTest(`TCP over an existing interface ${kind}: exact both ways`, async () => {
    await makeVeth();
    await using neighbor = new Neighbor({}, (device) => kind === "as it is" ? device : impair(device));
    using listener = neighbor.stack.listen({ port: 7 });
    const [theirs, ours] = await Promise.all([
      Deno.connect({ hostname: "192.0.2.2", port: 7 }),
      listener.accept(),
    ]);
    using _theirs = theirs;
    await assertExact([ours, theirs], noise(1 << 20, 1), noise(1 << 20, 2));
  }, programs);
}

kernelTest("ping both ways over an existing interface", async () => {
  await makeVeth();
  await using neighbor = new Neighbor();
  for await (const { kind } of neighbor.stack.ping("192.0.2.1", { count: 2, interval: 1 })) assertEquals(kind, "reply");
  await run("ping", "-c", "2", "-i", "0.01", "-W", "1", "192.0.2.2");
}, { programs: ["ip", "ping"] });

kernelTest("what the kernel says of the interface is the device's", async () => {
  await makeVeth();
  await run("ip", "link", "set", "out0", "mtu", "1300", "address", "02:00:00:00:00:05");
  using device = openPacketSocket({ interface: "out0" });
  assertEquals([device.name, device.medium, String(device.address), device.mtu], [
    "out0",
    "ethernet",
    "02:00:00:00:00:05",
    1300,
  ]);
  await run("ip", "link", "set", "out0", "mtu", "1400");
  device.refresh();
  assertEquals(device.mtu, 1400);
}, programs);

kernelTest("promiscuous mode is on as long as the device is open", async () => {
  await makeVeth();
  const flags = async () => /PROMISC|promiscuity ([1-9])/.test(await run("ip", "-details", "link", "show", "out0"));
  assertEquals(await flags(), false);
  const device = openPacketSocket({ interface: "out0", promiscuous: true });
  assertEquals(await flags(), true);
  device.close();
  assertEquals(await flags(), false);
}, programs);

kernelTest("frames for an Ethernet address of the stack's own are received", async () => {
  await makeVeth();
  await using neighbor = new Neighbor({ mac: "02:00:00:00:00:77" });
  for await (const { kind } of neighbor.stack.ping("192.0.2.1", { count: 1 })) assertEquals(kind, "reply");
  assertEquals(/02:00:00:00:00:77/.test(await run("ip", "neighbor", "show", "192.0.2.2")), true);
}, programs);

kernelTest("with a guard, the stack has connections on the kernel's own address", async () => {
  await makeVeth("192.0.2.2/24");
  using _guard = new HostGuard({ link: "out0", addresses: ["192.0.2.2"] });
  await using neighbor = new Neighbor();
  // From elsewhere, as the kernel would deliver to an address of its own without any interface.
  await using peer = new Stack();
  peer.attach(openPacketSocket({ interface: "veth0", mac: "02:00:00:00:00:09" }), { addresses: ["192.0.2.9/24"] });
  using listener = neighbor.stack.listen({ port: 7 });
  const [theirs, ours] = await Promise.all([
    peer.connect({ hostname: "192.0.2.2", port: 7 }),
    listener.accept(),
  ]);
  await assertExact([ours, theirs], noise(100_000, 1), noise(100_000, 2));
  assertEquals(theirs.info().segmentsRetransmitted, 0);
}, programs);

/** The frames to everybody that a device has received; the kernel's own business is for groups. */
function broadcasts(device: Device): number[][] {
  const received = [];
  for (let packet = device.receive(); packet !== null; packet = device.receive()) {
    if (packet.view.getUint32(packet.head) === 0xffff_ffff) received.push([...packet.contents()]);
    packet.release();
  }
  return received;
}

kernelTest("frames of a VLAN keep their tag, so that they are none of the link's own", async () => {
  await makeVeth();
  const pool = new PacketPool();
  const host = { pool, headroom: 128, timers: new Timers(new VirtualClock()), wake() {}, linkChanged() {} };
  using near = openPacketSocket({ interface: "veth0" });
  using far = openPacketSocket({ interface: "out0" });
  near.attach(host);
  far.attach(host);
  // To everybody, from a station: VLAN 5 of priority 3, then a frame of an EtherType for experiments.
  const frame = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x81, 0, 0x60, 5, 0x88, 0xb5, ...noise(50)];
  const packet = pool.allocate(64, frame.length)!;
  packet.bytes.set(frame, packet.head);
  packet.tail = packet.head + frame.length;
  near.transmit(packet);
  assertEquals([broadcasts(near), broadcasts(far)], [[], [frame]]);
  near.close();
  far.close();
  assertEquals(pool.inUse, 0);
}, programs);

kernelTest("an interface that is not there or is down is refused in one line", async () => {
  assertThrows(() => openPacketSocket({ interface: "none0" }), Deno.errors.NotFound, "none0");
  await makeVeth();
  using kernel = new Rtnetlink();
  kernel.changeLink("out0", { up: false });
  assertThrows(() => openPacketSocket({ interface: "out0" }), Error, "ip link set out0 up");
}, programs);

kernelTest("an interface that goes away ends nothing else", async () => {
  await makeVeth();
  await using neighbor = new Neighbor();
  await run("ip", "link", "delete", "veth0");
  const kinds = [];
  for await (const { kind } of neighbor.stack.ping("192.0.2.1", { count: 1, timeout: 100 })) kinds.push(kind);
  assert(kinds.length === 1 && kinds[0] !== "reply");
}, programs);
