/**
 * The server's switch: packets go between its device and the clients by their destinations.
 *
 * @module
 */

import type { IpAddress, IpPrefix } from "../../address.ts";
import type { ChannelDevice } from "../../link/channel.ts";
import type { Device } from "../../link/device.ts";
import type { Nic } from "../../link/nic.ts";
import type { Packet } from "../../packet.ts";
import type { Timers } from "../../timers.ts";
import { LinkLoop, type LinkLoopOptions } from "./link_loop.ts";

/** Packets that are taken from one port before the others and the timers have their turn. */
const batchPackets = 64;

/** Their bytes, of those that come from the device: a client's channel has room for as much at once. */
const batchBytes = 256 * 1024;

const ipv4 = { headerBytes: 20, source: 12, destination: 16 } as const;

/** Why packets that came from a port went no further. */
export interface HubDrops {
  /** They are no IPv4 packets. */
  notIpv4: number;
  /** Their source is not the client's address. */
  spoofedSource: number;
  /** They were meant for another client, and clients do not reach each other. */
  isolatedClient: number;
  /** No client that is connected has the address that they were meant for. */
  noSuchClient: number;
}

/** A client's place on the hub. */
export interface HubPort {
  /** The client's address. */
  readonly address: IpAddress;
  /** Its end of the link, with the counters of what passes: received is what the client sent. */
  readonly nic: Nic;
  /** Its channel. */
  readonly device: ChannelDevice;
  /** What the client sent and did not get through. */
  readonly drops: HubDrops;
}

/** Options of {@linkcode TunnelHub}. */
export interface TunnelHubOptions extends LinkLoopOptions {
  /** Whether clients reach each other. Default false. */
  interconnect?: boolean;
  /** The server's own addresses in the network. */
  own?: readonly IpAddress[];
  /** Called when the device's MTU or state has changed. */
  linkChanged?: () => void;
}

/**
 * Joins a device of bare IP packets to the channels of clients. What a client sends must come from its address. What is
 * meant for an address of the network goes to the client that has it; everything else goes to the device.
 */
export class TunnelHub implements AsyncDisposable {
  /** The tunnel's network. */
  readonly network: IpPrefix;
  /** Whether clients reach each other. */
  readonly interconnect: boolean;
  /** What came from the device and went no further. */
  readonly drops: Pick<HubDrops, "notIpv4" | "noSuchClient"> = { notIpv4: 0, noSuchClient: 0 };
  readonly #loop: LinkLoop;
  readonly #uplink: Nic;
  readonly #ports = new Map<number, HubPort>();
  readonly #own: readonly number[];
  readonly #first: number;
  readonly #mask: number;

  /** Takes over the device. */
  constructor(device: Device, network: IpPrefix, options: TunnelHubOptions = {}) {
    this.network = network;
    this.interconnect = options.interconnect ?? false;
    this.#own = (options.own ?? []).map(toNumber);
    this.#first = toNumber(network.network);
    this.#mask = network.length === 0 ? 0 : (-1 << (32 - network.length)) >>> 0;
    this.#loop = new LinkLoop({ passOn: (now) => this.#passOn(now) }, options);
    this.#uplink = this.#loop.attach(device, options.linkChanged);
  }

  /** The timers that the loop runs. */
  get timers(): Timers {
    return this.#loop.timers;
  }

  /** Packets that are out of the pool. */
  get packetsInUse(): number {
    return this.#loop.pool.inUse;
  }

  /** The server's end. */
  get uplink(): Nic {
    return this.#uplink;
  }

  /**
   * Gives a client a place.
   *
   * @throws {Error} If another client has the address.
   */
  add(address: IpAddress, device: ChannelDevice): HubPort {
    const number = toNumber(address);
    if (this.#ports.has(number)) throw new Error(`Cannot connect a client with ${address}: another one has it`);
    const drops = { notIpv4: 0, spoofedSource: 0, isolatedClient: 0, noSuchClient: 0 };
    const port = { address, nic: this.#loop.attach(device), device, drops };
    this.#ports.set(number, port);
    return port;
  }

  /** Takes a client's place away, and closes its device. */
  remove(port: HubPort): void {
    const number = toNumber(port.address);
    if (this.#ports.get(number) !== port) return;
    this.#ports.delete(number);
    this.#loop.detach(port.nic);
  }

  /** Does what there is to do now, for simulations. */
  step(): number {
    return this.#loop.step();
  }

  /** Closes the device and all channels. */
  async close(): Promise<void> {
    this.#ports.clear();
    await this.#loop.close();
  }

  /** As {@linkcode TunnelHub.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #passOn(now: number): number {
    let passed = this.#takeFromUplink(now);
    for (const port of this.#ports.values()) {
      const taken = this.#takeFromClient(port, now);
      passed += taken;
      // The system's answers to a batch find room in its short queue only while those to the last one are not there.
      if (taken > 0) passed += this.#takeFromUplink(now);
    }
    return passed;
  }

  #takeFromUplink(now: number): number {
    for (let packets = 0, bytes = 0; packets < batchPackets && bytes < batchBytes; packets++) {
      const packet = this.#uplink.receive(now);
      if (packet === null) return packets;
      bytes += packet.length;
      this.#fromUplink(packet);
    }
    return batchPackets;
  }

  #takeFromClient(port: HubPort, now: number): number {
    for (let packets = 0; packets < batchPackets; packets++) {
      const packet = port.nic.receive(now);
      if (packet === null) return packets;
      this.#fromClient(packet, port);
    }
    return batchPackets;
  }

  #fromUplink(packet: Packet): void {
    const { drops } = this;
    if (!isIpv4(packet)) return drop(packet, drops, "notIpv4");
    const port = this.#ports.get(packet.view.getUint32(packet.head + ipv4.destination));
    if (port === undefined) return drop(packet, drops, "noSuchClient");
    port.nic.transmit(packet);
  }

  #fromClient(packet: Packet, port: HubPort): void {
    const { drops } = port;
    if (!isIpv4(packet)) return drop(packet, drops, "notIpv4");
    const { view, head } = packet;
    if (view.getUint32(head + ipv4.source) !== toNumber(port.address)) return drop(packet, drops, "spoofedSource");
    const destination = view.getUint32(head + ipv4.destination);
    if ((destination & this.#mask) >>> 0 !== this.#first || this.#own.includes(destination)) {
      this.#uplink.transmit(packet);
      return;
    }
    // Given to the device, it would come back from there.
    const other = this.#ports.get(destination);
    if (other === undefined) drop(packet, drops, "noSuchClient");
    else if (!this.interconnect) drop(packet, drops, "isolatedClient");
    else other.nic.transmit(packet);
  }
}

function drop<Reason extends string>(packet: Packet, drops: Record<Reason, number>, reason: Reason): void {
  drops[reason]++;
  packet.release();
}

function isIpv4({ view, head, length }: Packet): boolean {
  return length >= ipv4.headerBytes && view.getUint8(head) >>> 4 === 4;
}

function toNumber(address: IpAddress): number {
  return address.words[0]! >>> 0;
}
