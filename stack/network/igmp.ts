/**
 * The Internet Group Management Protocol, version 3 (RFC 3376), as a host speaks it: tells the routers of a link which
 * groups are received there. With routers of version 2 or 1 it speaks theirs (RFC 2236, RFC 1112).
 *
 * @module
 */

import type { IpAddress } from "../address.ts";
import { checksum, verify } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import { EtherType, type Nic } from "../link/nic.ts";
import { ChecksumState, type Packet, type PacketPool } from "../packet.ts";
import { type TransportProtocol, Verdict } from "../protocol.ts";
import { fraction, type Random } from "../random.ts";
import type { Timer, Timers } from "../timers.ts";
import {
  IgmpField,
  igmpHeaderBytes,
  igmpNumber,
  IgmpType,
  queryVersionAt,
  recordBytes,
  RecordType,
  responseTimeAt,
  writeIgmp,
  writeReport,
} from "./igmp_message.ts";
import { Ipv4Field, ipv4HeaderBytes, timeToLiveAt, writeIpv4Header } from "./ipv4_header.ts";
import { groupMacOf } from "./ipv4_paths.ts";

/** 224.0.0.1: all hosts, of which nothing is reported. */
const allHosts = 0xe000_0001;
/** 224.0.0.2: all routers, who hear of groups that are left (RFC 2236 section 3). */
const allRouters = 0xe000_0002;
/** 224.0.0.22: all routers of version 3 (RFC 3376 section 4.2.14). */
const allRoutersV3 = 0xe000_0016;

/** RFC 2113: routers are to look at the packet, whoever it is for. */
const routerAlert = 0x9404_0000;
const headerBytes = ipv4HeaderBytes + 4;

/** RFC 3376 section 4: Internetwork Control, in reports of version 3. */
const internetworkControl = 0xc0;

/** RFC 3376 section 8.1: how often a change is reported. */
const robustness = 2;
/** RFC 3376 section 8.11, RFC 2236 section 8.10: the longest time between two reports of a change, in milliseconds. */
const unsolicitedInterval = { 1: 10_000, 2: 10_000, 3: 1000 } as const;
/** RFC 3376 section 8.12: how long a router of an earlier version is reckoned with after its last query. */
const olderVersionTimeout = 260_000;

/** What IGMP counts. */
export interface IgmpCounters {
  /** Messages received. */
  received: number;
  /** Dropped: shorter than a message. */
  truncated: number;
  /** Dropped: the checksum is wrong. */
  badChecksum: number;
  /** Dropped: from beyond the link (RFC 3376 section 4), or of a type that is none of a host's business. */
  ignored: number;
  /** Queries answered, or that nothing here had to answer. */
  queries: number;
  /** Reports of others that made one of ours superfluous (versions 1 and 2). */
  suppressed: number;
  /** Reports sent. */
  reportsSent: number;
  /** Not sent: no packet to be had. */
  noPacket: number;
}

/** What IGMP is wired to. */
export interface IgmpOptions {
  /** The stack's interfaces, by index; the list may grow later. */
  nics: readonly Nic[];
  /** Where packets come from. */
  pool: PacketPool;
  /** The stack's timers and clock. */
  timers: Timers;
  /** For the random times of reports. */
  random: Random;
  /** Where to count, under `igmp`. */
  counters: Counters;
  /** Bytes that the protocols below IPv4 may push in front of a packet. */
  headroom: number;
}

/** A group that is received on an interface, or whose end is still being reported. */
class Membership {
  readonly group: IpAddress;
  readonly timer: Timer;
  /** Whether it has been left. */
  left = false;
  /** How often the last change is still to be reported. */
  changesLeft = 0;
  /** Whether a query is to be answered when the timer expires. */
  queried = false;

  constructor(group: IpAddress, timer: Timer) {
    this.group = group;
    this.timer = timer;
  }

  get word(): number {
    return this.group.words[0]!;
  }
}

/** An interface's groups and routers. */
class Link {
  readonly nic: Nic;
  readonly memberships = new Map<number, Membership>();
  /** For the answer to a query about all groups (version 3). */
  readonly timer: Timer;
  /** Until when there is a router of version 1, or of version 2. */
  readonly olderUntil: { 1: number; 2: number } = { 1: -Infinity, 2: -Infinity };

  constructor(nic: Nic, timer: Timer) {
    this.nic = nic;
    this.timer = timer;
  }

  version(now: number): 1 | 2 | 3 {
    return now < this.olderUntil[1] ? 1 : now < this.olderUntil[2] ? 2 : 3;
  }
}

