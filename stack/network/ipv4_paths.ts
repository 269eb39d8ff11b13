/**
 * The ways that IPv4 packets take: which interface, which next hop, which source address.
 *
 * @module
 */

import { IpAddress, MacAddress } from "../address.ts";
import { addUint16, type ChecksumSum } from "../checksum.ts";
import type { Clock } from "../clock.ts";
import { EtherType, type LinkSession, type Nic } from "../link/nic.ts";
import type { Packet } from "../packet.ts";
import type { Addresses } from "./addresses.ts";
import { broadcastWord, isHostWord, isLoopbackWord, isMulticastWord } from "./ipv4_header.ts";
import type { Neighbors } from "./neighbors.ts";
import type { NetworkProtocol, Path, PathRequest } from "./path.ts";
import { PathMtus } from "./path_mtu.ts";
import type { Route, Routes } from "./routes.ts";

/** The TTL of packets that nobody chose one for (the value that IANA recommends). */
const defaultTimeToLive = 64;

/** Places of the table of paths for replies: a power of two. */
const replyPlaces = 256;

/** What the paths are wired to. */
export interface Ipv4PathsOptions {
  /** The protocol that sends along the paths. */
  network: NetworkProtocol;
  /** The stack's interfaces, by index; the list may grow later. */
  nics: readonly Nic[];
  /** Which addresses are ours. */
  addresses: Addresses;
  /** The routing table. */
  routes: Routes;
  /** The neighbour cache. */
  neighbors: Neighbors;
  /** The stack's clock. */
  clock: Clock;
}

/** Where a packet goes first. */
interface Hop {
  readonly nic: Nic;
  readonly neighbor: LinkSession;
  /** The route that leads there, or null where none was asked for. */
  readonly route: Route | null;
  /** The address to send from unless the user chose one; null if there is none. */
  readonly source: IpAddress | null;
}

/** A path, with what is needed to find it again. */
class Ipv4Path implements Path {
  readonly network: NetworkProtocol;
  readonly source: IpAddress;
  destination: IpAddress;
  readonly protocol: number;
  pseudoSum: ChecksumSum;
  /** The interface that the user asked for, or null. */
  readonly pinned: Nic | null;
  /** The route that it was made from, or null where none was asked for. */
  route: Route | null;
  nic: Nic;
  neighbor: LinkSession;
  mtu: number;
  timeToLive = defaultTimeToLive;
  trafficClass = 0;
  dontFragment = false;
  generation: number;

  constructor(
    network: NetworkProtocol,
    request: PathRequest,
    source: IpAddress,
    hop: Hop,
    mtu: number,
    version: number,
  ) {
    this.network = network;
    this.source = source;
    this.destination = request.destination;
    this.protocol = request.protocol;
    this.pseudoSum = pseudoSumOf(source, request.destination, request.protocol);
    this.pinned = request.nic ?? null;
    this.route = hop.route;
    this.nic = hop.nic;
    this.neighbor = hop.neighbor;
    this.mtu = mtu;
    this.generation = version;
  }

  /** Leads somewhere else by the same next hop from now on. */
  redirect(destination: IpAddress, mtu: number): void {
    this.destination = destination;
    this.pseudoSum = pseudoSumOf(this.source, destination, this.protocol);
    this.mtu = mtu;
  }
}

/** Finds paths and keeps them up to date. */
export class Ipv4Paths {
  readonly #network: NetworkProtocol;
  readonly #nics: readonly Nic[];
  readonly #addresses: Addresses;
  readonly #routes: Routes;
  readonly #neighbors: Neighbors;
  readonly #mtus: PathMtus;
  /** Paths of replies, found by a hash of addresses and protocol; in a collision the newer one has the place. */
  readonly #replies: (Ipv4Path | undefined)[] = new Array(replyPlaces);

  /** Takes its wiring. */
  constructor(options: Ipv4PathsOptions) {
    this.#network = options.network;
    this.#nics = options.nics;
    this.#addresses = options.addresses;
    this.#routes = options.routes;
    this.#neighbors = options.neighbors;
    this.#mtus = new PathMtus(options.clock);
  }

