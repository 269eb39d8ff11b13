/**
 * Who waits for a lease.
 *
 * @module
 */

import { abortError } from "../../errors.ts";
import type { DhcpLease } from "./lease.ts";

interface Waiter {
  readonly resolve: (lease: DhcpLease) => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait for a client's lease. */
export class LeaseWaiters {
  readonly #waiters = new Set<Waiter>();

  /**
   * Resolves with `present`, or where that is null with the next lease.
   *
   * @throws {unknown} The signal's reason if it is aborted first, or what {@linkcode LeaseWaiters.reject} is given.
   */
  async wait(present: DhcpLease | null, signal: AbortSignal | undefined): Promise<DhcpLease> {
    if (signal?.aborted) throw abortError(signal);
    if (present !== null) return present;
    const { promise, resolve, reject } = Promise.withResolvers<DhcpLease>();
    const waiter = { resolve, reject };
    const onAbort = () => reject(abortError(signal!));
    this.#waiters.add(waiter);
    signal?.addEventListener("abort", onAbort);
    try {
      return await promise;
    } finally {
      this.#waiters.delete(waiter);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Ends all waits with a lease. */
  resolve(lease: DhcpLease): void {
    for (const { resolve } of this.#waiters) resolve(lease);
  }

  /** Ends all waits with an error. */
  reject(error: unknown): void {
    for (const { reject } of this.#waiters) reject(error);
  }
}
