/**
 * The table of flows: from the addresses and ports in a packet to whoever owns that 4-tuple, without making anything.
 *
 * @module
 */

import type { Family } from "../address.ts";
import type { Random } from "../random.ts";
import { tableHash } from "../siphash.ts";
import type { Endpoint } from "./endpoint.ts";

/** Something with two ends that a {@linkcode FlowTable} can hold; in one table at a time. */
export interface Flow<Self> {
  /** Our end. */
  readonly local: Endpoint;
  /** The peer's end; null keeps it out of any table. */
  readonly remote: Endpoint | null;
  /** The hash of both ends. Managed by {@linkcode FlowTable}. */
  flowHash: number;
  /** The next flow in the same bucket. Managed by {@linkcode FlowTable}. */
  nextFlow: Self | null;
}

/** Flows by 4-tuple: a chained hash table with a secret key, so that strangers cannot fill one bucket. */
export class FlowTable<Value extends Flow<Value>> {
  readonly #key: Uint32Array;
  /** What is hashed: two addresses and two ports. */
  readonly #message = new Uint32Array(9);
  #buckets: (Value | null)[] = new Array(16).fill(null);
  #size = 0;
  /** What was found last: packets of one flow come in a row, and comparing costs less than hashing. */
  #latest: Value | null = null;

  /** An empty table; the key comes from `random`. */
  constructor(random: Random) {
    this.#key = Uint32Array.from({ length: 4 }, () => random.uint32());
  }

  /** Flows in the table. */
  get size(): number {
    return this.#size;
  }

  /** Adds a flow; returns false, and adds nothing, when its 4-tuple is taken or it has no remote end. */
  add(flow: Value): boolean {
    if (flow.remote === null || this.has(flow.local, flow.remote)) return false;
    if (this.#size === this.#buckets.length) this.#grow();
    flow.flowHash = this.#hashOf(flow.local, flow.remote);
    this.#insert(flow);
    this.#size++;
    return true;
  }

  /** Removes a flow; returns whether it was there. */
  remove(flow: Value): boolean {
    const bucket = flow.flowHash & (this.#buckets.length - 1);
    let before: Value | null = null;
    for (let at = this.#buckets[bucket]!; at !== null; before = at, at = at.nextFlow!) {
      if (at !== flow) continue;
      if (before === null) this.#buckets[bucket] = flow.nextFlow;
      else before.nextFlow = flow.nextFlow;
      flow.nextFlow = null;
      if (this.#latest === flow) this.#latest = null;
      this.#size--;
      return true;
    }
    return false;
  }

  /** Whether the 4-tuple is taken. */
  has(local: Endpoint, remote: Endpoint): boolean {
    const hash = this.#hashOf(local, remote);
    for (let flow = this.#buckets[hash & (this.#buckets.length - 1)]!; flow !== null; flow = flow.nextFlow!) {
      if (
        flow.flowHash === hash && flow.local.port === local.port && flow.remote!.port === remote.port &&
        flow.local.address.equals(local.address) && flow.remote!.address.equals(remote.address)
      ) return true;
    }
    return false;
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
    if (this.#size === 0) return null;
    const latest = this.#latest;
    if (latest !== null && isBetween(latest, view, family, localAt, localPort, remoteAt, remotePort)) return latest;
    const words = family === 4 ? 1 : 4;
    const message = this.#message;
    for (let word = 0; word < words; word++) {
      message[word] = view.getUint32(localAt + 4 * word);
      message[words + word] = view.getUint32(remoteAt + 4 * word);
    }
    message[2 * words] = (localPort << 16) | remotePort;
    const hash = tableHash(this.#key, message, 2 * words + 1) | 0;
    for (let flow = this.#buckets[hash & (this.#buckets.length - 1)]!; flow !== null; flow = flow.nextFlow!) {
      if (flow.flowHash === hash && isBetween(flow, view, family, localAt, localPort, remoteAt, remotePort)) {
        return this.#latest = flow;
      }
    }
    return null;
  }

  /** All flows, in no particular order. Flows may be removed on the way. */
  values(): Value[] {
    const all: Value[] = [];
    for (const first of this.#buckets) {
      for (let flow = first; flow !== null; flow = flow.nextFlow) all.push(flow);
    }
    return all;
  }

  #hashOf(local: Endpoint, remote: Endpoint): number {
    const words = local.address.words.length;
    this.#message.set(local.address.words);
    this.#message.set(remote.address.words, words);
    this.#message[2 * words] = (local.port << 16) | remote.port;
    // As a signed number it is a small integer, and no object of its own in the flow.
    return tableHash(this.#key, this.#message, 2 * words + 1) | 0;
  }

  #insert(flow: Value): void {
    const bucket = flow.flowHash & (this.#buckets.length - 1);
    flow.nextFlow = this.#buckets[bucket]!;
    this.#buckets[bucket] = flow;
  }

  #grow(): void {
    const flows = this.values();
    this.#buckets = new Array(this.#buckets.length * 2).fill(null);
    for (const flow of flows) this.#insert(flow);
  }
}

/** Whether a flow's ends are the addresses that stand at two offsets, with these ports. */
function isBetween(
  { local, remote }: { readonly local: Endpoint; readonly remote: Endpoint | null },
  view: DataView,
  family: Family,
  localAt: number,
  localPort: number,
  remoteAt: number,
  remotePort: number,
): boolean {
  return local.port === localPort && remote!.port === remotePort && local.address.family === family &&
    local.address.matches(view, localAt) && remote!.address.matches(view, remoteAt);
}
