/**
 * Ping: echo requests on a schedule, and what became of each.
 *
 * @module
 */

import { abortError } from "../errors.ts";
import { ErrorKind } from "../protocol.ts";
import type { Timer, Timers } from "../timers.ts";
import type { Echo, EchoError, EchoReply, EchoSocket } from "../transport/echo.ts";
import type { ProgramKeeper } from "./hold.ts";
import { checkNumber, parseHostname } from "./options.ts";

/** A request was answered. */
export interface PingReply {
  /** What happened. */
  readonly kind: "reply";
  /** Which request, counted from 1. */
  readonly sequence: number;
  /** Who answered. */
  readonly source: string;
  /** Bytes of the ICMP message, its header of 8 bytes included. */
  readonly bytes: number;
  /** TTL or hop limit that the answer had left. */
  readonly timeToLive: number;
  /** Milliseconds from the request to the answer. */
  readonly time: number;
  /** Whether the request had been answered before. */
  readonly duplicate: boolean;
}

/** Somebody reported that a request could not be delivered. */
export interface PingError {
  /** What happened. */
  readonly kind: "error";
  /** Which request, counted from 1. */
  readonly sequence: number;
  /** Who reported it. One of our own addresses when the stack itself did. */
  readonly source: string;
  /** What was reported, in the words of iputils: `Destination Host Unreachable`. */
  readonly error: string;
  /** Milliseconds from the request to the report. */
  readonly time: number;
}

/** Nothing came back in time. A later answer is reported all the same. */
export interface PingTimeout {
  /** What happened. */
  readonly kind: "timeout";
  /** Which request, counted from 1. */
  readonly sequence: number;
}

/** What became of a request. */
export type PingEvent = PingReply | PingError | PingTimeout;

/** Options of {@linkcode ping}. */
export interface PingOptions {
  /** How many requests to send. Default Infinity. */
  count?: number;
  /** Milliseconds from one request to the next, at least 1. Default 1000. */
  interval?: number;
  /** Bytes of data in each request, 0 to 65,507. Default 56. */
  size?: number;
  /** What the data repeats. Default the bytes 0, 1, 2, ... */
  pattern?: Uint8Array;
  /** TTL or hop limit of the requests, 1 to 255. Default 64. */
  timeToLive?: number;
  /** Forbid routers to fragment. Default false. */
  dontFragment?: boolean;
  /** Our address; without it the stack chooses. */
  localHostname?: string;
  /** Milliseconds to wait for an answer, at least 1. Default 5000. */
  timeout?: number;
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal;
  /** Called when a request has been sent. */
  onSent?: (sequence: number) => void;
}

/** Requests that are remembered so that duplicate and late answers are recognised. */
const rememberedRequests = 1024;

/** Events that wait for the program; with so many, no more requests are sent until it has caught up. */
const waitingEvents = 1024;

/** A request that was sent. */
interface Request {
  readonly sequence: number;
  readonly sentAt: number;
  /** Whether an event other than a timeout has been reported. */
  answered: boolean;
  /** Whether any event has been reported. */
  settled: boolean;
}

/**
 * Sends echo requests to `destination` for as long as the result is iterated, on schedule however late the answers
 * come, and ends when each of `count` requests was answered or has timed out.
 *
 * @throws {TypeError} If `destination` is no IP address or an option makes no sense; a `RangeError` for a number out of
 * range.
 */
export function ping(
  echo: Echo,
  timers: Timers,
  destination: string,
  options: PingOptions = {},
  keeper: ProgramKeeper | null = null,
): AsyncGenerator<PingEvent, undefined, undefined> {
  const address = parseHostname(destination);
  const { count = Infinity, interval = 1000, size = 56, timeToLive = 64, timeout = 5000 } = options;
  if (count !== Infinity) checkNumber("a count", count, 1, Number.MAX_SAFE_INTEGER);
  checkDuration("an interval", interval);
  checkDuration("a timeout", timeout);
  checkNumber("a size", size, 0, 65507);
  checkNumber("a TTL", timeToLive, 1, 255);
  const source = options.localHostname === undefined ? null : parseHostname(options.localHostname);
  const pinger = new Pinger(timers, count, interval, timeout, options.onSent);
  const open = () =>
    echo.open(address, pinger, {
      source,
      timeToLive,
      dataBytes: size,
      dontFragment: options.dontFragment ?? false,
      ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
    });
  return pinger.run(open, options.signal, keeper);
}

/** One run of {@linkcode ping}. */
class Pinger {
  readonly #timers: Timers;
  readonly #count: number;
  readonly #interval: number;
  readonly #timeout: number;
  readonly #onSent: ((sequence: number) => void) | undefined;
  readonly #sendTimer: Timer;
  readonly #timeoutTimer: Timer;
  /** By the 16 bits of the sequence number that travel, in the order of sending. */
  readonly #requests = new Map<number, Request>();
  /** Requests that nothing has been reported of, in the order of sending. */
  readonly #unsettled = new Set<Request>();
  #events: PingEvent[] = [];
  #socket: EchoSocket | null = null;
  #sent = 0;
  #nextAt = 0;
  #wake: () => void = () => {};

  constructor(
    timers: Timers,
    count: number,
    interval: number,
    timeout: number,
    onSent: ((sequence: number) => void) | undefined,
  ) {
    this.#timers = timers;
    this.#count = count;
    this.#interval = interval;
    this.#timeout = timeout;
    this.#onSent = onSent;
    this.#sendTimer = timers.create(() => this.#send());
    this.#timeoutTimer = timers.create(() => this.#timeOut());
  }

