/**
 * A network interface of the stack: a device, its addresses and its switches.
 *
 * @module
 */

import type { Family, IpAddress, IpPrefix, MacAddress } from "../address.ts";
import { ChecksumState, type Packet } from "../packet.ts";
import { type Protocol, Verdict } from "../protocol.ts";
import type { Device } from "./device.ts";
import { canCut, completeChecksum, cutSegment, Offload, segmentCount } from "./segmentation.ts";

/** EtherType values (IEEE 802). */
export const EtherType = {
  ipv4: 0x0800,
  arp: 0x0806,
  ipv6: 0x86dd,
} as const;

/** What a link protocol must know to send: the interface and, on media with addresses, who is to receive. */
export interface LinkSession {
  /** The interface to send from. */
  readonly nic: Nic;
  /** What the frame carries; see {@linkcode EtherType}. */
  readonly etherType: number;
  /** The receiver's hardware address; null on media without addresses, and while it is unknown. */
  readonly destination: MacAddress | null;
  /**
   * To be called when a transport has learnt from the peer that packets sent this way arrive (RFC 4861 section 7.3.1):
   * the neighbour then need not be probed. Absent where no neighbour is kept.
   */
  confirm?(): void;
  /**
   * To be called when a transport suspects that packets sent this way do not arrive (RFC 1122 section 3.3.1.4): the
   * neighbour is then probed. Absent where no neighbour is kept.
   */
  doubt?(): void;
}

/** A link protocol: Ethernet, or nothing at all on a medium that carries bare IP packets. */
export type LinkProtocol = Protocol<LinkSession>;

/** The counters of an interface. */
export interface NicCounters {
  /** Frames received. */
  receivedFrames: number;
  /** Bytes received, link headers included. */
  receivedBytes: number;
  /** Frames handed to the device. */
  sentFrames: number;
  /** Bytes handed to the device, link headers included. */
  sentBytes: number;
  /** Frames that the device did not take. */
  sendDropped: number;
}

/** Options of an interface. */
export interface NicOptions {
  /** Accept frames and packets for any destination. */
  promiscuous?: boolean;
  /** Allow packets from sources that are not ours. */
  spoofing?: boolean;
}

/** A network interface. */
export class Nic {
  /** Its place in the stack's list, which is what {@linkcode Packet.nic} holds. */
  readonly index: number;
  /** Name for people. */
  readonly name: string;
  /** What carries its frames. */
  readonly device: Device;
  /** The protocol that frames them. */
  readonly link: LinkProtocol;
  /** Its hardware address, or null where the medium has none. */
  readonly mac: MacAddress | null;
  /** Accept frames and packets for any destination. */
  promiscuous: boolean;
  /** Allow packets from sources that are not ours. */
  spoofing: boolean;
  /** Frames and bytes both ways. */
  readonly counters: NicCounters = {
    receivedFrames: 0,
    receivedBytes: 0,
    sentFrames: 0,
    sentBytes: 0,
    sendDropped: 0,
  };
  /**
   * The largest packet that others on the link want, in bytes, where that is less than the device carries; paths are made
   * anew after `routes.touch()`.
   */
  mtuLimit: number = Infinity;
  #addresses: readonly IpPrefix[] = [];
  /** The subnet broadcast addresses that follow from `#addresses`, as 32-bit words. */
  #broadcasts: readonly number[] = [];
  #groups: readonly IpAddress[] = [];

  /** Made by the stack when a device is attached. */
  constructor(index: number, name: string, device: Device, link: LinkProtocol, options: NicOptions = {}) {
    this.index = index;
    this.name = name;
    this.device = device;
    this.link = link;
    this.mac = device.address;
    this.promiscuous = options.promiscuous ?? false;
    this.spoofing = options.spoofing ?? false;
  }

  /** The most bytes of network-layer packet that a frame carries. */
  get mtu(): number {
    return Math.min(this.device.mtu, this.mtuLimit);
  }

  /** What its device finishes by itself; see {@linkcode Device.offloads}. */
  get offloads(): number {
    return this.device.offloads ?? 0;
  }

  /** Its addresses with their prefix lengths, in the order in which they were added. */
  get addresses(): readonly IpPrefix[] {
    return this.#addresses;
  }

