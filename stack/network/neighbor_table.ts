/**
 * The neighbours of a stack by interface and address, found without making an address.
 *
 * @module
 */

import type { Family, IpAddress } from "../address.ts";
import type { Nic } from "../link/nic.ts";
import { type Neighbor, NeighborState } from "./neighbor.ts";

/** A hash table of neighbours. */
export class NeighborTable {
  /** Permanent neighbours that it holds. */
  permanent: number = 0;
  readonly #all = new Set<Neighbor>();
  readonly #buckets = new Map<number, Neighbor>();
  readonly #key: number;

  /** An empty table; the key makes collisions unpredictable. */
  constructor(key: number) {
    this.#key = key;
  }

  /** Neighbours that it holds. */
  get size(): number {
    return this.#all.size;
  }

  /** Iterates over them in the order in which they were added. */
  values(): Iterable<Neighbor> {
    return this.#all;
  }

  /** The neighbour with this address, or null. */
  find(nic: Nic, address: IpAddress): Neighbor | null {
    let neighbor = this.#buckets.get(this.#hash(nic, address.words)) ?? null;
    while (neighbor !== null && !(neighbor.nic === nic && neighbor.address.equals(address))) {
      neighbor = neighbor.nextInBucket;
    }
    return neighbor;
  }

  /** The neighbour whose address stands at `at`, or null. */
  findAt(nic: Nic, family: Family, view: DataView, at: number): Neighbor | null {
    let hash = this.#key ^ nic.index;
    for (let word = 0; word < (family === 4 ? 1 : 4); word++) hash = mix(hash, view.getUint32(at + 4 * word));
    let neighbor = this.#buckets.get(hash) ?? null;
    while (neighbor !== null) {
      const { address } = neighbor;
      if (neighbor.nic === nic && address.family === family && address.matches(view, at)) break;
      neighbor = neighbor.nextInBucket;
    }
    return neighbor;
  }

  /** Adds a neighbour whose address is not yet there. */
  add(neighbor: Neighbor): void {
    const hash = this.#hash(neighbor.nic, neighbor.address.words);
    neighbor.cached = true;
    neighbor.nextInBucket = this.#buckets.get(hash) ?? null;
    this.#buckets.set(hash, neighbor);
    this.#all.add(neighbor);
  }

  /** Removes a neighbour that is there. */
  remove(neighbor: Neighbor): void {
    const hash = this.#hash(neighbor.nic, neighbor.address.words);
    let before: Neighbor | null = null;
    let found = this.#buckets.get(hash)!;
    while (found !== neighbor) {
      before = found;
      found = found.nextInBucket!;
    }
    if (before !== null) before.nextInBucket = neighbor.nextInBucket;
    else if (neighbor.nextInBucket !== null) this.#buckets.set(hash, neighbor.nextInBucket);
    else this.#buckets.delete(hash);
    neighbor.nextInBucket = null;
    neighbor.cached = false;
    this.#all.delete(neighbor);
  }

  /** The neighbour that is needed least: never a permanent one, and one that packets wait for only if all are such. */
  leastNeeded(): Neighbor | null {
    let least: Neighbor | null = null;
    for (const neighbor of this.#all) {
      if (neighbor.state === NeighborState.permanent) continue;
      const difference = least === null ? -1 : worth(neighbor) - worth(least);
      if (difference < 0 || (difference === 0 && neighbor.usedAt < least!.usedAt)) least = neighbor;
    }
    return least;
  }

  #hash(nic: Nic, words: readonly number[]): number {
    let hash = this.#key ^ nic.index;
    for (let word = 0; word < words.length; word++) hash = mix(hash, words[word]!);
    return hash;
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
}

/** What is lost with a neighbour: packets most of all, then a way that is being used, then knowledge. */
function worth(neighbor: Neighbor): number {
  if (neighbor.pending.length > 0) return 3;
  if (neighbor.destination === null) return 0;
  return neighbor.state === NeighborState.stale ? 1 : 2;
}
