/**
 * The listening ports of a stack.
 *
 * @module
 */

import type { Packet } from "../../packet.ts";
import type { Listener } from "./listener.ts";

/** All listeners, by port; few share one. */
export class Listeners {
  readonly #byPort = new Map<number, Listener[]>();

  /** Adds a listener, whose address and port nobody else has. */
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

  /** The listener for a received packet: one on its very address before one on all. */
  find(packet: Packet, port: number): Listener | null {
    const listeners = this.#byPort.get(port);
    if (listeners === undefined) return null;
    let found: Listener | null = null;
    for (const listener of listeners) {
      const { address } = listener.local;
      if (address.family !== packet.family) continue;
      if (address.matches(packet.view, packet.destinationAt)) return listener;
      if (address.isUnspecified) found = listener;
    }
    return found;
  }

  /** All listeners. */
  values(): Listener[] {
    return [...this.#byPort.values()].flat();
  }
}
