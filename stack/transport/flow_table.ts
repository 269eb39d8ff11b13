/**
 * The table of flows: from the addresses and ports in a packet to whoever owns that 4-tuple, without making anything.
 *
 * Of thousands of flows few are in the processor's caches. So what a look-up compares lies in arrays of its own, and no
 * flow is touched but the one that is found: slots, which are scattered and therefore small, name places in a row of
 * entries without gaps.
 *
 * @module
 */

import type { Family, IpAddress } from "../address.ts";
import type { Random } from "../random.ts";
import { tableHash } from "../siphash.ts";
import type { Endpoint } from "./endpoint.ts";

/** Something with two ends that a {@linkcode FlowTable} can hold; in one table at a time. */
export interface Flow {
  /** Our end. */
  readonly local: Endpoint;
  /** The peer's end; null keeps it out of any table. */
  readonly remote: Endpoint | null;
  /** The hash of both ends. Managed by {@linkcode FlowTable}. */
  flowHash: number;
}

/** Words of an entry: the hash of a flow; both its ports; its two addresses, folded. */
const Word = { hash: 0, ports: 1, local: 2, remote: 3 } as const;
/** An entry has so many words, as a power of two. */
const entryShift = 2;
/** Set in the hash of a flow between IPv6 addresses. */
const familyBit = 1 << 31;
/** Slots of an empty table. */
const leastSlots = 16;

/**
 * Flows by 4-tuple: a hash table with open addressing and linear probing, whose key is secret, so that strangers cannot
 * fill one part of it.
 *
 * A slot is 0 while it is free. Otherwise its low bits, as many as number the slots, are the place of an entry, from 1 on,
 * and the others are those of the flow's hash, whose low bits say where to look first.
 */
export class FlowTable<Value extends Flow> {
  readonly #key: Uint32Array;
  /** What is hashed: two addresses and two ports. */
  readonly #message = new Uint32Array(9);
  #slots = new Int32Array(leastSlots);
  /** Place 0 is not used. */
  #entries = new Int32Array(placesOf(leastSlots) << entryShift);
  /** By place, too. */
  readonly #flows: (Value | null)[] = [null];
  /** The place of what was found last, or 0: packets of one flow come in a row, and comparing costs less than hashing. */
  #latest = 0;

  /** An empty table; the key comes from `random`. */
  constructor(random: Random) {
    this.#key = Uint32Array.from({ length: 4 }, () => random.uint32());
  }

  /** Flows in the table. */
  get size(): number {
    return this.#flows.length - 1;
  }

  /** Adds a flow; returns false, and adds nothing, when its 4-tuple is taken or it has no remote end. */
  add(flow: Value): boolean {
    const { local, remote } = flow;
    if (remote === null || this.has(local, remote)) return false;
    const place = this.#flows.length;
    if (place === placesOf(this.#slots.length)) this.#grow();
    flow.flowHash = this.#hashOf(local, remote);
    const at = place << entryShift;
    this.#entries[at + Word.hash] = flow.flowHash;
    this.#entries[at + Word.ports] = (local.port << 16) | remote.port;
    this.#entries[at + Word.local] = fold(local.address);
    this.#entries[at + Word.remote] = fold(remote.address);
    this.#flows.push(flow);
    this.#takeSlot(flow.flowHash, place);
    return true;
  }

  /** Removes a flow; returns whether it was there. */
  remove(flow: Value): boolean {
    const slot = this.#slotOf(flow);
    if (slot < 0) return false;
    const place = this.#slots[slot]! & (this.#slots.length - 1);
    this.#freeSlot(slot);
    const last = this.#flows.pop()!;
    if (last !== flow) this.#moveEntry(last, this.#flows.length, place);
    this.#latest = 0;
    return true;
  }

  /** Whether the 4-tuple is taken. */
  has(local: Endpoint, remote: Endpoint): boolean {
    const hash = this.#hashOf(local, remote);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const taken = this.#slots[slot]!;
      if (taken === 0) return false;
      if (((taken ^ hash) & ~mask) !== 0) continue;
      const flow = this.#flows[taken & mask]!;
      if (
        flow.local.port === local.port && flow.remote!.port === remote.port &&
        flow.local.address.equals(local.address) && flow.remote!.address.equals(remote.address)
      ) return true;
    }
  }

  /** The flow whose local address stands at `localAt` and whose remote address stands at `remoteAt`, or null. */
  find(
    view: DataView,
    family: Family,
    localAt: number,
    localPort: number,
    remoteAt: number,
    remotePort: number,
  ): Value | null {
    if (this.#flows.length === 1) return null;
    const ports = (localPort << 16) | remotePort;
    const local = foldAt(view, family, localAt);
    const remote = foldAt(view, family, remoteAt);
    const latest = this.#latest;
    if (latest > 0 && this.#holds(latest, ports, local, remote, view, family, localAt, remoteAt)) {
      return this.#flows[latest]!;
    }
    const words = family === 4 ? 1 : 4;
    const message = this.#message;
    for (let word = 0; word < words; word++) {
      message[word] = view.getUint32(localAt + 4 * word);
      message[words + word] = view.getUint32(remoteAt + 4 * word);
    }
    message[2 * words] = ports;
    const hash = this.#hashOfMessage(words);
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const taken = slots[slot]!;
      if (taken === 0) return null;
      const place = taken & mask;
      if (
        ((taken ^ hash) & ~mask) === 0 &&
        this.#holds(place, ports, local, remote, view, family, localAt, remoteAt)
      ) {
        this.#latest = place;
        return this.#flows[place]!;
      }
    }
  }

  /** All flows, in no particular order. Flows may be removed on the way. */
  values(): Value[] {
    return this.#flows.slice(1) as Value[];
  }

  /** Whether the flow at a place is the one between these ports and addresses. */
  #holds(
    place: number,
    ports: number,
    local: number,
    remote: number,
    view: DataView,
    family: Family,
    localAt: number,
    remoteAt: number,
  ): boolean {
    const entries = this.#entries;
    const at = place << entryShift;
    if (
      entries[at + Word.ports] !== ports || entries[at + Word.remote] !== remote ||
      entries[at + Word.local] !== local || (entries[at + Word.hash]! < 0) !== (family === 6)
    ) return false;
    if (family === 4) return true;
    // The fold of a longer address says only what it is not.
    const flow = this.#flows[place]!;
    return flow.local.address.matches(view, localAt) && flow.remote!.address.matches(view, remoteAt);
  }

