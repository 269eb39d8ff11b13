import { assert, assertEquals } from "@std/assert";
import { assertRejectsNamed } from "../helpers/errors.ts";
import type { TcpConn } from "../../stack/socket/tcp_conn.ts";
import { Host, stackAddress } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertSameBytes, connect, noise, receiveAll, sendAll } from "./transfer.ts";

/** A program that has a connection to the stack, until it is killed. */
class Peer implements AsyncDisposable {
  readonly conn: TcpConn;
  readonly #child: Deno.ChildProcess;

  private constructor(conn: TcpConn, child: Deno.ChildProcess) {
    this.conn = conn;
    this.#child = child;
  }

  /** Starts the program, which does `body` with its connection `conn` and then nothing more. */
  static async connect(host: Host, body: string): Promise<Peer> {
    using listener = host.stack.listen({ hostname: stackAddress });
    const code = `
      setInterval(() => {}, 60_000);
      const conn = await Deno.connect({ hostname: "${stackAddress}", port: ${listener.addr.port} });
      ${body}`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdin: "null" }).spawn();
    return new Peer(await listener.accept(), child);
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.conn[Symbol.dispose]();
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has been killed already.
    }
    await this.#child.status;
  }
}

kernelTest("an idle peer that is killed ends its side, and the connection closes regularly", async () => {
  await using host = new Host();
  await using peer = await Peer.connect(host, "");
  const read = peer.conn.read(new Uint8Array(1));
  await peer.kill();
  assertEquals(await read, null);
  await peer.conn.closeWrite();
  assertEquals(await peer.conn.closed, null);
});

kernelTest("a peer that is killed while it has unread data resets the connection", async () => {
  await using host = new Host();
  await using peer = await Peer.connect(
    host,
    "await conn.read(new Uint8Array(1)); await conn.write(new Uint8Array(1));",
  );
  await peer.conn.write(noise(1000));
  // It says when it has read the first byte: the rest is then unread.
  assertEquals(await peer.conn.read(new Uint8Array(10)), 1);
  const reset = assertRejectsNamed("ConnectionReset", peer.conn.read(new Uint8Array(1)));
  await peer.kill();
  await reset;
  assertEquals((await peer.conn.closed)?.name, "ConnectionReset");
});

kernelTest("a peer that is killed while it sends: what had arrived is exact, and the stream ends", async () => {
  await using host = new Host();
  const body = `for (let round = 0;; round = (round + 1) % 256) {
    const bytes = new Uint8Array(1000).fill(round);
    for (let sent = 0; sent < 1000;) sent += await conn.write(bytes.subarray(sent));
  }`;
  await using peer = await Peer.connect(host, body);
  const start = await receiveAll(peer.conn, 100_000);
  await peer.kill();
  const rest = await receiveAll(peer.conn);
  for (const [bytes, from] of [[start, 0], [rest, start.length]] as const) {
    const wrong = bytes.findIndex((byte, at) => byte !== Math.floor((from + at) / 1000) % 256);
    assertEquals(wrong, -1);
  }
});

kernelTest("a peer that is killed while it receives: writing fails", async () => {
  await using host = new Host();
  await using peer = await Peer.connect(host, "for (;;) await conn.read(new Uint8Array(65536));");
  const sending = (async () => {
    for (;;) await peer.conn.write(noise(65536));
  })();
  const failed = sending.catch((error: Error) => error.name);
  await host.connectionThat((connection) => connection.info().bytesAcknowledged > 1_000_000);
  await peer.kill();
  assertEquals(await failed, "ConnectionReset");
  assertEquals((await peer.conn.closed)?.name, "ConnectionReset");
});

kernelTest("a peer whose interface goes down and comes back gets everything", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  const bytes = noise(4 << 20);
  const receiving = receiveAll(ends.theirs);
  const halfway = host.connectionThat((connection) => connection.info().bytesAcknowledged > bytes.length / 2);
  const sending = sendAll(ends.ours, bytes);
  await halfway;
  const backedOff = host.connectionThat((connection) => connection.info().backoff >= 2);
  host.tap.host.change({ up: false });
  const { segmentsRetransmitted } = (await backedOff).info();
  assert(segmentsRetransmitted >= 2);
  assert(host.tap.counters.transmitDown >= 2);
  host.tap.host.change({ up: true });
  const [received] = await Promise.all([receiving, sending]);
  assertSameBytes(received, bytes);
});

kernelTest("a read from a peer whose interface is down ends when the connection is aborted", async () => {
  await using host = new Host();
  using ends = await connect(host, "the stack");
  const read = ends.ours.read(new Uint8Array(1));
  const retransmitted = host.connectionThat((connection) => connection.info().segmentsRetransmitted >= 2);
  host.tap.host.change({ up: false });
  await ends.ours.write(noise(1000));
  await retransmitted;
  ends.ours.abort();
  await assertRejectsNamed("Interrupted", read);
  assertEquals(host.stack.tcp.connections().length, 0);
});

kernelTest("a peer that does not answer any more is given up after the user timeout", async () => {
  await using host = new Host();
  using ends = await connect(host, "the stack");
  ends.ours.configure({ userTimeout: 500 });
  host.tap.host.change({ up: false });
  await ends.ours.write(noise(1000));
  await assertRejectsNamed("TimedOut", ends.ours.read(new Uint8Array(1)));
  assertEquals((await ends.ours.closed)?.name, "TimedOut");
});

kernelTest("when the interface is deleted, connections can be aborted and the stack closed", async () => {
  await using host = new Host();
  using ends = await connect(host, "the stack");
  const read = ends.ours.read(new Uint8Array(1));
  await run("ip", "link", "delete", host.tap.name);
  await ends.ours.write(noise(1000));
  await host.connectionThat((connection) => connection.info().segmentsRetransmitted >= 1);
  ends.ours.abort();
  await assertRejectsNamed("Interrupted", read);
}, { programs: ["ip"] });
