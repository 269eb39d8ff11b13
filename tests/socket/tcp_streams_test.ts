import { assert, assertEquals } from "@std/assert";
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

function decode(chunk: Uint8Array | undefined): string {
  return new TextDecoder().decode(chunk);
}

/** Lets everything happen that is due. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("both streams are made once", () => {
  const { conn } = make();
  assert(conn.readable === conn.readable && conn.writable === conn.writable);
});

Deno.test("readable gives what arrives, then ends, and the connection is closed", async () => {
  const { peer, conn } = make();
  const reader = conn.readable.getReader();
  peer.arrive("hello");
  assertEquals(decode((await reader.read()).value), "hello");
  const next = reader.read();
  peer.end();
  assertEquals((await next).done, true);
  assertEquals(peer.calls, ["close"]);
  assertThrowsNamed("BadResource", () => conn.close());
});

Deno.test("readable receives nothing before it is asked to", async () => {
  const { peer, conn } = make();
  const { readable } = conn;
  peer.arrive("hello");
  await settle();
  assertEquals([peer.receives, peer.receivable], [0, 5]);
  const reader = readable.getReader();
  await reader.read();
  peer.arrive("more");
  await settle();
  assertEquals([peer.receives, peer.receivable], [1, 4]);
});

Deno.test("readable fills the buffers of a BYOB reader, and hands one back at the end", async () => {
  const { peer, conn } = make();
  const reader = conn.readable.getReader({ mode: "byob" });
  peer.arrive("hello");
  assertEquals(decode((await reader.read(new Uint8Array(3))).value), "hel");
  assertEquals(decode((await reader.read(new Uint8Array(3))).value), "lo");
  const last = reader.read(new Uint8Array(3));
  peer.end();
  assertEquals(await last, { value: new Uint8Array(0), done: true });
});

Deno.test("readable fails when the peer resets, and the connection is closed", async () => {
  const { peer, conn } = make();
  const read = conn.readable.getReader().read();
  peer.reset();
  await assertRejectsNamed("ConnectionReset", read);
  await assertRejectsNamed("BadResource", conn.write(encode("x")));
});

Deno.test("cancelling readable closes the connection", async () => {
  const { peer, conn } = make();
  const reader = conn.readable.getReader();
  const read = reader.read();
  await reader.cancel();
  assertEquals((await read).done, true);
  assertEquals(peer.calls, ["close"]);
});

Deno.test("writable sends all of a chunk, waiting for room", async () => {
  const { peer, conn } = make();
  peer.room = 2;
  const writer = conn.writable.getWriter();
  const write = writer.write(encode("hello"));
  await settle();
  assertEquals(peer.takenText, "he");
  peer.makeRoom(1);
  await settle();
  assertEquals(peer.takenText, "hel");
  peer.makeRoom(10);
  await write;
  assertEquals(peer.takenText, "hello");
});

Deno.test("writable exerts back-pressure while a chunk waits", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const writer = conn.writable.getWriter();
  const write = writer.write(encode("hello"));
  assertEquals(writer.desiredSize, 0);
  peer.makeRoom(10);
  await write;
  assertEquals(writer.desiredSize, 1);
});

Deno.test("closing writable ends our side behind what was written, and closes the connection", async () => {
  const { peer, conn } = make();
  const writer = conn.writable.getWriter();
  writer.write(encode("bye"));
  await writer.close();
  assertEquals([peer.takenText, ...peer.calls], ["bye", "shutdown", "close"]);
});

Deno.test("while readable is in use, closing writable ends our side only", async () => {
  const { peer, conn } = make();
  const reader = conn.readable.getReader();
  await conn.writable.close();
  assertEquals(peer.calls, ["shutdown"]);
  const read = reader.read();
  peer.arrive("answer");
  assertEquals(decode((await read).value), "answer");
  peer.end();
  assertEquals((await reader.read()).done, true);
  assertEquals(peer.calls, ["shutdown", "close"]);
});

Deno.test("while writable is in use, the end of readable leaves it open", async () => {
  const { peer, conn } = make();
  const writer = conn.writable.getWriter();
  peer.end();
  assertEquals((await conn.readable.getReader().read()).done, true);
  await writer.write(encode("answer"));
  assertEquals([peer.takenText, ...peer.calls], ["answer"]);
  await writer.close();
  assertEquals(peer.calls, ["shutdown", "close"]);
});

Deno.test("aborting writable resets the connection, even while a chunk waits for room", async () => {
  const { peer, conn } = make();
  peer.room = 0;
  const writer = conn.writable.getWriter();
  const write = writer.write(encode("x"));
  await settle();
  const aborted = writer.abort(new Error("enough"));
  await assertRejectsNamed("Interrupted", write);
  await aborted;
  assertEquals(peer.calls, ["abort"]);
});

Deno.test("a chunk that is no Uint8Array fails writable and closes the connection", async () => {
  const { peer, conn } = make();
  const writer = (conn.writable as WritableStream<unknown>).getWriter();
  writer.closed.catch(() => {});
  await assertRejectsNamed("TypeError", writer.write("text"));
  assertEquals(peer.calls, ["close"]);
});

Deno.test("an empty chunk sends nothing and is no error", async () => {
  const { peer, conn } = make();
  await conn.writable.getWriter().write(new Uint8Array(0));
  assertEquals(peer.taken.length, 0);
});

Deno.test("closing the connection interrupts readable and fails writable", async () => {
  const { conn } = make();
  const reader = conn.readable.getReader();
  const writer = conn.writable.getWriter();
  const read = reader.read();
  conn.close();
  await assertRejectsNamed("Interrupted", read);
  await assertRejectsNamed("Interrupted", reader.closed);
  await assertRejectsNamed("BadResource", writer.write(encode("x")));
  await assertRejectsNamed("BadResource", writer.closed);
});

Deno.test("streams that are first asked for after close fail", async () => {
  const { conn } = make();
  conn.close();
  await assertRejectsNamed("BadResource", conn.readable.getReader().read());
  const writer = conn.writable.getWriter();
  writer.closed.catch(() => {});
  await assertRejectsNamed("BadResource", writer.write(encode("x")));
});

Deno.test("piping readable to writable echoes everything and closes both sides", async () => {
  const { peer, conn } = make();
  const piped = conn.readable.pipeTo(conn.writable);
  peer.arrive("hello ");
  await settle();
  peer.arrive("world");
  peer.end();
  await piped;
  assertEquals([peer.takenText, ...peer.calls], ["hello world", "shutdown", "close"]);
});

Deno.test("aborting a pipe from one connection to another closes the one and resets the other", async () => {
  const from = make();
  const to = make();
  const controller = new AbortController();
  const piped = from.conn.readable.pipeTo(to.conn.writable, { signal: controller.signal });
  await settle();
  controller.abort();
  await assertRejectsNamed("AbortError", piped);
  assertEquals([from.peer.calls, to.peer.calls], [["close"], ["abort"]]);
});
