/**
 * The Internet Protocol, version 4 (RFC 791, RFC 1122 section 3).
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import { checksum, verify } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import type { LinkSession, Nic } from "../link/nic.ts";
import { completeChecksum, cutSegment, longestPacket, segmentCount } from "../link/segmentation.ts";
import type { Packet, PacketPool } from "../packet.ts";
import { ErrorKind, type TransportProtocol, Verdict } from "../protocol.ts";
import type { Random } from "../random.ts";
import type { Timers } from "../timers.ts";
import type { Addresses } from "./addresses.ts";
import { copyFragment, fragmentPayloadBytes } from "./fragmentation.ts";
import { TimeExceededCode } from "./icmpv4_header.ts";
import { atomicIdentification, Identification } from "./identification.ts";
import { Ipv4Admission } from "./ipv4_admission.ts";
import { type Ipv4Counters, zeroIpv4Counters } from "./ipv4_counters.ts";
import {
  fragmentOffsetAt,
  headerBytesAt,
  Ipv4Field,
  Ipv4Flag,
  ipv4HeaderBytes,
  ipv4MaximumBytes,
  isFragmentAt,
  protocolAt,
  totalLengthAt,
  trafficClassAt,
  versionAt,
  writeIpv4Header,
} from "./ipv4_header.ts";
import { Ipv4Paths } from "./ipv4_paths.ts";
import type { Neighbors } from "./neighbors.ts";
import type { NetworkProtocol, Path, PathRequest } from "./path.ts";
import { Reassembly } from "./reassembly.ts";
import type { Routes } from "./routes.ts";

/** What answers packets with ICMP errors. */
export interface ErrorReporter {
  /**
   * Answers a received packet with an error where that is allowed. Consumes the packet. `detail` is the next hop's MTU
   * for `packetTooBig`, and the code for `timeExceeded`.
   */
  report(packet: Packet, kind: ErrorKind, detail: number): Verdict;
}

/** What IPv4 is wired to. */
export interface Ipv4Options {
  /** The stack's interfaces, by index; the list may grow later. */
  nics: readonly Nic[];
  /** Which addresses are ours. */
  addresses: Addresses;
  /** The routing table. */
  routes: Routes;
  /** The neighbour cache. */
  neighbors: Neighbors;
  /** Where packets for fragments come from. */
  pool: PacketPool;
  /** The stack's timers and clock. */
  timers: Timers;
  /** For the identification of packets. */
  random: Random;
  /** Where to count. */
  counters: Counters;
  /** Bytes that the protocols below may push in front of a packet. */
  headroom: number;
}

/**
 * IPv4.
 *
 * {@linkcode Ipv4.push} tells the transport of a packet that cannot be sent (`packetTooBig`, `networkUnreachable`,
 * `neighborUnreachable`) by a control event, and it does so before it returns.
 */
export class Ipv4 implements NetworkProtocol {
  /** `ipv4` */
  readonly name: string = "ipv4";
  /** 4 */
  readonly family = 4 as const;
  /** Bytes of a header; options are never sent. */
  readonly headerBytes: number = ipv4HeaderBytes;
  /** Bytes of a header without options. */
  readonly fixedHeaderBytes: number = ipv4HeaderBytes;
  /**
   * The smallest path MTU that is believed, in bytes. RFC 791 allows 68, but a forged report of that size would make
   * every byte cost its own weight in headers; no link in use is smaller than this.
   */
  readonly minimumMtu: number = 552;
  /** What it counts. */
  readonly counters: Ipv4Counters;
  /**
   * Takes packets for other hosts, if the stack forwards them. It owns the packet, whose window starts at the network
   * header.
   */
  forward: ((packet: Packet) => Verdict) | null = null;
  /** Sends ICMP errors; without one, packets are dropped silently. */
  reporter: ErrorReporter | null = null;
  readonly #nics: readonly Nic[];
  readonly #addresses: Addresses;
  readonly #routes: Routes;
  readonly #neighbors: Neighbors;
  readonly #pool: PacketPool;
  readonly #headroom: number;
  readonly #admission: Ipv4Admission;
  readonly #paths: Ipv4Paths;
  readonly #identification: Identification;
  readonly #reassembly: Reassembly;
  readonly #transports: (TransportProtocol | undefined)[] = new Array(256);

