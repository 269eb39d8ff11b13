/**
 * Forwarding of IPv4 packets between interfaces (RFC 1812 section 5).
 *
 * @module
 */

import { update } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import { EtherType, type LinkSession, type Nic } from "../link/nic.ts";
import { longestPacket } from "../link/segmentation.ts";
import { IpAddress } from "../address.ts";
import type { Packet } from "../packet.ts";
import { ErrorKind, Verdict } from "../protocol.ts";
import { TimeExceededCode } from "./icmpv4_header.ts";
import type { Ipv4 } from "./ipv4.ts";
import { destinationWordAt, Ipv4Field, Ipv4Flag, isLoopbackWord, sourceWordAt, timeToLiveAt } from "./ipv4_header.ts";
import type { Neighbors } from "./neighbors.ts";
import type { Routes } from "./routes.ts";

/** Places of the table of next hops: a power of two. */
const hopPlaces = 1024;

/** What forwarding counts. */
export interface ForwardCounters {
  /** Packets sent on. */
  forwarded: number;
  /** Packets that were sent on in fragments; they count as forwarded too. */
  fragmented: number;
  /** Answered with an error: the time to live ended here. */
  timeExceeded: number;
  /** Answered with an error: no route leads to the destination. */
  noRoute: number;
  /** Answered with an error: larger than the next link carries, and not to be fragmented. */
  tooBig: number;
  /** Dropped: the source or the destination means something on its own link only (RFC 3927 section 7). */
  linkLocal: number;
  /** Dropped: for all stations of another link (RFC 2644). */
  directedBroadcast: number;
}

/** What forwarding is wired to. */
export interface Ipv4ForwarderOptions {
  /** The protocol that hands over what is not for this host. */
  network: Ipv4;
  /** The routing table. */
  routes: Routes;
  /** The neighbour cache. */
  neighbors: Neighbors;
  /** Where to count, under `forward`. */
  counters: Counters;
}

/** The first hop towards a destination. */
interface Hop {
  readonly destination: number;
  readonly generation: number;
  readonly nic: Nic;
  readonly neighbor: LinkSession;
}

/**
 * Forwards packets. What reaches it has passed IPv4's checks: the header is sound, and the destination is one host's
 * and none of ours, in a frame to this host alone.
 */
export class Ipv4Forwarder {
  /** What it counts. */
  readonly counters: ForwardCounters;
  readonly #network: Ipv4;
  readonly #routes: Routes;
  readonly #neighbors: Neighbors;
  /** Hops found before, by a hash of the destination; a collision replaces. */
  readonly #hops: (Hop | undefined)[] = new Array(hopPlaces);

  /** Takes its wiring; who hands it packets is the caller's business. */
  constructor(options: Ipv4ForwarderOptions) {
    this.#network = options.network;
    this.#routes = options.routes;
    this.#neighbors = options.neighbors;
    this.counters = options.counters.register("forward", {
      forwarded: 0,
      fragmented: 0,
      timeExceeded: 0,
      noRoute: 0,
      tooBig: 0,
      linkLocal: 0,
      directedBroadcast: 0,
    });
  }

  /** Sends a packet on, or answers it with an error. Consumes the packet, whose window starts at the network header. */
  forward(packet: Packet): Verdict {
    const { view, networkAt: at } = packet;
    const destination = destinationWordAt(view, at);
    if (isLinkLocalWord(destination) || isLinkLocalWord(sourceWordAt(view, at)) || isLoopbackWord(destination)) {
      this.counters.linkLocal++;
      return drop(packet);
    }
    if (timeToLiveAt(view, at) <= 1) {
      this.counters.timeExceeded++;
      return this.#report(packet, ErrorKind.timeExceeded, TimeExceededCode.inTransit);
    }
    const hop = this.#hopTo(packet, destination);
    if (hop === null) {
      this.counters.noRoute++;
      return this.#report(packet, ErrorKind.networkUnreachable, 0);
    }
    const { nic, neighbor } = hop;
    if (nic.isSubnetBroadcast(destination)) {
      this.counters.directedBroadcast++;
      return drop(packet);
    }
    const fits = longestPacket(packet, at) <= nic.mtu;
    if (!fits && (view.getUint16(at + Ipv4Field.flagsAndOffset) & Ipv4Flag.dontFragment) !== 0) {
      this.counters.tooBig++;
      return this.#report(packet, ErrorKind.packetTooBig, nic.mtu);
    }
    takeHop(packet, at);
    packet.nic = nic.index;
    this.counters.forwarded++;
    if (fits) return this.#neighbors.push(packet, neighbor);
    this.counters.fragmented++;
    return this.#network.sendFragments(packet, neighbor, nic.mtu);
  }

  #hopTo(packet: Packet, destination: number): Hop | null {
    const place = Math.imul(destination, 0x9e37_79b1) >>> 22;
    const known = this.#hops[place];
    if (known?.destination === destination && known.generation === this.#routes.generation) return known;
    const route = this.#routes.lookupAt(4, packet.view, packet.destinationAt);
    if (route === null || route.nic.device.loopback) return null;
    const { nic } = route;
    const neighbor = nic.device.medium === "ip"
      ? { nic, etherType: EtherType.ipv4, destination: null }
      : this.#neighbors.find(nic, route.gateway ?? IpAddress.fromUint32(destination));
    return this.#hops[place] = { destination, generation: this.#routes.generation, nic, neighbor };
  }

  #report(packet: Packet, kind: ErrorKind, detail: number): Verdict {
    const { reporter } = this.#network;
    return reporter === null ? drop(packet) : reporter.report(packet, kind, detail);
  }
}

/** Takes one from the time to live, and mends the header's checksum (RFC 1624). */
function takeHop({ view }: Packet, at: number): void {
  const before = view.getUint16(at + Ipv4Field.timeToLive);
  const after = before - 0x100;
  view.setUint16(at + Ipv4Field.timeToLive, after);
  const sum = view.getUint16(at + Ipv4Field.checksum);
  view.setUint16(at + Ipv4Field.checksum, update(sum, before, after));
}

/** 169.254.0.0/16 (RFC 3927). */
function isLinkLocalWord(address: number): boolean {
  return address >>> 16 === 0xa9fe;
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