/** IGMP. It is told of groups by whoever counts the sockets that receive them. */
export class Igmp implements TransportProtocol {
  /** `igmp` */
  readonly name: string = "igmp";
  /** 2 */
  readonly protocolNumber: number = igmpNumber;
  /** What it counts. */
  readonly counters: IgmpCounters;
  readonly #nics: readonly Nic[];
  readonly #pool: PacketPool;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #headroom: number;
  readonly #links = new Map<Nic, Link>();

  /** Takes its wiring; registering it with IPv4 is the caller's business. */
  constructor(options: IgmpOptions) {
    this.#nics = options.nics;
    this.#pool = options.pool;
    this.#timers = options.timers;
    this.#random = options.random;
    this.#headroom = options.headroom;
    this.counters = options.counters.register("igmp", {
      received: 0,
      truncated: 0,
      badChecksum: 0,
      ignored: 0,
      queries: 0,
      suppressed: 0,
      reportsSent: 0,
      noPacket: 0,
    });
  }

  /** An interface receives a group from now on. */
  joined(nic: Nic, group: IpAddress): void {
    if (!isReported(nic, group)) return;
    const link = this.#linkOf(nic);
    const word = group.words[0]!;
    let membership = link.memberships.get(word);
    if (membership === undefined) {
      const timer = this.#timers.create(() => this.#expire(link, membership!));
      membership = new Membership(group, timer);
      link.memberships.set(word, membership);
    }
    membership.left = false;
    membership.changesLeft = robustness;
    this.#reportChange(link, membership);
  }

