import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { Host, kernelAddress, Recorder, stackAddress } from "./host.ts";
import { KernelSocket } from "./kernel_datagrams.ts";
import { kernelTest } from "./namespace.ts";
import { assertSameBytes, noise } from "./transfer.ts";

/** From nothing to the most that fits into an IPv4 packet; a frame of 1500 bytes carries 1472. */
const lengths = [0, 1, 2, 1471, 1472, 1473, 2953, 9000, 60_000, 65_507];

function netAddr(hostname: string, port: number): Deno.NetAddr {
  return { transport: "udp", hostname, port };
}

kernelTest("datagrams of every length go from the kernel to the stack and back", async () => {
  await using host = new Host();
  await using theirs = await KernelSocket.bind(kernelAddress);
  using ours = host.stack.listenDatagram({ port: 7 });
  for (const length of lengths) {
    const bytes = noise(length, length + 1);
    await theirs.send(bytes, stackAddress, 7);
    const [received, sender] = await ours.receive();
    assertSameBytes(received, bytes, `${length} bytes to the stack`);
    assertEquals(sender, netAddr(kernelAddress, theirs.port));
    await ours.send(received, sender);
    const answer = await theirs.receive();
    assertSameBytes(answer.bytes, bytes, `${length} bytes to the kernel`);
    assertEquals([answer.hostname, answer.port], [stackAddress, 7]);
  }
});

kernelTest("a datagram of 60,000 bytes takes 41 fragments each way, and is put together again", async () => {
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  await using theirs = await KernelSocket.bind(kernelAddress);
  using ours = host.stack.listenDatagram({ port: 7 });
  const bytes = noise(60_000);
  await theirs.send(bytes, stackAddress, 7);
  const [received, sender] = await ours.receive();
  assertSameBytes(received, bytes);
  await ours.send(received, sender);
  assertSameBytes((await theirs.receive()).bytes, bytes);
  assertEquals(recorder.fragments, { sent: 41, received: 41 });
});

kernelTest("large datagrams of two sockets at once do not get mixed up", async () => {
  await using host = new Host({ tap: { txQueueLength: 10_000 } });
  using ours = host.stack.listenDatagram({ port: 7, receiveBufferBytes: 1 << 20 });
  await using first = await KernelSocket.bind(kernelAddress);
  await using second = await KernelSocket.bind(kernelAddress);
  for (let round = 1; round <= 5; round++) {
    const expected = new Map([[first, noise(30_000, round)], [second, noise(40_000, round)]]);
    await Promise.all([...expected].map(([socket, bytes]) => socket.send(bytes, stackAddress, 7)));
    for (let count = 0; count < expected.size; count++) {
      const [received, sender] = await ours.receive();
      const socket = [first, second].find(({ port }) => port === sender.port)!;
      assertSameBytes(received, expected.get(socket)!, `round ${round}`);
    }
  }
});

kernelTest("a datagram of the stack to a closed port of the kernel is refused", async () => {
  await using host = new Host();
  using ours = host.stack.connectDatagram({ hostname: kernelAddress, port: 9 });
  const receiving = ours.receive();
  await ours.send(noise(10));
  await assertRejectsNamed("ConnectionRefused", receiving);
});

kernelTest("a datagram of the kernel to a closed port of the stack is refused", async () => {
  await using _host = new Host();
  // The shell's read fails when the kernel has been told that the port is closed.
  const script = `exec 3<>/dev/udp/${stackAddress}/9; echo hello >&3; cat <&3`;
  const { code, stderr } = await new Deno.Command("bash", { args: ["-c", script], env: { LC_ALL: "C" } }).output();
  assertEquals(code, 1);
  assertMatch(new TextDecoder().decode(stderr), /Connection refused/);
}, { programs: ["bash"] });

kernelTest("a connected socket takes datagrams of its peer only", async () => {
  await using host = new Host();
  await using peer = await KernelSocket.bind(kernelAddress);
  await using stranger = await KernelSocket.bind(kernelAddress);
  using ours = host.stack.connectDatagram({ hostname: kernelAddress, port: peer.port });
  await stranger.send(noise(10, 1), stackAddress, ours.addr.port);
  await peer.send(noise(10, 2), stackAddress, ours.addr.port);
  assertEquals((await ours.receive())[0], noise(10, 2));
});

kernelTest("broadcasts reach the kernel, and those of the kernel the stack", async () => {
  await using host = new Host();
  await using theirs = await KernelSocket.bind("0.0.0.0", 4000);
  theirs.socket.setBroadcast(true);
  using ours = host.stack.listenDatagram({ port: 4000, broadcast: true });
  for (const broadcast of ["192.0.2.255", "255.255.255.255"]) {
    await ours.send(noise(10, 1), netAddr(broadcast, 4000));
    assertEquals(await theirs.receive(), { bytes: noise(10, 1), hostname: stackAddress, port: 4000 }, broadcast);
  }
  await theirs.send(noise(10, 2), "192.0.2.255", 4000);
  // The kernel gives itself a copy too.
  assertEquals(await ours.receive(), [noise(10, 2), netAddr(kernelAddress, 4000)]);
});

kernelTest("multicast datagrams reach members on both sides", async () => {
  await using host = new Host();
  const group = "239.1.2.3";
  await using theirs = await KernelSocket.bind("0.0.0.0", 4000);
  theirs.socket.addMembership(group, kernelAddress);
  theirs.socket.setMulticastInterface(kernelAddress);
  theirs.socket.setMulticastLoopback(false);
  using ours = host.stack.listenDatagram({ port: 4000 });
  const membership = await ours.joinMulticastV4(group, stackAddress);
  await ours.send(noise(10, 1), netAddr(group, 4000));
  assertEquals(await theirs.receive(), { bytes: noise(10, 1), hostname: stackAddress, port: 4000 });
  await theirs.send(noise(10, 2), group, 4000);
  assertEquals(await ours.receive(), [noise(10, 2), netAddr(kernelAddress, 4000)]);
  await membership.leave();
  await theirs.send(noise(10, 3), group, 4000);
  await theirs.send(noise(10, 4), stackAddress, 4000);
  assertEquals((await ours.receive())[0], noise(10, 4));
});

kernelTest("datagrams that nobody receives in time are dropped and counted, and the rest is whole", async () => {
  await using host = new Host({ tap: { txQueueLength: 10_000 } });
  using ours = host.stack.listenDatagram({ port: 7, receiveBufferBytes: 20_000 });
  await using theirs = await KernelSocket.bind(kernelAddress);
  // While the kernel asks for our Ethernet address, it is the one that drops.
  await theirs.send(noise(1), stackAddress, 7);
  await ours.receive();
  for (let index = 0; index < 100; index++) await theirs.send(noise(1000, index + 1), stackAddress, 7);
  // What is sent to another port afterwards tells that all of it has arrived.
  using last = host.stack.listenDatagram({ port: 8 });
  await theirs.send(noise(1), stackAddress, 8);
  await last.receive();
  const kept = 100 - ours.dropped;
  assertGreater(ours.dropped, 0);
  assertGreater(kept, 0);
  for (let index = 0; index < kept; index++) assertEquals((await ours.receive())[0], noise(1000, index + 1));
});
