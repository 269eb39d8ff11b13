/**
 * The echo protocol (RFC 862) over TCP and UDP: whatever comes is sent back.
 *
 * @module
 */

import type { DatagramConn, Logger, Stack, TcpConn, TcpListener } from "../mod.ts";
import { errorLine } from "./cli.ts";

/** Bytes that are read at once. */
const bufferBytes = 65536;

/** Where an echo service listens. */
export interface EchoOptions {
  /** The address; all of the stack's by default. */
  hostname?: string;
  /** The port, of TCP and of UDP. */
  port: number;
}

/** An echo service on a stack: one TCP listener and one UDP socket. */
export class EchoService {
  readonly #logger: Logger;
  readonly #listener: TcpListener;
  readonly #datagrams: DatagramConn;
  readonly #open = new Map<TcpConn, Promise<void>>();
  #closing = false;

  /**
   * Starts to serve.
   *
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  constructor(stack: Stack, options: EchoOptions, logger: Logger) {
    this.#logger = logger;
    const { hostname = "0.0.0.0", port } = options;
    this.#listener = stack.listen({ hostname, port });
    try {
      this.#datagrams = stack.listenDatagram({ transport: "udp", hostname, port });
    } catch (error) {
      this.#listener.close();
      throw error;
    }
  }

  /** Serves until {@linkcode EchoService.close} is called. */
  async run(): Promise<void> {
    await Promise.all([this.#acceptAll(), this.#answerDatagrams()]);
  }

  /** Stops listening, closes all connections, and resets those that are not done after `grace` milliseconds. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    this.#listener.close();
    this.#datagrams.close();
    const all = Promise.all(this.#open.values());
    for (const conn of this.#open.keys()) conn[Symbol.dispose]();
    const timer = setTimeout(() => {
      this.#logger.warn(`Resetting ${this.#open.size} connections that have not closed within ${grace} ms`);
      for (const conn of this.#open.keys()) conn.abort();
    }, grace);
    await all;
    clearTimeout(timer);
  }

  async #acceptAll(): Promise<void> {
    for await (const conn of this.#listener) this.#open.set(conn, this.#serve(conn));
  }

  async #serve(conn: TcpConn): Promise<void> {
    const { hostname, port } = conn.remoteAddr;
    const peer = `${hostname}:${port}`;
    const started = performance.now();
    const total = { bytes: 0 };
    this.#logger.info(`${peer} connected`);
    const result = await this.#echo(conn, total).then(() => "closed", (error) => `failed: ${errorLine(error)},`);
    const seconds = ((performance.now() - started) / 1000).toFixed(3);
    const line = `${peer} ${result} after ${total.bytes} bytes and ${seconds} s`;
    if (result === "closed") this.#logger.info(line);
    else this.#logger.warn(line);
    this.#open.delete(conn);
  }

  /** Sends everything back until the peer has closed its side, then closes ours and waits for the end. */
  async #echo(conn: TcpConn, total: { bytes: number }): Promise<void> {
    const buffer = new Uint8Array(bufferBytes);
    try {
      for (let read = await conn.read(buffer); read !== null; read = await conn.read(buffer)) {
        for (let sent = 0; sent < read;) sent += await conn.write(buffer.subarray(sent, read));
        total.bytes += read;
      }
      conn.close();
    } catch (error) {
      // What was waited for is interrupted when the service closes its connections.
      if (!this.#closing) {
        conn.abort();
        throw error;
      }
    }
    const failure = await conn.closed;
    if (failure !== null) throw failure;
  }

  async #answerDatagrams(): Promise<void> {
    const own = this.#datagrams.addr as Deno.NetAddr;
    for await (const [data, from] of this.#datagrams) {
      const { hostname, port } = from as Deno.NetAddr;
      // Two echo services would send a datagram to and fro for ever.
      if (port === own.port) continue;
      try {
        await this.#datagrams.send(data, from);
        this.#logger.debug(`${hostname}:${port} datagram of ${data.length} bytes`);
      } catch (error) {
        if (!this.#closing) this.#logger.warn(`${hostname}:${port} cannot be answered: ${errorLine(error)}`);
      }
    }
  }
}
