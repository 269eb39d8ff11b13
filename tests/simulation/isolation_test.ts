import { assertEquals, assertLess } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { World } from "./world.ts";

const link = { rate: 20_000_000, delay: 10, queueBytes: 100_000 };
const bytes = 2_000_000;
/** What the transfer takes alone, twice: others may take a share of the link. */
const patience = 2 * 8000 * bytes / link.rate;

Deno.test("a neighbour that never answers holds up no other connection", async () => {
  const world = new World({ seed: 1, impairments: link });
  const { client, time } = world;
  const lost = Array.from(
    { length: 50 },
    (_, index) => client.tcp.connect({ remote: { address: IpAddress.parse("10.0.0.77"), port: 1000 + index } }),
  );
  const transfer = world.transfer({ bytes });
  const startedAt = time.now;
  time.runUntil(() => transfer.read[0] === bytes, 60_000);
  assertLess(time.now - startedAt, patience);
  time.runUntil(() => transfer.finished, 60_000);
  assertEquals([transfer.failure, transfer.mismatch], [null, -1]);
  for (const connection of lost) connection.abort();
  time.advance(200_000);
  await world.end();
});

Deno.test("readers that do not read hold up no other connection, and take no more than their buffers", async () => {
  const world = new World({ seed: 1, impairments: link });
  const { client, server, time } = world;
  const listener = server.tcp.listen({ local: { address: IpAddress.unspecified4, port: 9 }, backlog: 50 });
  const data = new Uint8Array(300_000);
  const stuck = Array.from({ length: 20 }, () => {
    const connection = client.tcp.connect({ remote: { address: IpAddress.parse("10.0.0.2"), port: 9 } });
    const send = () => void connection.send(data);
    connection.observer = { established: send, readable: () => {}, writable: () => {}, closed: () => {} };
    return connection;
  });
  time.advance(5000);
  const inUse = server.pool.inUse;
  const transfer = world.transfer({ bytes });
  const startedAt = time.now;
  time.runUntil(() => transfer.read[0] === bytes, 60_000);
  assertLess(time.now - startedAt, patience);
  time.runUntil(() => transfer.finished, 60_000);
  assertEquals([transfer.failure, transfer.mismatch], [null, -1]);
  // What waits for a reader are bytes of its own ring, never packets.
  assertEquals(inUse, 0);
  for (const connection of stuck) connection.abort();
  listener.close();
  time.advance(200_000);
  await world.end();
});
