/**
 * The Address Resolution Protocol for IPv4 on Ethernet (RFC 826, RFC 5227): answers who asks for our addresses, and
 * asks for those of others on behalf of the neighbour cache.
 *
 * @module
 */

import { type Family, IpAddress, MacAddress } from "../address.ts";
import type { Counters } from "../counters.ts";
import type { Random } from "../random.ts";
import { AddressProbe } from "./address_probe.ts";
import type { Packet, PacketPool } from "../packet.ts";
import { type UpperProtocol, Verdict } from "../protocol.ts";
import type { Timers } from "../timers.ts";
import { arpBytes, ArpField, ArpOperation, arpOperationAt, isIpv4OnEthernetAt, writeArpHeader } from "./arp_header.ts";
import { isStationMacAt, writeMac } from "./ethernet_header.ts";
import { Evidence, type MappingKeeper, type NeighborResolver } from "./mapping.ts";
import { EtherType, type Nic } from "./nic.ts";

/** What ARP counts. */
export interface ArpCounters {
  /** Requests for one of our addresses. */
  requestsReceived: number;
  /** Replies that were sent to us. */
  repliesReceived: number;
  /** Requests sent. */
  requestsSent: number;
  /** Replies sent. */
  repliesSent: number;
  /** Probes sent (RFC 5227 section 2.1). */
  probesSent: number;
  /** Announcements sent (RFC 5227 section 2.3), those in defence of an address included. */
  announcementsSent: number;
  /** Messages between others, or about others. */
  overheard: number;
  /** Dropped: too short, or not about IPv4 on Ethernet. */
  malformed: number;
  /** Dropped: neither a request nor a reply. */
  unknownOperation: number;
  /** Dropped: the sender's hardware address or IP address cannot be a host's. */
  badSender: number;
  /** Dropped: another host uses one of our addresses (RFC 5227 section 2.4). */
  addressConflict: number;
  /** Not sent: no packet to be had, or the interface has no address. */
  notSent: number;
}

/** What ARP is wired to. */
export interface ArpOptions {
  /** The stack's interfaces, by index; the list may grow later. */
  nics: readonly Nic[];
  /** The neighbour cache. */
  neighbors: MappingKeeper;
  /** Where packets come from. */
  pool: PacketPool;
  /** Bytes that lower layers may push in front of a message. */
  headroom: number;
  /** The stack's clock. */
  timers: Timers;
  /** Where to count. */
  counters: Counters;
}

/** Milliseconds in which an address is defended no more than once: DEFEND_INTERVAL of RFC 5227 section 1.1. */
const defendInterval = 10_000;

/**
 * ARP. It answers for the addresses of the interface that a request arrives on and for no others, so that each
 * interface of a host is found at its own hardware address even where two of them share a link.
 */
export class Arp implements UpperProtocol, NeighborResolver {
  /** `arp` */
  readonly name: string = "arp";
  /** ARP resolves IPv4 addresses. */
  readonly family: Family = 4;
  /** What frames to the neighbours carry. */
  readonly etherType: number = EtherType.ipv4;
  /** What it counts. */
  readonly counters: ArpCounters;
  readonly #nics: readonly Nic[];
  readonly #neighbors: MappingKeeper;
  readonly #pool: PacketPool;
  readonly #headroom: number;
  readonly #timers: Timers;
  readonly #probes = new Set<AddressProbe>();
  /** When an address was last defended, in milliseconds of the clock. */
  #defendedAt = -Infinity;
  /** The receiver of the message that is being sent. */
  #session: { nic: Nic; etherType: number; destination: MacAddress } | null = null;

  /** Takes its wiring; registering it with Ethernet and with the neighbour cache is the caller's business. */
  constructor(options: ArpOptions) {
    this.#nics = options.nics;
    this.#neighbors = options.neighbors;
    this.#pool = options.pool;
    this.#headroom = options.headroom;
    this.#timers = options.timers;
    this.counters = options.counters.register("arp", {
      requestsReceived: 0,
      repliesReceived: 0,
      requestsSent: 0,
      repliesSent: 0,
      probesSent: 0,
      announcementsSent: 0,
      overheard: 0,
      malformed: 0,
      unknownOperation: 0,
      badSender: 0,
      addressConflict: 0,
      notSent: 0,
    });
  }

