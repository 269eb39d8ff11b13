/**
 * The stack with everything on board: {@linkcode Stack} with `serve`, `fetch`, `resolveDns`, `connectTls`, `listenTls`
 * and `connectWebSocket` as methods, and with names wherever a host is wanted.
 *
 * It is an entry of its own because these methods need packages: whoever wants TCP/IP only imports `mod.ts`, whose
 * module graph has none. The functions behind the methods are those of the entries `http`, `tls`, `dns` and
 * `websocket`, and work with either class.
 *
 * @example
 * ```ts ignore
 * import { openTap } from "@tapstack/tapstack";
 * import { Stack } from "@tapstack/tapstack/full";
 *
 * await using stack = new Stack({ dns: { nameServers: [{ ipAddr: "192.0.2.1" }] } });
 * stack.attach(openTap({ hostAddresses: ["192.0.2.1/24"] }), { addresses: ["192.0.2.2/24"] });
 * stack.serve({ port: 80 }, () => new Response("hello"));
 * console.log(await (await stack.fetch("https://example.com/")).text());
 * ```
 *
 * @module
 */

import type { TcpConnectOptions } from "../socket/options.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import { Stack as TcpIpStack } from "../stack.ts";
import type { StackOptions as TcpIpOptions } from "../stack_options.ts";
import { DnsResolver, type DnsResolverOptions, resolveDns, type ResolveDnsOptions } from "./dns_resolver.ts";
import type { DnsRecordType, DnsRecordTypes } from "./dns_records.ts";
import { connectToHost } from "./host_connect.ts";
import { Hosts } from "./hosts.ts";
import { createHttpClient, fetch, type FetchInit, type HttpClient, type HttpClientOptions } from "./http_client.ts";
import { type HttpServer, serve, type ServeHandler, type ServeOptions } from "./http_server.ts";
import { connectTls, type ConnectTlsOptions, listenTls, type ListenTlsOptions } from "./tls.ts";
import type { TlsConn } from "./tls_conn.ts";
import type { TlsListener } from "./tls_listener.ts";
import { connectWebSocket, type ConnectWebSocketOptions } from "./websocket.ts";
import type { WebSocket } from "./websocket_types.ts";

/** Options of {@linkcode Stack}. */
export interface StackOptions extends TcpIpOptions {
  /** Who is asked for names. Without it, only `localhost` has an address. */
  dns?: DnsResolverOptions;
}

/** A TCP/IP stack with HTTP, TLS, WebSocket and DNS. */
export class Stack extends TcpIpStack {
  /** Resolves names for all the others, and remembers the answers. */
  readonly resolver: DnsResolver;

  readonly #hosts: Hosts;
  #client: HttpClient | null = null;

  /** Wires the stack, and starts its event loop unless told otherwise. */
  constructor(options: StackOptions = {}) {
    super(options);
    const { nameServers = [], hosts = new Hosts(), ...rest } = options.dns ?? {};
    this.#hosts = hosts;
    this.resolver = new DnsResolver(this, { ...rest, nameServers, hosts });
  }

  /**
   * Connects to a TCP port of a host, given by its name or its address.
   *
   * @throws {Deno.errors.NotFound} If there is no such host.
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there; see `connectTcp` for all that can go wrong.
   */
  override connect(options: TcpConnectOptions): Promise<TcpConn> {
    return connectToHost({ connect: (address) => super.connect(address) }, this.resolver.lookup, options);
  }

  /** Serves HTTP, as `Deno.serve` does. */
  serve(handler: ServeHandler): HttpServer;
  /** Serves HTTP with options. */
  serve(options: ServeOptions, handler: ServeHandler): HttpServer;
  /** Serves HTTP with the handler among the options. */
  serve(options: ServeOptions & { handler: ServeHandler }): HttpServer;
  serve(first: ServeHandler | ServeOptions & { handler?: ServeHandler }, second?: ServeHandler): HttpServer {
    if (typeof first === "function") return serve(this, first);
    return serve(this, first, second ?? first.handler!);
  }

  /** Fetches over this stack, as the platform's `fetch` does over the system's network. */
  async fetch(input: string | URL | Request, init: FetchInit = {}): Promise<Response> {
    this.#client ??= this.createHttpClient();
    return await fetch(this, input, { client: this.#client, ...init });
  }

  /** Makes a pool of HTTP connections with settings of its own, for `fetch`'s option `client`. */
  createHttpClient(options: HttpClientOptions = {}): HttpClient {
    return createHttpClient(this, options);
  }

  /** Connects with TLS, as `Deno.connectTls` does. */
  async connectTls(options: ConnectTlsOptions): Promise<TlsConn> {
    return await connectTls(this, options);
  }

  /** Listens with TLS, as `Deno.listenTls` does. */
  listenTls(options: ListenTlsOptions): TlsListener {
    return listenTls(this, options);
  }

  /** Connects to a WebSocket server. */
  async connectWebSocket(url: string | URL, options: ConnectWebSocketOptions = {}): Promise<WebSocket> {
    return await connectWebSocket(this, url, options);
  }

  /**
   * Finds the records of a name, as `Deno.resolveDns` does. Asks the servers that the stack was given, and remembers
   * their answers, unless `options` name others.
   *
   * @throws {Deno.errors.NotFound} If there are none.
   */
  async resolveDns<Type extends DnsRecordType = "A">(
    name: string,
    type: Type,
    options: ResolveDnsOptions = {},
  ): Promise<DnsRecordTypes[Type][]> {
    const { nameServer, nameServers, signal } = options;
    if (nameServer === undefined && nameServers === undefined) return await this.resolver.resolve(name, type, signal);
    return await resolveDns(this, name, type, { hosts: this.#hosts, ...options });
  }

  /** As the stack below; idle HTTP connections end first. */
  override async close(): Promise<void> {
    await this.#client?.close();
    await super.close();
  }
}
