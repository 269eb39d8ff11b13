/**
 * The neighbour cache of both families: who has which hardware address, and whether it is still there. The states are
 * those of Neighbor Unreachability Detection (RFC 4861 section 7.3); RFC 1122 section 2.3.2.1 asks the same of ARP.
 *
 * @module
 */

import { type Family, IpAddress, MacAddress } from "../address.ts";
import type { Counters } from "../counters.ts";
import { Evidence, type MappingKeeper, type NeighborResolver } from "../link/mapping.ts";
import type { LinkSession, Nic } from "../link/nic.ts";
import type { Packet } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import { fraction, type Random } from "../random.ts";
import type { Timer, Timers } from "../timers.ts";
import { Neighbor, NeighborState, neighborStateNames } from "./neighbor.ts";
import { NeighborTable } from "./neighbor_table.ts";
import { PendingPackets } from "./pending_packets.ts";

/** The constants of the neighbour cache, in milliseconds where they are times. */
export interface NeighborSettings {
  /** How long a confirmation holds, before it is randomised by half. Default 30,000 (RFC 4861 section 10). */
  reachableTime: number;
  /** How long a transport may take to confirm before probing starts. Default 5000. */
  delayTime: number;
  /** Between solicitations. Default 1000. */
  retransmitTime: number;
  /** Solicitations until the neighbour is given up. Default 3. */
  solicitations: number;
  /** How long a neighbour that did not answer is taken for unreachable without being asked again. Default 1000. */
  failedTime: number;
  /** The most packets that wait for one neighbour. Default 512: the SYNs of many connections that begin at once. */
  pendingPackets: number;
  /** The most memory that packets waiting for all neighbours hold, in bytes of their slots. Default 4 MiB. */
  pendingBytes: number;
  /** The most neighbours, not counting permanent ones. Default 1024. */
  capacity: number;
}

/** What the neighbour cache counts. */
export interface NeighborCounters {
  /** Solicitations sent. */
  solicited: number;
  /** Neighbours whose hardware address was found or has changed. */
  resolved: number;
  /** Neighbours that did not answer. */
  failed: number;
  /** Neighbours thrown out to make room. */
  replaced: number;
  /** Packets dropped because too many waited. */
  pendingDropped: number;
  /** Packets dropped because the neighbour did not answer. */
  unreachable: number;
}

/** What the neighbour cache is wired to. */
export interface NeighborsOptions {
  /** The stack's timers and clock. */
  timers: Timers;
  /** For the randomised reachable time and the hash of the cache. */
  random: Random;
  /** Where to count. */
  counters: Counters;
  /** Constants that differ from the defaults. */
  settings?: Partial<NeighborSettings>;
}

/** A line of the neighbour table, for people. */
export interface NeighborEntry {
  /** The interface's name. */
  readonly nic: string;
  /** The IP address. */
  readonly address: IpAddress;
  /** The hardware address, or null while it is unknown. */
  readonly mac: MacAddress | null;
  /** The state as RFC 4861 writes it, `FAILED` or `PERMANENT`. */
  readonly state: string;
  /** Packets that wait for the hardware address. */
  readonly pending: number;
}

/** Told of a packet that could not be delivered. It owns the packet, whose window starts at the network header. */
export type UnreachableHandler = (packet: Packet) => void;

/** The neighbours of a stack. */
export class Neighbors implements MappingKeeper {
  /** What it counts. */
  readonly counters: NeighborCounters;
  readonly #settings: NeighborSettings;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #timer: Timer;
  readonly #table: NeighborTable;
  readonly #pending: PendingPackets;
  /** Those with a deadline. */
  readonly #active = new Set<Neighbor>();
  readonly #resolvers = new Map<Family, NeighborResolver>();
  readonly #handlers = new Map<Family, UnreachableHandler>();
  #reachableTime: number;
  #reporting = false;

