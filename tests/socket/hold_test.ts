import { assertEquals } from "@std/assert";
import { SeededRandom } from "../../stack/random.ts";
import { connectTcp } from "../../stack/socket/connect.ts";
import { listenUdp } from "../../stack/socket/datagram_conn.ts";
import { Hold, type ProgramKeeper } from "../../stack/socket/hold.ts";
import { TcpConn } from "../../stack/socket/tcp_conn.ts";
import { TcpListener } from "../../stack/socket/tcp_listener.ts";
import { Stack } from "../../stack/stack.ts";
import { keepsRunning } from "../helpers/ending.ts";
import { FakeConnection, FakeListener, FakeTcp } from "../helpers/fake_tcp.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

/** Counts who waits. */
class Keeper implements ProgramKeeper {
  waits = 0;
  acquire = (): void => void this.waits++;
  release = (): void => void this.waits--;
}

Deno.test("waiting holds once, until it ends", () => {
  const keeper = new Keeper();
  const hold = new Hold(keeper);
  hold.waiting = true;
  hold.waiting = true;
  assertEquals(keeper.waits, 1);
  hold.waiting = false;
  hold.waiting = false;
  assertEquals(keeper.waits, 0);
});

Deno.test("what is not referenced does not hold, also in the middle of waiting", () => {
  const keeper = new Keeper();
  const hold = new Hold(keeper);
  hold.referenced = false;
  hold.waiting = true;
  assertEquals(keeper.waits, 0);
  hold.referenced = true;
  assertEquals(keeper.waits, 1);
  hold.referenced = false;
  assertEquals(keeper.waits, 0);
});

Deno.test("a connection holds while a read or a write waits", async () => {
  const keeper = new Keeper();
  const peer = new FakeConnection();
  const conn = new TcpConn(peer, keeper);
  const read = conn.read(new Uint8Array(10));
  assertEquals(keeper.waits, 1);
  peer.room = 0;
  const write = conn.write(new Uint8Array(10));
  peer.arrive("hello");
  await read;
  assertEquals(keeper.waits, 1);
  peer.makeRoom(10);
  await write;
  assertEquals(keeper.waits, 0);
  conn.unref();
  const last = conn.read(new Uint8Array(10));
  assertEquals(keeper.waits, 0);
  conn.ref();
  assertEquals(keeper.waits, 1);
  conn.close();
  await last.catch(() => {});
  assertEquals(keeper.waits, 0);
});

Deno.test("a listener holds while an accept waits", async () => {
  const keeper = new Keeper();
  const port = new FakeListener({ address: new FakeConnection().local.address, port: 80 });
  const listener = new TcpListener(port, keeper);
  assertEquals(keeper.waits, 0);
  const accepted = listener.accept();
  assertEquals(keeper.waits, 1);
  port.arrive();
  await accepted;
  assertEquals(keeper.waits, 0);
  const refused = listener.accept().catch(() => {});
  listener.close();
  await refused;
  assertEquals(keeper.waits, 0);
});

Deno.test("connecting holds until it is over, however it ends", async () => {
  const keeper = new Keeper();
  const tcp = new FakeTcp();
  const connecting = connectTcp(tcp, { port: 80 }, keeper);
  const failing = connectTcp(tcp, { port: 80 }, keeper).catch(() => {});
  assertEquals(keeper.waits, 2);
  tcp.connections[0]!.establish();
  tcp.connections[1]!.reset();
  await Promise.all([connecting, failing]);
  assertEquals(keeper.waits, 0);
});

Deno.test("a datagram socket holds while a receive waits", async () => {
  const keeper = new Keeper();
  const time = new VirtualTime();
  const stack = time.add(new Stack({ timers: time.timers, random: new SeededRandom(1), eventLoop: false }));
  const socket = listenUdp(stack.udp, stack.nics, { port: 7 }, keeper);
  const receiving = socket.receive();
  assertEquals(keeper.waits, 1);
  await socket.send(new Uint8Array(1), { transport: "udp", hostname: "127.0.0.1", port: 7 });
  await time.waitFor(receiving);
  assertEquals(keeper.waits, 0);
  socket.unref();
  const interrupted = socket.receive().catch(() => {});
  assertEquals(keeper.waits, 0);
  socket.ref();
  assertEquals(keeper.waits, 1);
  await stack.close();
  await interrupted;
  assertEquals(keeper.waits, 0);
});

const listening = "const stack = new tapstack.Stack(); const listener = stack.listen({ port: 7 }); listener.accept();";

Deno.test("a stack keeps the program running", async () => {
  assertEquals(await keepsRunning("new tapstack.Stack();"), true);
});

Deno.test("a stack that is unref'ed does not", async () => {
  assertEquals(await keepsRunning("new tapstack.Stack().unref();"), false);
});

Deno.test("an accept on a stack that is unref'ed keeps the program running, unless its listener is unref'ed too", async () => {
  assertEquals(await keepsRunning(`${listening} stack.unref();`), true);
  assertEquals(await keepsRunning(`${listening} stack.unref(); listener.unref();`), false);
  assertEquals(await keepsRunning(`${listening} listener.unref();`), true);
});

Deno.test("ref takes unref back", async () => {
  assertEquals(await keepsRunning("const stack = new tapstack.Stack(); stack.unref(); stack.ref();"), true);
  assertEquals(await keepsRunning(`${listening} stack.unref(); listener.unref(); listener.ref();`), true);
});
