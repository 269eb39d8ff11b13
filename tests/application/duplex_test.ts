import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { Socket, toDuplex } from "../../stack/application/duplex.ts";
import type { NodeError } from "../../stack/application/node_error.ts";
import type { TcpConnectOptions } from "../../stack/socket/options.ts";
import type { TcpConn } from "../../stack/socket/tcp_conn.ts";
import type { Stack } from "../../stack/stack.ts";
import { collect, pattern, stackTest } from "./local_stack.ts";

async function connectPair(stack: Stack): Promise<{ socket: Socket; peer: TcpConn }> {
  const listener = stack.listen({});
  const conn = await stack.connect({ port: listener.addr.port });
  const peer = await listener.accept();
  listener.close();
  return { socket: toDuplex(conn), peer };
}

/** Resolves with the error that a socket emits. */
async function errorOf(socket: Socket): Promise<NodeError> {
  const [error] = await once(socket, "error") as [NodeError];
  return error;
}

stackTest("what is written arrives, and the other way round, with a half close on either side", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const data = pattern(300_000);
  const writer = peer.writable.getWriter();
  socket.end(data);
  assertEquals(await collect(peer.readable), data);
  const received = collect(socket);
  await writer.write(data);
  await writer.close();
  assertEquals(await received, data);
  assertEquals([socket.bytesRead, socket.bytesWritten], [300_000, 300_000]);
  await finished(socket);
});

stackTest("texts are sent in their encodings, alone and together with bytes", async (stack) => {
  const texts: [string, BufferEncoding][] = [
    ["GET / HTTP/1.1\r\n", "latin1"],
    ["\u00e9\u00ff", "latin1"],
    ["\u00e9\u20ac", "utf8"],
    ["", "utf8"],
    ["c0ffee", "hex"],
    ["YWJj", "base64"],
  ];
  for (const corked of [false, true]) {
    const { socket, peer } = await connectPair(stack);
    const received = collect(peer.readable);
    if (corked) socket.cork();
    for (const [text, encoding] of texts) {
      socket.write(text, encoding);
      socket.write(Uint8Array.of(0, 255));
    }
    socket.end();
    const expected = texts.flatMap(([text, encoding]) => [...Buffer.from(text, encoding), 0, 255]);
    assertEquals([...await received], expected);
    socket.destroy();
  }
});

stackTest("what a listener keeps of small reads is not overwritten by later ones", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const kept: Uint8Array[] = [];
  for (const text of ["one", "two", "three"]) {
    await peer.write(new TextEncoder().encode(text));
    kept.push((await once(socket, "data") as [Uint8Array])[0]);
  }
  assertEquals(kept.map((bytes) => new TextDecoder().decode(bytes)), ["one", "two", "three"]);
  socket.destroy();
  peer.close();
});

stackTest("a socket knows both ends, as net.Socket does", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const { localAddr, remoteAddr } = peer;
  assertEquals([socket.remoteAddress, socket.remotePort, socket.remoteFamily], ["127.0.0.1", localAddr.port, "IPv4"]);
  assertEquals([socket.localAddress, socket.localPort, socket.localFamily], ["127.0.0.1", remoteAddr.port, "IPv4"]);
  assertEquals(socket.address(), { address: "127.0.0.1", family: "IPv4", port: remoteAddr.port });
  assertEquals([socket.pending, socket.connecting, socket.readyState], [false, false, "open"]);
  assertEquals(new Socket().address(), {});
  socket.destroy();
  peer.close();
});

stackTest("write returns false while the peer does not read, and drain comes when it does", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  let written = 0;
  const chunk = pattern(65536);
  let hasRoom = true;
  while (hasRoom && written < 64_000_000) {
    hasRoom = socket.write(chunk);
    written += chunk.length;
    if (!hasRoom) {
      // Only if it comes again without the peer's reading is there room.
      hasRoom = await Promise.race([
        once(socket, "drain").then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50)),
      ]);
    }
  }
  assert(written < 64_000_000, "nothing held the writer up");
  const received = collect(peer.readable);
  socket.end();
  assertEquals((await received).length, written);
  socket.destroy();
});

stackTest("a paused socket leaves received data with TCP", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  let sent = 0;
  const chunk = pattern(65536);
  for (;;) {
    const more = await Promise.race([
      peer.write(chunk),
      new Promise<null>((resolve) => setTimeout(() => resolve(null), 50)),
    ]);
    if (more === null) break;
    sent += more;
    assert(sent < 64_000_000, "nothing held the sender up");
  }
  assert(socket.bytesRead === 0);
  peer.abort();
  const error = errorOf(socket);
  socket.resume();
  assertEquals((await error).code, "ECONNRESET");
});

stackTest("a socket that nobody reads from learns of a reset as well", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const error = errorOf(socket);
  peer.abort();
  assertEquals((await error).code, "ECONNRESET");
});

stackTest("a reset by the peer is ECONNRESET", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const error = errorOf(socket);
  socket.resume();
  peer.abort();
  const { code, syscall } = await error;
  assertEquals([code, syscall], ["ECONNRESET", "read"]);
  assert(await error instanceof Deno.errors.ConnectionReset);
  assert(socket.destroyed);
});

