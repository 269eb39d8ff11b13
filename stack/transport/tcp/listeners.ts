/**
 * The listening ports of a stack. Several listeners may share one: each client is then the same one's, as far as its
 * address and port tell.
 *
 * @module
 */

import type { IpAddress } from "../../address.ts";
import type { Packet } from "../../packet.ts";
import { sourcePort } from "./header.ts";
import type { Listener } from "./listener.ts";

/** All listeners, by port; few share one. */
export class Listeners {
  readonly #byPort = new Map<number, Listener[]>();

  /** Adds a listener. */
  add(listener: Listener): void {
    const { port } = listener.local;
    const others = this.#byPort.get(port);
    if (others === undefined) this.#byPort.set(port, [listener]);
    else others.push(listener);
  }

  /** Removes a listener. */
  remove(listener: Listener): void {
    const { port } = listener.local;
    const left = (this.#byPort.get(port) ?? []).filter((other) => other !== listener);
    if (left.length === 0) this.#byPort.delete(port);
    else this.#byPort.set(port, left);
  }

  /** The listener for a received packet: one on its very address before one on all, and of several one by chance. */
  find(packet: Packet, port: number): Listener | null {
    const listeners = this.#byPort.get(port);
    if (listeners === undefined) return null;
    return this.#choose(listeners, packet, true) ?? this.#choose(listeners, packet, false);
  }

  /** One of those on the packet's very address, or of those on all addresses: always the same one for a client. */
  #choose(listeners: readonly Listener[], packet: Packet, specific: boolean): Listener | null {
    let matching = 0;
    for (const { local } of listeners) if (isFor(local.address, packet, specific)) matching++;
    if (matching === 0) return null;
    let left = matching === 1 ? 0 : clientHash(packet) % matching;
    for (const listener of listeners) {
      if (isFor(listener.local.address, packet, specific) && left-- === 0) return listener;
    }
    return null;
  }

  /** All listeners. */
  values(): Listener[] {
    return [...this.#byPort.values()].flat();
  }
}

/** Whether a listener on `address` is meant by a packet: because of that very address, or because it listens on all. */
function isFor(address: IpAddress, packet: Packet, specific: boolean): boolean {
  if (address.family !== packet.family) return false;
  return specific ? address.matches(packet.view, packet.destinationAt) : address.isUnspecified;
}

/** The same number for all packets of a client's port, and an even spread over ports and addresses (FNV-1a). */
function clientHash({ view, sourceAt, transportAt, family }: Packet): number {
  let hash = 0x811c_9dc5 ^ sourcePort(view, transportAt);
  for (let at = 0; at < (family === 6 ? 16 : 4); at += 4) {
    hash = Math.imul(hash ^ view.getUint32(sourceAt + at), 0x0100_0193);
  }
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x0100_0193) >>> 8;
}
