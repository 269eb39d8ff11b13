/**
 * A DNS server that forwards, and remembers the answers.
 *
 * @module
 */

import type { DatagramConn } from "../socket/datagram_conn.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import type { TcpListener } from "../socket/tcp_listener.ts";
import { type CachedAnswer, DnsCache } from "./dns_cache.ts";
import { ask, type AskOptions, type DnsNetwork, frame, frames, type NameServer } from "./dns_exchange.ts";
import {
  codeNumber,
  decodeMessage,
  type DnsMessage,
  type DnsQuestion,
  encodeResponse,
  plainPayloadBytes,
  ResponseCode,
  type ResponseParts,
  udpPayloadBytes,
} from "./dns_message.ts";
import { addressOfReverseName, Hosts } from "./hosts.ts";

/** Options of {@linkcode DnsServer}. */
export interface DnsServerOptions extends Omit<AskOptions, "signal" | "tcp"> {
  /** Who is asked for what is not known here; none makes a server that knows its hosts only. */
  nameServers: readonly NameServer[];
  /** The port, of UDP and of TCP. Default 53. */
  port?: number;
  /** Our address. Default: all of them. */
  hostname?: string;
  /** Names that are answered here. Default: `localhost`. */
  hosts?: Hosts;
  /** How many answers to keep. Default 10,000. */
  cacheEntries?: number;
  /** Most queries that wait for the answers of others at a time; SERVFAIL answers the rest. Default 1000. */
  maxPending?: number;
  /** Most TCP connections at a time. Default 100. */
  maxConnections?: number;
  /** Milliseconds that a TCP connection may be silent. Default 10,000. */
  idleTimeout?: number;
}

/** What a {@linkcode DnsServer} has done. */
export interface DnsServerCounters {
  /** Messages that asked. */
  queries: number;
  /** Of these, those that were answered from memory. */
  cached: number;
  /** Of these, those that the hosts table answered. */
  local: number;
  /** Questions that were asked elsewhere. */
  forwarded: number;
  /** Of these, those that nobody could answer. */
  failed: number;
  /** Queries that were turned away because too many were waiting. */
  refused: number;
  /** Datagrams and messages that were no query. */
  malformed: number;
}

/** Seconds for which clients may keep what the hosts table says. */
const hostsTtl = 60;

/** Most bytes of a message over TCP. */
const tcpMessageBytes = 65535;

/** Serves DNS over UDP and TCP until it is closed. */
export class DnsServer implements AsyncDisposable {
  /** What it has done so far. */
  readonly counters: DnsServerCounters = {
    queries: 0,
    cached: 0,
    local: 0,
    forwarded: 0,
    failed: 0,
    refused: 0,
    malformed: 0,
  };
  /** Resolves when it has ended. */
  readonly finished: Promise<void>;

  readonly #network: DnsNetwork;
  readonly #options: DnsServerOptions;
  readonly #hosts: Hosts;
  readonly #cache: DnsCache;
  readonly #socket: DatagramConn;
  readonly #listener: TcpListener;
  readonly #connections = new Set<TcpConn>();
  /** Questions that are being forwarded: the same one is asked only once at a time. */
  readonly #pending = new Map<string, Promise<CachedAnswer | null>>();
  /** Queries that wait for such an answer. */
  #waiting = 0;
  readonly #closing = new AbortController();