stackTest("destroy closes behind what TCP has taken; destroy with an error resets", async (stack) => {
  const first = await connectPair(stack);
  await new Promise<void>((resolve) => first.socket.write(pattern(1000), () => resolve()));
  first.socket.destroy();
  assertEquals(await collect(first.peer.readable), pattern(1000));
  const second = await connectPair(stack);
  second.socket.on("error", () => {});
  second.socket.destroy(new Error("broken"));
  const { name } = await second.peer.read(new Uint8Array(1)).catch((error) => error);
  assertEquals(name, "ConnectionReset");
  second.peer.close();
  const third = await connectPair(stack);
  third.socket.resetAndDestroy();
  assertEquals((await third.peer.read(new Uint8Array(1)).catch((error) => error)).name, "ConnectionReset");
  third.peer.close();
});

stackTest("destroySoon sends everything first", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const data = pattern(500_000);
  socket.write(data);
  socket.destroySoon();
  assertEquals(await collect(peer.readable), data);
  await finished(socket, { readable: false });
});

stackTest("setTimeout emits after silence, and again only after the next silence", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  let timeouts = 0;
  socket.setTimeout(20, () => timeouts++);
  assertEquals(socket.timeout, 20);
  await once(socket, "timeout");
  assertEquals(timeouts, 1);
  socket.setTimeout(0);
  socket.destroy();
  peer.close();
});

stackTest("setNoDelay and setKeepAlive reach TCP, also when called before connecting", async (stack) => {
  const listener = stack.listen({});
  let conn: TcpConn | null = null;
  const connect = async (options: TcpConnectOptions) => conn = await stack.connect(options);
  const socket = new Socket({ network: { connect, listen: (options) => stack.listen(options) } });
  socket.setNoDelay().setKeepAlive(true, 5000);
  const accepted = listener.accept();
  socket.connect(listener.addr.port, "127.0.0.1");
  assertEquals([socket.connecting, socket.readyState], [true, "opening"]);
  await once(socket, "connect");
  const { noDelay, keepAlive, keepAliveIdle } = conn!.settings;
  assertEquals({ noDelay, keepAlive, keepAliveIdle }, { noDelay: true, keepAlive: true, keepAliveIdle: 5000 });
  (await accepted).close();
  listener.close();
  socket.destroy();
});

stackTest("what is written while connecting goes out afterwards", async (stack) => {
  const listener = stack.listen({});
  const socket = new Socket({ network: stack, lookup: () => Promise.resolve(["127.0.0.1"]) });
  socket.connect({ host: "some.test", port: listener.addr.port });
  socket.write("first ");
  socket.end("second");
  const peer = await listener.accept();
  assertEquals(new TextDecoder().decode(await collect(peer.readable)), "first second");
  listener.close();
  socket.destroy();
});

stackTest("a host is tried at each of its addresses", async (stack) => {
  const listener = stack.listen({ hostname: "127.0.0.2" });
  const socket = new Socket({ network: stack, lookup: () => Promise.resolve(["127.0.0.1", "127.0.0.2"]) });
  socket.connect({ host: "some.test", port: listener.addr.port });
  await once(socket, "connect");
  assertEquals(socket.remoteAddress, "127.0.0.2");
  socket.destroy();
  (await listener.accept()).close();
  listener.close();
});

stackTest("a refused connection is ECONNREFUSED, and a name without lookup is refused in words", async (stack) => {
  const refused = new Socket({ network: stack });
  refused.connect(9, "127.0.0.1");
  const { code, syscall } = await errorOf(refused);
  assertEquals([code, syscall], ["ECONNREFUSED", "connect"]);
  const unknown = new Socket({ network: stack });
  unknown.connect({ host: "some.test", port: 9 });
  assert((await errorOf(unknown)).message.startsWith('Cannot use "some.test" as a hostname'));
});

stackTest("destroying a socket that connects ends the attempt", async (stack) => {
  const socket = new Socket({ network: stack, lookup: () => new Promise(() => {}) });
  socket.connect({ host: "never.test", port: 9 });
  socket.destroy();
  await once(socket, "close");
  assertEquals(stack.ports.size, 0);
});

stackTest("a socket cannot connect twice, nor without a network", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  assertThrows(() => socket.connect(9), Error, "Cannot connect: the socket was made without a network");
  const other = new Socket({ network: stack });
  const ended = errorOf(other);
  other.connect(9);
  assertThrows(() => other.connect(9), Error, "Cannot connect: the socket is in use already");
  assertEquals((await ended).code, "ECONNREFUSED");
  socket.destroy();
  peer.close();
});

stackTest("writing to a socket that is not connected is ENOTCONN", async () => {
  const socket = new Socket();
  const error = errorOf(socket);
  socket.write("lost");
  assertEquals((await error).code, "ENOTCONN");
});

stackTest("libraries on streams run over it: lines by node:readline", async (stack) => {
  const { socket, peer } = await connectPair(stack);
  const writer = peer.writable.getWriter();
  await writer.write(new TextEncoder().encode("one\ntwo\nthr"));
  await writer.write(new TextEncoder().encode("ee\n"));
  await writer.close();
  const lines: string[] = [];
  for await (const line of createInterface({ input: socket })) lines.push(line);
  assertEquals(lines, ["one", "two", "three"]);
  socket.destroy();
  peer[Symbol.dispose]();
});
