import { assertEquals } from "@std/assert";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { Host, kernelAddress, stackAddress } from "./host.ts";
import { configureKernel, kernelTest, run } from "./namespace.ts";
import { assertExact, assertSameBytes, connect, noise, type Opener, receiveAll, sendAll } from "./transfer.ts";

const megabyte = 1 << 20;
const openers: readonly Opener[] = ["the kernel", "the stack"];

for (const opener of openers) {
  kernelTest(`${opener} connects: megabytes both ways at once are exact`, async () => {
    await using host = new Host();
    using ends = await connect(host, opener);
    await assertExact([ends.ours, ends.theirs], noise(8 * megabyte, 1), noise(8 * megabyte, 2));
    assertEquals(await ends.ours.closed, null);
    const { timestamps, selectiveAcknowledgements, receiveWindowScale } = ends.ours.info();
    assertEquals([timestamps, selectiveAcknowledgements, receiveWindowScale > 0], [true, true, true]);
  });

  kernelTest(`${opener} connects, the stack ends its side: the kernel's side goes on`, async () => {
    await using host = new Host();
    using ends = await connect(host, opener);
    const [request, answer] = [noise(100_000, 1), noise(2 * megabyte, 2)];
    const [received] = await Promise.all([receiveAll(ends.theirs), sendAll(ends.ours, request)]);
    assertSameBytes(received, request);
    const [answered] = await Promise.all([receiveAll(ends.ours), sendAll(ends.theirs, answer)]);
    assertSameBytes(answered, answer);
    assertEquals(await ends.ours.closed, null);
  });

  kernelTest(`${opener} connects, the kernel ends its side: the stack's side goes on`, async () => {
    await using host = new Host();
    using ends = await connect(host, opener);
    const [request, answer] = [noise(100_000, 1), noise(2 * megabyte, 2)];
    const [received] = await Promise.all([receiveAll(ends.ours), sendAll(ends.theirs, request)]);
    assertSameBytes(received, request);
    assertEquals(ends.ours.info().state, "CLOSE-WAIT");
    const [answered] = await Promise.all([receiveAll(ends.theirs), sendAll(ends.ours, answer)]);
    assertSameBytes(answered, answer);
    assertEquals(await ends.ours.closed, null);
  });
}

kernelTest("200 connections at once return a megabyte each, exactly", async () => {
  // The kernel throws away what its queue towards us has no room for, and 200 senders start with 2000 frames.
  await using host = new Host({ tap: { txQueueLength: 10_000 } });
  using listener = host.stack.listen({ port: 7 });
  const serving = (async () => {
    for await (const conn of listener) conn.readable.pipeTo(conn.writable);
  })();
  // Each sends a part of its own of the same noise.
  const bytes = noise(megabyte + 200);
  await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    using conn = await Deno.connect({ hostname: stackAddress, port: 7 });
    const part = bytes.subarray(index, index + megabyte);
    const [answer] = await Promise.all([receiveAll(conn), sendAll(conn, part)]);
    assertSameBytes(answer, part, `connection ${index}`);
  }));
  listener.close();
  await serving;
});

kernelTest("the stack opens 200 connections at once: each is exact", async () => {
  await using host = new Host();
  using listener = Deno.listen({ hostname: kernelAddress, port: 0, tcpBacklog: 256 });
  const serving = (async () => {
    for await (const conn of listener) conn.readable.pipeTo(conn.writable);
  })();
  const bytes = noise(100_200);
  await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    using conn = await host.stack.connect({ hostname: kernelAddress, port: listener.addr.port });
    const part = bytes.subarray(index, index + 100_000);
    const [answer] = await Promise.all([receiveAll(conn), sendAll(conn, part)]);
    assertSameBytes(answer, part, `connection ${index}`);
  }));
  listener.close();
  await serving;
});

kernelTest("a SYN of the kernel to a closed port is refused", async () => {
  await using _host = new Host();
  await assertRejectsNamed("ConnectionRefused", Deno.connect({ hostname: stackAddress, port: 9 }));
});

kernelTest("a SYN of the stack to a closed port is refused", async () => {
  await using host = new Host();
  const attempt = host.stack.connect({ hostname: kernelAddress, port: 9 });
  const { message } = await assertRejectsNamed("ConnectionRefused", attempt);
  assertEquals(message.startsWith("Cannot connect to 192.0.2.1:9: "), true, message);
});

kernelTest("an attempt to connect to a host that never answers can be aborted", async () => {
  await using host = new Host({ attach: { gateway: kernelAddress } });
  // The kernel does not forward.
  const controller = new AbortController();
  const sent = host.connectionThat(({ state }) => state > 0);
  const attempt = host.stack.connect({ hostname: "198.51.100.1", port: 80, signal: controller.signal });
  await sent;
  controller.abort();
  await assertRejectsNamed("AbortError", attempt);
});

