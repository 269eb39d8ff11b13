import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createWire, SeededRandom, Stack } from "../../mod.ts";
import type { TcpForwardRequest, UdpForwardRequest } from "../../stack/socket/forward.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

const everywhere = "203.0.113.80";

/** A client whose router is a gateway that intercepts; asserts afterwards that nothing is left. */
async function withGateway(
  body: (client: Stack, gateway: Stack, time: VirtualTime) => Promise<void>,
  loss = 0,
): Promise<void> {
  const time = new VirtualTime();
  const stack = (seed: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
  const [client, gateway] = [stack(1), stack(2)];
  const [near, far] = createWire({ seed: 5, impairments: { loss } });
  client.attach(near, { addresses: ["10.0.0.2/24"], gateway: "10.0.0.1" });
  gateway.attach(far, { addresses: ["10.0.0.1/24"], promiscuous: true, spoofing: true });
  await body(client, gateway, time);
  await client.close();
  await gateway.close();
  time.settle();
  assertEquals([client.pool.inUse, gateway.pool.inUse, time.timers.running], [0, 0, 0]);
  assertEquals([client.ports.size, gateway.ports.size], [0, 0]);
}

for (const loss of [0, 0.3]) {
  Deno.test(`a connection to any address is accepted in its name, with a loss of ${loss * 100} %`, () =>
    withGateway(async (client, gateway, time) => {
      const requests: TcpForwardRequest[] = [];
      gateway.forwardTcp(async (request) => {
        requests.push(request);
        const conn = await request.accept({ noDelay: true });
        assertEquals([conn.localAddr.hostname, conn.localAddr.port], [everywhere, 80]);
        await conn.readable.pipeTo(conn.writable);
      });
      const conn = await time.waitFor(client.connect({ hostname: everywhere, port: 80 }));
      assertEquals(conn.remoteAddr, { transport: "tcp", hostname: everywhere, port: 80 });
      await conn.write(new Uint8Array([1, 2, 3]));
      conn.closeWrite();
      const received: number[] = [];
      const buffer = new Uint8Array(10);
      for (let read = 0; (read = await time.waitFor(conn.read(buffer)) ?? -1) >= 0;) {
        received.push(...buffer.subarray(0, read));
      }
      assertEquals(received, [1, 2, 3]);
      conn.close();
      assertEquals(await time.waitFor(conn.closed), null);
      assertEquals(requests.map(({ localAddr }) => localAddr.hostname), [everywhere]);
    }, loss));
}

Deno.test("a refused connection is refused, and so is one that the handler leaves unanswered", () =>
  withGateway(async (client, gateway, time) => {
    for (const handler of [(request: TcpForwardRequest) => request.refuse(), () => {}]) {
      const forwarding = gateway.forwardTcp(handler);
      await assertRejects(
        () => time.waitFor(client.connect({ hostname: everywhere, port: 80 })),
        Deno.errors.ConnectionRefused,
      );
      forwarding.close();
    }
  }));

Deno.test("what the handler throws is reported, and its connection refused", () =>
  withGateway(async (client, gateway, time) => {
    const errors: unknown[] = [];
    const failure = new Error("no way out");
    gateway.forwardTcp(() => Promise.reject(failure), { onError: (error) => errors.push(error) });
    await assertRejects(
      () => time.waitFor(client.connect({ hostname: everywhere, port: 80 })),
      Deno.errors.ConnectionRefused,
    );
    assertEquals(errors, [failure]);
  }));

Deno.test("a port where somebody listens is not intercepted", () =>
  withGateway(async (client, gateway, time) => {
    gateway.forwardTcp((request) => request.refuse());
    const listener = gateway.listen({ port: 22 });
    const conn = await time.waitFor(client.connect({ hostname: "10.0.0.1", port: 22 }));
    listener.close();
    conn.close();
  }));

Deno.test("a decision may take its time: the SYNs that come again meanwhile are one request", () =>
  withGateway(async (client, gateway, time) => {
    const requests: TcpForwardRequest[] = [];
    const { promise: decision, resolve: decide } = Promise.withResolvers<void>();
    gateway.forwardTcp(async (request) => {
      requests.push(request);
      await decision;
      (await request.accept()).close();
    });
    const connecting = client.connect({ hostname: everywhere, port: 80 });
    await time.run(5000);
    assertEquals(requests.length, 1);
    assertEquals(gateway.counters.snapshot()["forwardTcp.repeated"]! >= 2, true);
    decide();
    (await time.waitFor(connecting)).close();
  }));

Deno.test("whoever gives up before the decision makes accepting fail, and leaves nothing", () =>
  withGateway(async (client, gateway, time) => {
    const { promise: request, resolve } = Promise.withResolvers<TcpForwardRequest>();
    const { promise: end, resolve: finish } = Promise.withResolvers<void>();
    gateway.forwardTcp((request) => (resolve(request), end));
    const controller = new AbortController();
    const connecting = client.connect({ hostname: everywhere, port: 80, signal: controller.signal });
    const waiting = await time.waitFor(request);
    controller.abort();
    await assertRejects(() => connecting, DOMException);
    await assertRejects(() => time.waitFor(waiting.accept()), Deno.errors.ConnectionReset);
    await assertRejects(() => waiting.accept(), Deno.errors.BadResource);
    assertThrows(() => waiting.refuse(), Deno.errors.BadResource);
    finish();
  }));

Deno.test("more requests than may wait are dropped, and come again when there is room", () =>
  withGateway(async (client, gateway, time) => {
    const waiting: (() => void)[] = [];
    gateway.forwardTcp(async (request) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      (await request.accept()).close();
    }, { pending: 2 });
    const connections = Array.from({ length: 3 }, () => client.connect({ hostname: everywhere, port: 80 }));
    await time.run(500);
    assertEquals(waiting.length, 2);
    assertEquals(gateway.counters.snapshot()["forwardTcp.overflow"], 1);
    for (const resolve of waiting.splice(0)) resolve();
    await time.run(3000);
    assertEquals(waiting.length, 1);
    waiting[0]!();
    for (const connecting of connections) (await time.waitFor(connecting)).close();
  }));

