import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { createServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { IpAddress, IpPrefix } from "../../../stack/address.ts";
import { WebSocketServer } from "../../../stack/application/deps/ws.ts";
import { serveConnections } from "../../../stack/application/node.ts";
import type { AttemptLimits } from "../../../stack/application/tunnel/attempt_limiter.ts";
import { TunnelClient } from "../../../stack/application/tunnel/client.ts";
import {
  type DialOptions,
  dialTunnel,
  plainFingerprint,
  stackSocketOpener,
  TunnelRefusal,
} from "../../../stack/application/tunnel/dial.ts";
import { TunnelHub } from "../../../stack/application/tunnel/hub.ts";
import { type Admission, TunnelServer } from "../../../stack/application/tunnel/server.ts";
import type { WebSocket } from "../../../stack/application/websocket_types.ts";
import { ChannelDevice } from "../../../stack/link/channel.ts";
import { createWire } from "../../../stack/link/wire.ts";
import { CryptoRandom } from "../../../stack/random.ts";
import { Stack } from "../../../stack/stack.ts";
import { kernelTest } from "../../kernel/namespace.ts";
import { stackTest, testCertificate } from "../local_stack.ts";

function admit(token: string): Admission {
  if (token === "good") return { name: "laptop", address: IpAddress.parse("10.1.1.3") };
  if (token === "old") return { status: 403, reason: 'The token "laptop" has expired' };
  if (token === "late") return { status: 503, reason: "All addresses belong to other tokens" };
  return { status: 401, reason: "The token is not known here" };
}

/** A server on any HTTP server, behind which a stack answers. */
class Site implements AsyncDisposable {
  readonly system = new Stack();
  readonly hub: TunnelHub;
  readonly server: TunnelServer;

  constructor(attempts: AttemptLimits = {}) {
    const [uplink, end] = createWire({ medium: "ip", mtu: 1400, offload: true });
    this.system.attach(end, { addresses: ["10.1.1.1/24"] });
    const own = [IpAddress.parse("10.1.1.1")];
    this.hub = new TunnelHub(uplink, IpPrefix.parse("10.1.1.0/24"), { own });
    this.server = new TunnelServer({ hub: this.hub, gateway: own[0]!, mtu: 1400, admit, attempts });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
    await Promise.all([this.system.close(), this.hub.close()]);
    assertEquals([this.system.pool.inUse, this.hub.packetsInUse], [0, 0]);
  }
}

/** Serves a site on a port of a stack. */
function serveOn(stack: Stack, site: Site): AsyncDisposable {
  const http = createServer().on("upgrade", site.server.upgrade);
  const listener = stack.listen({ port: 80 });
  const served = serveConnections(listener, http);
  return {
    [Symbol.asyncDispose]: async () => {
      listener.close();
      http.closeAllConnections();
      await served;
    },
  };
}

/** What an attempt comes to: the error, or null where the socket opens, which is closed at once. */
async function attempt(url: string, options: DialOptions): Promise<Error | null> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let socket: WebSocket | null = null;
  try {
    await dialTunnel(new URL(url), options, (opened) => {
      socket = opened.once("close", () => resolve());
    });
    (socket as WebSocket | null)?.terminate();
    await closed;
    return null;
  } catch (error) {
    return error as Error;
  }
}

stackTest("a tunnel over connections of a stack of ours carries another stack's", async (outer) => {
  await using site = new Site();
  await using _serving = serveOn(outer, site);
  await using inner = new Stack();
  const device = new ChannelDevice();
  const client = new TunnelClient({
    device,
    timers: inner.timers,
    random: new CryptoRandom(),
    dial: (prepare, signal) =>
      dialTunnel(
        new URL("ws://127.0.0.1/"),
        { token: "good", open: stackSocketOpener(outer), signal },
        prepare,
      ),
  });
  const { address, gateway } = await client.connect();
  inner.attach(device, { addresses: [address], gateway });
  using listener = site.system.listen({ port: 7 });
  const [ours, theirs] = await Promise.all([inner.connect({ hostname: "10.1.1.1", port: 7 }), listener.accept()]);
  const bytes = new Uint8Array(1 << 20).map((_, at) => at * 7);
  const sent = new Blob([bytes]).stream().pipeTo(ours.writable);
  assertEquals(new Uint8Array(await new Response(theirs.readable).arrayBuffer()), bytes);
  await sent;
  client.close();
  await client.finished;
});

