import { assert, assertEquals, assertMatch } from "@std/assert";
import { TcpConn } from "../../stack/socket/tcp_conn.ts";
import { assertRejectsNamed, assertThrowsNamed } from "../helpers/errors.ts";
import { FakeConnection } from "../helpers/fake_tcp.ts";

function make(): { peer: FakeConnection; conn: TcpConn } {
  const peer = new FakeConnection();
  return { peer, conn: new TcpConn(peer) };
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Reads up to `size` bytes as text; null at the end. */
async function readText(conn: TcpConn, size = 100): Promise<string | null> {
  const buffer = new Uint8Array(size);
  const bytes = await conn.read(buffer);
  return bytes === null ? null : new TextDecoder().decode(buffer.subarray(0, bytes));
}

/** Whether a promise is still pending when all that is due has happened. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settled = () => pending = false;
  promise.then(settled, settled);
  await new Promise((resolve) => setTimeout(resolve, 0));
  return pending;
}

Deno.test("a read gives what has arrived, as much as fits", async () => {
  const { peer, conn } = make();
  peer.arrive("hello");
  assertEquals(await readText(conn, 3), "hel");
  assertEquals(await readText(conn, 3), "lo");
});

Deno.test("a read waits for data", async () => {
  const { peer, conn } = make();
  const read = readText(conn);
  peer.arrive("hello");
  assertEquals(await read, "hello");
});

Deno.test("nothing is received from TCP in the middle of its call", async () => {
  const { peer, conn } = make();
  const read = readText(conn);
  peer.arrive("hello");
  assertEquals(peer.receives, 0);
  await read;
  assertEquals(peer.receives, 1);
});

Deno.test("reads are served in the order in which they were made", async () => {
  const { peer, conn } = make();
  const reads = [readText(conn, 4), readText(conn, 4)];
  peer.arrive("abcdefgh");
  assertEquals(await Promise.all(reads), ["abcd", "efgh"]);
});

Deno.test("at the end a read gives null, again and again", async () => {
  const { peer, conn } = make();
  const read = readText(conn);
  peer.end();
  assertEquals(await read, null);
  assertEquals(await readText(conn), null);
});

Deno.test("what arrived before the end is read before the end", async () => {
  const { peer, conn } = make();
  peer.arrive("last");
  peer.end();
  assertEquals(await readText(conn), "last");
  assertEquals(await readText(conn), null);
});

Deno.test("a read of no bytes gives 0 at once, at the end too", async () => {
  const { peer, conn } = make();
  assertEquals(await conn.read(new Uint8Array(0)), 0);
  peer.end();
  assertEquals(await conn.read(new Uint8Array(0)), 0);
});

Deno.test("a write resolves with what was taken", async () => {
  const { peer, conn } = make();
  peer.room = 3;
  assertEquals(await conn.write(encode("hello")), 3);
  assertEquals(peer.takenText, "hel");
  assertEquals(await conn.write(new Uint8Array(0)), 0);
});

Deno.test("writes wait for room and keep their order", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const writes = [conn.write(encode("ab")), conn.write(encode("cd"))];
  peer.makeRoom(3);
  assertEquals(await writes[0], 2);
  assertEquals(await writes[1], 1);
  assertEquals(peer.takenText, "abc");
});

Deno.test("a write behind one that waits does not overtake it", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const first = conn.write(encode("ab"));
  peer.room = 10;
  const second = conn.write(encode("cd"));
  peer.makeRoom(0);
  await Promise.all([first, second]);
  assertEquals(peer.takenText, "abcd");
});

Deno.test("closeWrite ends our side; writes after it fail and reads go on", async () => {
  const { peer, conn } = make();
  await conn.closeWrite();
  await conn.closeWrite();
  assertEquals(peer.calls, ["shutdown"]);
  await assertRejectsNamed("BrokenPipe", conn.write(encode("x")));
  peer.arrive("answer");
  assertEquals(await readText(conn), "answer");
});

Deno.test("closeWrite waits for the writes before it", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const write = conn.write(encode("ab"));
  const closing = conn.closeWrite();
  assert(await isPending(closing));
  assertEquals(peer.calls, []);
  await assertRejectsNamed("BrokenPipe", conn.write(encode("cd")));
  peer.makeRoom(10);
  await closing;
  assertEquals(await write, 2);
  assertEquals(peer.calls, ["shutdown"]);
});

Deno.test("close interrupts what waits", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const read = readText(conn);
  const write = conn.write(encode("ab"));
  conn.close();
  await assertRejectsNamed("Interrupted", read);
  await assertRejectsNamed("Interrupted", write);
  assertEquals(peer.calls, ["close"]);
});

Deno.test("after close everything fails with BadResource, but dispose and the addresses", async () => {
  const { peer, conn } = make();
  peer.arrive("unread");
  conn.close();
  assertThrowsNamed("BadResource", () => conn.close());
  assertThrowsNamed("BadResource", () => conn.setNoDelay());
  assertThrowsNamed("BadResource", () => conn.setKeepAlive());
  await assertRejectsNamed("BadResource", readText(conn));
  await assertRejectsNamed("BadResource", conn.write(encode("x")));
  await assertRejectsNamed("BadResource", conn.closeWrite());
  conn[Symbol.dispose]();
  conn.ref();
  conn.unref();
  assertEquals(conn.localAddr, { transport: "tcp", hostname: "192.0.2.1", port: 50000 });
  assertEquals(conn.remoteAddr, { transport: "tcp", hostname: "192.0.2.9", port: 80 });
  assertEquals(peer.calls, ["close"]);
});

Deno.test("leaving the scope of a `using` closes the connection", () => {
  const peer = new FakeConnection();
  {
    using conn = new TcpConn(peer);
    assertEquals(conn.remoteAddr.port, 80);
  }
  assertEquals(peer.calls, ["close"]);
});

Deno.test("a reset is reported once, to the read that waits; then reads end and writes fail", async () => {
  const { peer, conn } = make();
  const read = readText(conn);
  peer.reset();
  assertMatch((await assertRejectsNamed("ConnectionReset", read)).message, /192\.0\.2\.9:80/);
  assertEquals(await readText(conn), null);
  await assertRejectsNamed("BrokenPipe", conn.write(encode("x")));
  await conn.closeWrite();
  assertEquals(peer.calls, []);
  // Gives back the memory of what was received and not read.
  conn.close();
  assertEquals(peer.calls, ["close"]);
});

Deno.test("a reset is reported to a write that comes first", async () => {
  const { peer, conn } = make();
  peer.reset();
  await assertRejectsNamed("ConnectionReset", conn.write(encode("x")));
  await assertRejectsNamed("BrokenPipe", conn.write(encode("x")));
  assertEquals(await readText(conn), null);
});

Deno.test("a reset is reported to a write that waits, and lets closeWrite go", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const write = conn.write(encode("x"));
  const closing = conn.closeWrite();
  peer.reset();
  await assertRejectsNamed("ConnectionReset", write);
  await closing;
});

Deno.test("what can be received at a reset is read before it is reported", async () => {
  const { peer, conn } = make();
  peer.arrive("hello");
  peer.reset();
  assertEquals(await readText(conn, 3), "hel");
  assertEquals(await readText(conn, 3), "lo");
  await assertRejectsNamed("ConnectionReset", readText(conn));
});

Deno.test("abort resets the connection, also after close", async () => {
  const { peer, conn } = make();
  const read = readText(conn);
  conn.abort();
  await assertRejectsNamed("Interrupted", read);
  assertEquals(peer.calls, ["abort"]);
  const late = make();
  late.conn.close();
  late.conn.abort();
  assertEquals(late.peer.calls, ["close", "abort"]);
});

Deno.test("`closed` resolves with null when both sides closed, with the error otherwise", async () => {
  const regular = make();
  regular.conn.close();
  assert(await isPending(regular.conn.closed));
  regular.peer.fail(null);
  assertEquals(await regular.conn.closed, null);
  const broken = make();
  broken.peer.reset();
  assertEquals((await broken.conn.closed)?.name, "ConnectionReset");
});

Deno.test("settings are handed to TCP", () => {
  const { peer, conn } = make();
  conn.setNoDelay();
  conn.setKeepAlive();
  conn.configure({ keepAliveIdle: 1000 });
  assertEquals([peer.settings.noDelay, peer.settings.keepAlive, conn.settings.keepAliveIdle], [true, true, 1000]);
  conn.setNoDelay(false);
  conn.setKeepAlive(false);
  assertEquals([peer.settings.noDelay, peer.settings.keepAlive], [false, false]);
  assertEquals(conn.info().state, "ESTABLISHED");
});

Deno.test("a peek gives what a read then gives again", async () => {
  const { peer, conn } = make();
  peer.arrive("hello");
  const buffer = new Uint8Array(3);
  assertEquals(await conn.peek(buffer), 3);
  assertEquals(new TextDecoder().decode(buffer), "hel");
  assertEquals(await readText(conn), "hello");
});

Deno.test("a peek waits for the first byte, and a read behind it gets that too", async () => {
  const { peer, conn } = make();
  const peeked = conn.peek(new Uint8Array(100));
  const read = readText(conn);
  peer.arrive("hello");
  assertEquals([await peeked, await read], [5, "hello"]);
});

Deno.test("a peek gives null at the end, and 0 for no bytes", async () => {
  const { peer, conn } = make();
  assertEquals(await conn.peek(new Uint8Array(0)), 0);
  peer.end();
  assertEquals(await conn.peek(new Uint8Array(1)), null);
});

Deno.test("a peek on a closed connection is refused", async () => {
  const { conn } = make();
  conn.close();
  await assertRejectsNamed("BadResource", conn.peek(new Uint8Array(1)));
});

Deno.test("the bytes that wait on either side are told", () => {
  const { peer, conn } = make();
  peer.arrive("hello");
  peer.send(new Uint8Array(7));
  assertEquals([conn.receivable, conn.unacknowledged, conn.unsent], [5, 7, 0]);
});

Deno.test("setKeepAlive takes times and a count, and leaves what is not given", () => {
  const { conn } = make();
  conn.setKeepAlive(true, { idle: 1000, count: 3 });
  const { keepAlive, keepAliveIdle, keepAliveInterval, keepAliveCount } = conn.settings;
  assertEquals([keepAlive, keepAliveIdle, keepAliveInterval, keepAliveCount], [true, 1000, 75_000, 3]);
  conn.setKeepAlive(false, { interval: 5 });
  assertEquals([conn.settings.keepAlive, conn.settings.keepAliveInterval], [false, 5]);
});

Deno.test("setCork and setLinger change the settings, but not those of a closed connection", () => {
  const { conn } = make();
  conn.setCork();
  conn.setLinger(3);
  assertEquals([conn.settings.cork, conn.settings.linger], [true, 3]);
  conn.setCork(false);
  conn.setLinger(null);
  assertEquals([conn.settings.cork, conn.settings.linger], [false, null]);
  conn.close();
  assertThrowsNamed("BadResource", () => conn.setCork());
  assertThrowsNamed("BadResource", () => conn.setLinger(0));
});

Deno.test("await using waits for the end of a connection that lingers, and for no other", async () => {
  const { conn } = make();
  await conn[Symbol.asyncDispose]();
  const { peer: lingering, conn: other } = make();
  other.setLinger(3);
  const disposed = other[Symbol.asyncDispose]();
  assertEquals([await isPending(disposed), lingering.calls], [true, ["close"]]);
  lingering.fail(null);
  await disposed;
});

Deno.test("a first read lets a connection go on whose SYN waits for data", async () => {
  const { peer, conn } = make();
  peer.deferred = true;
  const read = readText(conn);
  assertEquals(peer.deferred, false);
  peer.arrive("hello");
  assertEquals(await read, "hello");
});

Deno.test("a read that waits has its buffer expected, a peek has not, and closing takes it back", async () => {
  const { peer, conn } = make();
  const buffer = new Uint8Array(10);
  const read = conn.read(buffer);
  assertEquals(peer.expected === buffer, true);
  peer.arrive("hello");
  assertEquals(await read, 5);
  assertEquals(peer.expected, null);
  const peek = conn.peek(buffer);
  assertEquals(peer.expected, null);
  peer.arrive("!");
  await peek;
  await conn.read(buffer);
  const last = conn.read(buffer);
  assertEquals(peer.expected === buffer, true);
  conn.close();
  assertEquals(peer.expected, null);
  await assertRejectsNamed("Interrupted", last);
});
