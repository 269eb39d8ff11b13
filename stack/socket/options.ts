/**
 * What the socket API is asked for: the shapes of the options, and their validation.
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import type { ConnectionSettings } from "../transport/tcp/user.ts";
import type { Endpoint } from "../transport/endpoint.ts";
import type { FastOpenListenOptions } from "../transport/tcp/fast_open.ts";

/** Options of `connect`: those of `Deno.connect`, and more. */
export interface TcpConnectOptions {
  /** The port to connect to, 1 to 65535. */
  port: number;
  /** An IP address, or `localhost`. Default `127.0.0.1`. */
  hostname?: string;
  /** `tcp` */
  transport?: "tcp";
  /** Ends the attempt to connect. Has no effect on the connection once there is one. */
  signal?: AbortSignal;
  /** Our address; without it the stack chooses. */
  localHostname?: string;
  /** Our port; without it the stack chooses. */
  localPort?: number;
  /** Send small segments at once. Default false. */
  noDelay?: boolean;
  /** Probe an idle peer. Default false. */
  keepAlive?: boolean;
  /**
   * TCP Fast Open (RFC 7413): where a cookie of the server is known from an earlier connection, `connect` resolves at
   * once, and what is first written goes out with the SYN, a round trip earlier; the handshake then fails or succeeds
   * behind it. Otherwise the handshake goes as usual and asks for a cookie. The server may see the first data twice:
   * only for requests that may be repeated. Default false.
   */
  fastOpen?: boolean;
  /** More settings of the connection: buffers, times, segments, congestion control, TTL and many more. */
  settings?: Partial<ConnectionSettings>;
}

/** Options of `listen`: those of `Deno.listen`, and more. */
export interface TcpListenOptions {
  /** The port to listen on; 0, the default, lets the stack choose. */
  port?: number;
  /** An own IP address, or `localhost`. Default `0.0.0.0`: all IPv4 addresses. */
  hostname?: string;
  /** `tcp` */
  transport?: "tcp";
  /** Most connections that wait to be accepted. Default 512. */
  backlog?: number;
  /** Deno's name of `backlog`. */
  tcpBacklog?: number;
  /**
   * TCP Fast Open (RFC 7413): clients that have a cookie of ours may send data with their SYN, and are accepted before
   * their handshake is complete. Such data may arrive twice: only for services that can live with repeated requests.
   * Default false.
   */
  fastOpen?: boolean | FastOpenListenOptions;
  /** Share the port with other listeners that do so too: each gets a part of the clients. Default false. */
  reusePort?: boolean;
  /** Settings of the accepted connections. */
  settings?: Partial<ConnectionSettings>;
}

/** Options of datagram sockets of both kinds. */
export interface UdpSocketOptions {
  /** Share the port with other sockets that do so too. Default false. */
  reuseAddress?: boolean;
  /** Allow sending to broadcast addresses. Default false. */
  broadcast?: boolean;
  /** TTL or hop limit of unicast datagrams, 1 to 255. Default 64. */
  timeToLive?: number;
  /** Type of service or traffic class, 0 to 255. Default 0. */
  trafficClass?: number;
  /** TTL or hop limit of multicast datagrams, 0 to 255. Default 1. */
  multicastTimeToLive?: number;
  /** Hand multicast datagrams to our own sockets that have joined the group as well. Default false. */
  loopback?: boolean;
  /** Forbid routers, and the stack, to fragment. Default false. */
  dontFragment?: boolean;
  /** Most bytes that wait to be received, with 24 bytes for each datagram. Default 262,144. */
  receiveBufferBytes?: number;
}

/** Options of `listenDatagram`: those of `Deno.listenDatagram`, and more. */
export interface UdpListenOptions extends UdpSocketOptions {
  /** `udp` */
  transport?: "udp";
  /** The port to bind; 0, the default, lets the stack choose. */
  port?: number;
  /** An own IP address, `localhost`, or a multicast group. Default `0.0.0.0`: all IPv4 addresses. */
  hostname?: string;
}

