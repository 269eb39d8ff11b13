import { assertEquals } from "@std/assert";
import { createWire, SeededRandom, Stack } from "../../mod.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

Deno.test("a socket on all addresses answers from the one that was asked", async () => {
  const time = new VirtualTime();
  const stack = (seed: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
  const [client, server] = [stack(1), stack(2)];
  const [near, far] = createWire();
  client.attach(near, { addresses: ["10.0.0.1/24"] });
  const nic = server.attach(far, { addresses: ["10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24"] });
  const service = server.listenDatagram({ port: 53 });
  // First to the peer of its own accord, from the address that the stack chooses.
  const listening = client.listenDatagram({ port: 1000 });
  await service.send(new Uint8Array(1), { transport: "udp", hostname: "10.0.0.1", port: 1000 });
  assertEquals((await time.waitFor(listening.receive()))[1].hostname, "10.0.0.2");
  for (const hostname of ["10.0.0.3", "10.0.0.4", "10.0.0.2", "10.0.0.3"]) {
    const socket = client.connectDatagram({ hostname, port: 53 });
    await socket.send(new Uint8Array([7]));
    const [data, from] = await time.waitFor(service.receive());
    await service.send(data, from);
    assertEquals((await time.waitFor(socket.receive()))[1].hostname, hostname);
    socket.close();
  }
  // An address that is gone is not answered from.
  server.removeAddress(nic, "10.0.0.3");
  await service.send(new Uint8Array(1), { transport: "udp", hostname: "10.0.0.1", port: 1000 });
  assertEquals((await time.waitFor(listening.receive()))[1].hostname, "10.0.0.2");
  service.close();
  listening.close();
  await client.close();
  await server.close();
  time.settle();
  assertEquals([client.pool.inUse, server.pool.inUse, time.timers.running], [0, 0, 0]);
});
