/**
 * An in-memory wire with two ends, each a device: what one end transmits, the other receives. Packets are handed over
 * as they are, without a copy.
 *
 * @module
 */

import { MacAddress } from "../address.ts";
import { ChecksumState, type Packet, PacketQueue } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import { type Random, SeededRandom } from "../random.ts";
import type { Device, DeviceHost } from "./device.ts";
import { ethernetHeaderBytes } from "./ethernet_header.ts";
import { bothWays, type ImpairedLinkOptions, Impairment, type ImpairmentOptions } from "./impairment.ts";
import { longestPacket, Offload } from "./segmentation.ts";

/** Options of {@linkcode createWire}. */
export interface WireOptions extends ImpairedLinkOptions {
  /** What a frame starts with: an Ethernet header, or the IP header itself. Default `"ethernet"`. */
  medium?: "ethernet" | "ip";
  /** Most bytes of network-layer packet that a frame carries. Default 1500. */
  mtu?: number;
  /** Names of the ends. Default `wire0` and `wire1`. */
  names?: readonly [string, string];
  /** Hardware addresses of the ends, on Ethernet. Default 02:00:00:00:00:01 and 02:00:00:00:00:02. */
  addresses?: readonly [MacAddress, MacAddress];
  /** Most frames that wait at an end to be received; what comes then is dropped. Default 1024. */
  receiveFrames?: number;
  /**
   * Hand over super-segments of up to 64 KiB, and leave out the checksums that nothing on the way could spoil, where both
   * stacks agree. In a direction that has impairments, frames are those of a real wire all the same. Default false.
   */
  offload?: boolean;
}

/** What {@linkcode WireEnd} is made of. */
export interface WireEndContext {
  /** Name for people. */
  name: string;
  /** What a frame starts with. */
  medium: "ethernet" | "ip";
  /** Most bytes of network-layer packet that a frame carries. */
  mtu: number;
  /** Hardware address, or null where the medium has none. */
  address: MacAddress | null;
  /** Most frames that wait to be received. */
  receiveFrames: number;
  /** Whether to take super-segments and unfinished checksums. */
  offload: boolean;
  /** Where chance comes from. */
  random: Random;
  /** What happens to the frames that this end transmits. */
  impairment: ImpairmentOptions;
}

/**
 * Headroom in front of every frame that is handed over, in bytes: the receiver can put a larger link and network header
 * and an ICMP header in front of the packet it got, although the sender's headers were smaller.
 */
const replyHeadroom = 64;

/** Bytes of super-segments that wait to be received at most, so that they do not exhaust the sender's pool. */
const receiveBytes = 16 * 1024 * 1024;

/** One end of a wire. Made by {@linkcode createWire}. */
export class WireEnd implements Device {
  /** Name for people. */
  readonly name: string;
  /** What a frame starts with: an Ethernet header, or the IP header itself. */
  readonly medium: "ethernet" | "ip";
  /** Most bytes of network-layer packet that a frame carries. */
  readonly mtu: number;
  /** Hardware address, or null where the medium has none. */
  readonly address: MacAddress | null;
  /** Headroom, in bytes, that frames have when they are handed over. */
  readonly headerBytes: number = replyHeadroom;
  /** False: checksums are verified, so that corruption is found. */
  readonly loopback: boolean = false;
  /** False: nothing waits for the operating system. */
  readonly wantsWrite: boolean = false;
  /** What happens to the frames that this end transmits, and their counters. */
  readonly impairment: Impairment;
  readonly #inbox = new PacketQueue();
  readonly #receiveFrames: number;
  readonly #frameBytes: number;
  readonly #offload: boolean;
  #peer: WireEnd = this;
  #host: DeviceHost | null = null;
  #closed = false;

  /** Made by {@linkcode createWire}. */
  constructor(context: WireEndContext) {
    const linkHeaderBytes = context.medium === "ethernet" ? ethernetHeaderBytes : 0;
    this.name = context.name;
    this.medium = context.medium;
    this.mtu = context.mtu;
    this.address = context.address;
    this.#receiveFrames = context.receiveFrames;
    this.#offload = context.offload;
    this.#frameBytes = context.mtu + linkHeaderBytes;
    this.impairment = new Impairment({
      options: context.impairment,
      random: context.random,
      linkHeaderBytes,
      deliver: (packet) => this.#peer.#deliver(packet),
    });
  }

  /** Joins two ends. */
  static join(left: WireEnd, right: WireEnd): void {
    left.#peer = right;
    right.#peer = left;
  }

