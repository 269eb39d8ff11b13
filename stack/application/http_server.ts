/**
 * An HTTP server in the shape of `Deno.serve`.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { TcpListenOptions } from "../socket/options.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import type { TcpListener } from "../socket/tcp_listener.ts";
import { NodeRequest } from "./deps/srvx.ts";
import { type Socket, toDuplex } from "./duplex.ts";
import { HttpConnection, type HttpTimeouts } from "./http_connection.ts";
import { sendResponse } from "./http_response.ts";
import type { TcpNetwork } from "./network.ts";
import type { NodeError } from "./node_error.ts";
import { checkCertificate, secureServer, type TlsServerOptions } from "./tls_socket.ts";
import { isUpgradePending, offerUpgrade } from "./upgrade.ts";

/** What a handler is told beside the request. */
export interface ServeHandlerInfo {
  /** The peer. */
  remoteAddr: Deno.NetAddr;
  /** Resolves when the response has been sent; rejects when it could not be. */
  completed: Promise<void>;
}

/** Answers a request. */
export type ServeHandler = (request: Request, info: ServeHandlerInfo) => Response | Promise<Response>;

/** Options of {@linkcode serve}: those of `Deno.serve`, and limits. */
export interface ServeOptions extends TcpListenOptions {
  /** The port. Default 8000, or 8443 with TLS; 0 lets the stack choose. */
  port?: number;
  /** Stops the server at once when it is aborted. */
  signal?: AbortSignal;
  /** Is told where the server listens. */
  onListen?: (addr: Deno.NetAddr) => void;
  /** The response to an error of the handler. Default: 500, and the error is printed. */
  onError?: (error: unknown) => Response | Promise<Response>;
  /** Is told of connections on which TLS could not be agreed on. */
  onHandshakeError?: (error: Error, peer: Deno.NetAddr) => void;
  /** Serves HTTPS with this certificate. */
  tls?: TlsServerOptions;
  /** Most bytes of a request's head: 431 answers a longer one. Default 16,384. */
  maxHeaderBytes?: number;
  /** Most bytes of a request's body: 413 answers a longer one. Default: any number. */
  maxBodyBytes?: number;
  /** Most connections at a time; others wait to be accepted. Default 10,000. */
  maxConnections?: number;
  /** Milliseconds for a request's head to arrive. Default 60,000. */
  headersTimeout?: number;
  /** Milliseconds for a whole request to arrive. Default 300,000. */
  requestTimeout?: number;
  /** Milliseconds that an idle connection is kept for the next request. Default 5000. */
  keepAliveTimeout?: number;
}

/** A running HTTP server; made by {@linkcode serve}. */
export class HttpServer implements AsyncDisposable {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;
  /** Resolves when the server has ended and its connections are closed. */
  readonly finished: Promise<void>;

  readonly #handler: ServeHandler;
  readonly #options: ServeOptions;
  readonly #timeouts: HttpTimeouts;
  readonly #listener: TcpListener;
  readonly #server: Server;
  readonly #connections = new Set<HttpConnection>();
  readonly #byStream = new WeakMap<Duplex, HttpConnection>();
  #closing = false;
  /** Somebody waits for a connection to end. */
  #onEnd: (() => void) | null = null;

