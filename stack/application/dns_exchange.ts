/**
 * Asking DNS servers: over UDP, over TCP where the answer does not fit, one server after the other, again and again.
 *
 * @module
 */

import { abortError, makeError } from "../errors.ts";
import type { DatagramConn } from "../socket/datagram_conn.ts";
import type { Timers } from "../timers.ts";
import { concat } from "./bytes.ts";
import { decodeMessage, type DnsMessage, type DnsQuestion, encodeQuery, isResponseTo } from "./dns_message.ts";
import type { TcpNetwork, UdpNetwork } from "./network.ts";

/** What DNS needs of a stack. */
export interface DnsNetwork extends TcpNetwork, UdpNetwork {
  /** By which time-outs and lifetimes are measured. */
  readonly timers: Timers;
}

/** Where a DNS server listens. */
export interface NameServer {
  /** Its IP address. */
  readonly ipAddr: string;
  /** Its port. Default 53. */
  readonly port?: number;
}

/** How servers are asked. */
export interface AskOptions {
  /** Milliseconds to wait for an answer the first time; twice as long each further time. Default 1000. */
  timeout?: number;
  /** How often each server is asked. Default 3. */
  attempts?: number;
  /** Ask over TCP from the beginning. Default false. */
  tcp?: boolean;
  /** Ask the server to resolve for us. Default true. */
  recursionDesired?: boolean;
  /** Ends the waiting. */
  signal?: AbortSignal;
}

/** An answer, and whose it was. */
export interface DnsAnswer {
  /** The response. */
  readonly message: DnsMessage;
  /** Who gave it. */
  readonly server: NameServer;
  /** Whether it came over TCP. */
  readonly tcp: boolean;
  /** Its length in bytes. */
  readonly bytes: number;
}

/** A response together with its length. */
interface Received {
  readonly message: DnsMessage;
  readonly bytes: number;
}

/**
 * Asks the servers in turn until one of them says what is there, or that there is nothing.
 *
 * @throws {Deno.errors.TimedOut} If none of them answers.
 * @throws {Error} What the last one said, or what went wrong with it, if none could tell.
 * @throws {DOMException} If the signal is aborted first.
 */
export async function ask(
  network: DnsNetwork,
  servers: readonly NameServer[],
  question: DnsQuestion,
  options: AskOptions = {},
): Promise<DnsAnswer> {
  const { timeout = 1000, attempts = 3, signal } = options;
  if (servers.length === 0) throw new TypeError(`Cannot look up ${question.name}: no DNS server is known`);
  let failure: unknown = null;
  for (let attempt = 0; attempt < attempts; attempt++) {
    for (const server of servers) {
      if (signal?.aborted) throw abortError(signal);
      try {
        const answer = await askOnce(network, server, question, timeout * 2 ** attempt, options);
        const { code } = answer.message;
        if (code === "NOERROR" || code === "NXDOMAIN") return answer;
        failure = new Error(`Cannot look up ${question.name}: ${server.ipAddr} answered ${code}`);
      } catch (error) {
        if (signal?.aborted) throw abortError(signal);
        failure = error;
      }
    }
  }
  throw failure;
}

/**
 * Asks one server once: over UDP, and over TCP if the answer was too long for that. Resolves with whatever it says.
 *
 * @throws {Deno.errors.TimedOut} If it does not answer in time.
 */
export async function askOnce(
  network: DnsNetwork,
  server: NameServer,
  question: DnsQuestion,
  timeout: number,
  options: Pick<AskOptions, "tcp" | "recursionDesired" | "signal"> = {},
): Promise<DnsAnswer> {
  const { tcp = false, recursionDesired = true, signal } = options;
  // RFC 5452 section 9.2: an unpredictable identifier; the stack's ephemeral ports are unpredictable as well.
  const [id] = crypto.getRandomValues(new Uint16Array(1));
  const query = encodeQuery(id!, question, recursionDesired);
  const isAnswer = (bytes: Uint8Array): Received | null => {
    const message = decodeMessage(bytes);
    return message !== null && isResponseTo(message, id!, question) ? { message, bytes: bytes.length } : null;
  };
  const limit = (parent?: AbortSignal) => new Deadline(network.timers, timeout, question, server, parent);
  if (!tcp) {
    using deadline = limit(signal);
    const received = await exchangeUdp(network, server, query, isAnswer, deadline.signal);
    if (!received.message.truncated) return { ...received, server, tcp };
  }
  // RFC 7766 section 5: what does not fit is asked for again over TCP.
  using deadline = limit(signal);
  return { ...await exchangeTcp(network, server, query, isAnswer, deadline.signal), server, tcp: true };
}

/** A time-out by the stack's clock, as a signal. */
class Deadline implements Disposable {
  readonly signal: AbortSignal;
  readonly #timer: { dispose(): void };

  constructor(timers: Timers, timeout: number, question: DnsQuestion, server: NameServer, parent?: AbortSignal) {
    const controller = new AbortController();
    const { signal } = controller;
    this.signal = parent === undefined ? signal : AbortSignal.any([parent, signal]);
    const why = `Cannot look up ${question.name}: ${server.ipAddr} did not answer within ${timeout} ms`;
    const timer = timers.create(() => controller.abort(makeError("TimedOut", why)));
    timer.start(timeout);
    this.#timer = timer;
  }

  [Symbol.dispose](): void {
    this.#timer.dispose();
  }
}

async function exchangeUdp(
  network: DnsNetwork,
  { ipAddr, port = 53 }: NameServer,
  query: Uint8Array,
  isAnswer: (bytes: Uint8Array) => Received | null,
  signal: AbortSignal,
): Promise<Received> {
  // A connected socket takes datagrams of the server only, and learns when nobody listens there.
  using socket: DatagramConn = network.connectDatagram({ hostname: ipAddr, port });
  const onAbort = () => socket[Symbol.dispose]();
  signal.addEventListener("abort", onAbort);
  try {
    await socket.send(query);
    for (;;) {
      const [bytes] = await socket.receive();
      const received = isAnswer(bytes);
      // RFC 5452 section 9.1: what is no answer to this query may be somebody's guess, and is passed over.
      if (received !== null) return received;
    }
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function exchangeTcp(
  network: DnsNetwork,
  { ipAddr, port = 53 }: NameServer,
  query: Uint8Array,
  isAnswer: (bytes: Uint8Array) => Received | null,
  signal: AbortSignal,
): Promise<Received> {
  using conn = await network.connect({ hostname: ipAddr, port, signal });
  const onAbort = () => conn.abort();
  signal.addEventListener("abort", onAbort);
  try {
    const writer = conn.writable.getWriter();
    await writer.write(frame(query));
    for await (const bytes of frames(conn.readable)) {
      const received = isAnswer(bytes);
      if (received !== null) return received;
    }
    throw makeError("ConnectionReset", `Cannot look up a name: ${ipAddr} closed the connection without an answer`);
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** A message as it is sent over TCP: behind its length (RFC 1035 section 4.2.2). */
export function frame(message: Uint8Array): Uint8Array {
  return concat([new Uint8Array([message.length >> 8, message.length & 0xff]), message]);
}

/** The messages of a TCP connection, until it ends. */
export async function* frames(readable: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, undefined, undefined> {
  let rest = new Uint8Array(0);
  for await (const chunk of readable) {
    rest = concat([rest, chunk]);
    while (rest.length >= 2) {
      const end = 2 + (rest[0]! << 8 | rest[1]!);
      if (rest.length < end) break;
      yield rest.subarray(2, end);
      rest = rest.subarray(end);
    }
  }
}
