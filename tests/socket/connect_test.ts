import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import type { ErrorName } from "../../stack/errors.ts";
import { connectTcp } from "../../stack/socket/connect.ts";
import type { TcpConnectOptions } from "../../stack/socket/options.ts";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { FakeTcp } from "../helpers/fake_tcp.ts";

Deno.test("connect resolves once the connection is established, and what has arrived by then can be read", async () => {
  const tcp = new FakeTcp();
  const connecting = connectTcp(tcp, { hostname: "192.0.2.9", port: 80 });
  tcp.connections[0]!.establish();
  tcp.connections[0]!.arrive("hi");
  const conn = await connecting;
  assertEquals(conn.remoteAddr, { transport: "tcp", hostname: "192.0.2.9", port: 80 });
  assertEquals(await conn.read(new Uint8Array(9)), 2);
});

Deno.test("the default host, and the unspecified address, are this host", async () => {
  const tcp = new FakeTcp();
  for (const options of [{}, { hostname: "0.0.0.0" }, { hostname: "localhost" }, { hostname: "::" }]) {
    const connecting = connectTcp(tcp, { port: 80, ...options });
    tcp.connections.at(-1)!.establish();
    await connecting;
  }
  assertEquals(
    tcp.connects.map(({ remote }) => remote.address.toString()),
    ["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1"],
  );
});

Deno.test("a failure rejects with its class and names the endpoint", async () => {
  const names: ErrorName[] = ["ConnectionRefused", "TimedOut", "HostUnreachable", "NetworkUnreachable"];
  for (const name of names) {
    const tcp = new FakeTcp();
    const connecting = connectTcp(tcp, { hostname: "192.0.2.9", port: 80 });
    tcp.connections[0]!.fail({ name, message: "nobody answers" });
    const error = await assertRejectsNamed(name, connecting);
    assertMatch(error.message, /^Cannot connect to 192\.0\.2\.9:80: nobody answers$/);
  }
});

Deno.test("a connection that ends before it is established, without a failure, is aborted", async () => {
  const tcp = new FakeTcp();
  const connecting = connectTcp(tcp, { port: 80 });
  tcp.connections[0]!.fail(null);
  await assertRejectsNamed("ConnectionAborted", connecting);
});

Deno.test("with a signal aborted before, TCP is not asked", async () => {
  const tcp = new FakeTcp();
  await assertRejectsNamed("AbortError", connectTcp(tcp, { port: 80, signal: AbortSignal.abort() }));
  assertEquals(tcp.connects, []);
});

Deno.test("an abort while connecting rejects with the signal's reason and aborts the connection", async () => {
  const tcp = new FakeTcp();
  const controller = new AbortController();
  const reason = new Error("enough");
  const connecting = connectTcp(tcp, { port: 80, signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await connecting.catch((error) => error), reason);
  assertEquals(tcp.connections[0]!.calls, ["abort"]);
});

Deno.test("an abort after the connection is established does nothing to it", async () => {
  const tcp = new FakeTcp();
  const controller = new AbortController();
  const connecting = connectTcp(tcp, { port: 80, signal: controller.signal });
  tcp.connections[0]!.establish();
  controller.abort();
  assertEquals(await (await connecting).write(new Uint8Array(2)), 2);
  assertEquals(tcp.connections[0]!.calls, []);
});

Deno.test("what TCP refuses becomes a rejection", async () => {
  const tcp = new FakeTcp();
  tcp.refusal = ["AddrInUse", "Cannot connect from port 9"];
  await assertRejectsNamed("AddrInUse", connectTcp(tcp, { port: 80 }));
});

Deno.test("options are handed to TCP", async () => {
  const tcp = new FakeTcp();
  const connecting = connectTcp(tcp, {
    port: 80,
    localHostname: "192.0.2.1",
    localPort: 4000,
    noDelay: true,
    keepAlive: true,
    settings: { noDelay: false, userTimeout: 5 },
  });
  tcp.connections[0]!.establish();
  await connecting;
  const { localAddress, localPort, settings } = tcp.connects[0]!;
  assertEquals([localAddress?.toString(), localPort], ["192.0.2.1", 4000]);
  assertEquals(settings, { noDelay: true, keepAlive: true, userTimeout: 5 });
});

Deno.test("bad options become rejections, and TCP is not asked", async () => {
  const tcp = new FakeTcp();
  const cases: [string, unknown][] = [
    ["RangeError", { port: 0 }],
    ["RangeError", { port: 65536 }],
    ["TypeError", {}],
    ["TypeError", { port: 1.5 }],
    ["TypeError", { port: NaN }],
    ["TypeError", { port: 80, hostname: "example.com" }],
    ["TypeError", { port: 80, hostname: "" }],
    ["TypeError", { port: 80, hostname: 5 }],
    ["TypeError", { port: 80, transport: "udp" }],
    ["TypeError", { port: 80, localHostname: "nowhere" }],
    ["RangeError", { port: 80, localPort: 70000 }],
  ];
  for (const [name, options] of cases) await assertRejectsNamed(name, connectTcp(tcp, options as TcpConnectOptions));
  assertEquals(tcp.connects, []);
});