stackTest(
  "a server refuses wrong, expired and missing tokens, and tells why; a full one may be asked later",
  async (outer) => {
    await using site = new Site();
    await using _serving = serveOn(outer, site);
    const open = stackSocketOpener(outer);
    const told = async (token: string) => {
      const error = (await attempt("ws://127.0.0.1/", { token, open }))!;
      return [error instanceof TunnelRefusal, error.message];
    };
    assertEquals(await told("bad"), [
      true,
      "Cannot open a tunnel to 127.0.0.1: The token is not known here (HTTP status 401)",
    ]);
    assertEquals(await told("old"), [
      true,
      'Cannot open a tunnel to 127.0.0.1: The token "laptop" has expired (HTTP status 403)',
    ]);
    assertEquals(await told("late"), [
      false,
      "Cannot open a tunnel to 127.0.0.1: All addresses belong to other tokens (HTTP status 503)",
    ]);
    assertEquals(await attempt("ws://127.0.0.1/", { token: "good", open }), null);
  },
);

stackTest(
  "who comes with wrong tokens too often is not listened to for a while, and told when to come again",
  async (outer) => {
    await using site = new Site({ burst: 2, perMinute: 1 });
    await using _serving = serveOn(outer, site);
    const open = stackSocketOpener(outer);
    const statuses: string[] = [];
    for (const token of ["bad", "late", "good", "old", "good", "bad"]) {
      const error = await attempt("ws://127.0.0.1/", { token, open });
      statuses.push(/HTTP status (\d+)/.exec(error?.message ?? "")?.[1] ?? "in");
    }
    assertEquals(statuses, ["401", "503", "in", "403", "429", "429"]);
    const error = await attempt("ws://127.0.0.1/", { token: "good", open });
    assertMatch(error!.message, /: Too many wrong tokens came from there: try again in \d+ s \(HTTP status 429\)$/);
    assert(!(error instanceof TunnelRefusal));
    assertEquals(site.server.snapshot().refusals, {
      otherVersion: 0,
      unknownToken: 1,
      expiredToken: 1,
      noAddress: 1,
      tooManyAttempts: 3,
    });
  },
);

stackTest("a client of another version is told which one the server speaks", async (outer) => {
  await using site = new Site();
  await using _serving = serveOn(outer, site);
  using conn = await outer.connect({ port: 80 });
  const request = "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
    "sec-websocket-protocol: tapstack.vpn.9\r\nauthorization: Bearer good\r\n\r\n";
  await conn.write(new TextEncoder().encode(request));
  const answer = await new Response(conn.readable).text();
  assertMatch(answer, /^HTTP\/1.1 400 /);
  assertStringIncludes(answer, "This server speaks another version of the protocol: tapstack.vpn.1");
  assertEquals(site.server.names, []);
});

stackTest("a client tells that the server speaks another version, and does not come back", async (outer) => {
  for (const named of ["tapstack.vpn.9", false] as const) {
    const webSockets = new WebSocketServer({ noServer: true, handleProtocols: () => named });
    const http = createServer().on("upgrade", (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (opened) => opened.on("error", () => {}));
    });
    const listener = outer.listen({ port: 80 });
    const served = serveConnections(listener, http);
    const error = await attempt("ws://127.0.0.1/", { token: "good", open: stackSocketOpener(outer) });
    assert(error instanceof TunnelRefusal);
    assertStringIncludes(error.message, "it does not speak tapstack.vpn.1, so update the older of the two");
    listener.close();
    for (const client of webSockets.clients) client.terminate();
    http.closeAllConnections();
    await served;
  }
});

stackTest("a server that is none of ours is told apart", async (outer) => {
  const answers = [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    "SSH-2.0-OpenSSH\r\n",
    "",
  ];
  using listener = outer.listen({ port: 80 });
  const serving = (async () => {
    for (const text of answers) {
      const conn = await listener.accept();
      await conn.read(new Uint8Array(4096));
      await conn.write(new TextEncoder().encode(text));
      conn.close();
    }
  })();
  const messages: string[] = [];
  for (const _ of answers) {
    messages.push((await attempt("ws://127.0.0.1/", { token: "good", open: stackSocketOpener(outer) }))!.message);
  }
  await serving;
  assertEquals(messages.slice(0, 2), [
    "Cannot open a tunnel to 127.0.0.1: hello (HTTP status 200)",
    "Cannot open a tunnel to 127.0.0.1: Not Found (HTTP status 404)",
  ]);
  for (const message of messages) assertMatch(message, /^Cannot open a tunnel to 127.0.0.1: [^\n]+$/);
});

