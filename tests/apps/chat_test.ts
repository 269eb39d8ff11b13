import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { LineReader, mostLineCharacters } from "../../apps/chat/lines.ts";
import { mostWaitingBytes, Outbox, patience } from "../../apps/chat/outbox.ts";
import { type Member, Room } from "../../apps/chat/room.ts";
import { type ChatOptions, ChatService, sendBufferBytes } from "../../apps/chat/service.ts";
import { Stack, type TcpConn } from "../../mod.ts";
import { soon } from "../helpers/patience.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { RunningProgram, runToEnd } from "./run_program.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const encode = (text: string) => new TextEncoder().encode(text);

/** Somebody who remembers what he was shown since he was last asked. */
class Listener implements Member {
  name = "";
  gone = false;
  #heard: string[] = [];

  post(line: string): void {
    this.#heard.push(line);
  }

  leave(): void {
    this.gone = true;
  }

  heard(): string[] {
    return this.#heard.splice(0);
  }
}

/** A room with two members who have read their welcome. */
function roomOfTwo(): [Room, Listener, Listener] {
  const room = new Room();
  const [one, two] = [new Listener(), new Listener()];
  room.enter(one);
  assertEquals(one.heard(), ["* Welcome, guest1. You are alone; /help shows what you can do"]);
  room.enter(two);
  assertEquals(one.heard(), ["* guest2 has joined"]);
  assertEquals(two.heard(), ["* Welcome, guest2. One other is here; /help shows what you can do"]);
  return [room, one, two];
}

Deno.test("what one says all others read, and he himself does not", () => {
  const [room, one, two] = roomOfTwo();
  room.hear(one, "hello");
  room.hear(one, "");
  assertEquals([one.heard(), two.heard()], [[], ["guest1: hello"]]);
});

Deno.test("/name gives a name that nobody else has, whatever its case, and nothing odd", () => {
  const [room, one, two] = roomOfTwo();
  room.hear(one, "/name Zoë");
  assertEquals([one.heard(), two.heard()], [["* You are Zoë now"], ["* guest1 is Zoë now"]]);
  room.hear(two, "/name zoË");
  assertEquals([one.heard(), two.heard()], [[], ["* Somebody else is called Zoë"]]);
  for (const name of ["", "two words", "*", "x".repeat(21), "-x", "a:b"]) {
    room.hear(two, `/name ${name}`);
    assertMatch(two.heard().join(), /^\* A name has up to 20 letters/);
  }
  room.hear(one, "/name zoë");
  assertEquals(one.heard(), ["* You are zoë now"]);
});

Deno.test("/who, /help and unknown commands are answered to whoever asks", () => {
  const [room, one, two] = roomOfTwo();
  room.hear(one, "/who");
  assertEquals(one.heard(), ["* guest1, guest2"]);
  room.hear(one, "/help");
  assertEquals(one.heard().length, 4);
  room.hear(one, "/constructor");
  assertMatch(one.heard().join(), /^\* There is no command \/constructor/);
  assertEquals(two.heard(), []);
});

Deno.test("/quit says goodbye, and whoever has left is not heard any more", () => {
  const [room, one, two] = roomOfTwo();
  room.hear(one, "/quit");
  assertEquals([one.heard(), one.gone, two.heard(), room.size], [["* Goodbye"], true, ["* guest1 has left"], 1]);
  room.hear(one, "one more thing");
  room.exit(one);
  assertEquals(two.heard(), []);
});

Deno.test("lines are put together from any pieces, and lose what could steer a terminal", () => {
  const text = "one\r\n\x1b[31mred\x07\n\ttabs\t\nä\u202eö€\u200b\n";
  for (let size = 1; size < 8; size++) {
    const reader = new LineReader();
    const bytes = encode(text);
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...reader.push(bytes.subarray(at, at + size)));
    assertEquals(found, ["one", "[31mred", "tabs", "äö€"]);
  }
});

Deno.test("a line without end is cut and holds no memory, and the next one is whole", () => {
  const reader = new LineReader();
  for (let piece = 0; piece < 1000; piece++) assertEquals([...reader.push(encode("x".repeat(1000)))], []);
  assertEquals([...reader.push(encode("\nnext\n"))], ["x".repeat(mostLineCharacters), "next"]);
  assertEquals([...reader.push(new Uint8Array([0xff, 0xfe, 10]))], ["\ufffd\ufffd"]);
});

