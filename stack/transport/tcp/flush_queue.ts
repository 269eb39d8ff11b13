/**
 * The connections that have something to send or to acknowledge at the end of a batch.
 *
 * @module
 */

/** A connection, as far as it waits to be flushed. */
export interface FlushableConnection {
  /** Whether it is in the queue. Managed by the queue. */
  flushQueued: boolean;
  /** Sends what is due. It may queue itself again. */
  flush(): void;
}

/** A queue in which each connection stands once. Its two arrays take turns, so that no batch makes one. */
export class FlushQueue {
  #waiting: FlushableConnection[] = [];
  #spare: FlushableConnection[] = [];
  readonly #wake: () => void;

  /** Calls `wake` when the queue is no longer empty. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Adds a connection unless it is there already. */
  add(connection: FlushableConnection): void {
    if (connection.flushQueued) return;
    connection.flushQueued = true;
    if (this.#waiting.push(connection) === 1) this.#wake();
  }

  /**
   * Flushes all connections once; with `untilEmpty` again for as long as that adds any. All segments of a batch have
   * been processed by then, and are acknowledged together (RFC 9293 section 3.10.7.4).
   */
  run(untilEmpty: boolean): void {
    do {
      const queue = this.#waiting;
      this.#waiting = this.#spare;
      this.#spare = queue;
      for (let index = 0; index < queue.length; index++) {
        const connection = queue[index]!;
        connection.flushQueued = false;
        connection.flush();
      }
      queue.length = 0;
    } while (untilEmpty && this.#waiting.length > 0);
  }
}
