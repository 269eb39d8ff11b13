/**
 * Requests that ask for another protocol on their connection (RFC 9110 section 7.8), until somebody takes them up on it.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** A request that may be upgraded, with the connection that it came on. */
export interface Upgrade {
  /** The request in Node's form. */
  readonly request: IncomingMessage;
  /** The connection. */
  readonly socket: Duplex;
  /** What has been received behind the request. */
  readonly head: Uint8Array;
}

const pending = new WeakMap<IncomingMessage, Upgrade>();

/** Offers a connection to whoever answers the request. */
export function offerUpgrade(upgrade: Upgrade): void {
  pending.set(upgrade.request, upgrade);
}

/** Takes the connection of a request, or null if it was not offered, or has been taken. */
export function takeUpgrade(request: Request): Upgrade | null {
  const { runtime } = request as { runtime?: { node?: { req?: IncomingMessage } } };
  const message = runtime?.node?.req;
  const upgrade = message === undefined ? undefined : pending.get(message);
  if (upgrade === undefined) return null;
  pending.delete(upgrade.request);
  return upgrade;
}

/** Whether a connection that was offered still waits to be taken. */
export function isUpgradePending(request: IncomingMessage): boolean {
  return pending.has(request);
}
