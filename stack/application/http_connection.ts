/**
 * How long an HTTP connection may take: for the head of a request, for all of it, and to be idle between two.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { clearTimeout, setTimeout } from "node:timers";
import type { TcpConn } from "../socket/tcp_conn.ts";
import type { Socket } from "./duplex.ts";

/** The limits, each in milliseconds. */
export interface HttpTimeouts {
  /** For the head of a request. */
  readonly headers: number;
  /** For a whole request. */
  readonly request: number;
  /** Between two requests. */
  readonly keepAlive: number;
}

/** One connection of an HTTP server. */
export class HttpConnection {
  /** The peer. */
  readonly remoteAddr: Deno.NetAddr;
  /** The socket on TCP, under TLS where that is used. */
  readonly socket: Socket;

  readonly #timeouts: HttpTimeouts;
  /** What HTTP runs on: the socket itself, or TLS on it. */
  #stream: Duplex | null = null;
  /** Requests that have not been answered yet. */
  #unanswered = 0;
  /** The request whose body has not all come yet: the last one, since one comes after the other. */
  #arriving: IncomingMessage | null = null;
  #closing = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** When the timer expires. */
  #expiry = 0;
  /** What is to be done at the deadline; null for nothing. */
  #act: (() => void) | null = null;
  #deadline = 0;
  #upgraded = false;

  /** A connection whose first request is awaited. */
  constructor(conn: TcpConn, socket: Socket, timeouts: HttpTimeouts) {
    this.remoteAddr = conn.remoteAddr;
    this.socket = socket;
    this.#timeouts = timeouts;
    socket.once("close", () => {
      this.#act = null;
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
    });
  }

  /** HTTP begins. */
  start(stream: Duplex): void {
    this.#stream = stream;
    this.#startTimer(this.#timeouts.headers, () => this.#refuse());
  }

  /** A request has arrived, up to the end of its head. */
  requested(request: IncomingMessage, response: ServerResponse): void {
    this.#unanswered++;
    if (this.#closing) this.#announceClose(response);
    this.#startTimer(this.#timeouts.request, () => this.#refuse());
    this.#arriving = request;
    request.once("end", () => {
      if (this.#arriving !== request) return;
      this.#arriving = null;
      if (this.#unanswered > 0) this.#stopTimer();
    });
    response.once("close", () => {
      this.#unanswered--;
      if (this.#unanswered === 0) this.#idle();
    });
  }

  /** The connection has become another protocol's. */
  upgraded(): void {
    this.#upgraded = true;
    this.#stopTimer();
  }

  /** Closes the connection when what was asked for has been answered. */
  closeSoon(): void {
    this.#closing = true;
    if (this.#unanswered === 0) this.#end();
  }

  #announceClose(response: ServerResponse): void {
    if (!response.headersSent) response.setHeader("Connection", "close");
  }

  #idle(): void {
    if (this.#upgraded || this.socket.destroyed) return;
    if (this.#closing) return this.#end();
    const { keepAlive, headers } = this.#timeouts;
    const { bytesRead } = this.socket;
    this.#startTimer(keepAlive, () => {
      if (this.socket.bytesRead === bytesRead) return this.#end();
      // The next request has begun to arrive.
      this.#startTimer(Math.max(headers - keepAlive, 0), () => this.#refuse());
    });
  }

  /** What was asked for takes too long to arrive. RFC 9110 section 15.5.9: 408 says so. */
  #refuse(): void {
    // A client that has sent nothing would take it for the response to its next request, and one whose requests are
    // being answered for that to an earlier one.
    if (this.socket.bytesRead === 0 || this.#unanswered > 0) return void this.socket.destroy();
    this.#stream?.write("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");
    this.#end();
  }

  #end(): void {
    this.#stopTimer();
    // TLS says good-bye first.
    if (this.#stream !== null && !this.#stream.writableEnded) this.#stream.end();
    this.socket.destroySoon();
  }

  #startTimer(milliseconds: number, act: () => void): void {
    if (this.socket.destroyed) return;
    this.#act = act;
    this.#deadline = performance.now() + milliseconds;
    // What expires too early is put off then: a busy connection makes no timer for each request.
    if (this.#timer === null || this.#deadline < this.#expiry) this.#arm(milliseconds);
  }

  #arm(milliseconds: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#expiry = performance.now() + milliseconds;
    this.#timer = setTimeout(() => this.#expire(), milliseconds);
    this.#timer.unref();
  }

  #expire(): void {
    this.#timer = null;
    const act = this.#act;
    if (act === null) return;
    const remaining = this.#deadline - performance.now();
    // Timers of the platform may be early by a fraction of a millisecond.
    if (remaining > 1) return this.#arm(remaining);
    this.#act = null;
    act();
  }

  #stopTimer(): void {
    this.#act = null;
  }
}
