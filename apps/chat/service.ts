/**
 * The chat on TCP: one connection for each member.
 *
 * @module
 */

import type { Logger, TcpConn, TcpListener } from "../../mod.ts";
import { errorLine } from "../cli.ts";
import { LineReader } from "./lines.ts";
import { Outbox } from "./outbox.ts";
import { type Member, Room } from "./room.ts";

/** Bytes that are received at once: little, since whoever talks much is to wait. */
const bufferBytes = 4096;

/** Bytes that TCP keeps for one member: with those of the outbox, all that waits for somebody who does not read. */
export const sendBufferBytes = 65_536;

/** How long a member may take to receive his last lines, in milliseconds. */
const farewellTime = 2000;

/** What the others are told of a member who does not read. */
const neglect = "was put out: it does not read";

/** Somebody who is connected. */
class Client implements Member {
  name = "";
  readonly outbox: Outbox;
  readonly #conn: TcpConn;
  readonly #departed = Promise.withResolvers<string>();

  constructor(conn: TcpConn, now: () => number) {
    this.#conn = conn;
    this.outbox = new Outbox({
      conn,
      onFailure: () => this.leave(),
      onNeglect: () => {
        this.#departed.resolve(neglect);
        // A farewell would be of no use, and what TCP holds for him would wait for as long as his end is there.
        conn.abort();
      },
      now,
    });
  }

  /** Resolves with what the others are told when he is to go. */
  get departed(): Promise<string> {
    return this.#departed.promise;
  }

  post(line: string): void {
    this.outbox.post(line);
  }

  leave(): void {
    this.#departed.resolve("has left");
  }

  /** Ends the connection, once his last lines have been sent or he has not taken them for a while. */
  async close(): Promise<void> {
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), farewellTime);
    await Promise.race([this.outbox.drain(), late.promise]);
    this.outbox.close();
    // What he still says is read, so that it is no reason to reset what he has not received yet.
    const ended = this.#conn.closeWrite().then(() => this.#readToEnd()).then(() => true, () => false);
    if (!await Promise.race([ended, late.promise])) this.#conn.abort();
    clearTimeout(timer);
  }

  async #readToEnd(): Promise<void> {
    const buffer = new Uint8Array(bufferBytes);
    while (await this.#conn.read(buffer) !== null);
    await this.#conn.closed;
  }
}

/** What a {@linkcode ChatService} needs. */
export interface ChatOptions {
  /** Whose connections are the members'. */
  readonly listener: TcpListener;
  /** The most members. */
  readonly limit: number;
  /** Lines that one member may say in a second before he is read more slowly. */
  readonly linesPerSecond: number;
  /** Where to log who comes and goes. */
  readonly logger: Logger;
  /** Milliseconds of a clock. */
  readonly now: () => number;
}

/** Serves a chat. */
export class ChatService {
  readonly #options: ChatOptions;
  readonly #room = new Room();
  readonly #open = new Set<Promise<void>>();
  #closing = false;

  /** Takes what it needs. */
  constructor(options: ChatOptions) {
    this.#options = options;
  }

  /** Lets people in until {@linkcode ChatService.close} is called. */
  async run(): Promise<void> {
    for await (const conn of this.#options.listener) {
      const served = this.#serve(conn).finally(() => this.#open.delete(served));
      this.#open.add(served);
    }
  }

  /** Says goodbye to everybody, and resolves when all connections are over. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#options.listener[Symbol.dispose]();
    this.#room.close("* The chat is closing");
    await Promise.all(this.#open);
  }

  async #serve(conn: TcpConn): Promise<void> {
    const { hostname, port } = conn.remoteAddr;
    const { limit, logger, now } = this.#options;
    const client = new Client(conn, now);
    if (this.#closing || this.#room.size >= limit) {
      client.post("* The room is full: try again later");
      return await client.close();
    }
    this.#room.enter(client);
    logger.info(`${hostname}:${port} joined as ${client.name}`);
    const listening = this.#listen(conn, client);
    const lost = (error: unknown) => `was lost: ${errorLine(error)}`;
    const why = await Promise.race([client.departed, listening.then(() => "has left", lost)]);
    listening.catch(() => {});
    this.#room.exit(client, why === neglect ? why : "has left");
    logger.info(`${hostname}:${port} (${client.name}) ${why}`);
    await client.close();
  }

  /** Hears what a client says until he ends his side. */
  async #listen(conn: TcpConn, client: Client): Promise<void> {
    const buffer = new Uint8Array(bufferBytes);
    const reader = new LineReader();
    const { linesPerSecond, now } = this.#options;
    let [second, lines] = [now(), 0];
    for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
      for (const line of reader.push(buffer.subarray(0, length))) {
        this.#room.hear(client, line);
        if (++lines < linesPerSecond) continue;
        // Whoever floods the room is read more slowly, and TCP's window then slows him down.
        const left = second + 1000 - now();
        if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
        [second, lines] = [now(), 0];
      }
    }
  }
}
