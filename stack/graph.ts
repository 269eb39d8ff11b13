/**
 * The protocol graph: the one file that knows all modules of the data path, makes one instance of each, and hands each
 * its neighbours.
 *
 * @module
 */

import type { Counters } from "./counters.ts";
import { Arp } from "./link/arp.ts";
import { BareIp } from "./link/bare_ip.ts";
import type { Device } from "./link/device.ts";
import { Ethernet } from "./link/ethernet.ts";
import { EtherType, type LinkProtocol, type Nic } from "./link/nic.ts";
import { Addresses } from "./network/addresses.ts";
import { Icmpv4 } from "./network/icmpv4.ts";
import { Igmp } from "./network/igmp.ts";
import { Ipv4 } from "./network/ipv4.ts";
import { Ipv4Forwarder } from "./network/ipv4_forward.ts";
import { Neighbors } from "./network/neighbors.ts";
import { NetworkTable } from "./network/networks.ts";
import type { Routes } from "./network/routes.ts";
import type { PacketPool } from "./packet.ts";
import type { Random } from "./random.ts";
import type { Timers } from "./timers.ts";
import { Echo } from "./transport/echo.ts";
import { Ports } from "./transport/ports.ts";
import type { TcpConfiguration } from "./transport/tcp/configuration.ts";
import { maximumHeaderBytes as tcpHeaderBytes } from "./transport/tcp/header.ts";
import { Tcp } from "./transport/tcp/tcp.ts";
import { Udp } from "./transport/udp.ts";
import { NicGroups } from "./transport/udp_groups.ts";

/** Headroom in front of the link header that any device may ask for, in bytes. */
const deviceHeaderBytes = 64;

/** What the modules work with. */
export interface GraphDependencies {
  /** The interfaces, at their own indexes; grows as devices are attached. */
  nics: readonly Nic[];
  /** The routes. */
  routes: Routes;
  /** Where packets come from. */
  pool: PacketPool;
  /** Timers and clock. */
  timers: Timers;
  /** Chance. */
  random: Random;
  /** Where the modules register their counters. */
  counters: Counters;
  /** Called when a module has something to send and no batch is under way. */
  wake: () => void;
}

/** The modules of one stack, wired. */
export class ProtocolGraph {
  /** Address resolution. */
  readonly arp: Arp;
  /** Neighbours on all links. */
  readonly neighbors: Neighbors;
  /** Addresses of the interfaces, with their routes. */
  readonly addresses: Addresses;
  /** The network protocols as the transports see them. */
  readonly networks: NetworkTable;
  /** Who holds which port. */
  readonly ports: Ports;
  /** ICMP echo for users. */
  readonly echo: Echo;
  /** UDP. */
  readonly udp: Udp;
  /** TCP. */
  readonly tcp: Tcp;
  /** Bytes in front of a payload that the headers of all layers need. */
  readonly headroom: number;

  readonly #ethernet: Ethernet;
  readonly #bareIp: BareIp;
  readonly #ipv4: Ipv4;
  readonly #forwarder: Ipv4Forwarder;
  readonly #igmp: Igmp;

  /** Wires all modules. */
  constructor(dependencies: GraphDependencies, tcpConfiguration?: TcpConfiguration) {
    const { nics, routes, pool, timers, random, counters, wake } = dependencies;
    const ethernet = this.#ethernet = new Ethernet({ nics, counters });
    const bareIp = this.#bareIp = new BareIp({ counters });
    const linkHeadroom = deviceHeaderBytes + ethernet.headerBytes;
    const neighbors = this.neighbors = new Neighbors({ timers, random, counters });
    const addresses = this.addresses = new Addresses({ nics, routes, neighbors });
    const arp = this.arp = new Arp({ nics, neighbors, pool, headroom: linkHeadroom, timers, counters });
    const ipv4 = this.#ipv4 = new Ipv4({
      nics,
      addresses,
      routes,
      neighbors,
      pool,
      timers,
      random,
      counters,
      headroom: linkHeadroom,
    });
    this.#forwarder = new Ipv4Forwarder({ network: ipv4, routes, neighbors, counters });
    const networks = this.networks = new NetworkTable(ipv4);
    const headroom = this.headroom = linkHeadroom + ipv4.headerBytes + tcpHeaderBytes;
    const ports = this.ports = new Ports(random);
    const echo = this.echo = new Echo({ networks, pool, random, counters, headroom });
    const icmpv4 = new Icmpv4({ network: ipv4, addresses, echo, pool, timers, counters, headroom: linkHeadroom });
    const igmp = this.#igmp = new Igmp({ nics, pool, timers, random, counters, headroom: linkHeadroom });
    const groups = new NicGroups(igmp);
    const udp = this.udp = new Udp({ networks, ports, pool, random, counters, headroom, groups });
    const tcp = this.tcp = new Tcp(
      { pool, timers, random, networks, ports, headroom, counters, wake },
      tcpConfiguration,
    );

    ethernet.register(EtherType.arp, arp);
    ethernet.register(EtherType.ipv4, ipv4);
    bareIp.register(EtherType.ipv4, ipv4);
    neighbors.setResolver(arp);
    for (const transport of [icmpv4, igmp, udp, tcp]) ipv4.register(transport);
  }

  /** Whether packets for other hosts are sent on. */
  get forwarding(): boolean {
    return this.#ipv4.forward !== null;
  }

  set forwarding(forwarding: boolean) {
    this.#ipv4.forward = forwarding ? (packet) => this.#forwarder.forward(packet) : null;
  }

  /**
   * The protocol that frames what a device carries.
   *
   * @throws {RangeError} If the device asks for more headroom than packets have.
   */
  linkFor(device: Device): LinkProtocol {
    if (device.headerBytes > deviceHeaderBytes) {
      throw new RangeError(
        `Cannot attach "${device.name}": it asks for ${device.headerBytes} bytes of headroom, more than ${deviceHeaderBytes}`,
      );
    }
    return device.medium === "ethernet" ? this.#ethernet : this.#bareIp;
  }

  /** Ends everything at once, from the top down: connections, sockets, memberships, and packets that wait. */
  close(): void {
    this.tcp.close();
    for (const socket of this.udp.sockets) socket.close();
    this.#igmp.close();
    this.neighbors.clear();
    this.#ipv4.close();
  }
}
