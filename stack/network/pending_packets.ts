/**
 * The packets that wait for hardware addresses, within bounds.
 *
 * @module
 */

import type { Packet } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import type { Neighbor } from "./neighbor.ts";

/** The queues of all neighbours together. */
export class PendingPackets {
  readonly #mostPackets: number;
  readonly #mostBytes: number;
  readonly #counters: { pendingDropped: number };
  #bytes = 0;

  /** At most `mostPackets` wait for one neighbour, and at most `mostBytes`, of their slots, for all; those beyond that are counted. */
  constructor(mostPackets: number, mostBytes: number, counters: { pendingDropped: number }) {
    this.#mostPackets = mostPackets;
    this.#mostBytes = mostBytes;
    this.#counters = counters;
  }

  /** Lets a packet wait for a neighbour. Consumes the packet. */
  enqueue(packet: Packet, neighbor: Neighbor): Verdict {
    if (neighbor.pending.length >= this.#mostPackets) {
      // RFC 4861 section 7.2.2: the newest packets are worth more than the oldest.
      this.#counters.pendingDropped++;
      this.dequeue(neighbor)?.release();
    }
    if (this.#bytes + packet.bytes.length > this.#mostBytes) {
      this.#counters.pendingDropped++;
      packet.release();
      return Verdict.dropped;
    }
    this.#bytes += packet.bytes.length;
    neighbor.pending.enqueue(packet);
    return Verdict.queued;
  }

  /** Takes the packet that has waited longest for a neighbour, or null. */
  dequeue(neighbor: Neighbor): Packet | null {
    const packet = neighbor.pending.dequeue();
    if (packet !== null) this.#bytes -= packet.bytes.length;
    return packet;
  }

  /** Drops all that waits for a neighbour. */
  drop(neighbor: Neighbor): void {
    for (let packet = this.dequeue(neighbor); packet !== null; packet = this.dequeue(neighbor)) {
      this.#counters.pendingDropped++;
      packet.release();
    }
  }
}
