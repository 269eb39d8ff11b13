/**
 * Reassembly of IPv4 fragments (RFC 791 section 3.2, RFC 815), with limits on memory and time, and without the tricks
 * that overlapping fragments allow (RFC 1858, RFC 5722).
 *
 * @module
 */

import { checksum } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import type { Packet, PacketPool } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import type { Timer, Timers } from "../timers.ts";
import {
  destinationWordAt,
  fragmentOffsetAt,
  headerBytesAt,
  identificationAt,
  Ipv4Field,
  ipv4MaximumBytes,
  moreFragmentsAt,
  protocolAt,
  sourceWordAt,
  trafficClassAt,
} from "./ipv4_header.ts";

/**
 * How long fragments wait for the rest, in milliseconds. RFC 1122 section 3.3.2 asks for 60 to 120 seconds, which comes
 * from slower times: at today's rates identifications repeat sooner (RFC 4963).
 */
const reassemblyTimeout = 30_000;

/** The most packets under reassembly; each holds one large slot of the pool. */
const maximumPackets = 64;

/** The most separate parts of one packet: fragments of the largest packet for an MTU of 576, every other one lost. */
const maximumParts = 64;

/** Where the payload starts in the slot: there is room in front for the longest header and for those of a reply. */
const payloadAt = 256;

/** The ECN bits of the traffic class, and their value when a router was congested (RFC 3168 section 5). */
const congestionMask = 3;
const congestionExperienced = 3;

/** What reassembly counts. */
export interface ReassemblyCounters {
  /** Fragments received. */
  fragments: number;
  /** Packets put together. */
  reassembled: number;
  /** Fragments dropped: empty, of a length that only a last fragment may have, or reaching beyond 65,535 bytes. */
  malformed: number;
  /** Fragments that had come before, byte for byte. */
  duplicates: number;
  /** Packets given up because their fragments contradict each other in where the packet ends or in their ECN bits. */
  contradicting: number;
  /** Packets given up because fragments overlapped. */
  overlapping: number;
  /** Packets given up because they came in too many separate parts. */
  scattered: number;
  /** Fragments dropped because they belong to a packet that was given up. */
  abandoned: number;
  /** Packets given up because fragments did not come in time. */
  timedOut: number;
  /** Packets given up to make room for others. */
  evicted: number;
  /** Fragments dropped because the packet pool was exhausted. */
  noPacket: number;
}

/** What reassembly is wired to. */
export interface ReassemblyOptions {
  /** Where packets to put fragments together in come from. */
  pool: PacketPool;
  /** Timers and clock. */
  timers: Timers;
  /** Where to count. */
  counters: Counters;
  /** Called with a whole packet. Consumes it; its window and `networkAt` start at its header. */
  onComplete: (packet: Packet) => Verdict;
  /**
   * Called when a packet is given up after the timeout and its first fragment is there. Consumes the packet, whose
   * window starts at the first fragment's header, which is as it came, and ends with its payload.
   */
  onTimeout: (packet: Packet) => void;
}

/** A packet that is being put together. */
interface Assembly {
  readonly source: number;
  readonly destination: number;
  readonly identification: number;
  readonly protocol: number;
  readonly deadline: number;
  /** Where the fragments are put together; null when the packet was given up and only its fragments still come. */
  packet: Packet | null;
  /** Received parts of the payload, disjoint and in order: begin and end alternating. */
  readonly parts: number[];
  /** Bytes of the first fragment's header; 0 until it comes. */
  headerBytes: number;
  /** Bytes of the first fragment's payload. */
  firstBytes: number;
  /** Bytes of the whole payload; -1 until the last fragment comes. */
  total: number;
  /** The ECN fields of the fragments: bit n is set when one had the value n. */
  congestion: number;
}

/** Puts fragments together. */
export class Reassembly {
  /** What it counts. */
  readonly counters: ReassemblyCounters;
  readonly #pool: PacketPool;
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #onComplete: (packet: Packet) => Verdict;
  readonly #onTimeout: (packet: Packet) => void;
  /** In order of their deadlines. */
  readonly #assemblies = new Set<Assembly>();

