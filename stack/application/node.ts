/**
 * Connections of the stack for Node's libraries: as a `Duplex` with the members of `net.Socket`, and as what a server
 * made with `createServer` is fed with.
 *
 * @example A PostgreSQL client over the stack
 * ```ts ignore
 * import { Client } from "pg";
 * import { Socket } from "@tapstack/tapstack/node";
 *
 * const client = new Client({ host: "192.0.2.1", stream: () => new Socket({ network: stack }) });
 * await client.connect();
 * ```
 *
 * @module
 */

export { Socket, toDuplex } from "./duplex.ts";
export type { Lookup, TcpNetwork } from "./network.ts";
export type { NodeError } from "./node_error.ts";
export { type ConnSource, serveConnections } from "./node_server.ts";
export type { DuplexConn, SocketAddress, SocketConnectOptions, SocketOptions } from "./socket_types.ts";