  /** What the wire makes superfluous; see {@linkcode Device.offloads}. Nothing while frames may be impaired. */
  get offloads(): number {
    if (!this.#offload || !this.impairment.transparent || this.#peer.#host?.offload !== true) return 0;
    return Offload.checksum | Offload.tcp4 | Offload.tcp6 | Offload.ecn;
  }

  /** As {@linkcode Device.attach}. Frames that the other end transmitted before are lost. */
  attach(host: DeviceHost): void {
    this.#host = host;
    // Delivery is timed by the receiver.
    this.#peer.impairment.start(host.timers);
  }

  /**
   * As {@linkcode Device.receive}, but the frame stands where its sender put it: at least 64 bytes into the slot, which
   * need not be the host's headroom.
   */
  receive(): Packet | null {
    return this.#inbox.dequeue();
  }

  /**
   * As {@linkcode Device.transmit}. What gets lost on the way is no business of the sender: it is told `done`. A packet
   * that is larger than the MTU, or sent after {@linkcode WireEnd.close}, is dropped.
   */
  transmit(packet: Packet): Verdict {
    if (this.#closed || longestPacket(packet, packet.head) > this.#frameBytes) {
      this.impairment.counters.sent++;
      if (this.#closed) this.impairment.counters.lost++;
      else this.impairment.counters.oversized++;
      packet.release();
      return Verdict.dropped;
    }
    this.impairment.accept(packet);
    return Verdict.done;
  }

  /** Does nothing: frames never wait here. */
  flush(): void {}

  /** Releases the frames that wait and those on their way to and from this end; the other end stays open. */
  close(): void {
    this.#closed = true;
    this.#host = null;
    this.impairment.stop();
    this.#peer.impairment.stop();
    this.#inbox.clear();
  }

  #deliver(packet: Packet): boolean {
    const inbox = this.#inbox;
    if (this.#host === null || inbox.length >= this.#receiveFrames || inbox.bytes >= receiveBytes) {
      packet.release();
      return false;
    }
    if (this.#offload && packet.checksum === ChecksumState.partial) packet.forgetPlaces();
    else packet.forgetHeaders();
    makeHeadroom(packet);
    this.#inbox.enqueue(packet);
    if (this.#inbox.length === 1) this.#host.wake();
    return true;
  }
}

/**
 * Makes a wire and returns its ends. Frames arrive at once and in order unless `impairments` say otherwise; the first
 * of a pair of impairments is for frames from the first end to the second.
 *
 * Both ends run in one program: frames keep the packets of the pool that they were sent from, so that a receiver which
 * holds on to packets exhausts the sender's pool.
 *
 * @throws {RangeError} If an option lies outside its range.
 *
 * @example
 * ```ts
 * import { createWire } from "./wire.ts";
 *
 * const [client, server] = createWire({ seed: 7, impairments: { loss: 0.02, delay: 20 } });
 * console.log(client.address?.toString(), server.mtu); // 02:00:00:00:00:01 1500
 * client.close();
 * server.close();
 * ```
 */
export function createWire(options: WireOptions = {}): [WireEnd, WireEnd] {
  const { medium = "ethernet", mtu = 1500, names = ["wire0", "wire1"], receiveFrames = 1024, seed = 1 } = options;
  const { offload = false } = options;
  const addresses = options.addresses ?? [MacAddress.local(1, 0), MacAddress.local(2, 0)];
  const [forth, back] = bothWays(options);
  if (!(mtu >= 68 && mtu <= 65535)) {
    throw new RangeError(`Cannot make a wire with an MTU of ${mtu} bytes: it goes from 68 to 65535`);
  }
  if (!(receiveFrames >= 1)) {
    throw new RangeError(`Cannot make a wire with room for ${receiveFrames} frames: at least 1 is needed`);
  }
  // Each direction draws from a source of its own, so that what happens one way does not depend on the other.
  const makeEnd = (end: 0 | 1, impairment: ImpairmentOptions): WireEnd =>
    new WireEnd({
      name: names[end],
      medium,
      mtu,
      address: medium === "ethernet" ? addresses[end] : null,
      receiveFrames,
      offload,
      random: new SeededRandom(2 * seed + end),
      impairment,
    });
  const ends: [WireEnd, WireEnd] = [makeEnd(0, forth), makeEnd(1, back)];
  WireEnd.join(...ends);
  return ends;
}

/** Moves a frame back in its slot where its sender left less than {@linkcode replyHeadroom} in front of it. */
function makeHeadroom(packet: Packet): void {
  const shift = replyHeadroom - packet.head;
  if (shift <= 0 || shift > packet.tailroom) return;
  packet.bytes.copyWithin(replyHeadroom, packet.head, packet.tail);
  packet.head += shift;
  packet.tail += shift;
  packet.checksumStart += shift;
}