  /** Takes its wiring; registering it with the link protocols is the caller's business. */
  constructor(options: Ipv4Options) {
    const { nics, addresses, routes, neighbors, pool, timers, counters } = options;
    this.counters = counters.register("ipv4", zeroIpv4Counters());
    this.#nics = nics;
    this.#addresses = addresses;
    this.#routes = routes;
    this.#neighbors = neighbors;
    this.#pool = pool;
    this.#headroom = options.headroom;
    this.#admission = new Ipv4Admission(nics, addresses, this.counters);
    this.#paths = new Ipv4Paths({ network: this, nics, addresses, routes, neighbors, clock: timers.clock });
    this.#identification = new Identification(options.random);
    this.#reassembly = new Reassembly({
      pool,
      timers,
      counters,
      onComplete: (packet) => this.#deliver(packet),
      onTimeout: (packet) => this.#reportTimeout(packet),
    });
    neighbors.setUnreachableHandler(4, (packet) => this.#noteUnreachable(packet));
  }

  /** Registers who receives the packets of a transport protocol. */
  register(transport: TransportProtocol): void {
    this.#transports[transport.protocolNumber] = transport;
  }

  /** The transport protocol registered for a number, or null. */
  transport(protocolNumber: number): TransportProtocol | null {
    return this.#transports[protocolNumber] ?? null;
  }

  /** The path to a destination, or null when there is no route or no usable source address. */
  findPath(request: PathRequest): Path | null {
    return this.#paths.find(request);
  }

  /** As {@linkcode NetworkProtocol.replyPath}. */
  replyPath(packet: Packet, protocol: number): Path | null {
    return this.#paths.reply(packet, protocol);
  }

  /** The path back to the sender of a packet that is being forwarded: from an address of ours on the way there. */
  forwarderPath(packet: Packet, protocol: number): Path | null {
    return this.#paths.find({ destination: IpAddress.fromBytes(packet.bytes, packet.sourceAt, 4), protocol });
  }

  /** As {@linkcode NetworkProtocol.lowerMtu}; reports are forgotten after ten minutes (RFC 1191 section 6.3). */
  lowerMtu(path: Path, mtu: number): void {
    this.#paths.lowerMtu(path, mtu);
  }

  /** As {@linkcode NetworkProtocol.renew}. */
  renew(path: Path): boolean {
    return path.generation === this.#routes.generation || this.#paths.refresh(path);
  }

  /** As {@linkcode NetworkProtocol.reject}. */
  reject(packet: Packet, kind: ErrorKind): Verdict {
    if (this.reporter === null) return drop(packet);
    return this.reporter.report(packet, kind, 0);
  }

  /** Whether the address at `at` is one that we send from by the interface of the packet: ours, or any if it spoofs. */
  sendsFrom(packet: Packet, at: number): boolean {
    return this.#addresses.isOwnAt(4, packet.view, at) || (this.#nics[packet.nic]?.spoofing ?? false);
  }

  /** Gives up what waits for missing fragments. */
  close(): void {
    this.#reassembly.clear();
  }

  /** Prepends a header and sends the packet along the path, in fragments if it must be. Consumes the packet. */
  push(packet: Packet, path: Path): Verdict {
    const length = packet.length + ipv4HeaderBytes;
    if (length > ipv4MaximumBytes) {
      this.counters.tooLong++;
      return drop(packet);
    }
    const at = packet.push(ipv4HeaderBytes);
    const { view } = packet;
    this.#writeHeader(view, at, path, length);
    packet.networkAt = at;
    packet.transportAt = at + ipv4HeaderBytes;
    packet.sourceAt = at + Ipv4Field.source;
    packet.destinationAt = at + Ipv4Field.destination;
    packet.family = 4;
    packet.protocol = path.protocol;
    if (!this.renew(path)) {
      this.counters.noRoute++;
      return this.#fail(packet, ErrorKind.networkUnreachable, 0);
    }
    packet.nic = path.nic.index;
    const mtu = Math.min(path.mtu, path.nic.mtu);
    if (longestPacket(packet, at) > mtu) {
      if (!path.dontFragment) return this.sendFragments(packet, path.neighbor, mtu);
      this.counters.tooBig++;
      return this.#fail(packet, ErrorKind.packetTooBig, mtu);
    }
    this.counters.sent++;
    return this.#neighbors.push(packet, path.neighbor);
  }

  /** Checks a packet and hands it to its transport protocol, to reassembly, or on to be forwarded. */
  pop(packet: Packet): Verdict {
    const { view, head: at, length } = packet;
    this.counters.received++;
    if (length < ipv4HeaderBytes) {
      this.counters.truncated++;
      return drop(packet);
    }
    const header = headerBytesAt(view, at);
    if (versionAt(view, at) !== 4 || header < ipv4HeaderBytes || header > length) {
      this.counters.badHeader++;
      return drop(packet);
    }
    // A device that verifies checksums means those of the transport: this one is always ours to check.
    if (!packet.looped && !verify(view, at, header)) {
      this.counters.badChecksum++;
      return drop(packet);
    }
    const total = totalLengthAt(view, at);
    if (total < header || total > length) {
      this.counters.badLength++;
      return drop(packet);
    }
    // Short Ethernet frames are padded.
    packet.tail = at + total;
    this.#noteHeader(packet, at);
    if (!this.#admission.admitDestination(packet)) return drop(packet);
    if (!packet.looped && !this.#admission.admitSource(packet)) return drop(packet);
    if (!this.#admission.isForUs(packet)) return this.#passOn(packet);
    if (isFragmentAt(view, at)) return this.#reassembly.add(packet);
    return this.#deliver(packet);
  }

  #noteHeader(packet: Packet, at: number): void {
    packet.networkAt = at;
    packet.transportAt = at + headerBytesAt(packet.view, at);
    packet.sourceAt = at + Ipv4Field.source;
    packet.destinationAt = at + Ipv4Field.destination;
    packet.family = 4;
    packet.protocol = protocolAt(packet.view, at);
    packet.trafficClass = trafficClassAt(packet.view, at);
  }

  #passOn(packet: Packet): Verdict {
    if (packet.multicast) {
      this.counters.otherGroup++;
      return drop(packet);
    }
    if (this.forward === null) {
      this.counters.otherDestination++;
      return drop(packet);
    }
    this.counters.forwarded++;
    return this.forward(packet);
  }

  /** Hands a whole packet to its transport protocol. */
  #deliver(packet: Packet): Verdict {
    this.#noteHeader(packet, packet.networkAt);
    const transport = this.#transports[packet.protocol];
    if (transport === undefined) {
      this.counters.unknownProtocol++;
      return this.reject(packet, ErrorKind.protocolUnreachable);
    }
    this.counters.delivered++;
    packet.head = packet.transportAt;
    return transport.pop(packet);
  }

  #reportTimeout(packet: Packet): void {
    this.#noteHeader(packet, packet.networkAt);
    if (this.reporter === null) packet.release();
    else this.reporter.report(packet, ErrorKind.timeExceeded, TimeExceededCode.reassembly);
  }

  #writeHeader(view: DataView, at: number, path: Path, length: number): void {
    const source = path.source.words[0]!;
    const destination = path.destination.words[0]!;
    const { trafficClass, timeToLive, protocol, dontFragment } = path;
    const flags = dontFragment ? Ipv4Flag.dontFragment : 0;
    const identification = dontFragment
      ? atomicIdentification
      : this.#identification.next(source, destination, protocol);
    writeIpv4Header(view, at, trafficClass, length, identification, flags, timeToLive, protocol, source, destination);
    view.setUint16(at + Ipv4Field.checksum, checksum(view, at, ipv4HeaderBytes));
  }

  /**
   * Sends a packet whose header is in place, or each of the segments that it stands for, in parts of at most `mtu`
   * bytes to `neighbor`. Consumes the packet.
   */
  sendFragments(packet: Packet, neighbor: LinkSession, mtu: number): Verdict {
    packet.fill();
    if (packet.segmentBytes === 0) return this.#fragment(packet, neighbor, mtu);
    const count = segmentCount(packet);
    let verdict: Verdict = Verdict.done;
    for (let index = 0; index < count && verdict !== Verdict.dropped; index++) {
      const segment = cutSegment(packet, index, this.#headroom, 0);
      if (segment === null) {
        this.counters.noPacket++;
        verdict = Verdict.dropped;
      } else {
        this.#noteHeader(segment, segment.head);
        segment.networkAt = segment.head;
        verdict = this.#fragment(segment, neighbor, mtu);
      }
    }
    packet.release();
    return verdict;
  }

  /** Sends a packet, whose header is in place, in parts of at most `mtu` bytes. Consumes the packet. */
  #fragment(packet: Packet, neighbor: LinkSession, mtu: number): Verdict {
    completeChecksum(packet);
    const header = headerBytesAt(packet.view, packet.networkAt);
    const payload = packet.length - header;
    const room = fragmentPayloadBytes(mtu, header);
    let verdict: Verdict = Verdict.done;
    for (let offset = 0; offset < payload; offset += room) {
      const fragment = copyFragment(packet, offset, Math.min(room, payload - offset), this.#pool, this.#headroom);
      if (fragment === null) {
        this.counters.noPacket++;
        return drop(packet);
      }
      this.#noteHeader(fragment, fragment.head);
      this.counters.sent++;
      verdict = this.#neighbors.push(fragment, neighbor);
    }
    this.counters.fragmented++;
    packet.release();
    return verdict;
  }

  /** Called by the neighbour cache with a packet whose next hop did not answer. */
  #noteUnreachable(packet: Packet): void {
    this.counters.neighborUnreachable++;
    packet.networkAt = packet.head;
    this.#noteHeader(packet, packet.networkAt);
    if (this.sendsFrom(packet, packet.sourceAt)) {
      this.#fail(packet, ErrorKind.neighborUnreachable, 0);
    } else {
      this.reject(packet, ErrorKind.hostUnreachable);
    }
  }

  /** Tells the transport that sent a packet why it was not sent, and drops it. */
  #fail(packet: Packet, kind: ErrorKind, mtu: number): Verdict {
    // Only the first fragment has the transport's header.
    if (fragmentOffsetAt(packet.view, packet.networkAt) === 0) {
      this.#transports[packet.protocol]?.control({ kind, type: -1, code: -1, mtu, packet });
    }
    return drop(packet);
  }
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
