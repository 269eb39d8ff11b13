/**
 * Connections that nobody owns yet, and the queues in which they wait: for the end of their handshake, and to be accepted.
 *
 * The queues are linked lists and no `Set`s. A set throws its table away whenever it has changed often enough, and the
 * table left behind refers to the next one. Once one such table is old, the garbage collector keeps all connections
 * that have passed through its successors until it next looks at the old generation: that doubled the memory which it had
 * to copy for a listener with thousands of connections a second.
 *
 * @module
 */

import type { Connection, ConnectionParent } from "./connection.ts";

/** Who a connection is passed on to: a listener. */
export interface PendingConnectionOwner {
  /** Whether there is room for a connection whose handshake is about to be complete. */
  admits(): boolean;
  /** The handshake is complete. */
  established(pending: PendingConnection): void;
  /** The connection is over before anybody accepted it. */
  ended(pending: PendingConnection): void;
}

/** A connection that waits in a queue of its listener. */
export class PendingConnection implements ConnectionParent {
  /** The connection. */
  readonly connection: Connection;
  /** Where it waits, or null. Managed by {@linkcode PendingQueue}. */
  queue: PendingQueue | null = null;
  /** The one before it in the queue. Managed by {@linkcode PendingQueue}. */
  previous: PendingConnection | null = null;
  /** The one behind it in the queue. Managed by {@linkcode PendingQueue}. */
  next: PendingConnection | null = null;
  readonly #owner: PendingConnectionOwner;

  /** Becomes the parent of a connection, on behalf of `owner`. */
  constructor(connection: Connection, owner: PendingConnectionOwner) {
    this.connection = connection;
    this.#owner = owner;
    connection.parent = this;
  }

  /** As {@linkcode ConnectionParent.admits}. */
  admits(): boolean {
    return this.#owner.admits();
  }

  /** As {@linkcode ConnectionParent.established}. */
  established(): void {
    this.#owner.established(this);
  }

  /** As {@linkcode ConnectionParent.ended}. */
  ended(): void {
    this.#owner.ended(this);
  }
}

/** Connections in the order in which they came. Any of them may leave, in the same time. */
export class PendingQueue {
  #first: PendingConnection | null = null;
  #last: PendingConnection | null = null;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The one that has waited longest, or null. */
  get first(): PendingConnection | null {
    return this.#first;
  }

  /** Appends one, which leaves the queue where it has been until now. */
  append(pending: PendingConnection): void {
    pending.queue?.remove(pending);
    pending.queue = this;
    pending.previous = this.#last;
    if (this.#last === null) this.#first = pending;
    else this.#last.next = pending;
    this.#last = pending;
    this.#size++;
  }

  /** Takes one out, if it is here. */
  remove(pending: PendingConnection): void {
    if (pending.queue !== this) return;
    const { previous, next } = pending;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    pending.queue = pending.previous = pending.next = null;
    this.#size--;
  }
}
