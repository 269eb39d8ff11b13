/**
 * Reassembly of IPv4 fragments (RFC 791 section 3.2, RFC 815), with limits on memory and time, and without the tricks
 * that overlapping fragments allow (RFC 1858, RFC 5722).
 *
 * @module
 */

import { checksum } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import type { Packet, PacketPool } from "../packet.ts";
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
} from "./ipv4_header.ts";

/** How long fragments wait for the rest, in milliseconds (what Linux does; RFC 1122 section 3.3.2 asks for 60 to 120 s). */
const reassemblyTimeout = 30_000;

/** Most packets under reassembly; each holds one large slot of the pool. */
const maximumPackets = 32;

/** Where the payload starts in the slot: there is room in front for any header and what replies need. */
const payloadAt = 256;

/** What reassembly counts. */
export interface ReassemblyCounters {
  /** Fragments received. */
  fragments: number;
  /** Packets put together. */
  reassembled: number;
  /** Fragments dropped: of a size that no sender may use, reaching beyond 65,535 bytes, or contradicting others. */
  malformed: number;
  /** Packets given up because fragments overlapped. */
  overlapping: number;
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
  /**
   * Called when a packet is given up after the timeout and its first fragment is there. Consumes the packet, whose
   * window starts at the first fragment's header and ends with its payload.
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
  readonly packet: Packet;
  /** Received parts of the payload, disjoint and in order: begin and end alternating. */
  readonly parts: number[];
  /** Bytes of the first fragment's header; 0 until it comes. */
  headerBytes: number;
  /** Bytes of the first fragment's payload. */
  firstBytes: number;
  /** Bytes of the whole payload; -1 until the last fragment comes. */
  total: number;
}

/** Puts fragments together. */
export class Reassembly {
  /** What it counts. */
  readonly counters: ReassemblyCounters;
  readonly #pool: PacketPool;
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #onTimeout: (packet: Packet) => void;
  /** In order of their deadlines. */
  readonly #assemblies = new Set<Assembly>();

  /** Takes its wiring. */
  constructor(options: ReassemblyOptions) {
    this.#pool = options.pool;
    this.#timers = options.timers;
    this.#timer = options.timers.create(() => this.#expire());
    this.#onTimeout = options.onTimeout;
    this.counters = options.counters.register("reassembly", {
      fragments: 0,
      reassembled: 0,
      malformed: 0,
      overlapping: 0,
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
   * Takes a fragment, whose header at `fragment.networkAt` has been checked and whose window is header and payload.
   * Consumes it. Returns the whole packet, window and `networkAt` at its header, when this was the last missing part.
   */
  add(fragment: Packet): Packet | null {
    this.counters.fragments++;
    const { view, networkAt: at } = fragment;
    const header = headerBytesAt(view, at);
    const offset = fragmentOffsetAt(view, at);
    const length = fragment.tail - at - header;
    const more = moreFragmentsAt(view, at);
    const end = offset + length;
    // RFC 791: all fragments but the last carry a multiple of 8 bytes.
    if (length === 0 || (more && length % 8 !== 0) || end > ipv4MaximumBytes - header) {
      this.counters.malformed++;
      fragment.release();
      return null;
    }
    const assembly = this.#find(view, at) ?? this.#begin(view, at);
    if (assembly === null) {
      this.counters.noPacket++;
      fragment.release();
      return null;
    }
    const complete = this.#place(assembly, fragment, header, offset, end, more);
    const { arrivedAt, nic, multicast, looped } = fragment;
    fragment.release();
    if (!complete) return null;
    const { packet } = assembly;
    this.#end(assembly);
    this.counters.reassembled++;
    this.#restoreHeader(assembly, assembly.headerBytes + assembly.total);
    packet.arrivedAt = arrivedAt;
    packet.nic = nic;
    packet.multicast = multicast;
    packet.looped = looped;
    return packet;
  }

  /** Gives everything up. */
  clear(): void {
    for (const assembly of [...this.#assemblies]) this.#giveUp(assembly);
    this.#timer.dispose();
  }

  /** Copies a fragment to its place. Returns whether the packet is complete; gives it up when fragments contradict. */
  #place(
    assembly: Assembly,
    fragment: Packet,
    header: number,
    offset: number,
    end: number,
    more: boolean,
  ): boolean {
    const { packet, parts } = assembly;
    const contradicts = more
      ? assembly.total >= 0 && end > assembly.total
      : assembly.total >= 0 && end !== assembly.total;
    if (contradicts || (!more && parts.length > 0 && parts[parts.length - 1]! > end)) {
      this.counters.malformed++;
      this.#giveUp(assembly);
      return false;
    }
    const source = fragment.networkAt + header;
    let place = 0;
    while (place < parts.length && parts[place + 1]! <= offset) place += 2;
    if (place < parts.length && parts[place]! < end) {
      const inside = parts[place]! <= offset && end <= parts[place + 1]!;
      if (inside && isSame(fragment.bytes, source, packet.bytes, payloadAt + offset, end - offset)) return false;
      // RFC 5722 section 3, which is as right for IPv4: overlaps are only ever made to deceive.
      this.counters.overlapping++;
      this.#giveUp(assembly);
      return false;
    }
    packet.bytes.set(fragment.bytes.subarray(source, fragment.tail), payloadAt + offset);
    if (offset === 0) {
      assembly.headerBytes = header;
      assembly.firstBytes = end;
      packet.bytes.set(fragment.bytes.subarray(fragment.networkAt, source), payloadAt - header);
    }
    if (!more) assembly.total = end;
    const joinsBefore = place > 0 && parts[place - 1] === offset;
    const joinsBehind = place < parts.length && parts[place] === end;
    if (joinsBefore && joinsBehind) parts.splice(place - 1, 2);
    else if (joinsBefore) parts[place - 1] = end;
    else if (joinsBehind) parts[place] = offset;
    else parts.splice(place, 0, offset, end);
    if (parts.length !== 2 || parts[0] !== 0 || parts[1] !== assembly.total) return false;
    if (assembly.headerBytes + assembly.total <= ipv4MaximumBytes) return true;
    this.counters.malformed++;
    this.#giveUp(assembly);
    return false;
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
      this.#giveUp(oldest!);
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
    };
    this.#assemblies.add(assembly);
    if (!this.#timer.running) this.#timer.startAt(assembly.deadline);
    return assembly;
  }

  /** Sets window and header of what has come of a packet: `length` bytes from its header on. */
  #restoreHeader(assembly: Assembly, length: number): void {
    const { packet, headerBytes } = assembly;
    const at = payloadAt - headerBytes;
    packet.head = packet.networkAt = at;
    packet.tail = at + length;
    packet.view.setUint16(at + Ipv4Field.totalLength, length);
    packet.view.setUint16(at + Ipv4Field.flagsAndOffset, 0);
    packet.view.setUint16(at + Ipv4Field.checksum, 0);
    packet.view.setUint16(at + Ipv4Field.checksum, checksum(packet.view, at, headerBytes));
  }

  #giveUp(assembly: Assembly): void {
    assembly.packet.release();
    this.#end(assembly);
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
      this.counters.timedOut++;
      this.#end(assembly);
      if (assembly.headerBytes > 0) {
        this.#restoreHeader(assembly, assembly.headerBytes + assembly.firstBytes);
        this.#onTimeout(assembly.packet);
      } else assembly.packet.release();
    }
  }
}

function isSame(left: Uint8Array, leftAt: number, right: Uint8Array, rightAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (left[leftAt + index] !== right[rightAt + index]) return false;
  }
  return true;
}
