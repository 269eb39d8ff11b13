import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createWire, SeededRandom, Stack } from "../mod.ts";
import { VirtualTime } from "./helpers/virtual_time.ts";

/** Two stacks on a wire, on a virtual clock; asserts afterwards that nothing is left. */
async function withPair(body: (left: Stack, right: Stack, time: VirtualTime) => Promise<void>): Promise<void> {
  const time = new VirtualTime();
  const stack = (seed: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
  const [left, right] = [stack(1), stack(2)];
  const [leftEnd, rightEnd] = createWire();
  left.attach(leftEnd, { addresses: ["10.0.0.1/24"] });
  right.attach(rightEnd, { addresses: ["10.0.0.2/24"] });
  await body(left, right, time);
  await left.close();
  await right.close();
  time.settle();
  assertEquals([left.pool.inUse, right.pool.inUse, time.timers.running], [0, 0, 0]);
  assertEquals([left.ports.size, right.ports.size], [0, 0]);
}

Deno.test("two stacks on a wire: TCP by the socket API", () =>
  withPair(async (left, right, time) => {
    const listener = right.listen({ port: 80 });
    const client = await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 80 }));
    const server = await time.waitFor(listener.accept());
    assertEquals(server.remoteAddr, { ...client.localAddr });
    await client.write(new Uint8Array([1, 2, 3]));
    const buffer = new Uint8Array(10);
    assertEquals(await time.waitFor(server.read(buffer)), 3);
    client.close();
    assertEquals(await time.waitFor(server.read(buffer)), null);
    server.close();
    listener.close();
    assertEquals(await time.waitFor(client.closed), null);
  }));

Deno.test("two stacks on a wire: UDP by the socket API, larger than the MTU", () =>
  withPair(async (left, right, time) => {
    const server = right.listenDatagram({ port: 53 });
    const client = left.listenDatagram();
    const data = new Uint8Array(60_000).fill(7);
    await client.send(data, { transport: "udp", hostname: "10.0.0.2", port: 53 });
    const [received, from] = await time.waitFor(server.receive());
    assertEquals([received, from], [data, { transport: "udp", hostname: "10.0.0.1", port: client.addr.port }]);
    client.close();
    server.close();
  }));

Deno.test("a port where nobody listens: ConnectionRefused", () =>
  withPair(async (left, _right, time) => {
    await assertRejects(
      () => time.waitFor(left.connect({ hostname: "10.0.0.2", port: 81 })),
      Deno.errors.ConnectionRefused,
      "10.0.0.2:81",
    );
    const socket = left.connectDatagram({ hostname: "10.0.0.2", port: 81 });
    await socket.send(new Uint8Array(1));
    await assertRejects(() => time.waitFor(socket.receive()), Deno.errors.ConnectionRefused);
    socket.close();
  }));

Deno.test("a host that is not there: HostUnreachable once ARP has given up", () =>
  withPair(async (left, _right, time) => {
    const startedAt = time.now;
    const error = await assertRejects(() => time.waitFor(left.connect({ hostname: "10.0.0.9", port: 80 })), Error);
    assertEquals([error.name, time.now - startedAt], ["HostUnreachable", 3000]);
  }));

Deno.test("a network without a route: NetworkUnreachable at once", () =>
  withPair(async (left) => {
    await assertRejects(
      () => left.connect({ hostname: "203.0.113.1", port: 80 }),
      Deno.errors.NetworkUnreachable,
      "203.0.113.1:80",
    );
  }));

Deno.test("an aborted connect: the signal's reason, and nothing is left", () =>
  withPair(async (left, _right, time) => {
    const controller = new AbortController();
    const connecting = left.connect({ hostname: "10.0.0.9", port: 80, signal: controller.signal });
    connecting.catch(() => {});
    await time.run(500);
    controller.abort();
    await assertRejects(() => time.waitFor(connecting), DOMException, "aborted");
    assertEquals(left.ports.size, 0);
  }));

Deno.test("closing the stack resets connections and ends everything that waits", () =>
  withPair(async (left, right, time) => {
    const listener = right.listen({ port: 80 });
    const client = await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 80 }));
    const server = await time.waitFor(listener.accept());
    const socket = right.listenDatagram();
    const events = right.ping("10.0.0.1", { interval: 1000 });
    await time.waitFor(events.next());
    const waiting = [
      assertRejects(() => listener.accept(), Deno.errors.BadResource),
      assertRejects(() => socket.receive(), Deno.errors.Interrupted),
      assertRejects(() => server.read(new Uint8Array(1)), Deno.errors.ConnectionAborted),
      assertRejects(() => events.next(), Deno.errors.BadResource),
      assertRejects(() => client.read(new Uint8Array(1)), Deno.errors.ConnectionReset),
    ];
    await time.settleAll();
    await right.close();
    await time.settleAll();
    await Promise.all(waiting);
    assertThrows(() => right.listen({ port: 1 }), Deno.errors.BadResource, "the stack has been closed");
    client.close();
  }));

Deno.test("a stack connects to itself, by any of its addresses", () =>
  withPair(async (left, _right, time) => {
    for (const hostname of ["127.0.0.1", "127.1.2.3", "10.0.0.1"]) {
      const listener = left.listen({ port: 80 });
      const client = await time.waitFor(left.connect({ hostname, port: 80 }));
      const server = await time.waitFor(listener.accept());
      client.close();
      assertEquals(await time.waitFor(server.read(new Uint8Array(1))), null);
      server.close();
      listener.close();
    }
  }));

Deno.test("a port that connects to itself: the simultaneous open of RFC 9293 figure 8", () =>
  withPair(async (left, _right, time) => {
    const conn = await time.waitFor(left.connect({ hostname: "127.0.0.1", port: 5000, localPort: 5000 }));
    await conn.write(new Uint8Array([1, 2, 3]));
    assertEquals(await time.waitFor(conn.read(new Uint8Array(9))), 3);
    conn.abort();
  }));

Deno.test("attach refuses what makes no sense, in one clear line", async () => {
  await using stack = new Stack();
  const [end] = createWire();
  assertThrows(() => stack.attach(end, { addresses: ["10.0.0.300/24"] }), TypeError, "10.0.0.300/24");
  assertThrows(() => stack.attach(end, { addresses: ["10.0.0.1/24"], gateway: "10.0.1.1" }), Error, "10.0.1.1");
  assertEquals(stack.nics.length, 1);
});

Deno.test("ping: replies in order, and the summary of one that is not there", () =>
  withPair(async (left, _right, time) => {
    const events: [string, number][] = [];
    const run = (async () => {
      for await (const event of left.ping("10.0.0.2", { count: 3 })) events.push([event.kind, event.sequence]);
      for await (const event of left.ping("10.0.0.9", { count: 1 })) events.push([event.kind, event.sequence]);
    })();
    await time.waitFor(run);
    assertEquals(events, [["reply", 1], ["reply", 2], ["reply", 3], ["error", 1]]);
  }));
