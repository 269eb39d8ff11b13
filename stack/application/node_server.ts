/**
 * Feeding the connections of the stack to a server of Node's.
 *
 * @module
 */

import type { EventEmitter } from "node:events";
import type { TcpConn } from "../socket/tcp_conn.ts";
import { type Socket, toDuplex } from "./duplex.ts";

/** What connections come from: a `TcpListener`, for example. */
export interface ConnSource<Conn> extends AsyncIterable<Conn> {
  /** Stops listening. */
  close(): void;
}

/**
 * Hands every connection of a listener to a server made with `createServer` of `node:http` or of a library on top of
 * it, which must not listen by itself, and resolves when the listener has been closed.
 *
 * @example An Express-like server
 * ```ts ignore
 * import { createServer } from "node:http";
 * import { serveConnections } from "@tapstack/tapstack/node";
 *
 * const server = createServer((request, response) => response.end(`you asked for ${request.url}`));
 * await serveConnections(stack.listen({ port: 80 }), server);
 * ```
 */
export async function serveConnections(
  listener: ConnSource<TcpConn>,
  server: EventEmitter,
  onSocket?: (socket: Socket) => void,
): Promise<void> {
  // To a server that has never listened, Deno's node:http gives up every connection after one response.
  Object.defineProperty(server, "listening", { value: true, configurable: true });
  for await (const conn of listener) {
    // What is answered goes out at once, as on every socket of an HTTP server of Node's.
    conn.setNoDelay();
    const socket = toDuplex(conn);
    onSocket?.(socket);
    server.emit("connection", socket);
  }
}
