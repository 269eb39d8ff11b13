import { assertEquals, assertRejects } from "@std/assert";
import { EventEmitter } from "node:events";
import { talk } from "../../apps/ws/terminal.ts";
import type { WebSocket } from "../../stack/application/websocket.ts";

/** A connection that does as it is told. */
class FakeSocket extends EventEmitter {
  readonly calls: string[] = [];
  readyState = 1;
  bufferedAmount = 0;

  send(data: string, _options: unknown, sent: () => void): void {
    this.calls.push(`send ${data}`);
    sent();
  }

  close(code: number): void {
    this.calls.push(`close ${code}`);
    this.readyState = 3;
    queueMicrotask(() => this.emit("close", code, new Uint8Array()));
  }

  terminate(): void {
    this.calls.push("terminate");
  }
}

const options = { binary: false, linger: 0, signal: new AbortController().signal };

function startTalk(socket: FakeSocket, input: ReadableStream<Uint8Array<ArrayBuffer>>, print: (line: string) => void) {
  return talk(socket as unknown as WebSocket, input, print, options);
}

Deno.test("each line of the input is a message, the last one without its end too, and its end closes", async () => {
  const socket = new FakeSocket();
  const input = ReadableStream.from(["one\ntw", "o\nthree"]).pipeThrough(new TextEncoderStream());
  assertEquals(await startTalk(socket, input, () => {}), { code: 1000, reason: "" });
  assertEquals(socket.calls, ["send one", "send two", "send three", "close 1000"]);
});

Deno.test("a message that cannot be printed ends the conversation with that error", async () => {
  const socket = new FakeSocket();
  const talking = startTalk(socket, new ReadableStream(), () => {
    throw new Error("nobody reads");
  });
  socket.emit("message", new TextEncoder().encode("hello"), false);
  await assertRejects(() => talking, Error, "nobody reads");
  assertEquals(socket.calls, ["terminate"]);
});

Deno.test("an input that cannot be read ends the conversation with that error", async () => {
  const input = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.error(new Error("torn")),
  });
  await assertRejects(() => startTalk(new FakeSocket(), input, () => {}), Error, "torn");
});