  #hashOf(local: Endpoint, remote: Endpoint): number {
    const words = local.address.words.length;
    this.#message.set(local.address.words);
    this.#message.set(remote.address.words, words);
    this.#message[2 * words] = (local.port << 16) | remote.port;
    return this.#hashOfMessage(words);
  }

  /** The hash of the message, in which an address takes so many words: it says of which family they are. */
  #hashOfMessage(words: number): number {
    const hash = tableHash(this.#key, this.#message, 2 * words + 1);
    // As a signed number it is a small integer, and no object of its own in the flow.
    return (hash & ~familyBit) | (words === 1 ? 0 : familyBit);
  }

  /** The slot that names a flow's place, or -1. */
  #slotOf(flow: Value): number {
    const mask = this.#slots.length - 1;
    for (let slot = flow.flowHash & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#flows[this.#slots[slot]! & mask] === flow) return slot;
    }
    return -1;
  }

  /** Has the first slot that is free for a hash name a place. */
  #takeSlot(hash: number, place: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = (hash & ~mask) | place;
  }

  /** Frees a slot. Those behind it move up as far as they may, so that no look-up ends too early. */
  #freeSlot(slot: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = slot;
    for (let next = (slot + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const first = this.#entries[(slots[next]! & mask) << entryShift]! & mask;
      if (((next - first) & mask) < ((next - free) & mask)) continue;
      slots[free] = slots[next]!;
      free = next;
    }
    slots[free] = 0;
  }

  /** Moves the entry of a flow, whose slot then names the new place. */
  #moveEntry(flow: Value, from: number, to: number): void {
    const mask = this.#slots.length - 1;
    let slot = flow.flowHash & mask;
    while ((this.#slots[slot]! & mask) !== from) slot = (slot + 1) & mask;
    this.#slots[slot] = (flow.flowHash & ~mask) | to;
    this.#entries.copyWithin(to << entryShift, from << entryShift, (from + 1) << entryShift);
    this.#flows[to] = flow;
  }

  #grow(): void {
    const entries = this.#entries;
    const slots = 2 * this.#slots.length;
    this.#slots = new Int32Array(slots);
    this.#entries = new Int32Array(placesOf(slots) << entryShift);
    this.#entries.set(entries);
    for (let place = 1; place < this.#flows.length; place++) this.#takeSlot(entries[place << entryShift]!, place);
  }
}

/** Places of a table with so many slots: with more of them taken, looking for a free one would take long. */
function placesOf(slots: number): number {
  return 3 * slots / 4;
}

/** An address as one signed word: what an IPv4 address is. */
function fold({ words }: IpAddress): number {
  return words.reduce((folded, word) => folded ^ word, 0);
}

/** As {@linkcode fold}, of the address that stands at an offset. */
function foldAt(view: DataView, family: Family, at: number): number {
  const first = view.getInt32(at);
  return family === 4 ? first : first ^ view.getInt32(at + 4) ^ view.getInt32(at + 8) ^ view.getInt32(at + 12);
}
