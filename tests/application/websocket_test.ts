import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type HttpServer, serve, type ServeOptions } from "../../stack/application/http.ts";
import {
  connectWebSocket,
  upgradeWebSocket,
  type UpgradeWebSocketOptions,
  type WebSocket,
} from "../../stack/application/websocket.ts";
import type { Stack } from "../../stack/stack.ts";
import { exchange, pattern, stackTest, testCertificate } from "./local_stack.ts";

const url = "ws://127.0.0.1:8000/path";

/** A request for WebSocket, for those who speak it by hand. */
const handshake = new TextEncoder().encode(
  "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\n\r\n",
);

/** A server that accepts WebSocket; `accepted` resolves with the first socket. */
function accepting(stack: Stack, options: UpgradeWebSocketOptions = {}, serveOptions: ServeOptions = {}) {
  const { promise: accepted, resolve } = Promise.withResolvers<WebSocket>();
  const onError = (error: unknown) => new Response(String(error), { status: 400 });
  const server = serve(stack, { onError, ...serveOptions }, (request) => {
    const { socket, response } = upgradeWebSocket(request, options);
    resolve(socket);
    return response;
  });
  return { server, accepted };
}

/** The next message, as a text or as bytes. */
function message(socket: WebSocket): Promise<string | Uint8Array> {
  return new Promise((resolve) =>
    socket.once(
      "message",
      (data, isBinary) => resolve(isBinary ? new Uint8Array(data) : new TextDecoder().decode(data)),
    )
  );
}

/** How a connection ends. */
function closing(socket: WebSocket): Promise<[code: number, reason: string]> {
  return new Promise((resolve) =>
    socket.once("close", (code, reason) => resolve([code, new TextDecoder().decode(reason)]))
  );
}

async function end(server: HttpServer, ...sockets: WebSocket[]): Promise<void> {
  const closed = sockets.filter(({ readyState }) => readyState < 3).map(closing);
  for (const socket of sockets) socket.close();
  await Promise.all(closed);
  await server.shutdown();
}

stackTest("texts and bytes go both ways, and stay what they are", async (stack) => {
  const { server, accepted } = accepting(stack);
  const near = await connectWebSocket(stack, url);
  const far = await accepted;
  for (const [from, to] of [[near, far], [far, near]] as const) {
    for (
      const data of ["", "text", "grüße 🌍", pattern(0), pattern(125), pattern(126), pattern(65_536), pattern(500_000)]
    ) {
      const received = message(to);
      from.send(data);
      assertEquals(await received, data);
    }
  }
  await end(server, near);
});

stackTest("a message in fragments arrives as one, with a ping between them answered", async (stack) => {
  const { server, accepted } = accepting(stack);
  const near = await connectWebSocket(stack, url);
  const received = message(await accepted);
  const ponged = new Promise<Uint8Array>((resolve) => near.once("pong", resolve));
  near.send("frag", { fin: false });
  near.ping("sign");
  near.send("ments", { fin: true });
  assertEquals(await received, "fragments");
  assertEquals(new TextDecoder().decode(await ponged), "sign");
  await end(server, near);
});

stackTest("open comes to listeners that are added after the upgrade", async (stack) => {
  const opened = Promise.withResolvers<number>();
  const server = serve(stack, {}, (request) => {
    const { socket, response } = upgradeWebSocket(request);
    socket.on("open", () => opened.resolve(socket.readyState));
    return response;
  });
  const near = await connectWebSocket(stack, url);
  assertEquals(await opened.promise, 1);
  await end(server, near);
});

stackTest("status code and reason reach the other side, and 1006 stands for a connection that broke", async (stack) => {
  const first = accepting(stack);
  const near = await connectWebSocket(stack, url);
  const heard = closing(await first.accepted);
  const confirmed = closing(near);
  near.close(4000, "enough");
  assertEquals([await heard, await confirmed], [[4000, "enough"], [4000, "enough"]]);
  await first.server.shutdown();
  const second = accepting(stack);
  const broken = await connectWebSocket(stack, url);
  const ended = closing(await second.accepted);
  broken.terminate();
  assertEquals((await ended)[0], 1006);
  await second.server.shutdown();
});

stackTest("a message that is too long closes the connection with 1009", async (stack) => {
  const { server } = accepting(stack, { maxMessageBytes: 1000 });
  const near = await connectWebSocket(stack, url);
  const ended = closing(near);
  near.send(pattern(1001));
  assertEquals((await ended)[0], 1009);
  await server.shutdown();
});

