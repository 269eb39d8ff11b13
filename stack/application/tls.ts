/**
 * TLS over connections of the stack, in the shape of `Deno.connectTls`, `Deno.listenTls` and `Deno.startTls`. The
 * protocol itself is `node:tls`.
 *
 * @example A client
 * ```ts ignore
 * import { connectTls } from "@tapstack/tapstack/tls";
 *
 * using conn = await connectTls(stack, { hostname: "192.0.2.1", port: 443, serverName: "example.com" });
 * console.log((await conn.handshake()).alpnProtocol, conn.protocol);
 * ```
 *
 * @module
 */

import type { TcpConnectOptions, TcpListenOptions } from "../socket/options.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import { toDuplex } from "./duplex.ts";
import { connectToHost } from "./host_connect.ts";
import type { Lookup, TcpNetwork } from "./network.ts";
import { TlsConn } from "./tls_conn.ts";
import { TlsListener, type TlsListenerOptions } from "./tls_listener.ts";
import { checkCertificate, secureClient, type TlsClientOptions, type TlsServerOptions } from "./tls_socket.ts";

export type { Lookup, TcpNetwork } from "./network.ts";
export { TlsConn, type TlsHandshakeInfo } from "./tls_conn.ts";
export { TlsListener, type TlsListenerOptions } from "./tls_listener.ts";
export type { CertifiedKey, TlsClientOptions, TlsServerOptions } from "./tls_socket.ts";

/** Options of {@linkcode connectTls}. */
export interface ConnectTlsOptions extends TcpConnectOptions, TlsClientOptions {
  /** Finds the addresses of `hostname` where it is a name. Default: names are refused. */
  lookup?: Lookup;
}

/** Options of {@linkcode startTls}. */
export interface StartTlsOptions extends TlsClientOptions {
  /** The host that the certificate must be for. Default: the peer's address. */
  hostname?: string;
  /** Ends the handshake. */
  signal?: AbortSignal;
}

/** Options of {@linkcode listenTls}. */
export interface ListenTlsOptions extends TcpListenOptions, TlsServerOptions, TlsListenerOptions {}

/**
 * Connects, and agrees on TLS. Resolves when the handshake is done.
 *
 * @throws {Deno.errors.InvalidData} If the server's certificate is not trusted, or it speaks no TLS that we do.
 * @throws {Error} What `connect` throws where the connection cannot be had.
 */
export async function connectTls(network: TcpNetwork, options: ConnectTlsOptions): Promise<TlsConn> {
  const conn = await connectToHost(network, options.lookup ?? null, options);
  return await startTls(conn, { hostname: options.hostname ?? "127.0.0.1", ...options });
}

/**
 * Agrees on TLS over a connection, which it takes over. Resolves when the handshake is done.
 *
 * @throws {Deno.errors.InvalidData} If the server's certificate is not trusted, or it speaks no TLS that we do.
 * @throws {Deno.errors.ConnectionReset} If the server ends the connection.
 * @throws {DOMException} If the signal is aborted first.
 */
export async function startTls(conn: TcpConn, options: StartTlsOptions = {}): Promise<TlsConn> {
  const { hostname = conn.remoteAddr.hostname, signal } = options;
  return new TlsConn(await secureClient(toDuplex(conn), hostname, options, signal), conn);
}

/**
 * Listens for connections with TLS. What it accepts has its handshake behind it.
 *
 * @throws {Deno.errors.AddrInUse} If somebody else listens there.
 * @throws {Deno.errors.InvalidData} If the certificate or the key cannot be read, or they make no pair.
 */
export function listenTls(network: TcpNetwork, options: ListenTlsOptions): TlsListener {
  // A certificate that cannot be used is found before a port is taken.
  checkCertificate(options);
  return new TlsListener(network.listen(options), options);
}