  /** Takes its wiring. */
  constructor(options: ReassemblyOptions) {
    this.#pool = options.pool;
    this.#timers = options.timers;
    this.#timer = options.timers.create(() => this.#expire());
    this.#onComplete = options.onComplete;
    this.#onTimeout = options.onTimeout;
    this.counters = options.counters.register("reassembly", {
      fragments: 0,
      reassembled: 0,
      malformed: 0,
      duplicates: 0,
      contradicting: 0,
      overlapping: 0,
      scattered: 0,
      abandoned: 0,
      timedOut: 0,
      evicted: 0,
      noPacket: 0,
    });
  }

  /** Packets that are being put together. */
  get size(): number {
    return this.#assemblies.size;
  }

  /**
   * Takes a fragment, whose header at `fragment.networkAt` has been checked and whose payload ends at `fragment.tail`.
   * Consumes it. When it was the last missing part the verdict is that of the whole packet.
   */
  add(fragment: Packet): Verdict {
    this.counters.fragments++;
    const { view, networkAt: at } = fragment;
    const header = headerBytesAt(view, at);
    const length = fragment.tail - at - header;
    // RFC 791 section 2.3: all fragments but the last carry a multiple of 8 bytes.
    const badLength = length === 0 || (moreFragmentsAt(view, at) && length % 8 !== 0);
    if (badLength || fragmentOffsetAt(view, at) + length > ipv4MaximumBytes - header) {
      this.counters.malformed++;
      return drop(fragment);
    }
    const assembly = this.#find(view, at) ?? this.#begin(view, at);
    if (assembly === null) {
      this.counters.noPacket++;
      return drop(fragment);
    }
    if (assembly.packet === null) {
      this.counters.abandoned++;
      return drop(fragment);
    }
    const fits = this.#place(assembly, assembly.packet, fragment);
    fragment.release();
    if (!fits) return Verdict.dropped;
    return isComplete(assembly) ? this.#complete(assembly, assembly.packet) : Verdict.queued;
  }

  /** Gives everything up. */
  clear(): void {
    for (const assembly of [...this.#assemblies]) {
      assembly.packet?.release();
      this.#end(assembly);
    }
  }

  /** Copies a fragment to its place. Returns false, and gives the whole packet up, when it does not fit in. */
  #place(assembly: Assembly, packet: Packet, fragment: Packet): boolean {
    const { parts } = assembly;
    const { view, networkAt: at } = fragment;
    const header = headerBytesAt(view, at);
    const source = at + header;
    const offset = fragmentOffsetAt(view, at);
    const end = offset + fragment.tail - source;
    const isLast = !moreFragmentsAt(view, at);
    const highest = parts.length === 0 ? 0 : parts[parts.length - 1]!;
    if (
      (assembly.total >= 0 && (isLast ? end !== assembly.total : end > assembly.total)) || (isLast && highest > end)
    ) {
      this.counters.contradicting++;
      return this.#abandon(assembly);
    }
    let place = 0;
    while (place < parts.length && parts[place + 1]! <= offset) place += 2;
    if (place < parts.length && parts[place]! < end) {
      const inside = parts[place]! <= offset && end <= parts[place + 1]!;
      if (inside && isSame(fragment.bytes, source, packet.bytes, payloadAt + offset, end - offset)) {
        this.counters.duplicates++;
        return true;
      }
      // RFC 5722 section 3, which is as right for IPv4: overlaps are only ever made to deceive.
      this.counters.overlapping++;
      return this.#abandon(assembly);
    }
    packet.bytes.set(fragment.bytes.subarray(source, fragment.tail), payloadAt + offset);
    if (offset === 0) {
      assembly.headerBytes = header;
      assembly.firstBytes = end;
      packet.bytes.set(fragment.bytes.subarray(at, source), payloadAt - header);
    }
    if (isLast) assembly.total = end;
    assembly.congestion |= 1 << (trafficClassAt(view, at) & congestionMask);
    packet.arrivedAt = fragment.arrivedAt;
    packet.nic = fragment.nic;
    packet.multicast = fragment.multicast;
    packet.looped = fragment.looped;
    addPart(parts, place, offset, end);
    if (parts.length <= 2 * maximumParts) return true;
    this.counters.scattered++;
    return this.#abandon(assembly);
  }

