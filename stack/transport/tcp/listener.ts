/**
 * A listening port: the handshakes under way (the SYN queue) and the connections that wait to be accepted (the accept
 * queue), both bounded.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";
import type { Connection } from "./connection.ts";
import type { TcpCounters } from "./counters.ts";
import type { PendingFastOpens } from "./fast_open.ts";
import { PendingConnection, type PendingConnectionOwner, PendingQueue } from "./pending_connection.ts";
import type { ConnectionSettings, UserListener } from "./user.ts";

/** Handshakes that may be under way at once, at least. */
const smallestSynQueue = 128;

/** A listening port. */
export class Listener implements UserListener, PendingConnectionOwner {
  /** Where it listens. */
  readonly local: Endpoint;
  /** What its connections start with; another object counts for those that begin afterwards. */
  settings: Readonly<ConnectionSettings>;
  /** Its connections that carry data before their handshake is complete; null where none may. */
  fastOpen: PendingFastOpens | null = null;
  /** Called when a connection can be accepted. */
  onAcceptable: (() => void) | null = null;
  /** Called when a connection is over before it was accepted. */
  onEnded: (() => void) | null = null;
  /** Called when it stops listening, by whomever. */
  onClosed: (() => void) | null = null;

  readonly #backlog: number;
  readonly #counters: TcpCounters;
  readonly #onClose: (listener: Listener) => void;
  /** In order of arrival. */
  readonly #synQueue = new PendingQueue();
  /** In order of completion. */
  readonly #acceptQueue = new PendingQueue();
  #closed = false;

  /** Made by TCP; `onClose` gives back what it reserved. */
  constructor(
    local: Endpoint,
    backlog: number,
    settings: Readonly<ConnectionSettings>,
    counters: TcpCounters,
    onClose: (listener: Listener) => void,
  ) {
    this.local = local;
    this.settings = settings;
    this.#backlog = backlog;
    this.#counters = counters;
    this.#onClose = onClose;
  }

  /** Handshakes under way. */
  get handshakes(): number {
    return this.#synQueue.size;
  }

  /** Connections that wait to be accepted. */
  get acceptable(): number {
    return this.#acceptQueue.size;
  }

  /** Whether as many connections wait to be accepted as may. */
  get acceptQueueFull(): boolean {
    return this.#acceptQueue.size >= this.#backlog;
  }

  /** Whether as many handshakes are under way as may. */
  get synQueueFull(): boolean {
    return this.#synQueue.size >= Math.max(smallestSynQueue, this.#backlog);
  }

  /**
   * Makes room for a new handshake by giving up the oldest: an honest client needs one round trip, while those that will
   * never answer pile up.
   */
  giveUpOldest(): void {
    this.#synQueue.first?.connection.finish(null);
  }

  /** A handshake has begun. */
  begin(connection: Connection): void {
    this.#synQueue.append(new PendingConnection(connection, this));
  }

  /** Whether a handshake may be completed now; if not, the peer will try again. */
  admits(): boolean {
    if (!this.acceptQueueFull) return true;
    this.#counters.acceptQueueFull++;
    return false;
  }

  /** A handshake is complete. */
  established(pending: PendingConnection): void {
    if (pending.queue !== this.#acceptQueue) this.#acceptQueue.append(pending);
    this.onAcceptable?.();
  }

  /** The data of a SYN were taken: the connection can be accepted before its handshake is complete (RFC 7413). */
  openFast(connection: Connection): void {
    this.#acceptQueue.append(new PendingConnection(connection, this));
    this.onAcceptable?.();
  }

  /**
   * A connection is over before it was accepted: nobody will see it, unless it received what it has acknowledged. That
   * can still be read, and the failure found behind it.
   */
  ended(pending: PendingConnection): void {
    const { connection, queue } = pending;
    const readable = connection.failure !== null && connection.receivable > 0 && !connection.abandoned;
    if (readable && queue === this.#acceptQueue) return;
    queue?.remove(pending);
    connection.receiver.discard();
    this.onEnded?.();
  }

  /** The connection that has waited longest, or null. */
  accept(): Connection | null {
    const pending = this.#acceptQueue.first;
    if (pending === null) return null;
    this.#acceptQueue.remove(pending);
    const { connection } = pending;
    connection.parent = null;
    connection.context.userCalls++;
    return connection;
  }

  /** Stops listening; connections that nobody accepted are reset. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this);
    this.onClosed?.();
    for (const queue of [this.#synQueue, this.#acceptQueue]) {
      for (let pending = queue.first; pending !== null; pending = queue.first) {
        queue.remove(pending);
        pending.connection.abort();
      }
    }
  }
}
