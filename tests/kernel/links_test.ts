import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import { openTap, openTun } from "../../ffi/tuntap.ts";
import { impair } from "../../stack/link/impaired_device.ts";
import { IpPrefix } from "../../stack/address.ts";
import { Stack } from "../../stack/stack.ts";
import { assertClosed, Host, kernelAddress, Recorder, stackAddress } from "./host.ts";
import { KernelSocket } from "./kernel_datagrams.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, assertSameBytes, connect, noise, type Opener, receiveAll } from "./transfer.ts";

const megabyte = 1 << 20;
const openers: readonly Opener[] = ["the kernel", "the stack"];

for (const opener of openers) {
  kernelTest(`a link that loses 2 % and reorders, ${opener} connects: exact both ways`, async () => {
    const impairments = { loss: 0.02, delay: 1, reorder: 0.05, reorderDelay: 2 };
    await using host = new Host({ wrap: (tap) => impair(tap, { seed: 7, impairments }) });
    using ends = await connect(host, opener);
    await assertExact([ends.ours, ends.theirs], noise(2 * megabyte, 1), noise(2 * megabyte, 2));
    assert(ends.ours.info().segmentsRetransmitted > 0);
  });
}

kernelTest("a link that duplicates, corrupts and loses in bursts: exact both ways", async () => {
  const impairments = { duplicate: 0.05, corrupt: 0.01, delay: 1, burstLoss: { enter: 0.002, leave: 0.3 } };
  await using host = new Host({ wrap: (tap) => impair(tap, { seed: 3, impairments }) });
  using ends = await connect(host, "the kernel");
  await assertExact([ends.ours, ends.theirs], noise(megabyte, 1), noise(megabyte, 2));
});

for (const mtu of [68, 576, 9000, 65_521]) {
  kernelTest(`an MTU of ${mtu}: TCP, UDP and ping`, async () => {
    const recorder = new Recorder();
    await using host = new Host({ tap: { mtu }, wrap: recorder.wrap });
    using ends = await connect(host, "the stack");
    const bytes = noise(mtu === 68 ? 20_000 : megabyte);
    await assertExact([ends.ours, ends.theirs], bytes, bytes);

    await using theirs = await KernelSocket.bind(kernelAddress);
    using ours = host.stack.listenDatagram({ port: 7 });
    // With 68 bytes, 48 of them payload, the stack's limit of fragments of a packet is what bounds a datagram.
    const datagram = noise(mtu === 68 ? 1500 : 20_000);
    await theirs.send(datagram, stackAddress, 7);
    const [received, sender] = await ours.receive();
    assertSameBytes(received, datagram);
    await ours.send(received, sender);
    assertSameBytes((await theirs.receive()).bytes, datagram);

    for await (const { kind } of host.stack.ping(kernelAddress, { count: 1, size: 1000 })) assertEquals(kind, "reply");
    for (const { length } of recorder.frames) assertLessOrEqual(length, mtu + 14);
  });
}

kernelTest("the MTU changes under a connection: exact, and no frame too large", async () => {
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  using ends = await connect(host, "the stack");
  const first = noise(megabyte, 1);
  await Promise.all([receiveAll(ends.theirs, first.length), ends.ours.writable.getWriter().write(first)]);
  const before = recorder.frames.length;
  host.tap.mtu = 1000;
  await assertExact([ends.ours, ends.theirs], noise(megabyte, 2), noise(megabyte, 3));
  // What was on its way is what it was; nothing is sent that is larger than the MTU of the moment.
  for (const { sent, length } of recorder.frames.slice(before)) if (sent) assertLessOrEqual(length, 1014);
});

kernelTest("another program raises the MTU: the larger frames are received", async () => {
  await using host = new Host();
  await run("ip", "link", "set", host.tap.name, "mtu", "4000");
  using ends = await connect(host, "the kernel");
  await assertExact([ends.ours, ends.theirs], noise(megabyte, 1), noise(megabyte, 2));
  await using theirs = await KernelSocket.bind(kernelAddress);
  using ours = host.stack.listenDatagram({ port: 7 });
  // The first frame that is too large is lost, and makes the stack look.
  await theirs.send(noise(3000, 1), stackAddress, 7);
  await theirs.send(noise(3000, 2), stackAddress, 7);
  assertSameBytes((await ours.receive())[0], noise(3000, 2));
  assertEquals(host.tap.mtu, 4000);
}, { programs: ["ip"] });