  /** An interface no longer receives a group. */
  left(nic: Nic, group: IpAddress): void {
    const link = this.#links.get(nic);
    const membership = link?.memberships.get(group.words[0]!);
    if (link === undefined || membership === undefined || !isReported(nic, group)) return;
    membership.left = true;
    membership.queried = false;
    // RFC 2236 section 3: one message will do there, and RFC 1112 has none.
    const version = link.version(this.#now());
    membership.changesLeft = version === 3 ? robustness : version === 2 ? 1 : 0;
    this.#reportChange(link, membership);
  }

  /** Forgets everything, and reports nothing any more. */
  close(): void {
    for (const { timer, memberships } of this.#links.values()) {
      timer.dispose();
      for (const membership of memberships.values()) membership.timer.dispose();
    }
    this.#links.clear();
  }

  /** Takes note of a query, or of the report of another host. Consumes the packet. */
  pop(packet: Packet): Verdict {
    const { view, head: at, length, networkAt } = packet;
    this.counters.received++;
    if (length < igmpHeaderBytes) {
      this.counters.truncated++;
      return drop(packet);
    }
    if (!packet.looped && packet.checksum !== ChecksumState.verified && !verify(view, at, length)) {
      this.counters.badChecksum++;
      return drop(packet);
    }
    const nic = this.#nics[packet.nic];
    const link = nic === undefined ? undefined : this.#links.get(nic);
    const type = view.getUint8(at + IgmpField.type);
    const isQuery = type === IgmpType.query;
    const isReport = type === IgmpType.reportV1 || type === IgmpType.reportV2;
    if (timeToLiveAt(view, networkAt) !== 1 || !(isQuery || isReport)) {
      this.counters.ignored++;
      return drop(packet);
    }
    if (isQuery) this.counters.queries++;
    if (link !== undefined && isQuery) this.#takeQuery(link, view, at, length);
    if (link !== undefined && isReport) this.#takeReport(link, view.getUint32(at + IgmpField.group));
    packet.release();
    return Verdict.done;
  }

  /** Nothing that IGMP sends is reported about: it is for groups. */
  control(): void {}

  #takeQuery(link: Link, view: DataView, at: number, length: number): void {
    const version = queryVersionAt(view, at, length);
    if (version !== 3) link.olderUntil[version] = this.#now() + olderVersionTimeout;
    const limit = responseTimeAt(view, at, version);
    const group = view.getUint32(at + IgmpField.group);
    if (group === 0 && link.version(this.#now()) === 3) {
      startSooner(link.timer, this.#now() + fraction(this.#random) * limit);
      return;
    }
    for (const membership of link.memberships.values()) {
      if (membership.left || (group !== 0 && membership.word !== group)) continue;
      membership.queried = true;
      startSooner(membership.timer, this.#now() + fraction(this.#random) * limit);
    }
  }

  /** RFC 2236 section 3: one member is enough for a router of version 2. */
  #takeReport(link: Link, group: number): void {
    const membership = link.memberships.get(group);
    if (membership === undefined || membership.left || link.version(this.#now()) === 3) return;
    if (!membership.timer.running) return;
    this.counters.suppressed++;
    membership.timer.stop();
    membership.queried = false;
    membership.changesLeft = 0;
  }

  #expire(link: Link, membership: Membership): void {
    if (membership.queried) {
      membership.queried = false;
      this.#sendState(link, membership);
    }
    if (membership.changesLeft > 0) this.#reportChange(link, membership);
  }

  /** Reports a change once, and sees to it that it is reported once more, or that the membership is over. */
  #reportChange(link: Link, membership: Membership): void {
    const version = link.version(this.#now());
    if (membership.changesLeft > 0) {
      membership.changesLeft--;
      if (version === 3) {
        const type = membership.left ? RecordType.toInclude : RecordType.toExclude;
        this.#sendReport(link.nic, type, [membership.word]);
      } else if (!membership.left) {
        this.#sendState(link, membership);
      } else if (version === 2) {
        this.#sendMessage(link.nic, allRouters, IgmpType.leaveV2, membership.word);
      }
    }
    if (membership.changesLeft > 0) {
      membership.timer.start(fraction(this.#random) * unsolicitedInterval[version]);
    } else if (membership.left) {
      membership.timer.dispose();
      link.memberships.delete(membership.word);
    }
  }

  /** Says that a group is received, in the words of the router's version. */
  #sendState(link: Link, { word }: Membership): void {
    const version = link.version(this.#now());
    if (version === 3) this.#sendReport(link.nic, RecordType.isExclude, [word]);
    else this.#sendMessage(link.nic, word, version === 2 ? IgmpType.reportV2 : IgmpType.reportV1, word);
  }

  /** Answers a query about all groups. */
  #sendAll(link: Link): void {
    const room = Math.floor((link.nic.mtu - headerBytes - igmpHeaderBytes) / recordBytes);
    const groups = [...link.memberships.values()].filter(({ left }) => !left).map(({ word }) => word);
    for (let at = 0; at < groups.length; at += room) {
      this.#sendReport(link.nic, RecordType.isExclude, groups.slice(at, at + room));
    }
  }

  #sendReport(nic: Nic, type: number, groups: readonly number[]): void {
    const packet = this.#allocate(igmpHeaderBytes + groups.length * recordBytes);
    if (packet === null) return;
    writeReport(packet.view, packet.head, type, groups);
    this.#send(packet, nic, allRoutersV3, internetworkControl);
  }

  #sendMessage(nic: Nic, destination: number, type: number, group: number): void {
    const packet = this.#allocate(igmpHeaderBytes);
    if (packet === null) return;
    writeIgmp(packet.view, packet.head, type, group);
    this.#send(packet, nic, destination, 0);
  }

  #allocate(bytes: number): Packet | null {
    const packet = this.#pool.allocate(this.#headroom + headerBytes, bytes);
    if (packet === null) this.counters.noPacket++;
    else packet.tail = packet.head + bytes;
    return packet;
  }

  /** Prepends a header with the Router Alert option, which IPv4 itself never sends. */
  #send(packet: Packet, nic: Nic, destination: number, trafficClass: number): void {
    const length = packet.length + headerBytes;
    const at = packet.push(headerBytes);
    const { view } = packet;
    // RFC 3376 section 4.2.13: a host without an address reports from none.
    const source = nic.addresses.find(({ address }) => address.family === 4)?.address.words[0] ?? 0;
    const identification = this.#random.uint32() & 0xffff;
    writeIpv4Header(view, at, trafficClass, length, identification, 0, 1, igmpNumber, source, destination);
    view.setUint8(at, 0x40 | (headerBytes / 4));
    view.setUint32(at + ipv4HeaderBytes, routerAlert);
    view.setUint16(at + Ipv4Field.checksum, checksum(view, at, headerBytes));
    packet.networkAt = at;
    packet.nic = nic.index;
    this.counters.reportsSent++;
    nic.link.push(packet, {
      nic,
      etherType: EtherType.ipv4,
      destination: nic.device.medium === "ip" ? null : groupMacOf(destination),
    });
  }

  #linkOf(nic: Nic): Link {
    const known = this.#links.get(nic);
    if (known !== undefined) return known;
    const link = new Link(nic, this.#timers.create(() => this.#sendAll(link)));
    this.#links.set(nic, link);
    return link;
  }

  #now(): number {
    return this.#timers.clock.now();
  }
}

/** RFC 3376 section 5: nothing is reported of all hosts, nor within one host. */
function isReported(nic: Nic, group: IpAddress): boolean {
  return group.family === 4 && group.words[0] !== allHosts && !nic.device.loopback;
}

/** A report that is due sooner answers a later query as well. */
function startSooner(timer: Timer, deadline: number): void {
  if (deadline < timer.deadline) timer.startAt(deadline);
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