Deno.test("a client that does not read misses lines, is told how many, and then reads on", async () => {
  const received: string[] = [];
  let open = Promise.withResolvers<void>();
  const conn = {
    async write(bytes: Uint8Array) {
      await open.promise;
      received.push(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  };
  const outbox = new Outbox({ conn, onFailure() {}, onNeglect() {}, now: () => 0 });
  const line = "y".repeat(99);
  for (let count = 0; count < 1000; count++) outbox.post(line);
  const kept = Math.floor((mostWaitingBytes - 100) / 100);
  assertEquals(outbox.dropped, 1000 - kept);
  open.resolve();
  await outbox.drain();
  assertEquals(received.length, kept + 1);
  assertEquals(received.at(-1), `* ${1000 - kept} lines were dropped: you read too slowly\n`);
  open = Promise.withResolvers();
  outbox.post("again");
  open.resolve();
  await outbox.drain();
  assertEquals(received.at(-1), "again\n");
});

Deno.test("a connection that fails is told once, and takes no more", async () => {
  const failures: unknown[] = [];
  const conn = { write: () => Promise.reject(new Error("gone")) };
  const outbox = new Outbox({ conn, onFailure: (error) => failures.push(error), onNeglect() {}, now: () => 0 });
  outbox.post("one");
  outbox.post("two");
  await outbox.drain();
  outbox.post("three");
  await outbox.drain();
  assertEquals(failures.length, 1);
});

Deno.test("a client is reported once when too much waits and it has taken nothing for ten seconds, and not before", async () => {
  let [now, neglected] = [1_000_000, 0];
  let take: ((bytes: number) => void) | null = null;
  const conn = { write: () => new Promise<number>((resolve) => take = resolve) };
  const outbox = new Outbox({ conn, onFailure() {}, onNeglect: () => neglected++, now: () => now });
  const line = "y".repeat(99);
  const fill = () => {
    for (let count = 0; count * 100 < mostWaitingBytes; count++) outbox.post(line);
  };
  fill();
  now += patience - 1;
  fill();
  assertEquals(neglected, 0);
  take!(100);
  await new Promise((resolve) => setTimeout(resolve));
  now += patience - 1;
  fill();
  assertEquals(neglected, 0);
  now += 1;
  fill();
  assertEquals(neglected, 1);
  take!(100);
  await outbox.drain();
});

Deno.test("a client with nothing to take is not neglectful, however long that lasts", () => {
  let [now, neglected] = [0, 0];
  const conn = { write: () => new Promise<number>(() => {}) };
  const outbox = new Outbox({ conn, onFailure() {}, onNeglect: () => neglected++, now: () => now });
  now += 10 * patience;
  for (let count = 0; count < 1000; count++) outbox.post("y".repeat(99));
  assertEquals([neglected, outbox.dropped > 0], [0, true]);
});

/** A client of the chat on the same stack. */
class Visitor {
  readonly conn: TcpConn;
  #text = "";

  constructor(conn: TcpConn) {
    this.conn = conn;
  }

  async say(line: string): Promise<void> {
    await this.conn.write(encode(`${line}\n`));
  }

  /** Reads on until a line matches; null stands for the end. */
  async until(pattern: RegExp | null): Promise<string> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        if (pattern?.test(line)) return line;
        continue;
      }
      const length = await soon(this.conn.read(buffer), `a line that matches ${pattern}`);
      if (length === null) {
        assertEquals(pattern, null, "the connection ended");
        return "";
      }
      this.#text += new TextDecoder().decode(buffer.subarray(0, length));
    }
  }
}

async function withChat(
  limit: number,
  body: (visit: () => Promise<Visitor>, service: ChatService) => Promise<void>,
  options: Partial<ChatOptions> = {},
) {
  await using stack = new Stack();
  const listener = stack.listen({ port: 23, settings: { sendBufferBytes } });
  const service = new ChatService({
    listener,
    limit,
    linesPerSecond: 20,
    logger: silent,
    now: () => performance.now(),
    ...options,
  });
  const running = service.run();
  // A small window, so that little is on its way to whoever does not read.
  const settings = { receiveBufferBytes: 8192, initialReceiveWindow: 8192 };
  await body(async () => new Visitor(await stack.connect({ port: 23, settings })), service);
  await service.close();
  await running;
  await stack.close();
  assertEquals([stack.pool.inUse, stack.ports.size], [0, 0]);
}

