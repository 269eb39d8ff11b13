/**
 * The network protocols of a stack, by family.
 *
 * @module
 */

import type { Family } from "../address.ts";
import type { NetworkProtocol, Networks } from "./path.ts";

/** A table of at most one protocol for each family. */
export class NetworkTable implements Networks {
  readonly #ipv4: NetworkProtocol | null;
  readonly #ipv6: NetworkProtocol | null;

  /** Takes the protocols that the stack has. */
  constructor(...networks: readonly NetworkProtocol[]) {
    this.#ipv4 = networks.find(({ family }) => family === 4) ?? null;
    this.#ipv6 = networks.find(({ family }) => family === 6) ?? null;
  }

  /** The protocol of a family, or null where the stack does not have it. */
  of(family: Family): NetworkProtocol | null {
    return family === 4 ? this.#ipv4 : this.#ipv6;
  }
}
