import { assertEquals } from "@std/assert";
import { Hono } from "hono";
import { createServer } from "node:http";
import { Agent, request } from "undici";
import { WebSocket, WebSocketServer } from "ws";
import { createConnector, createHttpClient, fetch, serve } from "../../stack/application/http.ts";
import { serveConnections, Socket } from "../../stack/application/node.ts";
import { exchange, stackTest } from "./local_stack.ts";

stackTest("a Hono application is a handler as it is", async (stack) => {
  const app = new Hono();
  app.get("/hello/:name", (context) => context.text(`hello ${context.req.param("name")}`));
  app.post("/sum", async (context) => {
    const { left, right } = await context.req.json<{ left: number; right: number }>();
    return context.json({ sum: left + right });
  });
  const server = serve(stack, { port: 80 }, app.fetch);
  {
    await using client = createHttpClient(stack);
    const get = (path: string, init = {}) => fetch(stack, `http://127.0.0.1${path}`, { ...init, client });
    assertEquals(await (await get("/hello/world")).text(), "hello world");
    const body = JSON.stringify({ left: 1, right: 2 });
    assertEquals(await (await get("/sum", { method: "POST", body })).json(), { sum: 3 });
    assertEquals((await get("/nothing")).status, 404);
  }
  await server.shutdown();
}, false);

stackTest("undici's own functions run over it, and a server of node:http", async (stack) => {
  const server = createServer((incoming, outgoing) => outgoing.end(`${incoming.method} ${incoming.url}`));
  const listener = stack.listen({ port: 80 });
  const serving = serveConnections(listener, server);
  const dispatcher = new Agent({ connect: createConnector(stack) });
  for (const path of ["/one", "/two"]) {
    const { statusCode, body } = await request(`http://127.0.0.1${path}`, { dispatcher });
    assertEquals([statusCode, await body.text()], [200, `GET ${path}`]);
  }
  await dispatcher.destroy();
  listener.close();
  await serving;
}, false);

stackTest("ws runs over it on both sides", async (stack) => {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
  const listener = stack.listen({ port: 80 });
  const serving = serveConnections(listener, server);
  const socket = new WebSocket("ws://127.0.0.1/", {
    // deno-lint-ignore no-explicit-any -- declared for net.Socket, of which it uses what this has
    createConnection: () => new Socket({ network: stack }).connect(80, "127.0.0.1") as any,
  });
  const answer = new Promise<string>((resolve) => socket.on("message", (data) => resolve(String(data))));
  socket.on("open", () => socket.send("hello"));
  assertEquals(await answer, "echo hello");
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.close();
  await closed;
  listener.close();
  await serving;
  sockets.close();
});

stackTest("a server of node:http keeps connections alive and closes them when it is asked to", async (stack) => {
  const server = createServer((_incoming, outgoing) => outgoing.end("x"));
  const listener = stack.listen({ port: 80 });
  const serving = serveConnections(listener, server);
  const get = "GET / HTTP/1.1\r\nHost: x\r\n";
  const text = await exchange(stack, 80, `${get}\r\n${get}Connection: close\r\n\r\n`);
  assertEquals(text.match(/HTTP\/1.1 200 OK/g)?.length, 2);
  listener.close();
  await serving;
});
