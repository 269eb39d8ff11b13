/**
 * Ethernet: frames with hardware addresses, demultiplexed by EtherType.
 *
 * @module
 */

import type { Counters } from "../counters.ts";
import type { Packet } from "../packet.ts";
import { type UpperProtocol, Verdict } from "../protocol.ts";
import {
  EthernetField,
  ethernetHeaderBytes,
  etherTypeAt,
  isGroupMacAt,
  isStationMacAt,
  writeEthernetHeader,
} from "./ethernet_header.ts";
import type { LinkProtocol, LinkSession, Nic } from "./nic.ts";

/** What Ethernet counts. */
export interface EthernetCounters {
  /** Frames accepted and handed up. */
  received: number;
  /** Frames sent. */
  sent: number;
  /** Dropped: shorter than a header. */
  truncated: number;
  /** Dropped: sent to another station. */
  otherDestination: number;
  /** Dropped: the source is a group or all zero. */
  badSource: number;
  /** Dropped: the source is our own address, so it is a reflection of what we sent, or another station uses it too. */
  ownSource: number;
  /** Dropped: nobody receives the EtherType. */
  unknownEtherType: number;
  /** Dropped on sending: the interface or the receiver has no hardware address. */
  noAddress: number;
}

/** What Ethernet is wired to. */
export interface EthernetOptions {
  /** The stack's interfaces, by index; the list may grow later. */
  nics: readonly Nic[];
  /** Where to count. */
  counters: Counters;
}

/** The Ethernet protocol: one instance serves all interfaces of a stack. */
export class Ethernet implements LinkProtocol {
  /** `ethernet` */
  readonly name: string = "ethernet";
  /** Bytes of an Ethernet header. */
  readonly headerBytes: number = ethernetHeaderBytes;
  /** What it counts. */
  readonly counters: EthernetCounters;
  readonly #nics: readonly Nic[];
  readonly #uppers = new Map<number, UpperProtocol>();

  /** Takes its wiring; {@linkcode Ethernet.register} adds who receives. */
  constructor(options: EthernetOptions) {
    this.#nics = options.nics;
    this.counters = options.counters.register("ethernet", {
      received: 0,
      sent: 0,
      truncated: 0,
      otherDestination: 0,
      badSource: 0,
      ownSource: 0,
      unknownEtherType: 0,
      noAddress: 0,
    });
  }

  /** Registers who receives the frames of an EtherType. */
  register(etherType: number, upper: UpperProtocol): void {
    this.#uppers.set(etherType, upper);
  }

  /** Prepends a header and hands the frame to the session's interface. Consumes the packet. */
  push(packet: Packet, session: LinkSession): Verdict {
    const { nic, destination } = session;
    if (nic.mac === null || destination === null) {
      this.counters.noAddress++;
      packet.release();
      return Verdict.dropped;
    }
    const at = packet.push(ethernetHeaderBytes);
    writeEthernetHeader(packet.view, at, destination, nic.mac, session.etherType);
    packet.linkAt = at;
    packet.nic = nic.index;
    this.counters.sent++;
    return nic.transmit(packet);
  }

  /**
   * Accepts a frame for the interface it arrived on, for everybody or for a group, or any frame while the interface is
   * promiscuous. Which groups are wanted is decided by the network protocols, whose addresses they stand for.
   */
  pop(packet: Packet): Verdict {
    const { view } = packet;
    const at = packet.pop(ethernetHeaderBytes);
    if (at < 0) {
      this.counters.truncated++;
      return drop(packet);
    }
    const nic = this.#nics[packet.nic];
    const mac = nic?.mac ?? null;
    const group = isGroupMacAt(view, at + EthernetField.destination);
    const promiscuous = nic?.promiscuous ?? false;
    if (!group && !promiscuous && !(mac?.matches(view, at + EthernetField.destination) ?? false)) {
      this.counters.otherDestination++;
      return drop(packet);
    }
    if (!isStationMacAt(view, at + EthernetField.source)) {
      this.counters.badSource++;
      return drop(packet);
    }
    if (!promiscuous && (mac?.matches(view, at + EthernetField.source) ?? false)) {
      this.counters.ownSource++;
      return drop(packet);
    }
    const upper = this.#uppers.get(etherTypeAt(view, at));
    if (upper === undefined) {
      this.counters.unknownEtherType++;
      return drop(packet);
    }
    packet.linkAt = at;
    packet.multicast = group;
    this.counters.received++;
    return upper.pop(packet);
  }
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