  /** Takes over a listening port. */
  constructor(listener: TcpListener, options: ServeOptions, handler: ServeHandler) {
    const { headersTimeout = 60_000, requestTimeout = 300_000, keepAliveTimeout = 5000 } = options;
    this.#handler = handler;
    this.#options = options;
    this.#timeouts = { headers: headersTimeout, request: requestTimeout, keepAlive: keepAliveTimeout };
    this.#listener = listener;
    this.addr = listener.addr;
    this.#server = this.#createServer();
    this.finished = this.#run();
    const { signal } = options;
    if (signal?.aborted) this.abort();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.finished.finally(() => signal?.removeEventListener("abort", this.#onAbort));
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Stops listening, lets the requests that are being answered finish, and resolves when they have. */
  async shutdown(): Promise<void> {
    this.#closing = true;
    this.#listener[Symbol.dispose]();
    for (const connection of this.#connections) connection.closeSoon();
    await this.finished;
  }

  /** Stops at once: whatever is under way is reset. */
  abort(): void {
    this.#closing = true;
    this.#listener[Symbol.dispose]();
    for (const { socket } of this.#connections) socket.resetAndDestroy();
  }

  /** As {@linkcode HttpServer.shutdown}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Does nothing: what keeps a program running is its stack. */
  ref(): void {}

  /** Does nothing: what keeps a program running is its stack. */
  unref(): void {}

  readonly #onAbort = () => this.abort();

  #createServer(): Server {
    const { maxHeaderBytes: maxHeaderSize = 16384 } = this.#options;
    // Time is kept here: Node's server does so for connections that it has accepted itself.
    const server = createServer({ maxHeaderSize, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
    // To a server that has never listened, Deno's node:http gives up every connection after one response.
    Object.defineProperty(server, "listening", { value: true });
    // RFC 9112 section 9.6: whoever has asked may end its side; that it has closed both shows when the response is sent.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on("request", (request, response) => this.#answer(request, response));
    server.on("clientError", (error: NodeError, socket) => refuse(error, socket));
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    return server;
  }

  async #run(): Promise<void> {
    const { maxConnections = 10_000 } = this.#options;
    for await (const conn of this.#listener) {
      this.#take(conn);
      while (!this.#closing && this.#connections.size >= maxConnections) await this.#connectionEnd();
    }
    this.#closing = true;
    while (this.#connections.size > 0) await this.#connectionEnd();
  }

  #connectionEnd(): Promise<void> {
    return new Promise((resolve) => this.#onEnd = resolve);
  }

  async #take(conn: TcpConn): Promise<void> {
    // What is answered goes out at once, as on every socket of an HTTP server of Node's.
    conn.setNoDelay();
    const socket = toDuplex(conn);
    const connection = new HttpConnection(conn, socket, this.#timeouts);
    this.#connections.add(connection);
    // A connection that breaks is over: its requests are told by their own signals.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#connections.delete(connection);
      this.#onEnd?.();
    });
    const { tls } = this.#options;
    try {
      const stream = tls === undefined ? socket : await secureServer(socket, tls);
      stream.on("error", () => {});
      this.#byStream.set(stream, connection);
      connection.start(stream);
      this.#server.emit("connection", stream);
    } catch (error) {
      this.#options.onHandshakeError?.(error as Error, conn.remoteAddr);
    }
  }

  /** A request for another protocol. Whoever answers it may take the connection; otherwise it is a request as any. */
  #upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    // deno-lint-ignore no-explicit-any -- declared for net.Socket, of which it uses what a Duplex has
    response.assignSocket(socket as any);
    // Nobody reads from it any more, so it would not see the peer's end.
    response.once("finish", () => (socket as Socket).destroySoon());
    offerUpgrade({ request, socket, head });
    this.#answer(request, response);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#byStream.get(request.socket)!;
    connection.requested(request, response);
    const { promise: completed, resolve, reject } = Promise.withResolvers<void>();
    completed.catch(() => {});
    response.once("close", () => {
      if (response.writableFinished) resolve();
      else reject(new Error("Cannot send the response: the connection ended"));
    });
    const offered = isUpgradePending(request);
    const answer = await this.#respond(request, response, { remoteAddr: connection.remoteAddr, completed });
    if (offered && !isUpgradePending(request)) {
      connection.upgraded();
      // deno-lint-ignore no-explicit-any -- as above
      return response.detachSocket(request.socket as any);
    }
    if (this.#closing) response.shouldKeepAlive = false;
    try {
      await sendResponse(response, answer);
    } catch (error) {
      // The body failed before its first byte: there is time to say so.
      await sendResponse(response, await this.#handleError(error)).catch(() => response.destroy());
    }
  }

  async #respond(request: IncomingMessage, response: ServerResponse, info: ServeHandlerInfo): Promise<Response> {
    const { maxBodyBytes } = this.#options;
    try {
      const webRequest = new NodeRequest({
        req: request,
        res: response,
        ...(maxBodyBytes === undefined ? {} : { maxRequestBodySize: maxBodyBytes }),
      });
      if (Number(request.headers["content-length"] ?? 0) > (maxBodyBytes ?? Infinity)) return tooLarge();
      return await this.#handler(webRequest, info);
    } catch (error) {
      if ((error as { status?: number } | null)?.status === 413) return tooLarge();
      return await this.#handleError(error);
    }
  }

  async #handleError(error: unknown): Promise<Response> {
    const { onError } = this.#options;
    try {
      if (onError !== undefined) return await onError(error);
      console.error(error);
    } catch (another) {
      console.error(another);
    }
    return new Response("Internal Server Error", { status: 500 });
  }
}

/** Answers what is no request of HTTP. */
function refuse({ code = "" }: NodeError, socket: Duplex): void {
  if (!code.startsWith("HPE_") || !socket.writable) return void socket.destroy();
  const status = code === "HPE_HEADER_OVERFLOW" ? 431 : 400;
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
}

function tooLarge(): Response {
  return new Response("Content Too Large", { status: 413, headers: { connection: "close" } });
}

/**
 * Serves HTTP on the stack, as `Deno.serve` does on the system's network: HTTP/1.0 and 1.1 with keep-alive, pipelining
 * and bodies that are streamed both ways, and WebSocket by `upgradeWebSocket`.
 *
 * @example
 * ```ts ignore
 * import { serve } from "@tapstack/tapstack/http";
 *
 * const server = serve(stack, { port: 80 }, (request) => new Response(`You asked for ${request.url}`));
 * await server.finished;
 * ```
 *
 * @throws {Deno.errors.AddrInUse} If somebody else listens there.
 * @throws {Deno.errors.InvalidData} If the certificate or the key cannot be read, or they make no pair.
 */
export function serve(network: TcpNetwork, handler: ServeHandler): HttpServer;
/** As above, with options. */
export function serve(network: TcpNetwork, options: ServeOptions, handler: ServeHandler): HttpServer;
/** As above, with the handler among the options. */
export function serve(network: TcpNetwork, options: ServeOptions & { handler: ServeHandler }): HttpServer;
export function serve(
  network: TcpNetwork,
  first: ServeHandler | ServeOptions & { handler?: ServeHandler },
  second?: ServeHandler,
): HttpServer {
  const options = typeof first === "function" ? {} : first;
  const handler = typeof first === "function" ? first : second ?? first.handler;
  if (typeof handler !== "function") throw new TypeError("Cannot serve HTTP: give a handler");
  if (options.signal?.aborted) throw options.signal.reason;
  const { tls, port = tls === undefined ? 8000 : 8443 } = options;
  // A certificate that cannot be used is found before the port is taken.
  if (tls !== undefined) checkCertificate(tls);
  const server = new HttpServer(network.listen({ ...options, port }), options, handler);
  options.onListen?.(server.addr);
  return server;
}
