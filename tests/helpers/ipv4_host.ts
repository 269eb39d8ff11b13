/**
 * A host for tests that has everything up to IPv4 and ICMP, on devices that record what is sent.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { IpAddress, IpPrefix, MacAddress } from "../../stack/address.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { Counters } from "../../stack/counters.ts";
import { Arp } from "../../stack/link/arp.ts";
import { BareIp } from "../../stack/link/bare_ip.ts";
import type { Device, DeviceHost } from "../../stack/link/device.ts";
import { Ethernet } from "../../stack/link/ethernet.ts";
import { LoopbackDevice } from "../../stack/link/loopback.ts";
import { EtherType, Nic, type NicOptions } from "../../stack/link/nic.ts";
import { Addresses } from "../../stack/network/addresses.ts";
import { type EchoListener, Icmpv4 } from "../../stack/network/icmpv4.ts";
import { Ipv4 } from "../../stack/network/ipv4.ts";
import { Neighbors, type NeighborSettings } from "../../stack/network/neighbors.ts";
import type { Path } from "../../stack/network/path.ts";
import { Routes } from "../../stack/network/routes.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { type ErrorEvent, type TransportProtocol, Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Timers } from "../../stack/timers.ts";
import { packetOf } from "./packets.ts";

/** A device that receives what a test gives it and keeps copies of what it is to send. */
export class RecordingDevice implements Device {
  readonly headerBytes = 0;
  readonly loopback = false;
  readonly wantsWrite = false;
  /** Copies of the frames sent, oldest first. */
  readonly sent: Uint8Array[] = [];

  constructor(
    readonly name: string,
    readonly medium: "ethernet" | "ip" = "ethernet",
    readonly address: MacAddress | null = null,
    public mtu = 1500,
  ) {}

  attach(_host: DeviceHost): void {}
  flush(): void {}
  close(): void {}

  receive(): Packet | null {
    return null;
  }

  transmit(packet: Packet): Verdict {
    this.sent.push(packet.contents().slice());
    packet.release();
    return Verdict.done;
  }

  /** The frames sent since the last call. */
  take(): Uint8Array[] {
    return this.sent.splice(0);
  }
}

/** What a {@linkcode RecordingTransport} was told of, with the quoted or received bytes. */
export interface Told {
  kind: number;
  type: number;
  code: number;
  mtu: number;
  source: string;
  destination: string;
  /** What is left of the packet from its transport header on. */
  transport: Uint8Array;
}

/** A transport protocol that keeps copies of what it receives. */
export class RecordingTransport implements TransportProtocol {
  readonly name = "recording";
  readonly received: { source: string; destination: string; payload: Uint8Array; multicast: boolean }[] = [];
  readonly told: Told[] = [];

  constructor(readonly protocolNumber: number) {}

  pop(packet: Packet): Verdict {
    assertEquals(packet.head, packet.transportAt);
    this.received.push({
      source: IpAddress.fromBytes(packet.bytes, packet.sourceAt, 4).toString(),
      destination: IpAddress.fromBytes(packet.bytes, packet.destinationAt, 4).toString(),
      payload: packet.contents().slice(),
      multicast: packet.multicast,
    });
    packet.release();
    return Verdict.done;
  }

  control({ kind, type, code, mtu, packet }: ErrorEvent): void {
    this.told.push({
      kind,
      type,
      code,
      mtu,
      source: IpAddress.fromBytes(packet.bytes, packet.sourceAt, 4).toString(),
      destination: IpAddress.fromBytes(packet.bytes, packet.destinationAt, 4).toString(),
      transport: packet.bytes.slice(packet.transportAt, packet.tail),
    });
  }
}

/** The hardware address of the host's first Ethernet interface. */
export const ownMac = "02:00:00:00:00:02";
/** The hardware address of the peer on its link. */
export const peerMac = "02:00:00:00:00:01";

/** The host. Its first interface is the loopback; `protocol` 253 is registered to {@linkcode Ipv4Host.transport}. */
export class Ipv4Host {
  readonly clock = new VirtualClock();
  readonly timers = new Timers(this.clock);
  readonly random = new SeededRandom(1);
  readonly pool = new PacketPool();
  readonly counters = new Counters();
  readonly nics: Nic[] = [];
  readonly routes = new Routes();
  readonly neighbors: Neighbors;
  readonly addresses: Addresses;
  readonly ethernet: Ethernet;
  readonly bareIp: BareIp;
  readonly arp: Arp;
  readonly ipv4: Ipv4;
  readonly icmpv4: Icmpv4;
  readonly transport = new RecordingTransport(253);
  readonly loopback: Nic;

