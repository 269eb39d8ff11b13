/**
 * What a socket in Node's form takes and gives.
 *
 * @module
 */

import type { Lookup, TcpNetwork } from "./network.ts";

/** What `toDuplex` takes: a `TcpConn` does, and so does what has its shape. */
export interface DuplexConn {
  /** Our end. */
  readonly localAddr: Deno.NetAddr;
  /** The peer's end. */
  readonly remoteAddr: Deno.NetAddr;
  /** Receives at least one byte; null at the end. */
  read(p: Uint8Array): Promise<number | null>;
  /** Resolves when the connection is over, with the error that ended it or with null. */
  readonly closed?: Promise<Error | null>;
  /** Sends at least one byte. */
  write(p: Uint8Array): Promise<number>;
  /** Ends our side. */
  closeWrite(): Promise<void>;
  /** Closes behind what has been written. */
  close(): void;
  /** Resets the connection. */
  abort(): void;
  /** Switches Nagle's algorithm off or on. */
  setNoDelay(noDelay?: boolean): void;
  /** Switches keep-alive probes on or off. */
  setKeepAlive(keepAlive?: boolean): void;
  /** Changes settings of the connection. */
  configure?(changes: { keepAliveIdle: number }): void;
}

/** Where `Socket.connect` connects to. */
export interface SocketConnectOptions {
  /** A name or an address. Default `127.0.0.1`. */
  host?: string;
  /** The port. */
  port: number;
  /** Our address; without it the stack chooses. */
  localAddress?: string;
  /** Our port; without it the stack chooses. */
  localPort?: number;
  /** Ends the attempt. */
  signal?: AbortSignal;
}

/** What a `Socket` needs to connect by itself. */
export interface SocketOptions {
  /** Through which `connect` connects. */
  network?: TcpNetwork;
  /** Finds the addresses of names. Default: names are refused. */
  lookup?: Lookup;
}

/** An end of a connection in Node's form. */
export interface SocketAddress {
  /** The IP address. */
  address: string;
  /** `IPv4` or `IPv6` */
  family: string;
  /** The port. */
  port: number;
}