  #complete(assembly: Assembly, packet: Packet): Verdict {
    const { headerBytes, total, congestion } = assembly;
    const at = this.#setWindow(assembly, packet, total);
    const experienced = (congestion & (1 << congestionExperienced)) !== 0;
    // RFC 3168 section 5.3: a mark on one fragment is a mark on the packet, which must not be lost; nor made up.
    const mixed = experienced && (congestion & 1) !== 0;
    if (mixed || headerBytes + total > ipv4MaximumBytes) {
      this.counters.contradicting++;
      this.#abandon(assembly);
      return Verdict.dropped;
    }
    this.#end(assembly);
    const { view } = packet;
    if (experienced) {
      view.setUint8(at + Ipv4Field.trafficClass, trafficClassAt(view, at) | congestionExperienced);
    }
    view.setUint16(at + Ipv4Field.totalLength, headerBytes + total);
    view.setUint16(at + Ipv4Field.flagsAndOffset, 0);
    view.setUint16(at + Ipv4Field.checksum, 0);
    view.setUint16(at + Ipv4Field.checksum, checksum(view, at, headerBytes));
    this.counters.reassembled++;
    return this.#onComplete(packet);
  }

  #find(view: DataView, at: number): Assembly | null {
    for (const assembly of this.#assemblies) {
      if (
        assembly.identification === identificationAt(view, at) && assembly.source === sourceWordAt(view, at) &&
        assembly.destination === destinationWordAt(view, at) && assembly.protocol === protocolAt(view, at)
      ) return assembly;
    }
    return null;
  }

  #begin(view: DataView, at: number): Assembly | null {
    if (this.#assemblies.size >= maximumPackets) {
      const [oldest] = this.#assemblies;
      this.counters.evicted++;
      oldest!.packet?.release();
      this.#end(oldest!);
    }
    const packet = this.#pool.allocate(payloadAt, ipv4MaximumBytes - 20);
    if (packet === null) return null;
    const assembly: Assembly = {
      source: sourceWordAt(view, at),
      destination: destinationWordAt(view, at),
      identification: identificationAt(view, at),
      protocol: protocolAt(view, at),
      deadline: this.#timers.clock.now() + reassemblyTimeout,
      packet,
      parts: [],
      headerBytes: 0,
      firstBytes: 0,
      total: -1,
      congestion: 0,
    };
    this.#assemblies.add(assembly);
    if (!this.#timer.running) this.#timer.startAt(assembly.deadline);
    return assembly;
  }

  /** Sets the window to the header and the first `payload` bytes, and returns the offset of the header. */
  #setWindow(assembly: Assembly, packet: Packet, payload: number): number {
    packet.networkAt = payloadAt - assembly.headerBytes;
    packet.head = packet.networkAt;
    packet.tail = payloadAt + payload;
    return packet.networkAt;
  }

  /** Gives a packet up, and remembers it until its time is over so that fragments still to come are dropped too. */
  #abandon(assembly: Assembly): false {
    assembly.packet?.release();
    assembly.packet = null;
    return false;
  }

  #end(assembly: Assembly): void {
    this.#assemblies.delete(assembly);
    if (this.#assemblies.size === 0) this.#timer.stop();
  }

  #expire(): void {
    const now = this.#timers.clock.now();
    for (const assembly of this.#assemblies) {
      if (assembly.deadline > now) {
        this.#timer.startAt(assembly.deadline);
        return;
      }
      this.#end(assembly);
      const { packet } = assembly;
      if (packet === null) continue;
      this.counters.timedOut++;
      if (assembly.headerBytes === 0) {
        packet.release();
        continue;
      }
      this.#setWindow(assembly, packet, assembly.firstBytes);
      this.#onTimeout(packet);
    }
  }
}

function isComplete({ parts, total }: Assembly): boolean {
  return parts.length === 2 && parts[0] === 0 && parts[1] === total;
}

/** Adds `[begin, end)`, which overlaps none of the parts, before the one at `place`, and joins what touches. */
function addPart(parts: number[], place: number, begin: number, end: number): void {
  const joinsBefore = place > 0 && parts[place - 1] === begin;
  const joinsBehind = place < parts.length && parts[place] === end;
  if (joinsBefore && joinsBehind) parts.splice(place - 1, 2);
  else if (joinsBefore) parts[place - 1] = end;
  else if (joinsBehind) parts[place] = begin;
  else parts.splice(place, 0, begin, end);
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}

function isSame(left: Uint8Array, leftAt: number, right: Uint8Array, rightAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (left[leftAt + index] !== right[rightAt + index]) return false;
  }
  return true;
}