  constructor(
    options: {
      neighbors?: Partial<NeighborSettings>;
      echo?: EchoListener;
      rateLimit?: { perSecond: number; burst: number };
    } = {},
  ) {
    const { nics, routes, pool, timers, random, counters } = this;
    const headroom = 14;
    this.ethernet = new Ethernet({ nics, counters });
    this.bareIp = new BareIp({ counters });
    this.neighbors = new Neighbors({ timers, random, counters, settings: options.neighbors ?? {} });
    this.addresses = new Addresses({ nics, routes, neighbors: this.neighbors });
    this.arp = new Arp({ nics, neighbors: this.neighbors, pool, headroom, timers, counters });
    const { addresses, neighbors } = this;
    this.ipv4 = new Ipv4({ nics, addresses, routes, neighbors, pool, timers, random, counters, headroom });
    this.icmpv4 = new Icmpv4({
      network: this.ipv4,
      addresses,
      echo: options.echo ?? null,
      pool,
      timers,
      counters,
      headroom,
      ...(options.rateLimit === undefined ? {} : { rateLimit: options.rateLimit }),
    });
    this.ethernet.register(EtherType.arp, this.arp);
    this.ethernet.register(EtherType.ipv4, this.ipv4);
    this.bareIp.register(EtherType.ipv4, this.ipv4);
    this.neighbors.setResolver(this.arp);
    this.ipv4.register(this.icmpv4);
    this.ipv4.register(this.transport);
    this.loopback = this.#add(new LoopbackDevice(), {}, ["127.0.0.1/8"]);
  }

  /** Adds an Ethernet interface and forgets the announcements of its addresses. */
  addEthernet(addresses: string[], mac = ownMac, options: NicOptions & { mtu?: number } = {}): Nic {
    const device = new RecordingDevice(`eth${this.nics.length}`, "ethernet", MacAddress.parse(mac), options.mtu);
    const nic = this.#add(device, options, addresses);
    device.take();
    return nic;
  }

  /** Adds an interface whose medium carries bare IP packets. */
  addTun(addresses: string[], options: NicOptions & { mtu?: number } = {}): Nic {
    return this.#add(new RecordingDevice(`tun${this.nics.length}`, "ip", null, options.mtu), options, addresses);
  }

  #add(device: Device, options: NicOptions, addresses: string[]): Nic {
    const link = device.medium === "ethernet" ? this.ethernet : this.bareIp;
    const nic = new Nic(this.nics.length, device.name, device, link, options);
    this.nics.push(nic);
    device.attach({ pool: this.pool, headroom: 128, timers: this.timers, wake: () => {}, linkChanged: () => {} });
    for (const address of addresses) this.addresses.add(nic, IpPrefix.parse(address));
    return nic;
  }

  /** Lets a frame arrive on an interface. */
  receive(nic: Nic, frame: Uint8Array): Verdict {
    const packet = packetOf(this.pool, frame);
    packet.nic = nic.index;
    packet.arrivedAt = this.clock.now();
    return nic.link.pop(packet);
  }

  /** Lets everything that was sent to the loopback arrive, and returns how many packets that were. */
  runLoopback(): number {
    let handled = 0;
    for (let packet = this.loopback.receive(this.clock.now()); packet !== null; handled++) {
      this.loopback.link.pop(packet);
      packet = this.loopback.receive(this.clock.now());
    }
    return handled;
  }

  /** The frames that an interface has sent since the last call. */
  take(nic: Nic): Uint8Array[] {
    return (nic.device as RecordingDevice).take();
  }

  /** Sends a payload along a path. */
  send(path: Path, payload: Uint8Array): Verdict {
    return this.ipv4.push(packetOf(this.pool, payload), path);
  }

  /** The path for protocol 253 to a destination, which must exist. */
  path(destination: string, source: string | null = null, nic: Nic | null = null): Path {
    const path = this.findPath(destination, source, nic);
    if (path === null) throw new Error(`Cannot find a path to ${destination}`);
    return path;
  }

  /** The path for protocol 253 to a destination, or null. */
  findPath(destination: string, source: string | null = null, nic: Nic | null = null): Path | null {
    return this.ipv4.findPath({
      destination: IpAddress.parse(destination),
      protocol: 253,
      source: source === null ? null : IpAddress.parse(source),
      nic,
    });
  }

  /** Lets time pass, timer by timer. */
  advance(milliseconds: number): void {
    const end = this.clock.now() + milliseconds;
    for (let deadline = this.timers.nextDeadline(); deadline <= end; deadline = this.timers.nextDeadline()) {
      this.clock.set(Math.max(deadline, this.clock.now()));
      this.timers.run();
    }
    this.clock.set(end);
  }

  /** The counters that are not zero. */
  counted(): Record<string, number> {
    return this.counters.snapshot({ nonZero: true });
  }

  /** Asserts that no packet is out of the pool and no timer runs. */
  assertQuiet(): void {
    assertEquals(this.pool.inUse, 0);
    assertEquals(this.timers.running, 0);
  }
}
