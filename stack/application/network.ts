/**
 * What the adaptors need of a stack: `Stack` has it all, and a test may hand in less.
 *
 * @module
 */

import type { DatagramConn } from "../socket/datagram_conn.ts";
import type { TcpConnectOptions, TcpListenOptions, UdpConnectOptions, UdpListenOptions } from "../socket/options.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import type { TcpListener } from "../socket/tcp_listener.ts";

/** Where TCP connections come from. */
export interface TcpNetwork {
  /** Connects to a TCP port. */
  connect(options: TcpConnectOptions): Promise<TcpConn>;
  /** Listens on a TCP port. */
  listen(options: TcpListenOptions): TcpListener;
}

/** Where UDP sockets come from. */
export interface UdpNetwork {
  /** Binds a UDP port for one peer only. */
  connectDatagram(options: UdpConnectOptions): DatagramConn;
  /** Binds a UDP port. */
  listenDatagram(options: UdpListenOptions): DatagramConn;
}

/**
 * Finds the addresses of a host, most wanted first.
 *
 * @throws {Deno.errors.NotFound} If there is no such host.
 */
export type Lookup = (hostname: string, signal?: AbortSignal) => Promise<readonly string[]>;
