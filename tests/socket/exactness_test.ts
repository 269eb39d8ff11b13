import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describeFrame } from "../../mod.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import type { TcpConn } from "../../stack/socket/tcp_conn.ts";
import { concat } from "../../stack/application/bytes.ts";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { World, type WorldOptions } from "../simulation/world.ts";

/** Two hosts on a wire, and a connection between two programs. */
interface Setting {
  readonly world: World;
  readonly client: TcpConn;
  readonly server: TcpConn;
  /** Resolves with the same while virtual time passes. */
  run<Result>(promise: Promise<Result>): Promise<Result>;
}

/** Runs a test on a connection, and asserts that nothing is left of it. */
function connectionTest(
  name: string,
  body: (setting: Setting) => Promise<void>,
  options: Partial<WorldOptions> = {},
): void {
  Deno.test(name, async () => {
    const world = new World({ seed: 1, ...options });
    const run = <Result>(promise: Promise<Result>) => world.time.waitFor(promise);
    const listener = world.server.listen({ port: 7 });
    const client = await run(world.client.connect({ hostname: "10.0.0.2", port: 7 }));
    const server = await run(listener.accept());
    listener.close();
    await body({ world, client, server, run });
    await run(Promise.all([client.closed, server.closed]));
    await world.end();
  });
}

/** Bytes of which no two near places look alike. */
const pattern = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);

async function writeAll(conn: TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await conn.write(bytes.subarray(written));
}

async function readAll(conn: TcpConn, size = 4096): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(size);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    parts.push(buffer.slice(0, length));
  }
  return concat(parts);
}

/** Returns what it reads, read by read, and closes at the end. */
async function echo(conn: TcpConn, size: number): Promise<void> {
  const buffer = new Uint8Array(size);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    await writeAll(conn, buffer.slice(0, length));
  }
  conn.close();
}

async function sendAndEnd(conn: TcpConn, bytes: Uint8Array): Promise<void> {
  await writeAll(conn, bytes);
  await conn.closeWrite();
}

connectionTest("14 bytes that are echoed from a buffer of 1024 come back as 14", async ({ client, server, run }) => {
  const [echoed] = await run(Promise.all([readAll(client), echo(server, 1024), sendAndEnd(client, pattern(14))]));
  assertEquals(echoed, pattern(14));
  client.close();
});

connectionTest(
  "20,480 bytes arrive as they are over a link that loses, doubles and reorders, both ways",
  async ({ client, server, run }) => {
    const bytes = pattern(20_480);
    const [echoed] = await run(Promise.all([readAll(client), echo(server, 1000), sendAndEnd(client, bytes)]));
    assertEquals(echoed, bytes);
    client.close();
  },
  { impairments: { loss: 0.1, duplicate: 0.1, reorder: 0.1, delay: 5 } },
);

connectionTest(
  "a receive buffer of 3000 bytes that is full loses nothing that was acknowledged",
  async ({ world, client, server, run }) => {
    const bytes = pattern(50_000);
    const sending = sendAndEnd(client, bytes);
    await world.time.run(60_000);
    const full = server.receivable;
    assert(full > 0 && full <= 3000, `${full} bytes in the buffer`);
    assertEquals(await run(readAll(server, 700)), bytes);
    await run(sending);
    server.close();
    client.close();
  },
  { tcp: { settings: { receiveBufferBytes: 3000 } } },
);

connectionTest("300,000 bytes take no longer than the link needs", async ({ world, client, server, run }) => {
  const start = world.time.now;
  const bytes = pattern(300_000);
  const [received] = await run(Promise.all([readAll(server, 65_536), sendAndEnd(client, bytes)]));
  assertEquals(received, bytes);
  // 100 Mbit/s: 25 ms with all headers, and the round trips of slow start.
  assert(world.time.now - start < 60, `${world.time.now - start} ms`);
  server.close();
  client.close();
}, { impairments: { delay: 1, rate: 100_000_000 } });

connectionTest(
  "data that come with FIN are read, then the end, as often as it is asked for; our side may still send",
  async ({ client, server, run }) => {
    await Promise.all([client.write(pattern(100)), client.closeWrite()]);
    const buffer = new Uint8Array(1000);
    assertEquals(await run(server.read(buffer)), 100);
    assertEquals(await run(server.read(buffer)), null);
    assertEquals([server.info().state, await run(server.read(buffer))], ["CLOSE-WAIT", null]);
    await server.write(pattern(50));
    assertEquals(await run(client.read(buffer)), 50);
    server.close();
    assertEquals(await run(client.read(buffer)), null);
    client.close();
  },
);

Deno.test("who closes first waits in TIME-WAIT, and no reset is ever sent", async () => {
  const blocks: Uint8Array[] = [];
  const world = new World({ seed: 1, capture: (block) => blocks.push(block.slice()) });
  const listener = world.server.listen({ port: 7 });
  const client = await world.time.waitFor(world.client.connect({ hostname: "10.0.0.2", port: 7 }));
  const server = await world.time.waitFor(listener.accept());
  client.close();
  assertEquals(await world.time.waitFor(server.read(new Uint8Array(1))), null);
  server.close();
  await world.time.waitFor(Promise.all([client.closed, server.closed]));
  listener.close();
  assertEquals(world.client.snapshot().tcp.map(({ state }) => state), ["TIME-WAIT"]);
  await world.time.run(300_000);
  assertEquals(world.client.snapshot().tcp, []);
  const texts = readCapture(concat(blocks)).frames.map(({ bytes }) => describeFrame(bytes).text);
  const flags = texts.flatMap((text) => /Flags \[(.*?)\]/.exec(text)?.[1] ?? []);
  assertEquals(flags, ["S", "S.", ".", "F.", ".", "F.", "."]);
  await world.end();
});

Deno.test("a connection that is refused never looks connected", async () => {
  const world = new World({ seed: 1 });
  const connecting = world.client.connect({ hostname: "10.0.0.2", port: 7 });
  const error = await assertRejectsNamed("ConnectionRefused", world.time.waitFor(connecting));
  assertStringIncludes(error.message, "10.0.0.2:7");
  assertEquals(world.client.snapshot().tcp, []);
  await world.end();
});