kernelTest("a peer that does not read stops the stack, and loses nothing", async () => {
  await using host = new Host();
  using ends = await connect(host, "the stack");
  const bytes = noise(16 * megabyte);
  const windowClosed = host.connectionThat((connection) => connection.info().sendWindow === 0);
  const sending = sendAll(ends.ours, bytes);
  await windowClosed;
  const [received] = await Promise.all([receiveAll(ends.theirs), sending]);
  assertSameBytes(received, bytes);
});

kernelTest("a program that does not read stops the kernel, and loses nothing", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  const bytes = noise(16 * megabyte);
  const windowClosed = host.connectionThat((connection) => connection.info().receiveWindow === 0);
  const sending = sendAll(ends.theirs, bytes);
  await windowClosed;
  const [received] = await Promise.all([receiveAll(ends.ours), sending]);
  assertSameBytes(received, bytes);
});

kernelTest("aborting a connection resets the kernel's end", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  ends.ours.abort();
  await assertRejectsNamed("ConnectionReset", ends.theirs.read(new Uint8Array(1)));
});

kernelTest("a reset by the kernel ends a read that waits", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  await ends.ours.write(noise(2));
  assertEquals(await ends.theirs.read(new Uint8Array(1)), 1);
  const read = ends.ours.read(new Uint8Array(1));
  // The kernel resets a connection that is closed while received bytes are unread.
  ends.theirs.close();
  await assertRejectsNamed("ConnectionReset", read);
  assertEquals((await ends.ours.closed)?.name, "ConnectionReset");
});

kernelTest("data that arrives after the stack has closed is answered by a reset", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  ends.ours.close();
  assertEquals(await ends.theirs.read(new Uint8Array(1)), null);
  await ends.theirs.write(noise(1));
  await ends.ours.closed;
  await assertRejectsNamed("BrokenPipe", writeUntilRefused(ends.theirs));
});

/** The first write behind a reset fails; whether the reset has arrived yet, only a write can tell. */
async function writeUntilRefused(conn: Deno.TcpConn): Promise<never> {
  for (;;) await conn.write(noise(1));
}

for (const setting of ["tcp_timestamps", "tcp_sack", "tcp_window_scaling"]) {
  kernelTest(`a kernel without ${setting} transfers exactly, whoever connects`, async () => {
    configureKernel(`ipv4/${setting}`, 0);
    await using host = new Host();
    for (const opener of openers) {
      using ends = await connect(host, opener);
      await assertExact([ends.ours, ends.theirs], noise(megabyte, 1), noise(megabyte, 2));
      const info = ends.ours.info();
      assertEquals(
        [info.timestamps, info.selectiveAcknowledgements, info.receiveWindowScale > 0],
        ["tcp_timestamps", "tcp_sack", "tcp_window_scaling"].map((name) => name !== setting),
        opener,
      );
    }
  }, { settings: true });
}

kernelTest("the kernel reaches a listener again from a port whose last connection is in TIME-WAIT here", async () => {
  await using host = new Host();
  using listener = host.stack.listen({ port: 7 });
  for (let round = 1; round <= 3; round++) {
    // It ends when we do: then it is our side that has to wait.
    const client = run("nc", "-d", "-p", "4000", stackAddress, "7");
    using conn = await listener.accept();
    await sendAll(conn, new TextEncoder().encode(`round ${round}`));
    assertEquals(await client, `round ${round}`);
    assertEquals(await receiveAll(conn), new Uint8Array(0));
    assertEquals(await conn.closed, null);
  }
}, { programs: ["nc"] });

kernelTest("the stack reaches the kernel again from a port whose last connection is in TIME-WAIT there", async () => {
  await using host = new Host();
  using listener = Deno.listen({ hostname: kernelAddress, port: 0 });
  const { port } = listener.addr;
  for (let round = 1; round <= 3; round++) {
    const request = { hostname: kernelAddress, port, localPort: 4000 };
    const [ours, theirs] = await Promise.all([host.stack.connect(request), listener.accept()]);
    // The kernel's side ends first, so that it is the kernel's that has to wait.
    await theirs.closeWrite();
    assertEquals(await receiveAll(ours), new Uint8Array(0));
    // Few bytes: the sequence numbers of the next connection are to lie beyond those of this one.
    await sendAll(ours, noise(10, round));
    assertEquals(await receiveAll(theirs), noise(10, round));
    assertEquals(await ours.closed, null);
    theirs.close();
    ours.close();
  }
});