  /** An empty cache. */
  constructor(options: NeighborsOptions) {
    this.#timers = options.timers;
    this.#random = options.random;
    this.#table = new NeighborTable(options.random.uint32());
    this.#timer = options.timers.create(() => this.#runDue());
    this.#settings = {
      reachableTime: 30_000,
      delayTime: 5000,
      retransmitTime: 1000,
      solicitations: 3,
      failedTime: 1000,
      pendingPackets: 512,
      pendingBytes: 4 * 1024 * 1024,
      capacity: 1024,
      ...options.settings,
    };
    this.#reachableTime = this.#drawReachableTime();
    this.counters = options.counters.register("neighbors", {
      solicited: 0,
      resolved: 0,
      failed: 0,
      replaced: 0,
      pendingDropped: 0,
      unreachable: 0,
    });
    const { pendingPackets, pendingBytes } = this.#settings;
    this.#pending = new PendingPackets(pendingPackets, pendingBytes, this.counters);
  }

  /** Registers what asks for the neighbours of a family. */
  setResolver(resolver: NeighborResolver): void {
    this.#resolvers.set(resolver.family, resolver);
  }

  /** Registers who is told of packets of a family that could not be delivered. */
  setUnreachableHandler(family: Family, handler: UnreachableHandler): void {
    this.#handlers.set(family, handler);
  }

  /** Neighbours in the cache. */
  get size(): number {
    return this.#table.size;
  }

  /** The neighbour with this address, made if there is none. Its hardware address is asked for on the first push. */
  find(nic: Nic, address: IpAddress): Neighbor {
    return this.#table.find(nic, address) ?? this.#insert(nic, address);
  }

  /**
   * Sends a packet to a neighbour, or lets it wait for the hardware address. Consumes the packet. Sessions that are no
   * neighbours (broadcast, groups, media without addresses) need no resolution.
   */
  push(packet: Packet, session: LinkSession): Verdict {
    if (!(session instanceof Neighbor)) return session.nic.link.push(packet, session);
    const neighbor = session.cached ? session : this.find(session.nic, session.address);
    if (neighbor.state === NeighborState.permanent) return neighbor.nic.link.push(packet, neighbor);
    const now = this.#timers.clock.now();
    neighbor.usedAt = now;
    switch (neighbor.state) {
      case NeighborState.reachable:
        if (now < neighbor.validUntil) break;
        this.#startDelay(neighbor, now);
        break;
      case NeighborState.stale:
        this.#startDelay(neighbor, now);
        break;
      case NeighborState.failed:
        if (now < neighbor.validUntil) return this.#reportUnreachable(packet, neighbor);
        this.#startResolution(neighbor, now);
        return this.#pending.enqueue(packet, neighbor);
      case NeighborState.incomplete:
        if (neighbor.deadline === Infinity) this.#startResolution(neighbor, now);
        return this.#pending.enqueue(packet, neighbor);
    }
    return neighbor.nic.link.push(packet, neighbor);
  }

  /**
   * Takes note of what a neighbour's message says: the IP address at `addressAt` has the hardware address at `macAt`,
   * which the caller has checked to be a station's. Sends what has waited for it.
   */
  learn(nic: Nic, family: Family, packet: Packet, addressAt: number, macAt: number, evidence: Evidence): void {
    let neighbor = this.#table.findAt(nic, family, packet.view, addressAt);
    if (neighbor === null) {
      if (evidence === Evidence.overheard) return;
      neighbor = this.#insert(nic, IpAddress.fromBytes(packet.bytes, addressAt, family));
    }
    if (neighbor.state === NeighborState.permanent) return;
    const { state } = neighbor;
    const changed = !(neighbor.destination?.matches(packet.view, macAt) ?? false);
    if (changed) {
      neighbor.destination = MacAddress.fromBytes(packet.bytes, macAt);
      this.counters.resolved++;
    }
    const asked = state !== NeighborState.reachable && state !== NeighborState.failed;
    if (evidence === Evidence.solicited && asked) {
      this.#reachableTime = this.#drawReachableTime();
      this.#setReachable(neighbor);
    } else if (changed || state === NeighborState.incomplete || state === NeighborState.failed) {
      // RFC 4861 section 7.2.3: unasked, it proves nothing about the way to the neighbour.
      this.#setPassive(neighbor, NeighborState.stale);
    }
    this.#flushPending(neighbor);
  }

  /** Takes note that a transport has heard from the peer behind a neighbour (RFC 4861 section 7.3.1). */
  confirm(neighbor: Neighbor): void {
    if (neighbor.destination === null || neighbor.state === NeighborState.permanent) return;
    this.#setReachable(neighbor);
  }

  /** A transport suspects that a neighbour is gone (RFC 1122 section 3.3.1.4): it is probed without delay. */
  doubt(neighbor: Neighbor): void {
    const { state, cached } = neighbor;
    if (!cached || state < NeighborState.reachable || state > NeighborState.delay) return;
    this.#startProbe(neighbor, this.#timers.clock.now());
    this.#schedule();
  }

  /** Adds a neighbour that is neither asked nor aged, or makes a known one such. */
  addPermanent(nic: Nic, address: IpAddress, mac: MacAddress): void {
    const neighbor = this.find(nic, address);
    if (neighbor.state !== NeighborState.permanent) this.#table.permanent++;
    neighbor.destination = mac;
    this.#setPassive(neighbor, NeighborState.permanent);
    this.#flushPending(neighbor);
  }

  /** Forgets a neighbour, permanent or not, drops what waits for it, and returns whether there was one. */
  remove(nic: Nic, address: IpAddress): boolean {
    const neighbor = this.#table.find(nic, address);
    if (neighbor === null) return false;
    this.#evict(neighbor);
    return true;
  }

  /** Forgets all neighbours, or those of one interface, and drops what waits for them. */
  clear(nic: Nic | null = null): void {
    for (const neighbor of [...this.#table.values()]) {
      if (nic === null || neighbor.nic === nic) this.#evict(neighbor);
    }
    this.#schedule();
  }

  /** The table, for people. */
  list(): NeighborEntry[] {
    const now = this.#timers.clock.now();
    return Array.from(this.#table.values(), (neighbor) => {
      const expired = neighbor.state === NeighborState.reachable && now >= neighbor.validUntil;
      return {
        nic: neighbor.nic.name,
        address: neighbor.address,
        mac: neighbor.destination,
        state: neighborStateNames[expired ? NeighborState.stale : neighbor.state]!,
        pending: neighbor.pending.length,
      };
    });
  }

  /** Tells the link of `nic` that `address` is ours now. */
  announce(nic: Nic, address: IpAddress): void {
    this.#resolvers.get(address.family)?.announce(nic, address);
  }

  #startResolution(neighbor: Neighbor, now: number): void {
    neighbor.state = NeighborState.incomplete;
    neighbor.destination = null;
    neighbor.solicitations = 0;
    this.#solicit(neighbor, now);
    this.#schedule();
  }

  #startDelay(neighbor: Neighbor, now: number): void {
    neighbor.state = NeighborState.delay;
    this.#setDeadline(neighbor, now + this.#settings.delayTime);
    this.#schedule();
  }

  #startProbe(neighbor: Neighbor, now: number): void {
    neighbor.state = NeighborState.probe;
    neighbor.solicitations = 0;
    this.#solicit(neighbor, now);
  }

  #setReachable(neighbor: Neighbor): void {
    this.#setPassive(neighbor, NeighborState.reachable);
    neighbor.validUntil = this.#timers.clock.now() + this.#reachableTime;
  }

  /** RFC 4861 section 6.3.2: from half to one and a half of the base value, so that hosts do not probe in step. */
  #drawReachableTime(): number {
    return this.#settings.reachableTime * (0.5 + fraction(this.#random));
  }

  /** Enters a state in which nothing is due. */
  #setPassive(neighbor: Neighbor, state: NeighborState): void {
    neighbor.state = state;
    if (neighbor.deadline === Infinity) return;
    neighbor.deadline = Infinity;
    this.#active.delete(neighbor);
    if (this.#active.size === 0) this.#timer.stop();
  }

  #setDeadline(neighbor: Neighbor, deadline: number): void {
    neighbor.deadline = deadline;
    this.#active.add(neighbor);
  }

  #solicit(neighbor: Neighbor, now: number): void {
    neighbor.solicitations++;
    this.#setDeadline(neighbor, now + this.#settings.retransmitTime);
    this.counters.solicited++;
    this.#resolvers.get(neighbor.address.family)?.solicit(neighbor.nic, neighbor.address, neighbor.destination);
  }

  /** Takes the steps that are due. */
  #runDue(): void {
    const now = this.#timers.clock.now();
    for (const neighbor of [...this.#active]) {
      if (neighbor.deadline > now) continue;
      if (neighbor.state === NeighborState.delay) this.#startProbe(neighbor, now);
      else if (neighbor.solicitations < this.#settings.solicitations) this.#solicit(neighbor, now);
      else this.#fail(neighbor, now);
    }
    this.#schedule();
  }

  #fail(neighbor: Neighbor, now: number): void {
    this.counters.failed++;
    // A neighbour that no longer answers at its old address may have a new one: it can be asked for at once.
    neighbor.validUntil = neighbor.state === NeighborState.probe ? now : now + this.#settings.failedTime;
    neighbor.destination = null;
    this.#setPassive(neighbor, NeighborState.failed);
    for (let packet = this.#pending.dequeue(neighbor); packet !== null; packet = this.#pending.dequeue(neighbor)) {
      this.#reportUnreachable(packet, neighbor);
    }
  }

  /** Starts the one timer for the earliest step, or stops it when nothing is due. */
  #schedule(): void {
    let earliest = Infinity;
    for (const neighbor of this.#active) earliest = Math.min(earliest, neighbor.deadline);
    if (earliest === Infinity) this.#timer.stop();
    else this.#timer.startAt(earliest);
  }

  #flushPending(neighbor: Neighbor): void {
    if (neighbor.pending.length === 0) return;
    const now = this.#timers.clock.now();
    neighbor.usedAt = now;
    if (neighbor.state === NeighborState.stale) this.#startDelay(neighbor, now);
    for (let packet = this.#pending.dequeue(neighbor); packet !== null; packet = this.#pending.dequeue(neighbor)) {
      neighbor.nic.link.push(packet, neighbor);
    }
  }

  #reportUnreachable(packet: Packet, neighbor: Neighbor): Verdict {
    this.counters.unreachable++;
    const handler = this.#handlers.get(neighbor.address.family);
    // Whoever answers the report by sending once more must not be told once more.
    if (handler === undefined || this.#reporting) {
      packet.release();
      return Verdict.dropped;
    }
    this.#reporting = true;
    try {
      handler(packet);
    } finally {
      this.#reporting = false;
    }
    return Verdict.dropped;
  }

  #insert(nic: Nic, address: IpAddress): Neighbor {
    if (this.#table.size - this.#table.permanent >= this.#settings.capacity) {
      const victim = this.#table.leastNeeded();
      if (victim !== null) {
        this.counters.replaced++;
        this.#evict(victim);
      }
    }
    const etherType = this.#resolvers.get(address.family)?.etherType ?? 0;
    const neighbor = new Neighbor(this, nic, etherType, address);
    neighbor.usedAt = this.#timers.clock.now();
    this.#table.add(neighbor);
    return neighbor;
  }

  #evict(neighbor: Neighbor): void {
    this.#table.remove(neighbor);
    if (neighbor.state === NeighborState.permanent) this.#table.permanent--;
    this.#setPassive(neighbor, NeighborState.stale);
    this.#pending.drop(neighbor);
  }
}