/** Options of `connectDatagram`. */
export interface UdpConnectOptions extends UdpSocketOptions {
  /** `udp` */
  transport?: "udp";
  /** The peer's port, 1 to 65535. */
  port: number;
  /** The peer: an IP address, or `localhost`. Default `127.0.0.1`. */
  hostname?: string;
  /** Our address; without it the stack chooses. */
  localHostname?: string;
  /** Our port; without it the stack chooses. */
  localPort?: number;
}

/**
 * The address that a `hostname` stands for. Names other than `localhost` are not looked up.
 *
 * @throws {TypeError} If it is no IP address.
 */
export function parseHostname(hostname: string): IpAddress {
  if (hostname === "localhost") return IpAddress.loopback4;
  const bracketed = typeof hostname === "string" && hostname.startsWith("[") && hostname.endsWith("]");
  const address = typeof hostname === "string"
    ? IpAddress.tryParse(bracketed ? hostname.slice(1, -1) : hostname)
    : null;
  if (address === null || (bracketed && address.family === 4)) {
    throw new TypeError(`Cannot use "${hostname}" as a hostname: give an IP address, or resolve the name first`);
  }
  return address;
}

/**
 * Checks a port number.
 *
 * @throws {TypeError} If it is no whole number.
 * @throws {RangeError} If it is not from `least` to 65535.
 */
export function checkPort(port: number, least: 0 | 1): number {
  if (!Number.isInteger(port)) {
    throw new TypeError(`Cannot use ${describe(port)} as a port: it must be a whole number from ${least} to 65535`);
  }
  if (port < least || port > 65535) {
    throw new RangeError(`Cannot use ${port} as a port: it must be a whole number from ${least} to 65535`);
  }
  return port;
}

/**
 * Checks an optional whole number.
 *
 * @throws {TypeError} If it is neither undefined nor a whole number.
 * @throws {RangeError} If it is not from `least` to `most`.
 */
export function checkNumber(name: string, value: number, least: number, most: number): number {
  const range = `it must be a whole number from ${least} to ${most}`;
  if (!Number.isInteger(value)) throw new TypeError(`Cannot use ${describe(value)} as ${name}: ${range}`);
  if (value < least || value > most) throw new RangeError(`Cannot use ${value} as ${name}: ${range}`);
  return value;
}

/**
 * Checks the transport of some options.
 *
 * @throws {TypeError} If it is another one.
 */
export function checkTransport(transport: string | undefined, expected: "tcp" | "udp"): void {
  if (transport !== undefined && transport !== expected) {
    throw new TypeError(`Cannot use the transport "${transport}" here: it must be "${expected}"`);
  }
}

/**
 * The endpoint to send to or to connect to. The unspecified address stands for this host, as it does elsewhere.
 *
 * @throws {TypeError} If the hostname is no IP address or the port no whole number.
 * @throws {RangeError} If the port is not from 1 to 65535.
 */
export function remoteEndpoint(hostname: string | undefined, port: number): Endpoint {
  const address = parseHostname(hostname ?? "127.0.0.1");
  checkPort(port, 1);
  if (!address.isUnspecified) return { address, port };
  return { address: address.family === 4 ? IpAddress.loopback4 : IpAddress.loopback6, port };
}

/**
 * The endpoint to listen on.
 *
 * @throws {TypeError} If the hostname is no IP address or the port no whole number.
 * @throws {RangeError} If the port is not from 0 to 65535.
 */
export function localEndpoint(hostname: string | undefined, port: number | undefined): Endpoint {
  return { address: parseHostname(hostname ?? "0.0.0.0"), port: checkPort(port ?? 0, 0) };
}

/** An endpoint in Deno's form. */
export function toNetAddr(transport: "tcp" | "udp", endpoint: Endpoint): Deno.NetAddr {
  return { transport, hostname: endpoint.address.toString(), port: endpoint.port };
}

function describe(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}
