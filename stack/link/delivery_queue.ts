/**
 * Packets that are on their way, in order of the moment at which they arrive.
 *
 * @module
 */

import type { Packet } from "../packet.ts";

/**
 * A binary heap of packets by due time. Packets that are due at the same time come out in the order in which they went
 * in. Nothing is allocated per packet.
 */
export class DeliveryQueue {
  readonly #packets: Packet[] = [];
  readonly #dues: number[] = [];
  readonly #orders: number[] = [];
  #lastOrder = 0;

  /** Packets that are on their way. */
  get length(): number {
    return this.#packets.length;
  }

  /** When the next packet is due, in milliseconds, or Infinity. */
  get nextDue(): number {
    return this.#dues[0] ?? Infinity;
  }

  /** The place of the next packet in the order in which packets went in, counted from 1; 0 when the queue is empty. */
  get nextOrder(): number {
    return this.#orders[0] ?? 0;
  }

  /** Takes a packet in, to come out at `due`, and owns it. */
  enqueue(packet: Packet, due: number): void {
    const order = ++this.#lastOrder;
    let place = this.#packets.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#dues[parent]! <= due) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, packet, due, order);
  }

  /** Removes and returns the packet that is due first, or null. */
  dequeue(): Packet | null {
    const first = this.#packets[0];
    if (first === undefined) return null;
    const packet = this.#packets.pop()!;
    const due = this.#dues.pop()!;
    const order = this.#orders.pop()!;
    const length = this.#packets.length;
    if (length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBefore(child + 1, this.#dues[child]!, this.#orders[child]!)) child++;
      if (!this.#isBefore(child, due, order)) break;
      this.#move(child, place);
      place = child;
    }
    this.#put(place, packet, due, order);
    return first;
  }

  /** Releases all packets. */
  clear(): void {
    for (const packet of this.#packets) packet.release();
    this.#packets.length = 0;
    this.#dues.length = 0;
    this.#orders.length = 0;
  }

  #isBefore(place: number, due: number, order: number): boolean {
    const own = this.#dues[place]!;
    return own < due || (own === due && this.#orders[place]! < order);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#packets[from]!, this.#dues[from]!, this.#orders[from]!);
  }

  #put(place: number, packet: Packet, due: number, order: number): void {
    this.#packets[place] = packet;
    this.#dues[place] = due;
    this.#orders[place] = order;
  }
}
