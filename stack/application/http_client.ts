/**
 * `fetch` over the stack.
 *
 * @module
 */

import { Agent, fetch as undiciFetch, type UndiciRequestInit } from "./deps/undici.ts";
import { Socket } from "./duplex.ts";
import { failingBody, watchFailure } from "./http_body.ts";
import type { Lookup, TcpNetwork } from "./network.ts";
import { secureClient, type TlsClientOptions } from "./tls_socket.ts";

/** Options of {@linkcode createHttpClient}. */
export interface HttpClientOptions extends TlsClientOptions {
  /** Finds the addresses of hosts. Default: hosts must be addresses. */
  lookup?: Lookup;
  /** Most connections to one server at a time. Default: any number. */
  maxConnections?: number;
  /** Milliseconds in which a connection, with its TLS, must come about. Default 10,000. */
  connectTimeout?: number;
  /** Milliseconds that an idle connection is kept for the next request. Default 4000. */
  keepAliveTimeout?: number;
}

/** A pool of HTTP connections over the stack, as `Deno.createHttpClient` makes one over the system's network. */
export class HttpClient implements AsyncDisposable {
  /**
   * What undici's own functions take.
   *
   * @internal
   */
  readonly dispatcher: Agent;

  /** Made by {@linkcode createHttpClient}. */
  constructor(network: TcpNetwork, options: HttpClientOptions = {}) {
    const { maxConnections = null, keepAliveTimeout = 4000 } = options;
    this.dispatcher = new Agent({
      connect: createConnector(network, options),
      connections: maxConnections,
      keepAliveTimeout,
    });
  }

  /** Closes the connections at once; requests under way fail. */
  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }

  /** As {@linkcode HttpClient.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Makes a pool of connections for {@linkcode fetch}. */
export function createHttpClient(network: TcpNetwork, options: HttpClientOptions = {}): HttpClient {
  return new HttpClient(network, options);
}

/** What undici wants to be connected to. */
export interface ConnectorTarget {
  /** The host. */
  hostname: string;
  /** `http:` or `https:` */
  protocol: string;
  /** The port, or an empty string for the protocol's own. */
  port: string;
  /** The name to ask for with TLS. */
  servername?: string;
}

/** How undici connects. */
export type Connector = (
  target: ConnectorTarget,
  // deno-lint-ignore no-explicit-any -- undici declares sockets of node:net, of which it uses what a Duplex has
  callback: (error: any, socket: any) => void,
) => void;

/**
 * Connects undici to the stack: for an `Agent`, a `Client` or a `Pool` of one's own, as their option `connect`.
 *
 * @example
 * ```ts ignore
 * import { Agent, request } from "undici";
 * import { createConnector } from "@tapstack/tapstack/http";
 *
 * const dispatcher = new Agent({ connect: createConnector(stack) });
 * const { body } = await request("http://192.0.2.1/", { dispatcher });
 * ```
 */
export function createConnector(network: TcpNetwork, options: HttpClientOptions = {}): Connector {
  return (target, callback) => {
    connectTo(network, target, options).then(
      (socket) => callback(null, socket),
      (error) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}

async function connectTo(network: TcpNetwork, target: ConnectorTarget, options: HttpClientOptions) {
  const { lookup, connectTimeout = 10_000 } = options;
  const { hostname, protocol, port, servername } = target;
  const host = hostname.replace(/^\[|\]$/g, "");
  const isSecure = protocol === "https:";
  const deadline = new AbortController();
  const late = () =>
    deadline.abort(new DOMException(`No connection to ${host} in ${connectTimeout} ms`, "TimeoutError"));
  const timer = setTimeout(late, connectTimeout);
  try {
    const socket = new Socket({ network, ...(lookup === undefined ? {} : { lookup }) });
    const connected = new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.setNoDelay();
    socket.connect({ host, port: Number(port || (isSecure ? 443 : 80)), signal: deadline.signal });
    await connected;
    if (!isSecure) return socket;
    const serverName = options.serverName ?? (servername || host);
    return await secureClient(socket, host, { alpnProtocols: ["http/1.1"], ...options, serverName }, deadline.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What {@linkcode fetch} takes beside what the platform's `fetch` does. */
export interface FetchInit extends RequestInit {
  /** The pool of connections to use. Default: one for all requests of the stack. */
  client?: HttpClient;
}

/** The pools of those who brought none. */
const clients = new WeakMap<TcpNetwork, HttpClient>();

/**
 * Fetches over the stack, as the platform's `fetch` does over the system's network: http and https, redirects, bodies
 * that are streamed both ways, compressed bodies, an `AbortSignal`. Names need a client with a `lookup`.
 *
 * @example
 * ```ts ignore
 * import { fetch } from "@tapstack/tapstack/http";
 *
 * const response = await fetch(stack, "http://192.0.2.1/", { signal: AbortSignal.timeout(5000) });
 * console.log(response.status, await response.text());
 * ```
 *
 * @throws {TypeError} If no response can be had; its `cause` says why.
 * @throws {DOMException} If the signal is aborted.
 */
export async function fetch(
  network: TcpNetwork,
  input: string | URL | Request,
  init: FetchInit = {},
): Promise<Response> {
  const { client: given, ...rest } = init;
  let client = given ?? clients.get(network);
  if (client === undefined) clients.set(network, client = createHttpClient(network));
  const request = input instanceof Request ? fromRequest(input) : {};
  const failure = new AbortController();
  const onFailure = (error: Error) =>
    failure.abort(new TypeError("Cannot receive the rest of the body", { cause: error }));
  const dispatcher = watchFailure(client.dispatcher, onFailure);
  const body = rest.body ?? request.body;
  const options = { ...request, ...rest, dispatcher, ...(body instanceof ReadableStream ? { duplex: "half" } : {}) };
  const url = input instanceof Request ? input.url : input;
  const response = await undiciFetch(url, options as unknown as UndiciRequestInit);
  const signal = rest.signal ?? request.signal ?? null;
  return toResponse(response, signal === null ? failure.signal : AbortSignal.any([failure.signal, signal]));
}

/** undici has a class of its own for requests, and takes no other. */
function fromRequest(request: Request): RequestInit {
  const { method, headers, body, redirect, signal, integrity } = request;
  return { method, headers: [...headers], redirect, signal, integrity, ...(body === null ? {} : { body }) };
}

/** undici has a class of its own for responses: others expect the platform's. */
function toResponse(from: Awaited<ReturnType<typeof undiciFetch>>, failure: AbortSignal): Response {
  const { status, statusText, url, redirected, type } = from;
  // Response has no constructor for status codes below 200, which undici never hands out.
  const isEmpty = [101, 204, 205, 304].includes(status) || from.body === null;
  const body = isEmpty ? null : from.body as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
  const response = new Response(body === null ? null : failingBody(body, failure), {
    status,
    statusText,
    headers: [...from.headers],
  });
  for (const [name, value] of Object.entries({ url, redirected, type })) {
    Object.defineProperty(response, name, { value, configurable: true });
  }
  return response;
}
