/**
 * UDP sockets of the kernel, as promises. `Deno.listenDatagram` would need an unstable flag.
 *
 * @module
 */

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";

/** A received datagram and its sender's address. */
export interface ReceivedDatagram {
  bytes: Uint8Array;
  hostname: string;
  port: number;
}

/** A bound UDP socket of the kernel. */
export class KernelSocket implements AsyncDisposable {
  /** The socket itself, for what is not offered here. */
  readonly socket: Socket;
  readonly #received: ReceivedDatagram[] = [];
  readonly #waiting: ((datagram: ReceivedDatagram) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("message", (message: Uint8Array, { address: hostname, port }: RemoteInfo) => {
      const datagram = { bytes: Uint8Array.from(message), hostname, port };
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#received.push(datagram);
      else waiting(datagram);
    });
  }

  /** Binds a socket; port 0 is any. */
  static async bind(hostname: string, port = 0): Promise<KernelSocket> {
    const socket = createSocket("udp4");
    const bound = new KernelSocket(socket);
    socket.bind(port, hostname);
    await once(socket, "listening");
    return bound;
  }

  /** The port that it is bound to. */
  get port(): number {
    return this.socket.address().port;
  }

  /** Sends a datagram. */
  async send(bytes: Uint8Array, hostname: string, port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.socket.send(bytes, port, hostname, (error: Error | null) => error === null ? resolve() : reject(error));
    await promise;
  }

  /** Resolves with the next datagram. */
  async receive(): Promise<ReceivedDatagram> {
    const first = this.#received.shift();
    return first ?? await new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.socket, "close");
    this.socket.close();
    await closed;
  }
}
