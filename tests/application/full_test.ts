import { assertEquals, assertRejects } from "@std/assert";
import { DnsServer, Hosts } from "../../stack/application/dns.ts";
import { Stack } from "../../stack/application/full.ts";
import { upgradeWebSocket } from "../../stack/application/websocket.ts";
import { createWire } from "../../stack/link/wire.ts";
import { soon } from "../helpers/patience.ts";
import { assertClosed } from "../kernel/host.ts";
import { testCertificate } from "./local_stack.ts";

/** Two stacks on a wire: `near` asks `far` for names. */
async function pairTest(body: (near: Stack, far: Stack) => Promise<void>): Promise<void> {
  await using far = new Stack();
  await using near = new Stack({ dns: { nameServers: [{ ipAddr: "10.0.0.1" }] } });
  const [left, right] = createWire();
  far.attach(left, { addresses: ["10.0.0.1/24"] });
  near.attach(right, { addresses: ["10.0.0.2/24"] });
  const hosts = new Hosts("10.0.0.1 server.test other.test localhost");
  await using dns = new DnsServer(far, { nameServers: [], hosts });
  await soon(body(near, far), "the end of the test");
  await near.close();
  await dns.close();
  await far.close();
  assertClosed(near);
  assertClosed(far);
}

/** undici keeps one timer for all its connections, and for a while beyond them. */
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "serve, fetch and resolveDns are methods, and names are good everywhere",
  options,
  () =>
    pairTest(async (near, far) => {
      const server = far.serve({ port: 80 }, ({ url }) => new Response(url));
      assertEquals(await (await near.fetch("http://server.test/path")).text(), "http://server.test/path");
      assertEquals(await near.resolveDns("server.test", "A"), ["10.0.0.1"]);
      assertEquals(await far.resolveDns("other.test", "A", { nameServer: { ipAddr: "10.0.0.1" } }), ["10.0.0.1"]);
      using conn = await near.connect({ hostname: "server.test", port: 80 });
      assertEquals(conn.remoteAddr.hostname, "10.0.0.1");
      server.abort();
      await server.finished;
    }),
);

Deno.test("connectTls, listenTls and connectWebSocket are methods, too", () =>
  pairTest(async (near, far) => {
    const certificate = await testCertificate();
    using listener = far.listenTls({ port: 443, ...certificate });
    const caCerts = [certificate.cert];
    using client = await near.connectTls({ hostname: "other.test", port: 443, caCerts });
    using accepted = await listener.accept();
    await client.write(new Uint8Array(3));
    assertEquals(await accepted.read(new Uint8Array(9)), 3);
    const server = far.serve((request) => upgradeWebSocket(request).response);
    const socket = await near.connectWebSocket("ws://server.test:8000/");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.close();
    await closed;
    await server.shutdown();
  }));

Deno.test("a name that does not exist is NotFound", () =>
  pairTest(async (near, far) => {
    await assertRejects(() => near.connect({ hostname: "no-such-name.test", port: 1 }), Error, "no-such-name.test");
    await assertRejects(() => far.connect({ hostname: "x.test", port: 1 }), TypeError, "no DNS server is known");
  }));
