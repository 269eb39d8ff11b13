/**
 * The loopback demonstration: a server and a client in one stack, and all that happens between them.
 *
 * @module
 */

import {
  describeSegment,
  type Packet,
  Stack,
  type State,
  stateName,
  type TcpConn,
  type TcpInfo,
  type TcpTrace,
  type UserConnection,
} from "../mod.ts";
import { receiveWindowDiagram, sendWindowDiagram } from "./window_diagram.ts";

const hostname = "127.0.0.1";
const serverPort = 7;
const greeting = "Hello Netstack";
const rounds = 3;

/** How long an answer may take before the demonstration has failed, in milliseconds. */
const patience = 5000;

type Print = (line: string) => void;
type Role = "client" | "server";

/** Prints what passes between the two ends, with sequence numbers relative to each end's initial one. */
class Narrator implements TcpTrace {
  /** The initial send sequence numbers, once the SYNs have been sent. */
  readonly initial: Record<Role, number> = { client: 0, server: 0 };
  readonly #known = new Set<Role>();
  readonly #print: Print;

  constructor(print: Print) {
    this.#print = print;
  }

  /** Prints a segment when it is sent: over the loopback interface it is received at once. */
  segment(connection: UserConnection, direction: "sent" | "received", packet: Packet): void {
    if (direction === "received") return;
    const [sender, receiver] = roles(connection);
    if (!this.#known.has(sender)) {
      // The first segment is the SYN, which has not been acknowledged.
      this.initial[sender] = connection.info().sndUna;
      this.#known.add(sender);
    }
    const relativeTo = { sender: this.initial[sender], receiver: this.initial[receiver] };
    const text = describeSegment(packet.view, packet.transportAt, packet.tail, { relativeTo, everySequence: true });
    this.#print(`${sender} -> ${receiver}  ${text}`);
  }

  /** Prints a change of state. */
  state(connection: UserConnection, from: State, to: State): void {
    this.#print(`${roles(connection)[0].padEnd("client -> server".length)}  ${stateName(from)} -> ${stateName(to)}`);
  }
}

/** Which end a connection is, and which its peer. */
function roles(connection: UserConnection): [Role, Role] {
  return connection.local.port === serverPort ? ["server", "client"] : ["client", "server"];
}

/** Shows a connection's life from the client's side. */
class Client {
  readonly #conn: TcpConn;
  readonly #narrator: Narrator;
  readonly #print: Print;

  constructor(conn: TcpConn, narrator: Narrator, print: Print) {
    this.#conn = conn;
    this.#narrator = narrator;
    this.#print = print;
  }

  /** Sends the greeting, reads the answer, and tells whether they are equal. */
  async exchange(round: number): Promise<boolean> {
    const conn = this.#conn;
    const sent = new TextEncoder().encode(greeting);
    this.#print(`\n== Echo ${round} of ${rounds}: the client sends "${greeting}"`);
    // Between two turns of the event loop a segment leaves at once; within one it would wait for the turn's end.
    await new Promise((resolve) => setTimeout(resolve));
    const written = conn.write(sent);
    this.showSendWindow("the segment is on its way");
    await written;
    await this.#answered(sent.length);
    this.showSendWindow("the answer has acknowledged it");
    this.showReceiveWindow("the answer waits to be read");
    const answer = await this.#read(sent.length);
    this.showReceiveWindow("the answer has been read");
    const text = new TextDecoder().decode(answer);
    this.#print(`Echo ${round}: ${sent.length} bytes out, ${answer.length} bytes in: "${text}"`);
    return text === greeting;
  }

  /** Waits until `bytes` bytes can be read, so that they can be seen waiting. */
  async #answered(bytes: number): Promise<void> {
    const deadline = performance.now() + patience;
    while (this.#conn.info().receiveQueued < bytes) {
      if (performance.now() > deadline) throw new Error(`No answer of ${bytes} bytes came within ${patience} ms`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Reads once, into a buffer with room for more than is due: what comes must be exactly what was sent. */
  async #read(bytes: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(4 * bytes);
    const read = await this.#conn.read(buffer);
    return buffer.subarray(0, read ?? 0);
  }

  showSendWindow(moment: string): void {
    const info = this.#conn.info();
    this.#show(`The client's send window when ${moment}: ${congestion(info)}`, [
      ...sendWindowDiagram(info, this.#narrator.initial.client),
    ]);
  }

  showReceiveWindow(moment: string): void {
    const diagram = receiveWindowDiagram(this.#conn.info(), this.#narrator.initial.server);
    this.#show(`The client's receive window when ${moment}:`, diagram);
  }

  #show(heading: string, diagram: readonly string[]): void {
    this.#print(heading);
    for (const line of diagram) this.#print(`    ${line}`);
  }
}

function congestion({ congestionWindow, slowStartThreshold, sendMss }: TcpInfo): string {
  const threshold = slowStartThreshold === Infinity ? "unknown" : `${slowStartThreshold} bytes`;
  const segments = Number((congestionWindow / sendMss).toFixed(1));
  return `congestion window ${congestionWindow} bytes (${segments} segments), slow-start threshold ${threshold}`;
}

/** Sends back what the one client of the demonstration sends. */
async function serveOne(accepted: Promise<TcpConn>): Promise<void> {
  const conn = await accepted;
  const buffer = new Uint8Array(1024);
  for (let read = await conn.read(buffer); read !== null; read = await conn.read(buffer)) {
    for (let sent = 0; sent < read;) sent += await conn.write(buffer.subarray(sent, read));
  }
  conn.close();
  await conn.closed;
}

/** Runs the demonstration, and tells whether every answer was what had been sent. */
export async function demonstrate(print: (line: string) => void): Promise<boolean> {
  await using stack = new Stack();
  const narrator = new Narrator(print);
  stack.trace = narrator;
  print(`One stack, a server and a client in it, on ${hostname} port ${serverPort}. Sequence numbers are relative.\n`);
  using listener = stack.listen({ hostname, port: serverPort });
  const accepted = listener.accept();
  const served = serveOne(accepted);
  print("== The client connects");
  const conn = await stack.connect({ hostname, port: serverPort, signal: AbortSignal.timeout(patience) });
  // The client's last word of the handshake is on its way when its promise resolves: now both ends have it.
  await accepted;
  const client = new Client(conn, narrator, print);
  client.showSendWindow("the connection is new");
  client.showReceiveWindow("the connection is new");
  let equal = true;
  for (let round = 1; round <= rounds; round++) equal = await client.exchange(round) && equal;
  print("\n== The client closes");
  conn.close();
  await Promise.all([served, conn.closed]);
  // The client's end stays in TIME-WAIT; that it is thrown away with the stack is not part of the connection's life.
  stack.trace = null;
  print(equal ? `\nAll ${rounds} answers were what had been sent.` : "\nAn answer was not what had been sent.");
  return equal;
}