  /** As {@linkcode NetworkProtocol.findPath}. */
  find(request: PathRequest): Path | null {
    const hop = this.#resolve(request.destination, request.nic ?? null);
    if (hop === null) return null;
    const source = request.source ?? hop.source;
    if (source === null || !this.#maySend(source, request.destination, hop.nic)) return null;
    const mtu = Math.min(hop.nic.mtu, this.#mtus.get(request.destination));
    return new Ipv4Path(this.#network, request, source, hop, mtu, this.#routes.generation);
  }

  /** As {@linkcode NetworkProtocol.replyPath}. */
  reply(packet: Packet, protocol: number): Path | null {
    const { view, sourceAt, destinationAt } = packet;
    const peer = view.getUint32(sourceAt);
    const local = view.getUint32(destinationAt);
    // RFC 1122 section 3.2.2: nothing is sent back to or from what is not a single host.
    if (packet.multicast || !isHostWord(peer) || !isHostWord(local)) return null;
    if (this.#nics[packet.nic]?.isSubnetBroadcast(peer) ?? false) return null;
    const place = (Math.imul(peer ^ protocol, 0x9e37_79b1) ^ Math.imul(local, 0x85eb_ca6b)) >>> 24;
    const known = this.#replies[place];
    // Strangers come from many addresses, but to few.
    const source = known?.source.words[0] === local ? known.source : IpAddress.fromUint32(local);
    const current = known !== undefined && known.generation === this.#routes.generation &&
      known.protocol === protocol && known.source === source;
    if (current && known.destination.words[0] === peer) return known;
    const destination = IpAddress.fromUint32(peer);
    if (current && this.#passesThrough(known, packet)) {
      known.redirect(destination, Math.min(known.nic.mtu, this.#mtus.get(destination)));
      return known;
    }
    const path = this.find({ destination, source, protocol });
    if (path instanceof Ipv4Path) this.#replies[place] = path;
    return path;
  }

  /**
   * Whether the way back to the sender of a packet begins as a path that is up to date: at the same router, or on a link
   * without hardware addresses. What came in by a link is from none of our own addresses.
   */
  #passesThrough({ route, nic }: Ipv4Path, { view, sourceAt, looped }: Packet): boolean {
    if (route === null || looped || (route.gateway === null && nic.device.medium !== "ip")) return false;
    return this.#routes.lookupAt(4, view, sourceAt) === route;
  }

  /**
   * Finds a path again after routes or addresses have changed. Returns false, and leaves the path as it is, when
   * there is no way any more or its source is no longer ours.
   */
  refresh(path: Path): boolean {
    const hop = this.#resolve(path.destination, path instanceof Ipv4Path ? path.pinned : null);
    if (hop === null || !this.#maySend(path.source, path.destination, hop.nic)) return false;
    const known = Math.min(hop.nic.mtu, this.#mtus.get(path.destination));
    path.mtu = path.nic === hop.nic ? Math.min(path.mtu, known) : known;
    if (path instanceof Ipv4Path) path.route = hop.route;
    path.nic = hop.nic;
    path.neighbor = hop.neighbor;
    path.generation = this.#routes.generation;
    return true;
  }

  /** As {@linkcode NetworkProtocol.lowerMtu}. */
  lowerMtu(path: Path, mtu: number): void {
    const believed = Math.max(mtu, this.#network.minimumMtu);
    this.#mtus.lower(path.destination, believed);
    path.mtu = Math.min(path.mtu, believed);
  }

  #resolve(destination: IpAddress, pinned: Nic | null): Hop | null {
    if (destination.family !== 4) return null;
    const word = destination.words[0]!;
    if (this.#addresses.isOwn(destination)) {
      const { loopback } = this.#addresses;
      if (loopback === null) return null;
      const source = destination.isLoopback ? this.#addresses.select(loopback, destination) : destination;
      return { nic: loopback, neighbor: sessionOf(loopback, null), route: null, source };
    }
    if (word === broadcastWord || isMulticastWord(word)) return this.#resolveGroup(destination, pinned);
    // RFC 1122 section 3.2.1.3 (g): loopback addresses never appear outside.
    if (!isHostWord(word) || isLoopbackWord(word)) return null;

    const route = this.#routes.lookup(destination, pinned);
    if (route === null) return null;
    const { nic, gateway } = route;
    const nextHop = gateway ?? destination;
    const source = route.source ?? this.#addresses.select(nic, nextHop);
    if (nic.device.medium === "ip") return { nic, neighbor: sessionOf(nic, null), route, source };
    if (gateway === null && nic.isSubnetBroadcast(word)) {
      return { nic, neighbor: sessionOf(nic, MacAddress.broadcast), route, source };
    }
    return { nic, neighbor: this.#neighbors.find(nic, nextHop), route, source };
  }

  #resolveGroup(destination: IpAddress, pinned: Nic | null): Hop | null {
    const nic = pinned ?? this.#routes.lookup(destination)?.nic ?? this.#nics.find((nic) => !nic.device.loopback) ??
      this.#addresses.loopback;
    if (nic === null) return null;
    const mac = nic.device.medium === "ip" ? null : groupMacOf(destination.words[0]!);
    return { nic, neighbor: sessionOf(nic, mac), route: null, source: this.#addresses.select(nic, destination) };
  }

  /** Whether a packet may leave by `nic` from `source`. */
  #maySend(source: IpAddress, destination: IpAddress, nic: Nic): boolean {
    if (source.family !== 4) return false;
    // RFC 1122 section 3.2.1.3 (a): only a host that has no address yet sends from none, and only to everybody (DHCP).
    if (source.isUnspecified) return destination.isBroadcast;
    if (nic.spoofing) return isHostWord(source.words[0]!);
    if (source.isLoopback && !nic.device.loopback) return false;
    return this.#addresses.isOwn(source);
  }
}

function sessionOf(nic: Nic, destination: MacAddress | null): LinkSession {
  return { nic, etherType: EtherType.ipv4, destination };
}

/** RFC 1112 section 6.4: the low 23 bits of a group go into 01:00:5e:00:00:00; the broadcast address is a MAC's too. */
export function groupMacOf(group: number): MacAddress {
  if (group === broadcastWord) return MacAddress.broadcast;
  return MacAddress.fromBytes(new Uint8Array([0x01, 0x00, 0x5e, (group >>> 16) & 0x7f, group >>> 8, group]));
}

/** The sum of the pseudo-header without its length field. */
function pseudoSumOf(source: IpAddress, destination: IpAddress, protocol: number): ChecksumSum {
  return addWord(source, addWord(destination, addUint16(protocol, 0)));
}

function addWord(address: IpAddress, seed: ChecksumSum): ChecksumSum {
  const word = address.words[0]!;
  return addUint16(word >>> 16, addUint16(word & 0xffff, seed));
}
