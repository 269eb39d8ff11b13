/**
 * Which client of a server has which address, and which one it is to get (RFC 2131 section 4.3.1).
 *
 * @module
 */

import { IpAddress, type MacAddress } from "../../address.ts";

/** What an address is doing. */
export type BindingState =
  /** Held for a client that it was offered to. */
  | "offered"
  /** Leased to a client. */
  | "leased"
  /** Given back, or run out: the client gets it again unless somebody else needs it. */
  | "free"
  /** In use by somebody whom the server did not give it to: left alone for a while. */
  | "declined";

/** An address and its client. */
export interface Binding {
  /** The address. */
  readonly address: IpAddress;
  /** Who the client is: its identifier, or its hardware address. */
  readonly client: string;
  /** The client's hardware address, as it was last seen. */
  mac: MacAddress;
  /** The name that the client gave itself, or null. */
  hostName: string | null;
  /** What the address is doing. */
  state: BindingState;
  /** Until when, in milliseconds of the stack's clock. Infinity for ever. */
  expiresAt: number;
}

/** Who asks for an address. */
export interface LeaseClient {
  /** Its identifier, or its hardware address. */
  readonly key: string;
  /** Its hardware address. */
  readonly mac: MacAddress;
}

/** What a {@linkcode LeaseTable} is made of. */
export interface LeaseTableOptions {
  /** The first address of the pool. */
  readonly first: IpAddress;
  /** The last one. */
  readonly last: IpAddress;
  /** Addresses that are one client's, by its hardware address; they may lie outside of the pool. */
  readonly reservations: ReadonlyMap<string, IpAddress>;
  /** An address of the pool that is nobody's: the server's own. */
  readonly own: IpAddress;
}

/** The bindings of a server: no more than there are addresses, which is what bounds it. */
export class LeaseTable {
  readonly #first: number;
  readonly #size: number;
  readonly #own: number;
  readonly #reservations: ReadonlyMap<string, IpAddress>;
  /** Reserved addresses and whose they are. */
  readonly #reserved = new Map<number, string>();
  readonly #byAddress = new Map<number, Binding>();
  readonly #byClient = new Map<string, Binding>();

  /** An empty table. */
  constructor({ first, last, reservations, own }: LeaseTableOptions) {
    this.#first = first.words[0]!;
    this.#size = last.words[0]! - this.#first + 1;
    this.#own = own.words[0]!;
    this.#reservations = reservations;
    for (const [mac, { words }] of reservations) this.#reserved.set(words[0]!, mac);
  }

  /** All bindings, in the order of addresses. */
  list(): Binding[] {
    return [...this.#byAddress.values()].sort((left, right) => left.address.words[0]! - right.address.words[0]!);
  }

  /** The binding of an address, or null. */
  at(address: IpAddress): Binding | null {
    return this.#byAddress.get(address.words[0]!) ?? null;
  }

  /** The binding of a client, or null. */
  of(client: LeaseClient): Binding | null {
    return this.#byClient.get(client.key) ?? null;
  }

  /** Whether a client may have an address: it is to be given, not reserved for another, and nobody has it. */
  isAvailable(address: IpAddress, client: LeaseClient, now: number): boolean {
    const word = address.words[0]!;
    const reservedFor = this.#reserved.get(word);
    const isOffered = reservedFor === undefined
      ? word >= this.#first && word < this.#first + this.#size && word !== this.#own
      : reservedFor === client.mac.toString();
    if (!isOffered) return false;
    const binding = this.#byAddress.get(word);
    if (binding === undefined || isOver(binding, now)) return true;
    return binding.state !== "declined" && binding.client === client.key;
  }

  /**
   * The address to offer to a client: the one that is reserved for it, that it has or had, that it asks for, or one that
   * nobody had for the longest time. Null when there is none.
   */
  choose(client: LeaseClient, requested: IpAddress | null, now: number): IpAddress | null {
    const reserved = this.#reservations.get(client.mac.toString());
    if (reserved !== undefined) return this.isAvailable(reserved, client, now) ? reserved : null;
    for (const wanted of [this.of(client)?.address, requested]) {
      if (wanted != null && this.isAvailable(wanted, client, now)) return wanted;
    }
    return this.#chooseAny(client, now);
  }

  /**
   * Gives an available address to a client, as an offer or as a lease, until `expiresAt`. What the client had before is
   * free.
   */
  assign(
    address: IpAddress,
    client: LeaseClient,
    state: "offered" | "leased",
    expiresAt: number,
    hostName: string | null,
  ): Binding {
    const before = this.of(client);
    if (before !== null && !before.address.equals(address)) this.remove(before);
    const present = this.at(address);
    if (present !== null && present.client === client.key) {
      Object.assign(present, { state, expiresAt, mac: client.mac, hostName: hostName ?? present.hostName });
      return present;
    }
    if (present !== null) this.remove(present);
    const binding: Binding = { address, client: client.key, mac: client.mac, hostName, state, expiresAt };
    this.add(binding);
    return binding;
  }

  /** Takes in a binding whose address and client have none. */
  add(binding: Binding): void {
    this.#byAddress.set(binding.address.words[0]!, binding);
    this.#byClient.set(binding.client, binding);
  }

  /** Forgets a binding. */
  remove(binding: Binding): void {
    this.#byAddress.delete(binding.address.words[0]!);
    if (this.#byClient.get(binding.client) === binding) this.#byClient.delete(binding.client);
  }

  /** Leaves an address alone until `expiresAt`: somebody uses it who should not. */
  quarantine(binding: Binding, expiresAt: number): void {
    if (this.#byClient.get(binding.client) === binding) this.#byClient.delete(binding.client);
    binding.state = "declined";
    binding.expiresAt = expiresAt;
  }

  /** Starts at a place that follows from the client, so that the same one gets the same address again. */
  #chooseAny(client: LeaseClient, now: number): IpAddress | null {
    let oldest: Binding | null = null;
    let place = hash(client.key) % this.#size;
    for (let tried = 0; tried < this.#size; tried++, place = (place + 1) % this.#size) {
      const word = this.#first + place;
      if (word === this.#own || this.#reserved.has(word)) continue;
      const binding = this.#byAddress.get(word);
      if (binding === undefined) return IpAddress.fromUint32(word);
      if (isOver(binding, now) && (oldest === null || binding.expiresAt < oldest.expiresAt)) oldest = binding;
    }
    return oldest?.address ?? null;
  }
}

/** Whether an address can be given to somebody else. */
export function isOver(binding: Binding, now: number): boolean {
  return binding.state === "free" || binding.expiresAt <= now;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c_9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x0100_0193);
  return value >>> 0;
}
