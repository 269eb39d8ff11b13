/**
 * Connections to a server that have not become tunnels: whoever says nothing must not hold one for ever.
 *
 * @module
 */

import type { Timer, Timers } from "../../stack/timers.ts";

/** What a connection is here: a socket of Node's. */
export interface NewConnection {
  /** The peer's address. */
  readonly remoteAddress?: string | undefined;
  /** The peer's port: with TLS, the sockets outside and inside of it have the same. */
  readonly remotePort?: number | undefined;
  /** Calls back when it has closed. */
  once(event: "close", listener: () => void): unknown;
  /** Closes it at once. */
  destroy(): unknown;
}

/** What newcomers may take. */
export interface NewcomerLimits {
  /** Milliseconds until a connection must have become a tunnel. Default 15,000. */
  readonly patience?: number;
  /** So many at once: with more, the one that waits longest is closed. Default 1024. */
  readonly most?: number;
}

interface Newcomer {
  readonly connection: NewConnection;
  readonly timer: Timer;
}

/** Watches connections until they become tunnels. */
export class Newcomers implements Disposable {
  readonly #timers: Timers;
  readonly #patience: number;
  readonly #most: number;
  readonly #waiting = new Map<string, Newcomer>();
  #closed = 0;

  /** Nobody has come. */
  constructor(timers: Timers, { patience = 15_000, most = 1024 }: NewcomerLimits = {}) {
    this.#timers = timers;
    this.#patience = patience;
    this.#most = most;
  }

  /** Connections that were closed because they had not become tunnels. */
  get closed(): number {
    return this.#closed;
  }

  /** To be called with every connection that comes. */
  readonly watch = (connection: NewConnection): void => {
    const name = nameOf(connection);
    this.#forget(name);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= this.#most && oldest !== undefined) this.#close(oldest);
    const newcomer = { connection, timer: this.#timers.create(() => this.#close(name)) };
    newcomer.timer.start(this.#patience);
    this.#waiting.set(name, newcomer);
    connection.once("close", () => {
      if (this.#waiting.get(name) === newcomer) this.#forget(name);
    });
  };

  /** To be called when a connection has become a tunnel. */
  admit(connection: Pick<NewConnection, "remoteAddress" | "remotePort">): void {
    this.#forget(nameOf(connection));
  }

  /** Stops watching. The connections stay. */
  [Symbol.dispose](): void {
    for (const name of [...this.#waiting.keys()]) this.#forget(name);
  }

  #close(name: string): void {
    const newcomer = this.#waiting.get(name);
    this.#forget(name);
    this.#closed++;
    newcomer?.connection.destroy();
  }

  #forget(name: string): void {
    this.#waiting.get(name)?.timer.dispose();
    this.#waiting.delete(name);
  }
}

function nameOf({ remoteAddress, remotePort }: Pick<NewConnection, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress} ${remotePort}`;
}
