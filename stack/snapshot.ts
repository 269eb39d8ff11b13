/**
 * What a stack is doing, as plain data that survives `JSON.stringify`: for people, logs and programs that watch it.
 *
 * @module
 */

import type { Counters } from "./counters.ts";
import type { Nic, NicCounters } from "./link/nic.ts";
import type { Neighbors } from "./network/neighbors.ts";
import type { Routes } from "./network/routes.ts";
import type { PacketPool } from "./packet.ts";
import type { Timers } from "./timers.ts";
import { type Endpoint, formatEndpoint } from "./transport/endpoint.ts";
import { type Ports, Sharing } from "./transport/ports.ts";
import type { Tcp } from "./transport/tcp/tcp.ts";
import type { TcpInfo } from "./transport/tcp/user.ts";
import type { Udp } from "./transport/udp.ts";

/** One interface. */
export interface InterfaceSnapshot {
  /** Its place in the stack's list; 0 is the loopback. */
  index: number;
  /** Name for people. */
  name: string;
  /** What its frames start with. */
  medium: "ethernet" | "ip";
  /** Hardware address, or null where the medium has none. */
  mac: string | null;
  /** The most bytes of network-layer packet that a frame carries. */
  mtu: number;
  /** Addresses with prefix lengths. */
  addresses: string[];
  /** Multicast groups that it has joined. */
  groups: string[];
  /** Whether it accepts frames for any destination. */
  promiscuous: boolean;
  /** Frames and bytes both ways. */
  counters: NicCounters;
}

/** One route, in the order in which routes are tried. */
export interface RouteSnapshot {
  /** Which destinations it is for. */
  prefix: string;
  /** The router, or null when the destinations are on the link. */
  gateway: string | null;
  /** The interface's name. */
  interface: string;
  /** Among routes with equal prefixes the smallest wins. */
  metric: number;
}

/** One neighbour. */
export interface NeighborSnapshot {
  /** The IP address. */
  address: string;
  /** The hardware address, or null while it is unknown. */
  mac: string | null;
  /** The interface's name. */
  interface: string;
  /** The state as RFC 4861 writes it, `FAILED` or `PERMANENT`. */
  state: string;
  /** Packets that wait for the hardware address. */
  pending: number;
}

/** What is known of a TCP connection; null stands for what has no finite value yet. */
export type TcpInfoSnapshot = {
  [name in keyof TcpInfo]: TcpInfo[name] extends number ? number | null : TcpInfo[name];
};

/** One listener, connection, or connection in TIME-WAIT. */
export interface TcpSnapshot {
  /** The state's name as in RFC 9293. */
  state: string;
  /** Our end: `192.0.2.2:7`. */
  local: string;
  /** The peer's end, or null for a listener. */
  remote: string | null;
  /** Bytes that can be received, or connections that wait to be accepted. */
  receiveQueue: number;
  /** Bytes that the peer has not acknowledged yet, or handshakes under way. */
  sendQueue: number;
  /** All that is known of a connection; null for listeners and in TIME-WAIT. */
  info: TcpInfoSnapshot | null;
}

/** One UDP socket. */
export interface UdpSnapshot {
  /** Our end: `0.0.0.0:53`. */
  local: string;
  /** The only peer, or null. */
  remote: string | null;
  /** Datagrams that can be received. */
  receiveQueue: number;
  /** Datagrams that were dropped because nobody received them in time. */
  dropped: number;
}

/** One reserved port. */
export interface PortSnapshot {
  /** The transport protocol's number. */
  protocol: number;
  /** The local address; the unspecified address stands for all of its family. */
  address: string;
  /** The port. */
  port: number;
  /** Which other reservations it puts up with: the names of {@linkcode Sharing}. */
  sharing: "exclusive" | "reuse" | "flow";
}

/** The memory of a stack's packets. */
export interface PacketMemorySnapshot {
  /** Packets that are out of the pool. */
  inUse: number;
  /** Bytes that the pool holds, in use or not. */
  heldBytes: number;
}

