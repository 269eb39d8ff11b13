import { assert, assertEquals } from "@std/assert";
import { createWire, IpPrefix, SeededRandom, Stack } from "../mod.ts";
import { VirtualTime } from "./helpers/virtual_time.ts";

/** Two stacks on a wire, on a virtual clock; asserts afterwards that nothing is left. */
async function withPair(body: (left: Stack, right: Stack, time: VirtualTime) => void | Promise<void>): Promise<void> {
  const time = new VirtualTime();
  const stack = (seed: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
  const [left, right] = [stack(1), stack(2)];
  const [leftEnd, rightEnd] = createWire();
  left.attach(leftEnd, { addresses: ["10.0.0.1/24"], gateway: "10.0.0.254", name: "wire0" });
  right.attach(rightEnd, { addresses: ["10.0.0.2/24"] });
  await body(left, right, time);
  await left.close();
  await right.close();
  time.settle();
  assertEquals([left.pool.inUse, right.pool.inUse, time.timers.running], [0, 0, 0]);
  assertEquals([left.ports.size, right.ports.size], [0, 0]);
}

Deno.test("a snapshot of a stack that does nothing has its interfaces and routes only", () =>
  withPair((left, _right, time) => {
    left.addAddress(left.nics[1]!, "10.1.0.1/16");
    const snapshot = left.snapshot();
    assertEquals(snapshot.time, time.now);
    assertEquals(snapshot.interfaces.map(({ name, addresses }) => [name, ...addresses]), [
      ["lo", "127.0.0.1/8"],
      ["wire0", "10.0.0.1/24", "10.1.0.1/16"],
    ]);
    const { medium, mac, mtu, index } = snapshot.interfaces[1]!;
    assertEquals([medium, mac, mtu, index], ["ethernet", left.nics[1]!.mac!.toString(), 1500, 1]);
    assertEquals(snapshot.routes.map((route) => [route.prefix, route.gateway, route.interface, route.metric]), [
      ["10.0.0.0/24", null, "wire0", 0],
      ["10.1.0.0/16", null, "wire0", 0],
      ["127.0.0.0/8", null, "lo", 0],
      ["0.0.0.0/0", "10.0.0.254", "wire0", 0],
    ]);
    assertEquals([snapshot.neighbors, snapshot.tcp, snapshot.udp, snapshot.ports], [[], [], [], []]);
  }));

Deno.test("a snapshot shows each TCP socket with its state, queues and what is known of it", () =>
  withPair(async (left, right, time) => {
    using listener = right.listen({ port: 80, hostname: "10.0.0.2" });
    const clients = [
      await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 80, localPort: 50_001 })),
      await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 80, localPort: 50_002 })),
    ];
    const accepted = await time.waitFor(listener.accept());
    await clients[0]!.write(new Uint8Array(100));
    await time.run(1000);
    const server = right.snapshot();
    // Connections come in the order of their hashes; a listener has no peer.
    server.tcp.sort((one, other) => (one.remote ?? "").localeCompare(other.remote ?? ""));
    assertEquals(
      server.tcp.map(({ state, local, remote, receiveQueue, sendQueue }) => [
        state,
        local,
        remote,
        receiveQueue,
        sendQueue,
      ]),
      [
        ["LISTEN", "10.0.0.2:80", null, 1, 0],
        ["ESTABLISHED", "10.0.0.2:80", "10.0.0.1:50001", 100, 0],
        ["ESTABLISHED", "10.0.0.2:80", "10.0.0.1:50002", 0, 0],
      ],
    );
    assertEquals(server.tcp[1]!.info!.bytesReceived, 100);
    // Nothing has been lost yet: the threshold is infinite, which JSON cannot say.
    assertEquals(server.tcp[1]!.info!.slowStartThreshold, null);
    assertEquals(server.ports, [{ protocol: 6, address: "10.0.0.2", port: 80, sharing: "exclusive" }]);
    for (const conn of [...clients, accepted]) conn.abort();
    await time.run(1000);
  }));

Deno.test("a snapshot shows connections in TIME-WAIT", () =>
  withPair(async (left, right, time) => {
    using listener = right.listen({ port: 80 });
    const client = await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 80, localPort: 50_000 }));
    const server = await time.waitFor(listener.accept());
    client.close();
    assertEquals(await time.waitFor(server.read(new Uint8Array(1))), null);
    server.close();
    await time.run(1000);
    const [entry, ...others] = left.snapshot().tcp;
    assertEquals(others, []);
    assertEquals([entry!.state, entry!.local, entry!.remote], ["TIME-WAIT", "10.0.0.1:50000", "10.0.0.2:80"]);
    await time.run(120_000);
    assertEquals(left.snapshot().tcp, []);
  }));

Deno.test("a snapshot shows UDP sockets, what waits in them, and the neighbours", () =>
  withPair(async (left, right, time) => {
    using server = right.listenDatagram({ port: 53 });
    using client = left.connectDatagram({ hostname: "10.0.0.2", port: 53, localPort: 50_000 });
    await client.send(new Uint8Array(10));
    await client.send(new Uint8Array(20));
    await time.run(100);
    assertEquals(right.snapshot().udp, [{ local: "0.0.0.0:53", remote: null, receiveQueue: 2, dropped: 0 }]);
    const { udp: [socket], neighbors: [neighbor], ports: [port] } = left.snapshot();
    assertEquals([socket!.local, socket!.remote], ["10.0.0.1:50000", "10.0.0.2:53"]);
    assertEquals(neighbor, {
      address: "10.0.0.2",
      mac: right.nics[1]!.mac!.toString(),
      interface: "wire0",
      state: "REACHABLE",
      pending: 0,
    });
    assertEquals([port!.protocol, port!.port], [17, 50_000]);
    assert(server.addr.port === 53);
  }));

Deno.test("a snapshot is a copy that survives JSON and never changes", () =>
  withPair(async (left, right, time) => {
    using listener = right.listen({ port: 80 });
    const client = await time.waitFor(left.connect({ hostname: "10.0.0.2", port: 80 }));
    const server = await time.waitFor(listener.accept());
    const before = left.snapshot();
    const text = JSON.stringify(before);
    assertEquals(JSON.parse(text), before);
    await client.write(new Uint8Array(1000));
    left.routes.add({ prefix: new IpPrefix(left.nics[1]!.addresses[0]!.address, 30), nic: left.nics[1]! });
    await time.run(1000);
    assertEquals(JSON.stringify(before), text);
    const after = left.snapshot();
    assert(after.counters["tcp.received"]! >= before.counters["tcp.received"]!);
    assert(after.interfaces[1]!.counters.sentBytes > before.interfaces[1]!.counters.sentBytes);
    client.abort();
    server.abort();
    await time.run(1000);
  }));