kernelTest("every address of an interface is served until it is removed", async () => {
  await using host = new Host();
  host.stack.addAddress(host.nic, "192.0.2.3/24");
  host.stack.addAddress(host.nic, "10.7.0.2/16");
  host.tap.host.addAddress("10.7.0.1/16");
  using listener = host.stack.listen({ port: 7 });
  for (const hostname of [stackAddress, "192.0.2.3", "10.7.0.2"]) {
    const [ours, theirs] = await Promise.all([listener.accept(), Deno.connect({ hostname, port: 7 })]);
    assertEquals(ours.localAddr.hostname, hostname);
    await assertExact([ours, theirs], noise(1000, 1), noise(1000, 2));
    ours.close();
    theirs.close();
  }
  assertEquals(host.stack.removeAddress(host.nic, "192.0.2.3"), true);
  const { code } = await new Deno.Command("ping", { args: ["-c", "1", "-W", "0.2", "192.0.2.3"] }).output();
  assertEquals(code, 1);
  assertStringIncludes(await run("ping", "-c", "1", "10.7.0.2"), "1 received");
}, { programs: ["ping"] });

kernelTest(
  "the source of a connection is the address of the subnet that it goes to, or the one asked for",
  async () => {
    await using host = new Host();
    host.stack.addAddress(host.nic, "192.0.2.3/24");
    host.stack.addAddress(host.nic, "10.7.0.2/16");
    host.tap.host.addAddress("10.7.0.1/16");
    using listener = Deno.listen({ hostname: "0.0.0.0", port: 4000 });
    for (
      const [hostname, localHostname, expected] of [
        [kernelAddress, undefined, stackAddress],
        [kernelAddress, "192.0.2.3", "192.0.2.3"],
        ["10.7.0.1", undefined, "10.7.0.2"],
      ] as const
    ) {
      const request = { hostname, port: 4000, ...(localHostname === undefined ? {} : { localHostname }) };
      const [ours, theirs] = await Promise.all([host.stack.connect(request), listener.accept()]);
      assertEquals(theirs.remoteAddr.hostname, expected);
      ours.close();
      theirs.close();
    }
  },
);

kernelTest("a stack on two TAP devices serves and uses both", async () => {
  await using host = new Host();
  const second = openTap({ hostAddresses: ["198.51.100.1/24"] });
  host.stack.attach(second, { addresses: ["198.51.100.2/24"] });
  using listener = host.stack.listen({ port: 7 });
  using kernelListener = Deno.listen({ hostname: "0.0.0.0", port: 4000 });
  for (const [ourAddress, theirAddress] of [[stackAddress, kernelAddress], ["198.51.100.2", "198.51.100.1"]] as const) {
    const passive = await Promise.all([listener.accept(), Deno.connect({ hostname: ourAddress, port: 7 })]);
    const active = await Promise.all([
      host.stack.connect({ hostname: theirAddress, port: 4000 }),
      kernelListener.accept(),
    ]);
    assertEquals(active[1].remoteAddr.hostname, ourAddress);
    await Promise.all([passive, active].map((ends) => assertExact(ends, noise(megabyte, 1), noise(megabyte, 2))));
    for (const conn of [...passive, ...active]) conn.close();
  }
  assertEquals([host.tap, second].map(({ counters }) => counters.transmitErrors), [0, 0]);
});

kernelTest("a TUN device carries TCP, UDP and ping without Ethernet", async () => {
  const tun = openTun({ hostAddresses: [{ address: "10.1.1.1", peer: "10.1.1.2" }] });
  const stack = new Stack();
  const nic = stack.attach(tun, { addresses: ["10.1.1.2/32"] });
  stack.routes.add({ prefix: IpPrefix.parse("10.1.1.1/32"), nic });
  using listener = stack.listen({ port: 7 });
  const [ours, theirs] = await Promise.all([listener.accept(), Deno.connect({ hostname: "10.1.1.2", port: 7 })]);
  await assertExact([ours, theirs], noise(2 * megabyte, 1), noise(2 * megabyte, 2));
  theirs.close();

  await using sender = await KernelSocket.bind("10.1.1.1");
  using socket = stack.listenDatagram({ port: 7 });
  await sender.send(noise(60_000), "10.1.1.2", 7);
  const [received, from] = await socket.receive();
  await socket.send(received, from);
  assertSameBytes((await sender.receive()).bytes, noise(60_000));

  for await (const { kind } of stack.ping("10.1.1.1", { count: 1 })) assertEquals(kind, "reply");
  assertStringIncludes(await run("ping", "-c", "1", "10.1.1.2"), "1 received");
  await stack.close();
  assertClosed(stack);
}, { programs: ["ping"] });
