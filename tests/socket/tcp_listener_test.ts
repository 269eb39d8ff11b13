import { assertEquals, assertMatch } from "@std/assert";
import { listenTcp, type TcpListener } from "../../stack/socket/tcp_listener.ts";
import { assertRejectsNamed, assertThrowsNamed } from "../helpers/errors.ts";
import { FakeConnection, type FakeListener, FakeTcp } from "../helpers/fake_tcp.ts";

function make(): { tcp: FakeTcp; arrivals: FakeListener; listener: TcpListener } {
  const tcp = new FakeTcp();
  const listener = listenTcp(tcp, { port: 80 });
  return { tcp, arrivals: tcp.listeners[0]!, listener };
}

Deno.test("accept gives a connection that has come before", async () => {
  const { arrivals, listener } = make();
  arrivals.arrive();
  assertEquals((await listener.accept()).remoteAddr.hostname, "192.0.2.9");
});

Deno.test("accept waits for a connection", async () => {
  const { arrivals, listener } = make();
  const accepted = listener.accept();
  arrivals.arrive();
  assertEquals((await accepted).remoteAddr.hostname, "192.0.2.9");
});

Deno.test("connections that come together are accepted one after the other", async () => {
  const { arrivals, listener } = make();
  const first = listener.accept();
  for (const port of [1, 2]) {
    const { address } = new FakeConnection().remote;
    arrivals.arrive(new FakeConnection({ address, port }));
  }
  assertEquals([(await first).remoteAddr.port, (await listener.accept()).remoteAddr.port], [1, 2]);
});

Deno.test("a second accept while one waits is Busy, and the first goes on waiting", async () => {
  const { arrivals, listener } = make();
  const accepted = listener.accept();
  await assertRejectsNamed("Busy", listener.accept());
  arrivals.arrive();
  await accepted;
});

Deno.test("close fails the accept that waits, and everything after it, with BadResource", async () => {
  const { arrivals, listener } = make();
  const accepted = listener.accept();
  listener.close();
  assertEquals(arrivals.closed, true);
  assertMatch((await assertRejectsNamed("BadResource", accepted)).message, /0\.0\.0\.0:80/);
  await assertRejectsNamed("BadResource", listener.accept());
  assertThrowsNamed("BadResource", () => listener.close());
  listener[Symbol.dispose]();
  listener.ref();
  listener.unref();
});

Deno.test("a connection that comes just before close is not taken from TCP, which resets it", async () => {
  const { arrivals, listener } = make();
  const accepted = listener.accept();
  arrivals.arrive();
  listener.close();
  await assertRejectsNamed("BadResource", accepted);
  assertEquals(arrivals.accept() !== null, true);
});

Deno.test("iterating gives the connections and ends when the listener is closed", async () => {
  const { arrivals, listener } = make();
  const ports: number[] = [];
  const loop = (async () => {
    for await (const conn of listener) ports.push(conn.remoteAddr.port);
  })();
  arrivals.arrive();
  await new Promise((resolve) => setTimeout(resolve, 0));
  listener.close();
  await loop;
  assertEquals(ports, [80]);
  for await (const conn of listener) ports.push(conn.remoteAddr.port);
  assertEquals(ports, [80]);
});

Deno.test("leaving the loop closes the listener", async () => {
  const { arrivals, listener } = make();
  arrivals.arrive();
  for await (const conn of listener) {
    conn.close();
    break;
  }
  assertEquals(arrivals.closed, true);
  await assertRejectsNamed("BadResource", listener.accept());
});

Deno.test("without options a listener is on all IPv4 addresses and a port of the stack's choice", () => {
  const tcp = new FakeTcp();
  const { addr } = listenTcp(tcp, {});
  assertEquals(addr, { transport: "tcp", hostname: "0.0.0.0", port: 50001 });
  assertEquals(tcp.listens[0]!.local.port, 0);
});

Deno.test("options are handed to TCP", () => {
  const tcp = new FakeTcp();
  listenTcp(tcp, { hostname: "[::1]", port: 80, backlog: 5, settings: { noDelay: true } });
  listenTcp(tcp, { hostname: "localhost", tcpBacklog: 6 });
  const [{ local, backlog, settings }, other] = tcp.listens as [typeof tcp.listens[0], typeof tcp.listens[0]];
  assertEquals([local.address.toString(), local.port, backlog, settings], ["::1", 80, 5, { noDelay: true }]);
  assertEquals([other.local.address.toString(), other.backlog], ["127.0.0.1", 6]);
});

Deno.test("bad options are refused before TCP is asked", () => {
  const tcp = new FakeTcp();
  assertThrowsNamed("RangeError", () => listenTcp(tcp, { port: 65536 }));
  assertThrowsNamed("RangeError", () => listenTcp(tcp, { port: -1 }));
  assertThrowsNamed("TypeError", () => listenTcp(tcp, { port: "80" as unknown as number }));
  assertThrowsNamed("TypeError", () => listenTcp(tcp, { hostname: "example.com" }));
  assertThrowsNamed("TypeError", () => listenTcp(tcp, { transport: "udp" as "tcp" }));
  assertThrowsNamed("RangeError", () => listenTcp(tcp, { backlog: 0 }));
  assertEquals(tcp.listens, []);
});

Deno.test("what TCP refuses is thrown at once", () => {
  const tcp = new FakeTcp();
  tcp.refusal = ["AddrInUse", "Cannot listen on 0.0.0.0:80"];
  assertThrowsNamed("AddrInUse", () => listenTcp(tcp, { port: 80 }));
});