  /** Learns from a message as RFC 826 says, and answers it in place if it asks for one of our addresses. */
  pop(packet: Packet): Verdict {
    const { view } = packet;
    const nic = this.#nics[packet.nic];
    const at = packet.pop(arpBytes);
    if (at < 0 || nic === undefined || !isIpv4OnEthernetAt(view, at)) {
      this.counters.malformed++;
      return drop(packet);
    }
    const operation = arpOperationAt(view, at);
    if (operation !== ArpOperation.request && operation !== ArpOperation.reply) {
      this.counters.unknownOperation++;
      return drop(packet);
    }
    const senderAt = at + ArpField.senderProtocol;
    const macAt = at + ArpField.senderHardware;
    // RFC 5227 section 1.1: a probe has no sender address, and nothing is learnt from it.
    const isProbe = operation === ArpOperation.request && view.getUint32(senderAt) === 0;
    if (!isStationMacAt(view, macAt) || !(isProbe || canBeHost(nic, view, senderAt))) {
      this.counters.badSender++;
      return drop(packet);
    }
    if (this.#probes.size > 0) this.#examine(packet, nic, at, isProbe);
    if (nic.ownAddressAt(4, view, senderAt) !== null) return this.#noteConflict(packet, nic, senderAt, macAt);

    const isForUs = nic.ownAddressAt(4, view, at + ArpField.targetProtocol) !== null;
    if (!isProbe) this.#neighbors.learn(nic, 4, packet, senderAt, macAt, evidence(isForUs, operation));
    if (!isForUs) {
      this.counters.overheard++;
      packet.release();
      return Verdict.done;
    }
    if (operation === ArpOperation.request) {
      this.counters.requestsReceived++;
      return this.#reply(packet, nic, at);
    }
    this.counters.repliesReceived++;
    packet.release();
    return Verdict.done;
  }

  /** Asks who has `target`: everybody, or the one that had it last (RFC 1122 section 2.3.2.1). */
  solicit(nic: Nic, target: IpAddress, unicastTo: MacAddress | null): void {
    const onLink = nic.addresses.find((prefix) => prefix.contains(target)) ??
      nic.addresses.find(({ address }) => address.family === 4);
    if (onLink === undefined) {
      this.counters.notSent++;
      return;
    }
    if (this.#request(nic, onLink.address, target, unicastTo ?? MacAddress.broadcast)) this.counters.requestsSent++;
  }

  /** Tells everybody on the link that `address` is ours: a request for it from itself (RFC 5227 section 2.3). */
  announce(nic: Nic, address: IpAddress): void {
    if (nic.mac === null) return;
    if (this.#request(nic, address, address, MacAddress.broadcast)) this.counters.announcementsSent++;
  }

  /**
   * Asks whether anybody has `address` before it is ours (RFC 5227 section 2.1), which takes four to seven seconds.
   * `onDone` is told who has it, or wants it too; null if nobody does. Returns how to give up.
   */
  probe(nic: Nic, address: IpAddress, random: Random, onDone: (owner: MacAddress | null) => void): () => void {
    const probe = new AddressProbe({
      nic,
      address,
      random,
      timers: this.#timers,
      send: () => {
        if (this.#request(nic, IpAddress.unspecified4, address, MacAddress.broadcast)) this.counters.probesSent++;
      },
      onDone: (owner) => {
        this.#probes.delete(probe);
        onDone(owner);
      },
    });
    this.#probes.add(probe);
    return () => {
      probe.cancel();
      this.#probes.delete(probe);
    };
  }

  #examine(packet: Packet, nic: Nic, at: number, isProbe: boolean): void {
    for (const probe of this.#probes) if (probe.nic === nic) probe.examine(packet, at, isProbe);
  }

  #request(nic: Nic, source: IpAddress, target: IpAddress, destination: MacAddress): boolean {
    const packet = nic.mac === null ? null : this.#pool.allocate(this.#headroom, arpBytes);
    if (packet === null) {
      this.counters.notSent++;
      return false;
    }
    const { view } = packet;
    const at = packet.head;
    packet.tail = at + arpBytes;
    writeArpHeader(view, at, ArpOperation.request);
    writeMac(view, at + ArpField.senderHardware, nic.mac!);
    view.setUint32(at + ArpField.senderProtocol, source.words[0]!);
    view.setUint16(at + ArpField.targetHardware, 0);
    view.setUint32(at + ArpField.targetHardware + 2, 0);
    view.setUint32(at + ArpField.targetProtocol, target.words[0]!);
    this.#send(packet, nic, destination);
    return true;
  }

  /** Turns a request into its reply: sender and target change places. */
  #reply(packet: Packet, nic: Nic, at: number): Verdict {
    if (nic.mac === null) {
      this.counters.notSent++;
      return drop(packet);
    }
    const { view, bytes } = packet;
    const asked = view.getUint32(at + ArpField.targetProtocol);
    const sender = MacAddress.fromBytes(bytes, at + ArpField.senderHardware);
    bytes.copyWithin(at + ArpField.targetHardware, at + ArpField.senderHardware, at + ArpField.targetHardware);
    writeArpHeader(view, at, ArpOperation.reply);
    writeMac(view, at + ArpField.senderHardware, nic.mac);
    view.setUint32(at + ArpField.senderProtocol, asked);
    packet.head = at;
    packet.tail = at + arpBytes;
    this.counters.repliesSent++;
    return this.#send(packet, nic, sender);
  }

  #send(packet: Packet, nic: Nic, destination: MacAddress): Verdict {
    const session = this.#session ??= { nic, etherType: EtherType.arp, destination };
    session.nic = nic;
    session.destination = destination;
    return nic.link.push(packet, session);
  }

  /** RFC 5227 section 2.4 (b): the address is kept, and defended by an announcement, but not in a shouting match. */
  #noteConflict(packet: Packet, nic: Nic, senderAt: number, macAt: number): Verdict {
    const address = nic.ownAddressAt(4, packet.view, senderAt)!;
    if (nic.mac?.matches(packet.view, macAt) ?? false) {
      this.counters.overheard++;
      return drop(packet);
    }
    this.counters.addressConflict++;
    const now = this.#timers.clock.now();
    if (now - this.#defendedAt >= defendInterval) {
      this.#defendedAt = now;
      this.announce(nic, address);
    }
    return drop(packet);
  }
}

function evidence(isForUs: boolean, operation: number): Evidence {
  if (!isForUs) return Evidence.overheard;
  return operation === ArpOperation.reply ? Evidence.solicited : Evidence.addressed;
}

/** Whether the IPv4 address at `at` can be that of one host on the link of `nic`. */
function canBeHost(nic: Nic, view: DataView, at: number): boolean {
  const first = view.getUint8(at);
  return first !== 0 && first !== 127 && first < 224 && !nic.isSubnetBroadcastAt(view, at);
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
