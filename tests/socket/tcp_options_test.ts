import { assertEquals, assertThrows } from "@std/assert";
import { SeededRandom } from "../../stack/random.ts";
import type { TcpConn } from "../../stack/socket/tcp_conn.ts";
import { Stack } from "../../stack/stack.ts";
import type { StackOptions } from "../../stack/stack_options.ts";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

/** Runs a test with a stack that speaks to itself, and asserts that nothing is left of it. */
function stackTest(
  name: string,
  body: (stack: Stack, time: VirtualTime) => Promise<void>,
  options: StackOptions = {},
): void {
  Deno.test(name, async () => {
    const time = new VirtualTime();
    const stack = time.add(
      new Stack({ timers: time.timers, random: new SeededRandom(1), eventLoop: false, ...options }),
    );
    await body(stack, time);
    await stack.close();
    time.settle();
    const { pool, timers, ports, tcp } = stack;
    assertEquals([pool.inUse, timers.running, ports.size, tcp.connections().length], [0, 0, 0, 0]);
  });
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

async function readText(conn: TcpConn): Promise<string | null> {
  const buffer = new Uint8Array(100);
  const bytes = await conn.read(buffer);
  return bytes === null ? null : new TextDecoder().decode(buffer.subarray(0, bytes));
}

stackTest("a connection to its own port speaks to itself", async (stack, time) => {
  const conn = await time.waitFor(stack.connect({ hostname: "127.0.0.1", port: 5000, localPort: 5000 }));
  assertEquals(conn.localAddr, conn.remoteAddr);
  await conn.write(encode("hello myself"));
  assertEquals(await time.waitFor(readText(conn)), "hello myself");
  await conn.closeWrite();
  assertEquals(await time.waitFor(readText(conn)), null);
  conn.close();
});

stackTest(
  "with fastOpen the second connection is there at once, and its first write arrives with the SYN",
  async (stack, time) => {
    using listener = stack.listen({ port: 80, fastOpen: true });
    const first = await time.waitFor(stack.connect({ port: 80, fastOpen: true }));
    first.close();
    (await time.waitFor(listener.accept())).close();

    const conn = await stack.connect({ port: 80, fastOpen: true });
    assertEquals([conn.info().state, conn.info().segmentsSent], ["SYN-SENT", 0]);
    assertEquals(await conn.write(encode("request")), 7);
    const server = await time.waitFor(listener.accept());
    assertEquals(await readText(server), "request");
    await server.write(encode("answer"));
    assertEquals(await time.waitFor(readText(conn)), "answer");
    assertEquals([conn.info().fastOpen, server.info().fastOpen], [true, true]);
    conn.close();
    server.close();
  },
);

stackTest("a fast connection that is refused says so to the first read", async (stack, time) => {
  const listener = stack.listen({ port: 80, fastOpen: true });
  (await time.waitFor(stack.connect({ port: 80, fastOpen: true }))).close();
  listener.close();
  const conn = await stack.connect({ port: 80, fastOpen: true });
  await conn.write(encode("request"));
  await assertRejectsNamed("ConnectionRefused", time.waitFor(conn.read(new Uint8Array(1))));
  conn.close();
});

stackTest("a fast connection whose user reads first is opened without data", async (stack, time) => {
  using listener = stack.listen({ port: 80, fastOpen: true });
  (await time.waitFor(stack.connect({ port: 80, fastOpen: true }))).close();
  (await time.waitFor(listener.accept())).close();
  const conn = await stack.connect({ port: 80, fastOpen: true });
  const reading = readText(conn);
  const server = await time.waitFor(listener.accept());
  await server.write(encode("greeting"));
  assertEquals(await time.waitFor(reading), "greeting");
  conn.close();
  server.close();
});

stackTest("servers with the same fastOpenKeys accept each other's cookies", async (stack, time) => {
  using listener = stack.listen({ port: 80, fastOpen: true });
  (await time.waitFor(stack.connect({ port: 80, fastOpen: true }))).close();
  (await time.waitFor(listener.accept())).close();
  const { cookie } = stack.tcp.fastOpen.cache.get(stack.nics[0]!.addresses[0]!.address)!;
  const other = new Stack({
    timers: time.timers,
    eventLoop: false,
    tcp: { fastOpenKeys: [new Uint8Array(16).fill(9)] },
  });
  const { address } = stack.nics[0]!.addresses[0]!;
  assertEquals(other.tcp.fastOpen.cookies.check(address, address, cookie!, cookie!.length), 2);
  await other.close();
}, { tcp: { fastOpenKeys: [new Uint8Array(16).fill(9)] } });

stackTest("a number of pending connections that cannot be is refused, as are keys and settings", async (stack) => {
  for (const pending of [0, 1.5, 1_000_001]) {
    assertThrows(() => stack.listen({ port: 80, fastOpen: { pending } }), Error, "from 1 to 1000000");
  }
  assertThrows(() => new Stack({ tcp: { fastOpenKeys: [new Uint8Array(3)] } }), TypeError, "16 bytes");
  assertThrows(() => stack.listen({ port: 80, settings: { timeToLive: 300 } }), RangeError, "from 1 to 255");
  await assertRejectsNamed("RangeError", stack.connect({ port: 80, settings: { keepAliveCount: 0 } }));
});

stackTest("listeners with reusePort share a port; one without it does not", async (stack, time) => {
  using one = stack.listen({ port: 80, reusePort: true });
  using other = stack.listen({ port: 80, reusePort: true });
  assertThrows(() => stack.listen({ port: 80 }), Error, "the port is in use");
  const accepted = [0, 0];
  const count = async (at: number, listener: typeof one) => {
    for await (const conn of listener) {
      accepted[at]!++;
      conn.close();
    }
  };
  const counting = [count(0, one), count(1, other)];
  for (let client = 0; client < 40; client++) (await time.waitFor(stack.connect({ port: 80 }))).close();
  await time.run(10);
  one.close();
  other.close();
  await Promise.all(counting);
  assertEquals(accepted[0]! + accepted[1]!, 40);
  assertEquals(Math.min(...accepted) > 8, true, String(accepted));
});