  /**
   * Binds the ports and begins to serve.
   *
   * @throws {Deno.errors.AddrInUse} If somebody else has one of them.
   */
  constructor(network: DnsNetwork, options: DnsServerOptions) {
    const { port = 53, hostname } = options;
    this.#network = network;
    this.#options = options;
    this.#hosts = options.hosts ?? new Hosts();
    this.#cache = new DnsCache(network.timers.clock, options.cacheEntries);
    const where = { port, ...(hostname === undefined ? {} : { hostname }) };
    this.#socket = network.listenDatagram(where);
    try {
      this.#listener = network.listen({ ...where, port: this.#socket.addr.port });
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.finished = Promise.all([this.#serveUdp(), this.#serveTcp()]).then(() => {});
  }

  /** Where it listens. */
  get addr(): Deno.NetAddr {
    return this.#socket.addr;
  }

  /** Forgets what it remembers. */
  clearCache(): void {
    this.#cache.clear();
  }

  /** Stops serving. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#socket[Symbol.dispose]();
    this.#listener[Symbol.dispose]();
    for (const conn of this.#connections) conn.abort();
    await this.finished;
  }

  /** As {@linkcode DnsServer.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serveUdp(): Promise<void> {
    for await (const [bytes, from] of this.#socket) {
      this.#answer(bytes, null).then(async (response) => {
        if (response !== null) await this.#socket.send(response, from);
      }).catch(() => {
        // The socket was closed meanwhile, or there is no way back.
      });
    }
  }

  async #serveTcp(): Promise<void> {
    const { maxConnections = 100 } = this.#options;
    const running = new Set<Promise<void>>();
    for await (const conn of this.#listener) {
      if (running.size >= maxConnections) {
        conn.abort();
        continue;
      }
      const served: Promise<void> = this.#serveConnection(conn).finally(() => running.delete(served));
      running.add(served);
    }
    await Promise.all(running);
  }

  /** RFC 7766 section 6.2.1.1: a connection carries any number of queries, answered as the answers come. */
  async #serveConnection(conn: TcpConn): Promise<void> {
    const { idleTimeout = 10_000 } = this.#options;
    const idle = this.#network.timers.create(() => conn.abort());
    this.#connections.add(conn);
    idle.start(idleTimeout);
    try {
      const writer = conn.writable.getWriter();
      const answers: Promise<void>[] = [];
      for await (const bytes of frames(conn.readable)) {
        idle.start(idleTimeout);
        const answered = this.#answer(bytes, tcpMessageBytes).then((response) =>
          response === null ? undefined : writer.write(frame(response))
        );
        answers.push(answered.catch(() => {}));
        // Whoever asks faster than there are answers has to wait.
        if (answers.length >= 100) await Promise.all(answers.splice(0));
      }
      await Promise.all(answers);
    } catch {
      // The client is gone, or was silent for too long.
    } finally {
      idle.dispose();
      this.#connections.delete(conn);
      conn[Symbol.dispose]();
    }
  }

  /** The response to a message, no longer than `mostBytes` or, where that is null, than the query allows. */
  async #answer(bytes: Uint8Array, mostBytes: number | null): Promise<Uint8Array | null> {
    const query = decodeMessage(bytes);
    // What is a response itself is never answered: two servers would talk for ever.
    if (query === null || query.isResponse) {
      this.counters.malformed++;
      return null;
    }
    this.counters.queries++;
    const { edns } = query;
    const most = edns === null
      ? plainPayloadBytes
      : Math.max(plainPayloadBytes, Math.min(edns.udpPayloadBytes, udpPayloadBytes));
    return encodeResponse(query, await this.#respond(query), mostBytes ?? most);
  }

  async #respond(query: DnsMessage): Promise<ResponseParts> {
    const [question] = query.questions;
    if (query.opcode !== "QUERY") return { code: ResponseCode.notImplemented };
    if (question === undefined || query.questions.length !== 1) return { code: ResponseCode.formatError };
    const isTransfer = question.type === "AXFR" || question.type === "IXFR";
    if (isTransfer || question.class !== "IN") return { code: ResponseCode.refused };
    const local = this.#fromHosts(question);
    if (local !== null) {
      this.counters.local++;
      return local;
    }
    const cached = this.#cache.get(question);
    if (cached !== null) {
      this.counters.cached++;
      return { ...cached, code: codeNumber(cached.code) };
    }
    if (this.#options.nameServers.length === 0) return { code: ResponseCode.refused };
    const answer = await this.#forward(question);
    return answer === null ? { code: ResponseCode.serverFailure } : { ...answer, code: codeNumber(answer.code) };
  }

  #fromHosts({ name, type }: DnsQuestion): ResponseParts | null {
    const record = (data: string) => ({ name, type, ttl: hostsTtl, class: "IN", data });
    const parts = { code: ResponseCode.noError, authoritative: true };
    if (type === "PTR") {
      const address = addressOfReverseName(name);
      const host = address === null ? null : this.#hosts.nameOf(address);
      return host === null ? null : { ...parts, answers: [record(host)] };
    }
    const addresses = this.#hosts.addresses(name, type === "AAAA" ? "AAAA" : "A");
    if (addresses === null) return null;
    return { ...parts, answers: type === "A" || type === "AAAA" ? addresses.map(record) : [] };
  }

  async #forward(question: DnsQuestion): Promise<CachedAnswer | null> {
    const { maxPending = 1000 } = this.#options;
    if (this.#waiting >= maxPending) {
      this.counters.refused++;
      return null;
    }
    this.#waiting++;
    try {
      const key = `${question.type} ${question.name.toLowerCase()}`;
      let asked = this.#pending.get(key);
      if (asked === undefined) {
        asked = this.#ask(question).finally(() => this.#pending.delete(key));
        this.#pending.set(key, asked);
      }
      return await asked;
    } finally {
      this.#waiting--;
    }
  }

  async #ask(question: DnsQuestion): Promise<CachedAnswer | null> {
    this.counters.forwarded++;
    const { nameServers, timeout = 1000, attempts = 2 } = this.#options;
    try {
      const options = { timeout, attempts, signal: this.#closing.signal };
      const { message } = await ask(this.#network, nameServers, question, options);
      this.#cache.set(question, message);
      return message;
    } catch {
      this.counters.failed++;
      return null;
    }
  }
}