/** A stack at one moment. */
export interface StackSnapshot {
  /** Milliseconds on the stack's clock. */
  time: number;
  /** The interfaces, in the order in which they were attached. */
  interfaces: InterfaceSnapshot[];
  /** The routes, in the order in which they are tried. */
  routes: RouteSnapshot[];
  /** The neighbours on all links. */
  neighbors: NeighborSnapshot[];
  /** Listeners, then connections, then those in TIME-WAIT. */
  tcp: TcpSnapshot[];
  /** UDP sockets. */
  udp: UdpSnapshot[];
  /** Reserved ports, by protocol and port. */
  ports: PortSnapshot[];
  /** The memory of packets. */
  packets: PacketMemorySnapshot;
  /** All counters by module and reason: `{ "ipv4.badChecksum": 0, ... }`. */
  counters: Record<string, number>;
}

/** The parts of a stack that are looked at. */
export interface SnapshotSource {
  /** Its timers and clock. */
  readonly timers: Timers;
  /** Its interfaces. */
  readonly nics: readonly Nic[];
  /** Its routes. */
  readonly routes: Routes;
  /** Its neighbours. */
  readonly neighbors: Neighbors;
  /** TCP. */
  readonly tcp: Tcp;
  /** UDP. */
  readonly udp: Udp;
  /** Its port manager. */
  readonly ports: Ports;
  /** Its packets. */
  readonly pool: PacketPool;
  /** Its counters. */
  readonly counters: Counters;
}

const sharingNames = {
  [Sharing.exclusive]: "exclusive",
  [Sharing.reuse]: "reuse",
  [Sharing.flow]: "flow",
} as const;

/** Copies what a stack is doing at this moment; nothing in the copy changes later. */
export function takeSnapshot(source: SnapshotSource): StackSnapshot {
  return {
    time: source.timers.clock.now(),
    interfaces: source.nics.map(interfaceSnapshot),
    routes: source.routes.list().map(({ prefix, gateway, nic, metric }) => ({
      prefix: prefix.toString(),
      gateway: gateway?.toString() ?? null,
      interface: nic.name,
      metric,
    })),
    neighbors: source.neighbors.list().map(({ address, mac, nic, state, pending }) => ({
      address: address.toString(),
      mac: mac?.toString() ?? null,
      interface: nic,
      state,
      pending,
    })),
    tcp: tcpSnapshots(source.tcp),
    udp: source.udp.sockets.map(({ local, remote, receivable, dropped }) => ({
      local: formatEndpoint(local),
      remote: remote === null ? null : formatEndpoint(remote),
      receiveQueue: receivable,
      dropped,
    })),
    ports: source.ports.list().map(({ protocol, address, port, sharing }) => ({
      protocol,
      address: address.toString(),
      port,
      sharing: sharingNames[sharing],
    })),
    packets: { inUse: source.pool.inUse, heldBytes: source.pool.heldBytes },
    counters: source.counters.snapshot(),
  };
}

function interfaceSnapshot(nic: Nic): InterfaceSnapshot {
  const { index, name, device, mac, mtu, addresses, groups, promiscuous, counters } = nic;
  return {
    index,
    name,
    medium: device.medium,
    mac: mac?.toString() ?? null,
    mtu,
    addresses: addresses.map(String),
    groups: groups.map(String),
    promiscuous,
    counters: { ...counters },
  };
}

function tcpSnapshots(tcp: Tcp): TcpSnapshot[] {
  const ends = ({ local, remote }: { local: Endpoint; remote: Endpoint }) => ({
    local: formatEndpoint(local),
    remote: formatEndpoint(remote),
  });
  return [
    ...tcp.listeners().map(({ local, acceptable, handshakes }) => ({
      state: "LISTEN",
      local: formatEndpoint(local),
      remote: null,
      receiveQueue: acceptable,
      sendQueue: handshakes,
      info: null,
    })),
    ...tcp.connections().map((connection) => {
      const info = connection.info();
      return {
        state: info.state,
        ...ends(connection),
        receiveQueue: connection.receivable,
        sendQueue: connection.unacknowledged,
        info: finite(info),
      };
    }),
    ...Array.from(tcp.timeWait.values(), (entry) => ({
      state: "TIME-WAIT",
      ...ends(entry),
      receiveQueue: 0,
      sendQueue: 0,
      info: null,
    })),
  ];
}

/** JSON knows no infinity. */
function finite(info: TcpInfo): TcpInfoSnapshot {
  const entries = Object.entries(info).map(([name, value]) => [
    name,
    typeof value === "number" && !Number.isFinite(value) ? null : value,
  ]);
  return Object.fromEntries(entries) as TcpInfoSnapshot;
}
