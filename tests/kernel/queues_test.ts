import { assertEquals, assertGreater, assertMatch, assertThrows } from "@std/assert";
import { adoptTapQueue, openTapQueues, Rtnetlink, Stack } from "../../mod.ts";
import { kernelAddress, stackAddress } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { type QueueWorker, withWorkers } from "./queues.ts";
import { assertSameBytes, noise, receiveAll, sendAll } from "./transfer.ts";

/** Closes the stacks of all workers, and asserts that each has given back its packets. */
async function assertClosed(workers: readonly QueueWorker[]): Promise<void> {
  for (const worker of workers) assertEquals(await worker.ask({ close: true }), { packetsLeft: 0 });
  using netlink = new Rtnetlink();
  assertEquals(netlink.links().map(({ name }) => name), ["lo"]);
}

kernelTest("two workers share an address and a listening port, and each gets some of the connections", async () => {
  await withWorkers(2, async (workers) => {
    const bytes = noise(100_000);
    for (let connection = 0; connection < 24; connection++) {
      using conn = await Deno.connect({ hostname: stackAddress, port: 7 });
      const [echoed] = await Promise.all([receiveAll(conn), sendAll(conn, bytes)]);
      assertSameBytes(echoed, bytes, `echo of connection ${connection}`);
    }
    const counts = await Promise.all(workers.map((worker) => worker.ask({ count: true })));
    assertEquals(counts.reduce((sum, { accepted }) => sum + accepted!, 0), 24);
    // All to one of them: by chance, once in eight million times.
    for (const { accepted } of counts) assertGreater(accepted!, 0);
    await assertClosed(workers);
  });
});

kernelTest("connections that a worker opens come back to it, from ports that no other worker uses", async () => {
  await withWorkers(2, async (workers) => {
    using listener = Deno.listen({ hostname: kernelAddress, port: 0 });
    const serving = (async () => {
      for await (const conn of listener) conn.readable.pipeTo(conn.writable).catch(() => {});
    })();
    const { port } = listener.addr;
    for (const [index, worker] of workers.entries()) {
      const { ports } = await worker.ask({ connect: { hostname: kernelAddress, port, times: 12 } });
      assertEquals(ports!.length, 12);
      assertEquals(ports!.filter((port) => port % 2 !== index), []);
    }
    await assertClosed(workers);
    listener.close();
    await serving;
  });
});

kernelTest("a ping to workers that share an address is answered once, and each of them can ping", async () => {
  await withWorkers(3, async (workers) => {
    const text = await run("ping", "-c", "3", "-i", "0.01", stackAddress);
    assertMatch(text, /3 packets transmitted, 3 received, 0% packet loss/);
    assertEquals(text.includes("DUP"), false);
    for (const worker of workers) assertEquals(await worker.ask({ ping: kernelAddress }), { answered: true });
    await assertClosed(workers);
  });
}, { programs: ["ping"] });

kernelTest("queues can be adopted by stacks of one program, and the interface goes away with the last", async () => {
  const { queues, host } = openTapQueues({ name: "shared0", queues: 2, hostAddresses: ["192.0.2.1/24"] });
  assertEquals(queues.map(({ index, count, name }) => [index, count, name]), [[0, 2, "shared0"], [1, 2, "shared0"]]);
  assertEquals(host.info().up, true);
  const stacks = queues.map((queue) => {
    const stack = new Stack();
    stack.attach(adoptTapQueue(queue), { addresses: ["192.0.2.2/24"] });
    return stack;
  });
  using listener = Deno.listen({ hostname: kernelAddress, port: 0 });
  for (const stack of stacks) {
    const { port } = listener.addr;
    const [ours, theirs] = await Promise.all([stack.connect({ hostname: kernelAddress, port }), listener.accept()]);
    theirs.close();
    assertEquals(await ours.read(new Uint8Array(1)), null);
    ours.close();
    await ours.closed;
  }
  for (const stack of stacks) {
    await stack.close();
    assertEquals([stack.pool.inUse, stack.timers.running, stack.ports.size], [0, 0, 0]);
  }
  using netlink = new Rtnetlink();
  assertEquals(netlink.findLink("shared0"), null);
});

Deno.test("openTapQueues refuses a number of queues that no interface has", () => {
  for (const queues of [0, -1, 1.5, 257]) {
    assertThrows(() => openTapQueues({ queues }), RangeError, "1 to 256");
  }
});
