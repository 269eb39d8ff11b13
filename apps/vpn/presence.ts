/**
 * Noticing that somebody has removed the interface under a running program.
 *
 * @module
 */

import type { TunTapDevice } from "../../mod.ts";

/** Watches a TUN device: its packets' carrier calls {@linkcode Presence.check}. */
export class Presence {
  readonly #device: TunTapDevice;
  readonly #lost = Promise.withResolvers<never>();

  /** Starts to watch. */
  constructor(device: TunTapDevice) {
    this.#device = device;
    // Whoever has ended for another reason does not ask any more.
    this.#lost.promise.catch(() => {});
  }

  /** Rejects when the interface has gone away. */
  get lost(): Promise<never> {
    return this.#lost.promise;
  }

  /** To be called when the device's state has changed. */
  readonly check = (): void => {
    if (this.#device.closed || this.#device.descriptor >= 0) return;
    this.#lost.reject(new Error(`Cannot go on: somebody has removed the interface "${this.#device.name}"`));
  };
}
