/**
 * WebSocket (RFC 6455) over the stack. The protocol itself is the package ws, whose sockets have the members of the
 * platform's `WebSocket`, and `ping`, `terminate` and events in Node's manner beside them.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { WebSocket as WsSocket, WebSocketServer } from "./deps/ws.ts";
import { Socket } from "./duplex.ts";
import type { Lookup, TcpNetwork } from "./network.ts";
import { secureClient, type TlsClientOptions } from "./tls_socket.ts";
import { takeUpgrade } from "./upgrade.ts";
import type { WebSocket } from "./websocket_types.ts";

export type { WebSocket, WebSocketData, WebSocketEvents, WebSocketListener } from "./websocket_types.ts";
export type { Lookup, TcpNetwork } from "./network.ts";
export type { TlsClientOptions } from "./tls_socket.ts";

/** What both sides of a WebSocket connection choose. */
export interface WebSocketOptions {
  /** Longest message to accept, in bytes: a longer one closes the connection with 1009. Default 100 MiB. */
  maxMessageBytes?: number;
  /** Compresses messages where the other side agrees (RFC 7692). Default false. */
  compression?: boolean;
}

/** Options of {@linkcode connectWebSocket}. */
export interface ConnectWebSocketOptions extends WebSocketOptions, TlsClientOptions {
  /** Subprotocols to offer, most wanted first. */
  protocols?: string[];
  /** Header fields to send with the request. */
  headers?: Record<string, string>;
  /** Finds the addresses of the host. Default: the host must be an address. */
  lookup?: Lookup;
  /** Ends the attempt to connect. */
  signal?: AbortSignal;
}

/** Options of {@linkcode upgradeWebSocket}. */
export interface UpgradeWebSocketOptions extends WebSocketOptions {
  /** The subprotocol to agree to: one of those that the client offers. */
  protocol?: string;
  /** Seconds of silence after which the peer is asked for a sign of life, and after twice as many given up. Default 120; 0 for never. */
  idleTimeout?: number;
}

/** What {@linkcode upgradeWebSocket} returns. */
export interface WebSocketUpgrade {
  /** The socket. Its `open` event comes later: there is time to listen for it. */
  socket: WebSocket;
  /** What the handler has to return. */
  response: Response;
}

const mostMessageBytes = 104_857_600;

/**
 * Connects to a WebSocket server, and resolves with the open socket.
 *
 * @param url `ws://192.0.2.1/path` or `wss://...`
 * @throws {Deno.errors.ConnectionRefused} If nobody listens there; see `connect` for all that can go wrong.
 * @throws {Deno.errors.InvalidData} If the server's certificate is not trusted.
 * @throws {Error} If the server does not want to speak WebSocket; the message tells its status.
 */
export async function connectWebSocket(
  network: TcpNetwork,
  url: string | URL,
  options: ConnectWebSocketOptions = {},
): Promise<WebSocket> {
  const target = new URL(url);
  const isSecure = target.protocol === "wss:" || target.protocol === "https:";
  const host = target.hostname.replace(/^\[|\]$/g, "");
  const connection = await open(network, host, Number(target.port || (isSecure ? 443 : 80)), isSecure, options);
  const { protocols = [], headers = {}, maxMessageBytes = mostMessageBytes, compression = false, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal!.reason);
  const onClose = () => reject(new Error(`Cannot speak WebSocket with ${host}: it closed the connection`));
  // TLS has been agreed on: for ws it is a plain connection.
  target.protocol = "ws:";
  if (target.port === "" && isSecure) target.port = "443";
  const socket = new WsSocket(target, protocols, {
    headers: { host: new URL(url).host, ...headers },
    maxPayload: maxMessageBytes,
    perMessageDeflate: compression,
    // deno-lint-ignore no-explicit-any -- declared for net.Socket, of which it uses what a Duplex has
    createConnection: () => connection as any,
  });
  socket.once("open", resolve).once("close", onClose);
  socket.on("error", reject);
  signal?.addEventListener("abort", onAbort);
  try {
    if (signal?.aborted) onAbort();
    await promise;
    return socket;
  } catch (error) {
    socket.terminate();
    connection.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.off("close", onClose);
  }
}

async function open(
  network: TcpNetwork,
  host: string,
  port: number,
  isSecure: boolean,
  options: ConnectWebSocketOptions,
): Promise<Duplex> {
  const { lookup, signal } = options;
  const socket = new Socket({ network, ...(lookup === undefined ? {} : { lookup }) });
  const connected = new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.setNoDelay().connect({ host, port, ...(signal === undefined ? {} : { signal }) });
  await connected;
  return isSecure ? await secureClient(socket, host, options, signal) : socket;
}

/**
 * Answers a request for WebSocket that a handler of `serve` has been given, in the shape of `Deno.upgradeWebSocket`.
 *
 * @example
 * ```ts ignore
 * import { serve } from "@tapstack/tapstack/http";
 * import { upgradeWebSocket } from "@tapstack/tapstack/websocket";
 *
 * serve(stack, { port: 80 }, (request) => {
 *   if (request.headers.get("upgrade") !== "websocket") return new Response("WebSocket only", { status: 426 });
 *   const { socket, response } = upgradeWebSocket(request);
 *   socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
 *   return response;
 * });
 * ```
 *
 * @throws {TypeError} If the request does not ask for WebSocket, asks in a wrong way (it has been answered then), or has
 * been upgraded before.
 */
export function upgradeWebSocket(request: Request, options: UpgradeWebSocketOptions = {}): WebSocketUpgrade {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new TypeError("Cannot upgrade to WebSocket: the request has no header `Upgrade: websocket`");
  }
  const upgrade = takeUpgrade(request);
  if (upgrade === null) throw new TypeError("Cannot upgrade to WebSocket: the request has been upgraded before");
  const { protocol, maxMessageBytes = mostMessageBytes, compression = false, idleTimeout = 120 } = options;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    perMessageDeflate: compression,
    handleProtocols: (offered) => protocol !== undefined && offered.has(protocol) ? protocol : false,
  });
  let socket: WsSocket | null = null;
  // deno-lint-ignore no-explicit-any -- its declaration wants a Buffer
  server.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head as any, (opened) => socket = opened);
  if (socket === null) {
    throw new TypeError("Cannot upgrade to WebSocket: the request's headers are not as RFC 6455 says");
  }
  // What goes wrong ends the connection, which `close` tells; without a listener it would end the program.
  (socket as WsSocket).on("error", () => {});
  keepWatch(socket, idleTimeout * 1000);
  queueMicrotask(() => socket!.emit("open"));
  return { socket, response: new Response(null) };
}

/** Pings a silent peer, and gives up one that does not answer. */
function keepWatch(socket: WsSocket, idleTimeout: number): void {
  if (idleTimeout === 0) return;
  let heard = true;
  const note = () => heard = true;
  let asked = false;
  const timer = setInterval(() => {
    if (heard) {
      heard = asked = false;
    } else if (asked) {
      socket.terminate();
    } else {
      asked = true;
      socket.ping();
    }
  }, idleTimeout);
  socket.on("message", note).on("ping", note).on("pong", note);
  socket.once("close", () => clearInterval(timer));
}