stackTest("a frame that makes no sense ends the connection with 1002, and not the program", async (stack) => {
  const { server, accepted } = accepting(stack);
  using conn = await stack.connect({ port: 8000 });
  await conn.write(handshake);
  const ended = closing(await accepted);
  // RFC 6455 section 5.1: a client masks its frames.
  await conn.write(new Uint8Array([0x81, 1, 65]));
  const { readable } = conn;
  let text = "";
  for await (const chunk of readable) text += Array.from(chunk, (byte) => String.fromCharCode(byte)).join("");
  assert(text.startsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  assert(text.endsWith("\x88\x02\x03\xea"), "no close frame with 1002");
  assertEquals((await ended)[0], 1006);
  await server.shutdown();
});

stackTest("both sides agree on a subprotocol and on compression, where they offer it", async (stack) => {
  const { server, accepted } = accepting(stack, { protocol: "second", compression: true });
  const near = await connectWebSocket(stack, url, { protocols: ["first", "second"], compression: true });
  assertEquals([near.protocol, (await accepted).protocol], ["second", "second"]);
  assertStringIncludes(near.extensions, "permessage-deflate");
  const received = message(near);
  (await accepted).send("x".repeat(10_000));
  assertEquals(await received, "x".repeat(10_000));
  await end(server, near);
});

stackTest("a receiver that pauses holds the sender up", async (stack) => {
  const { server, accepted } = accepting(stack);
  const near = await connectWebSocket(stack, url);
  const far = await accepted;
  far.pause();
  let sent = 0;
  for (; near.bufferedAmount < 4_000_000 && sent < 500; sent++) {
    near.send(pattern(65_536));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert(sent < 500, "nothing held the sender up");
  let received = 0;
  const all = Promise.withResolvers<void>();
  far.on("message", () => ++received === sent && all.resolve());
  far.resume();
  await all.promise;
  assertEquals(near.bufferedAmount, 0);
  await end(server, near);
});

stackTest("wss: certificates are checked, names looked up", async (stack) => {
  const tls = await testCertificate();
  const { server } = accepting(stack, {}, { port: 443, tls });
  const options = { lookup: () => Promise.resolve(["127.0.0.1"]), caCerts: [tls.cert] };
  const near = await connectWebSocket(stack, "wss://other.test/", options);
  await end(server, near);
  const again = accepting(stack, {}, { port: 443, tls });
  await assertRejects(
    () => connectWebSocket(stack, "wss://127.0.0.1/"),
    Deno.errors.InvalidData,
    "Cannot trust 127.0.0.1",
  );
  again.server.abort();
  await again.server.finished;
});

stackTest(
  "the server sees the client's header fields, and Host without a port that goes without saying",
  async (stack) => {
    const seen: (string | null)[] = [];
    const server = serve(stack, { port: 80 }, (request) => {
      seen.push(request.headers.get("host"), request.headers.get("x-field"), new URL(request.url).pathname);
      return upgradeWebSocket(request).response;
    });
    const near = await connectWebSocket(stack, "ws://127.0.0.1/a", { headers: { "x-field": "value" } });
    assertEquals(seen, ["127.0.0.1", "value", "/a"]);
    await end(server, near);
  },
);

stackTest("an idle peer is asked for a sign of life", async (stack) => {
  const { server, accepted } = accepting(stack, { idleTimeout: 0.2 });
  const near = await connectWebSocket(stack, url);
  const answered = new Promise<unknown>((resolve) => accepted.then((far) => far.once("pong", resolve)));
  await new Promise<unknown>((resolve) => near.once("ping", resolve));
  await answered;
  assertEquals(near.readyState, 1);
  await end(server, near);
});

stackTest("a peer that gives no sign of life is given up", async (stack) => {
  const { server, accepted } = accepting(stack, { idleTimeout: 0.02 });
  using conn = await stack.connect({ port: 8000 });
  await conn.write(handshake);
  const ended = closing(await accepted);
  assertEquals((await ended)[0], 1006);
  await server.shutdown();
});

stackTest("a server that does not want to is an error with its status", async (stack) => {
  const server = serve(stack, {}, () => new Response("no", { status: 403 }));
  await assertRejects(() => connectWebSocket(stack, url), Error, "Unexpected server response: 403");
  await server.shutdown();
  await assertRejects(() => connectWebSocket(stack, url), Deno.errors.ConnectionRefused);
  await assertRejects(() => connectWebSocket(stack, url, { signal: AbortSignal.abort() }), DOMException);
});

stackTest("a request that is none for WebSocket cannot be upgraded, and one only once", async (stack) => {
  const errors: string[] = [];
  const server = serve(stack, {}, (request) => {
    assertThrows(() => upgradeWebSocket(new Request(request.url)), TypeError, "no header `Upgrade: websocket`");
    if (request.headers.get("upgrade") === null) return new Response("plain");
    const { response } = upgradeWebSocket(request);
    errors.push(assertThrows(() => upgradeWebSocket(request), TypeError).message);
    return response;
  });
  const near = await connectWebSocket(stack, url);
  assertEquals(errors, ["Cannot upgrade to WebSocket: the request has been upgraded before"]);
  assertStringIncludes(await exchange(stack, 8000, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "plain");
  await end(server, near);
});

stackTest(
  "a wrong WebSocket request is answered with 400, another protocol with what the handler says",
  async (stack) => {
    const server = serve(stack, {
      onError: () => new Response(null, { status: 500 }),
    }, (request) => request.url.endsWith("/ws") ? upgradeWebSocket(request).response : new Response("http/1.1 only"));
    const head = (path: string, protocol: string) =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
    assertStringIncludes(await exchange(stack, 8000, head("/ws", "websocket")), "HTTP/1.1 400 Bad Request\r\n");
    assertStringIncludes(await exchange(stack, 8000, head("/", "h2c")), "http/1.1 only");
    await server.shutdown();
  },
);