  /** The multicast groups that it has joined. */
  get groups(): readonly IpAddress[] {
    return this.#groups;
  }

  /** Adds an address, or changes its prefix length. Routes are the caller's business. */
  addAddress(prefix: IpPrefix): void {
    this.#setAddresses([...this.#addresses.filter(({ address }) => !address.equals(prefix.address)), prefix]);
  }

  /** Removes an address and returns its prefix, or null if it had no such address. */
  removeAddress(address: IpAddress): IpPrefix | null {
    const found = this.#addresses.find((prefix) => prefix.address.equals(address)) ?? null;
    this.#setAddresses(this.#addresses.filter((prefix) => prefix !== found));
    return found;
  }

  /** Joins a multicast group. */
  joinGroup(group: IpAddress): void {
    if (!this.#groups.some((joined) => joined.equals(group))) this.#groups = [...this.#groups, group];
  }

  /** Leaves a multicast group. */
  leaveGroup(group: IpAddress): void {
    this.#groups = this.#groups.filter((joined) => !joined.equals(group));
  }

  /** The own address that stands at `at`, or null. */
  ownAddressAt(family: Family, view: DataView, at: number): IpAddress | null {
    for (const { address } of this.#addresses) {
      if (address.family === family && address.matches(view, at)) return address;
    }
    return null;
  }

  /** Whether the IPv4 address at `at` is the broadcast address of one of its subnets. */
  isSubnetBroadcastAt(view: DataView, at: number): boolean {
    return this.isSubnetBroadcast(view.getUint32(at));
  }

  /** Whether an IPv4 address, as a 32-bit number, is the broadcast address of one of its subnets. */
  isSubnetBroadcast(address: number): boolean {
    return this.#broadcasts.includes(address);
  }

  /** Whether it has joined the group that stands at `at`. */
  hasGroupAt(family: Family, view: DataView, at: number): boolean {
    for (const group of this.#groups) {
      if (group.family === family && group.matches(view, at)) return true;
    }
    return false;
  }

  /**
   * Takes the next frame from the device, or null when none waits. It is counted and marked with the interface and the
   * time, ready for the link protocol's `pop`.
   */
  receive(now: number): Packet | null {
    const packet = this.device.receive();
    if (packet === null) return null;
    this.counters.receivedFrames++;
    this.counters.receivedBytes += packet.length;
    packet.nic = this.index;
    packet.looped = this.device.loopback;
    packet.arrivedAt = now;
    return packet;
  }

  /**
   * Hands a frame to the device and counts it, after doing what is left to be done about it and the device does not do:
   * checksums, segmentation. Consumes the packet.
   */
  transmit(packet: Packet): Verdict {
    const { offloads } = this;
    if (this.device.gathers !== true) packet.fill();
    if (packet.segmentBytes > 0 && !canCut(packet, offloads)) return this.#cut(packet);
    if (packet.checksum === ChecksumState.partial && (offloads & Offload.checksum) === 0) completeChecksum(packet);
    return this.#handOver(packet);
  }

  /** Sends a super-segment as the frames that it stands for. */
  #cut(packet: Packet): Verdict {
    const { device } = this;
    const linkHeaderBytes = device.medium === "ethernet" ? this.link.headerBytes : 0;
    const count = segmentCount(packet);
    let verdict: Verdict = Verdict.done;
    for (let index = 0; index < count && verdict !== Verdict.dropped; index++) {
      const frame = cutSegment(packet, index, device.headerBytes, linkHeaderBytes);
      if (frame === null) {
        this.counters.sendDropped++;
        verdict = Verdict.dropped;
      } else {
        if ((this.offloads & Offload.checksum) === 0) completeChecksum(frame);
        verdict = this.#handOver(frame);
      }
    }
    packet.release();
    return verdict;
  }

  #handOver(packet: Packet): Verdict {
    this.counters.sentFrames++;
    this.counters.sentBytes += packet.length;
    const verdict = this.device.transmit(packet);
    if (verdict === Verdict.dropped) this.counters.sendDropped++;
    return verdict;
  }

  #setAddresses(addresses: readonly IpPrefix[]): void {
    this.#addresses = addresses;
    this.#broadcasts = addresses.flatMap(({ broadcast }) => broadcast?.words ?? []);
  }
}