Deno.test("clients talk over TCP, leave by /quit or by closing, and all hear the end of the chat", () =>
  withChat(10, async (visit, service) => {
    const [one, two, three] = [await visit(), await visit(), await visit()];
    await one.until(/^\* guest3 has joined$/);
    await one.say("/name Ann");
    await two.until(/^\* guest1 is Ann now$/);
    await one.say("hello \x1b[2Jall");
    assertEquals(await two.until(/^Ann: /), "Ann: hello [2Jall");
    assertEquals(await three.until(/^Ann: /), "Ann: hello [2Jall");
    await two.say("/quit");
    await two.until(/^\* Goodbye$/);
    await two.until(null);
    two.conn.close();
    await one.until(/^\* guest2 has left$/);
    three.conn.abort();
    await one.until(/^\* guest3 has left$/);
    const closing = service.close();
    await one.until(/^\* The chat is closing$/);
    await one.until(null);
    one.conn.close();
    await closing;
  }));

Deno.test("a client that never reads does not keep the others from talking", () =>
  withChat(10, async (visit) => {
    const deaf = await visit();
    const [speaker, reader] = [await visit(), await visit()];
    await speaker.until(/^\* guest3 has joined$/);
    for (let round = 0; round < 19; round++) await speaker.say(`${round} ${"z".repeat(400)}`);
    await reader.until(/: 18 z+$/);
    for (const { conn } of [deaf, speaker, reader]) conn.abort();
  }));

Deno.test("a client that never reads is put out when too much waits for it, and the others are told", () => {
  let now = 0;
  const options = { linesPerSecond: Infinity, now: () => now };
  return withChat(10, async (visit, service) => {
    const deaf = await visit();
    const [speaker, reader] = [await visit(), await visit()];
    await speaker.until(/^\* guest3 has joined$/);
    // More than its window, the send buffer and the outbox hold.
    const rounds = Math.ceil((8192 + sendBufferBytes + 2 * mostWaitingBytes) / 400);
    for (let round = 0; round < rounds; round++) {
      await speaker.say(`${round} ${"z".repeat(400)}`);
      await reader.until(new RegExp(`: ${round} z+$`));
    }
    await speaker.say("/who");
    assertEquals(await speaker.until(/guest/), "* guest1, guest2, guest3");
    now += patience;
    await speaker.say("and one more");
    assertEquals(await reader.until(/^\* /), "* guest1 was put out: it does not read");
    assertEquals(await speaker.until(/^\* /), "* guest1 was put out: it does not read");
    await deaf.conn.closed;
    await speaker.say("/quit");
    await speaker.until(null);
    speaker.conn.close();
    const closing = service.close();
    await reader.until(null);
    reader.conn.close();
    await closing;
  }, options);
});

Deno.test("a full room turns people away, in words", () =>
  withChat(1, async (visit) => {
    const one = await visit();
    await one.until(/Welcome/);
    const two = await visit();
    await two.until(/^\* The room is full/);
    await two.until(null);
    for (const { conn } of [one, two]) conn.abort();
  }));

Deno.test("chat --help and a wrong option", async () => {
  const help = await runToEnd("chat", "--help");
  assertEquals(help.code, 0);
  assertStringIncludes(help.output.join("\n"), "deno task chat");
  const wrong = await runToEnd("chat", "--limit", "0");
  assertEquals([wrong.code, wrong.errors.length], [2, 1]);
});

kernelTest("chat serves nc, and Ctrl-C tells everybody", async () => {
  await using program = RunningProgram.start("chat");
  await program.line(/^Chat on 192\.0\.2\.2:2323/);
  using watcher = await Deno.connect({ hostname: "192.0.2.2", port: 2323 });
  await run("sh", "-c", "printf '/name nc\\nhello\\n/quit\\n' | nc -N 192.0.2.2 2323");
  await program.line(/\(nc\) has left$/);
  program.signal("SIGINT");
  const text = await new Response(watcher.readable).text();
  assert(text.includes("\nnc: hello\n") && text.endsWith("* The chat is closing\n"), text);
  assertEquals(await program.code(), 0);
}, { programs: ["nc"] });