stackTest("a port where nobody listens is told; an attempt that was ended stops", async (outer) => {
  const open = stackSocketOpener(outer);
  const error = await attempt("ws://127.0.0.1:81/", { token: "good", open });
  assertMatch(error!.message, /^Cannot reach 127.0.0.1:81: /);
  assert(!(error instanceof TunnelRefusal));
  using _silent = outer.listen({ port: 82 });
  const controller = new AbortController();
  const attempted = attempt("ws://127.0.0.1:82/", { token: "good", open, signal: controller.signal });
  controller.abort(new DOMException("enough", "AbortError"));
  assertEquals((await attempted)!.name, "AbortError");
});

/** Serves a site on the system's loopback, with TLS if not said otherwise. */
async function serveHere(
  site: Site,
  secure = true,
): Promise<{ url: string; http: Server; fingerprint: string } & AsyncDisposable> {
  const { cert, key } = await testCertificate();
  const http = (secure ? createHttpsServer({ cert, key }) : createServer()).on("upgrade", site.server.upgrade);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `${secure ? "wss" : "ws"}://127.0.0.1:${port}/`,
    http,
    fingerprint: new X509Certificate(cert).fingerprint256,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeAllConnections();
      await closed;
    },
  };
}

kernelTest(
  "a certificate is trusted by its authority, by its fingerprint, or on request, and otherwise not",
  async () => {
    await using site = new Site();
    await using serving = await serveHere(site);
    const { url, fingerprint } = serving;
    const { cert } = await testCertificate();
    const token = "good";
    assertEquals(await attempt(url, { token, caCerts: [cert] }), null);
    assertEquals(await attempt(url, { token, fingerprint }), null);
    assertEquals(await attempt(url, { token, fingerprint: plainFingerprint(fingerprint) }), null);
    assertEquals(await attempt(url, { token, unsafelyIgnoreCertificateErrors: true }), null);
    const untrusted = await attempt(url, { token });
    assert(untrusted instanceof TunnelRefusal);
    assertStringIncludes(untrusted.message, "Cannot trust 127.0.0.1: self-signed certificate");
    const other = await attempt(url, { token, fingerprint: "00".repeat(32) });
    assert(other instanceof TunnelRefusal);
    assertStringIncludes(other.message, `its certificate has the fingerprint ${fingerprint}`);
  },
);

kernelTest("the token is sent to nobody whose certificate is not trusted", async () => {
  await using site = new Site();
  await using serving = await serveHere(site);
  let requests = 0;
  serving.http.on("upgrade", () => requests++);
  await attempt(serving.url, { token: "good", fingerprint: "00".repeat(32) });
  await attempt(serving.url, { token: "good" });
  assertEquals([requests, site.server.names], [0, []]);
});

kernelTest("a server without TLS is no server with it", async () => {
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  await assertRejects(
    () => dialTunnel(new URL(`wss://127.0.0.1:${port}/`), { token: "good" }, () => {}),
    Error,
    "Cannot agree on TLS with 127.0.0.1",
  );
  await new Promise((resolve) => http.close(resolve));
});

kernelTest("messages are masked with a key that nobody can foresee where nobody else protects them", async () => {
  for (
    const [secure, mask, expected] of [[false, undefined, true], [true, undefined, false], [true, true, true]] as const
  ) {
    await using site = new Site();
    await using serving = await serveHere(site, secure);
    const keys: string[] = [];
    serving.http.prependListener("upgrade", (_request, socket) => {
      // The first frame: two bytes, the key, and a ping's single byte.
      socket.prependListener("data", (data: Uint8Array) => {
        assertEquals([data[0], data[1]], [0x89, 0x81]);
        keys.push(data.subarray(2, 6).join(" "));
      });
    });
    const { promise: heard, resolve } = Promise.withResolvers<void>();
    let socket: WebSocket | null = null;
    const { url, fingerprint } = serving;
    await dialTunnel(
      new URL(url),
      { token: "good", fingerprint, ...(mask === undefined ? {} : { mask }) },
      (opened) => socket = opened.once("pong", () => resolve()),
    );
    (socket as WebSocket | null)!.ping(new Uint8Array(1));
    await heard;
    (socket as WebSocket | null)!.terminate();
    assertEquals([keys.length, keys[0] !== "0 0 0 0"], [1, expected]);
  }
});