  async *run(
    open: () => EchoSocket,
    signal: AbortSignal | undefined,
    keeper: ProgramKeeper | null,
  ): AsyncGenerator<PingEvent, undefined, undefined> {
    if (signal?.aborted) throw abortError(signal);
    const onAbort = () => {
      this.#stop();
      this.#wake();
    };
    this.#socket = open();
    signal?.addEventListener("abort", onAbort);
    try {
      this.#nextAt = this.#timers.clock.now();
      this.#send();
      for (;;) {
        const events = this.#events;
        this.#events = [];
        for (const event of events) {
          if (signal?.aborted) break;
          yield event;
        }
        if (signal?.aborted) throw abortError(signal);
        if (this.#events.length > 0) continue;
        if (this.#sent >= this.#count && this.#unsettled.size === 0) return;
        keeper?.acquire();
        await new Promise<void>((resolve) => this.#wake = resolve);
        keeper?.release();
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#stop();
    }
  }

  #stop(): void {
    this.#sendTimer.dispose();
    this.#timeoutTimer.dispose();
    this.#socket?.close();
  }

  /** Called when a reply arrives. */
  replied(reply: EchoReply): void {
    const request = this.#requests.get(reply.sequence);
    if (request === undefined) return;
    this.#report({
      kind: "reply",
      sequence: request.sequence,
      source: reply.source.toString(),
      bytes: reply.bytes,
      timeToLive: reply.timeToLive,
      time: Math.max(0, reply.arrivedAt - request.sentAt),
      duplicate: request.answered,
    }, request);
    request.answered = true;
  }

  /** Called when an error about a request arrives. */
  failed(error: EchoError): void {
    const request = this.#requests.get(error.sequence);
    if (request === undefined) return;
    this.#report({
      kind: "error",
      sequence: request.sequence,
      source: error.source.toString(),
      error: errorText(error),
      time: this.#timers.clock.now() - request.sentAt,
    }, request);
  }

  #send(): void {
    if (this.#events.length < waitingEvents) {
      const now = this.#timers.clock.now();
      const sequence = ++this.#sent;
      const request: Request = { sequence, sentAt: now, answered: false, settled: false };
      this.#remember(request);
      if (!this.#timeoutTimer.running) this.#timeoutTimer.startAt(now + this.#timeout);
      this.#socket!.send(sequence & 0xffff);
      this.#onSent?.(sequence);
    }
    if (this.#sent >= this.#count) return;
    // A missed moment (the program was busy) is made up for by the next one, not by a burst.
    const now = this.#timers.clock.now();
    this.#nextAt += this.#interval * Math.max(1, Math.floor((now - this.#nextAt) / this.#interval));
    this.#sendTimer.startAt(this.#nextAt > now ? this.#nextAt : this.#nextAt + this.#interval);
  }

  #timeOut(): void {
    const now = this.#timers.clock.now();
    for (const request of this.#unsettled) {
      const deadline = request.sentAt + this.#timeout;
      if (deadline > now) {
        this.#timeoutTimer.startAt(deadline);
        return;
      }
      this.#report({ kind: "timeout", sequence: request.sequence }, request);
    }
  }

  #remember(request: Request): void {
    const wire = request.sequence & 0xffff;
    // A key that was there already would keep its old place in the order.
    this.#requests.delete(wire);
    this.#requests.set(wire, request);
    this.#unsettled.add(request);
    if (this.#requests.size <= rememberedRequests) return;
    const [oldest] = this.#requests;
    if (oldest![1].settled) this.#requests.delete(oldest![0]);
  }

  #report(event: PingEvent, request: Request): void {
    request.settled = true;
    this.#unsettled.delete(request);
    this.#events.push(event);
    this.#wake();
  }
}

/** What iputils says of the codes of "destination unreachable" (type 3). */
const unreachableTexts = [
  "Destination Net Unreachable",
  "Destination Host Unreachable",
  "Destination Protocol Unreachable",
  "Destination Port Unreachable",
  "Frag needed and DF set",
  "Source Route Failed",
  "Destination Net Unknown",
  "Destination Host Unknown",
  "Source Host Isolated",
  "Destination Net Prohibited",
  "Destination Host Prohibited",
  "Destination Net Unreachable for Type of Service",
  "Destination Host Unreachable for Type of Service",
  "Packet filtered",
  "Precedence Violation",
  "Precedence Cutoff",
] as const;

const kindTexts: Readonly<Record<ErrorKind, string>> = {
  [ErrorKind.networkUnreachable]: "Destination Net Unreachable",
  [ErrorKind.hostUnreachable]: "Destination Host Unreachable",
  [ErrorKind.protocolUnreachable]: "Destination Protocol Unreachable",
  [ErrorKind.portUnreachable]: "Destination Port Unreachable",
  [ErrorKind.packetTooBig]: "Packet too big",
  [ErrorKind.prohibited]: "Packet filtered",
  [ErrorKind.timeExceeded]: "Time to live exceeded",
  [ErrorKind.parameterProblem]: "Parameter problem",
  [ErrorKind.neighborUnreachable]: "Destination Host Unreachable",
};

function errorText(error: EchoError): string {
  if (error.source.family === 6 || error.type < 0) {
    return error.kind === ErrorKind.packetTooBig ? `Packet too big: mtu=${error.mtu}` : kindTexts[error.kind];
  }
  if (error.type === 11 && error.code === 1) return "Frag reassembly time exceeded";
  const text = error.type === 3 ? unreachableTexts[error.code] : undefined;
  if (error.kind === ErrorKind.packetTooBig) return `${text ?? kindTexts[error.kind]} (mtu = ${error.mtu})`;
  return text ?? kindTexts[error.kind];
}

function checkDuration(name: string, milliseconds: number): void {
  if (!(typeof milliseconds === "number" && milliseconds >= 1)) {
    throw new RangeError(`Cannot use ${milliseconds} as ${name}: it must be at least 1 millisecond`);
  }
}