Deno.test("closing the forwarding forgets what waits, and ends no connection", () =>
  withGateway(async (client, gateway, time) => {
    const { promise: end, resolve: finish } = Promise.withResolvers<void>();
    const accepted = Promise.withResolvers<void>();
    const forwarding = gateway.forwardTcp(async (request) => {
      if (request.localAddr.port === 81) return end;
      const conn = await request.accept();
      accepted.resolve();
      await conn.readable.pipeTo(conn.writable);
    });
    const conn = await time.waitFor(client.connect({ hostname: everywhere, port: 80 }));
    await time.waitFor(accepted.promise);
    const controller = new AbortController();
    const hopeless = client.connect({ hostname: everywhere, port: 81, signal: controller.signal });
    await time.run(10);
    forwarding.close();
    forwarding.close();
    assertEquals(gateway.tcp.interceptor, null);
    await conn.write(new Uint8Array([9]));
    assertEquals(await time.waitFor(conn.read(new Uint8Array(4))), 1);
    conn.close();
    controller.abort();
    await assertRejects(() => hopeless);
    finish();
  }));

Deno.test("only one handler has the connections, and one the datagrams", () =>
  withGateway((_client, gateway) => {
    const handler = () => {};
    using _tcp = gateway.forwardTcp(handler);
    using _udp = gateway.forwardUdp(handler);
    assertThrows(() => gateway.forwardTcp(handler), Deno.errors.Busy);
    assertThrows(() => gateway.forwardUdp(handler), Deno.errors.Busy);
    assertThrows(() => gateway.forwardTcp(handler, { pending: 0 }), Deno.errors.Busy);
    return Promise.resolve();
  }));

Deno.test("options out of range are refused", () =>
  withGateway((_client, gateway) => {
    assertThrows(() => gateway.forwardTcp(() => {}, { pending: 0 }), RangeError);
    assertThrows(() => gateway.forwardUdp(() => {}, { flows: 1.5 }), TypeError);
    return Promise.resolve();
  }));

Deno.test("datagrams to any address make a flow, which is answered in its name", () =>
  withGateway(async (client, gateway, time) => {
    const requests: UdpForwardRequest[] = [];
    gateway.forwardUdp(async (request) => {
      requests.push(request);
      await Promise.resolve();
      using flow = request.accept();
      for (let count = 0; count < 3; count++) await flow.send((await flow.receive())[0]);
    });
    const socket = client.connectDatagram({ hostname: everywhere, port: 53 });
    // All three are there before the handler has decided.
    for (const byte of [1, 2, 3]) await socket.send(new Uint8Array([byte]));
    for (const byte of [1, 2, 3]) {
      const [data, from] = await time.waitFor(socket.receive());
      assertEquals([[...data], from], [[byte], { transport: "udp", hostname: everywhere, port: 53 }]);
    }
    assertEquals(requests.map(({ localAddr, remoteAddr }) => [localAddr.port, remoteAddr.hostname]), [[
      53,
      "10.0.0.2",
    ]]);
    // The flow is closed: what comes now begins another one.
    await socket.send(new Uint8Array([4]));
    assertEquals([...(await time.waitFor(socket.receive()))[0]], [4]);
    assertEquals(requests.length, 2);
    socket.close();
  }));

Deno.test("a refused flow is answered with port unreachable, and so is one that the handler leaves unanswered", () =>
  withGateway(async (client, gateway, time) => {
    for (const handler of [(request: UdpForwardRequest) => request.refuse(), () => {}]) {
      using _forwarding = gateway.forwardUdp(handler);
      using socket = client.connectDatagram({ hostname: everywhere, port: 53 });
      await socket.send(new Uint8Array([1]));
      await assertRejects(() => time.waitFor(socket.receive()), Deno.errors.ConnectionRefused);
    }
  }));

Deno.test("more flows than may be open are refused, and counted", () =>
  withGateway(async (client, gateway, time) => {
    const { promise: end, resolve: finish } = Promise.withResolvers<void>();
    gateway.forwardUdp(async (request) => {
      using _flow = request.accept();
      await end;
    }, { flows: 1 });
    using first = client.connectDatagram({ hostname: everywhere, port: 53 });
    using second = client.connectDatagram({ hostname: everywhere, port: 53 });
    await first.send(new Uint8Array([1]));
    await time.run(10);
    await second.send(new Uint8Array([2]));
    await assertRejects(() => time.waitFor(second.receive()), Deno.errors.ConnectionRefused);
    assertEquals(gateway.counters.snapshot()["forwardUdp.overflow"], 1);
    finish();
  }));

Deno.test("closing the stack ends what waits", async () => {
  const { promise: end, resolve: finish } = Promise.withResolvers<void>();
  await withGateway(async (client, gateway, time) => {
    gateway.forwardTcp(() => end);
    gateway.forwardUdp(() => end);
    const connecting = client.connect({ hostname: everywhere, port: 80 });
    connecting.catch(() => {});
    using socket = client.connectDatagram({ hostname: everywhere, port: 53 });
    await socket.send(new Uint8Array([1]));
    await time.run(10);
  });
  finish();
});
