/**
 * UDP (RFC 768; RFC 1122 section 4.1).
 *
 * @module
 */

import type { Family, IpAddress } from "../address.ts";
import { addUint16, sum, verify } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import { type ErrorName, makeError } from "../errors.ts";
import type { Nic } from "../link/nic.ts";
import type { Networks } from "../network/path.ts";
import { ChecksumState, type Packet, type PacketPool } from "../packet.ts";
import { type ErrorEvent, ErrorKind, type Protocol, type TransportProtocol, Verdict } from "../protocol.ts";
import type { Random } from "../random.ts";
import { AddressCache } from "./address_cache.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { finishChecksum } from "./outgoing_checksum.ts";
import { type PortRequest, type PortReservation, type Ports, Sharing } from "./ports.ts";
import { type GroupMembership, NicGroups } from "./udp_groups.ts";
import {
  checksumField,
  datagramLength,
  destinationPort,
  sourcePort,
  udpHeaderBytes,
  UdpOffset,
  udpProtocolNumber,
} from "./udp_header.ts";
import {
  type BindRequest,
  defaultReceiveBufferBytes,
  type UdpConnectRequest,
  type UdpHost,
  type UdpPath,
  type UdpSession,
  UdpSocket,
} from "./udp_socket.ts";
import { UdpSocketTable } from "./udp_socket_table.ts";

/** What UDP counts. */
export interface UdpCounters {
  /** Datagrams put into a receive queue; once for each socket. */
  received: number;
  /** Datagrams handed to the network. */
  sent: number;
  /** Packets whose length field fits neither the header nor the packet. */
  badLength: number;
  /** Packets whose checksum does not match. */
  badChecksum: number;
  /** Packets without the checksum that IPv6 demands (RFC 8200 section 8.1). */
  missingChecksum: number;
  /** Packets that no socket wanted. */
  noSocket: number;
  /** Datagrams dropped because a receive queue was full. */
  queueFull: number;
  /** ICMP errors about datagrams that we sent. */
  errors: number;
  /** Datagrams not sent because the packet pool was exhausted. */
  noPacket: number;
}

/** What UDP is built on. */
export interface UdpOptions {
  /** The network protocols below. */
  readonly networks: Networks;
  /** Who holds which port. */
  readonly ports: Ports;
  /** Where packets to send come from. */
  readonly pool: PacketPool;
  /** The key of the flow table. */
  readonly random: Random;
  /** Where UDP's counters are registered, under `udp`. */
  readonly counters: Counters;
  /** Bytes in front of a payload that the headers of all layers need. */
  readonly headroom: number;
  /** Who is told of multicast groups. Default {@linkcode NicGroups}. */
  readonly groups?: GroupMembership;
}

/** The UDP module of a stack, for both families. */
export class Udp implements Protocol<UdpSession>, TransportProtocol, UdpHost {
  /** `udp` */
  readonly name = "udp";
  /** 17 */
  readonly protocolNumber: number = udpProtocolNumber;
  /** 8 */
  readonly headerBytes: number = udpHeaderBytes;
  /** What it counted. */
  readonly counters: UdpCounters;
  /** Address objects of senders. */
  readonly addresses: AddressCache = new AddressCache();
  /** Who is told of multicast groups. */
  readonly groups: GroupMembership;
  /**
   * Who is asked about datagrams that no socket wants, or null: they are then answered with an ICMP error. It looks at
   * the packet, and returns a socket of {@linkcode Udp.openFlow} that it is to be delivered to, or null.
   */
  interceptor: ((packet: Packet, sourcePort: number, destinationPort: number) => UdpSocket | null) | null = null;

  readonly #networks: Networks;
  readonly #ports: Ports;
  readonly #pool: PacketPool;
  readonly #headroom: number;
  readonly #table: UdpSocketTable;

  /** Makes the module; registering it with the network protocols is the caller's business. */
  constructor(options: UdpOptions) {
    this.#networks = options.networks;
    this.#ports = options.ports;
    this.#pool = options.pool;
    this.#headroom = options.headroom;
    this.#table = new UdpSocketTable(options.random);
    this.groups = options.groups ?? new NicGroups();
    this.counters = options.counters.register<UdpCounters>("udp", {
      received: 0,
      sent: 0,
      badLength: 0,
      badChecksum: 0,
      missingChecksum: 0,
      noSocket: 0,
      queueFull: 0,
      errors: 0,
      noPacket: 0,
    });
  }

  /** All open sockets. */
  get sockets(): UdpSocket[] {
    return this.#table.sockets;
  }

  /**
   * Opens a socket that receives from anybody.
   *
   * @throws {Error} `AddrInUse`, or `AddrNotAvailable` if the address is not ours.
   */
  bind(request: BindRequest): UdpSocket {
    const { address, port } = request.local;
    if (!this.#mayBind(address)) {
      throw makeError(
        "AddrNotAvailable",
        `Cannot bind ${formatEndpoint(request.local)}: the stack has no such address`,
      );
    }
    const reservation = this.#reserve(address, port, request.reuse ?? false);
    const socket = new UdpSocket(
      this,
      { address, port: reservation.port },
      null,
      request.receiveBufferBytes ?? defaultReceiveBufferBytes,
      request.nic ?? null,
    );
    this.#table.add(socket, reservation);
    return socket;
  }

  /**
   * Opens a socket that exchanges datagrams with one peer only. Nothing is sent yet.
   *
   * @throws {Error} `AddrInUse`, or `NetworkUnreachable` if there is no route or no address to send from.
   */
  connect(request: UdpConnectRequest): UdpSocket {
    const { remote, localAddress = null, localPort = 0 } = request;
    const found = this.findPath(remote.address, localAddress, null);
    if (found === null) {
      const from = localAddress === null ? "" : ` from ${localAddress}`;
      throw makeError(
        "NetworkUnreachable",
        `Cannot connect to ${formatEndpoint(remote)}${from}: there is no route to it`,
      );
    }
    const address = found.path.source;
    const reservation = this.#reserve(address, localPort, request.reuse ?? false);
    const local = { address, port: reservation.port };
    const socket = new UdpSocket(this, local, remote, request.receiveBufferBytes ?? defaultReceiveBufferBytes);
    if (!this.#table.add(socket, reservation)) {
      reservation.release();
      throw makeError(
        "AddrInUse",
        `Cannot connect ${formatEndpoint(local)} to ${formatEndpoint(remote)}: another socket is connected like that`,
      );
    }
    return socket;
  }

  /**
   * Opens a socket between two ends, of which the local one need not be ours, without a port of the port manager's.
   * Returns null where there is one, or no way. `onClose` is called when it is closed.
   */
  openFlow(local: Endpoint, remote: Endpoint, receiveBufferBytes: number, onClose: () => void): UdpSocket | null {
    if (this.findPath(remote.address, local.address, null) === null) return null;
    const socket = new UdpSocket(this, local, remote, receiveBufferBytes);
    return this.#table.add(socket, { release: onClose }) ? socket : null;
  }

  /** Looks for the path of a socket; null when there is none. */
  findPath(destination: IpAddress, source: IpAddress | null, nic: Nic | null): UdpPath | null {
    const network = this.#networks.of(destination.family);
    const path = network?.findPath({ destination, source, nic, protocol: udpProtocolNumber }) ?? null;
    if (path === null) return null;
    const broadcast = destination.isBroadcast ||
      (destination.family === 4 && path.nic.isSubnetBroadcast(destination.words[0]!));
    return { path, broadcast, multicastNic: nic };
  }

  /** Sends a copy of `payload`, which is not too long for one datagram. */
  send(payload: Uint8Array, session: UdpSession): void {
    const packet = this.#packetOf(payload);
    if (packet !== null) this.push(packet, session);
  }

  /** As {@linkcode UdpHost.loop}: the copy is what would arrive if the link sent it back. */
  loop(payload: Uint8Array, { path, sourcePort, destinationPort }: UdpSession): void {
    const packet = this.#packetOf(payload);
    if (packet === null) return;
    const at = packet.push(udpHeaderBytes);
    packet.view.setUint16(at + UdpOffset.sourcePort, sourcePort);
    packet.view.setUint16(at + UdpOffset.destinationPort, destinationPort);
    const { source, destination } = path;
    packet.destinationAt = packet.push(destination.bytes.length);
    packet.sourceAt = packet.push(source.bytes.length);
    packet.bytes.set(destination.bytes, packet.destinationAt);
    packet.bytes.set(source.bytes, packet.sourceAt);
    packet.head = at;
    packet.family = destination.family;
    packet.nic = path.nic.index;
    packet.multicast = true;
    this.#deliverToAll(packet, at, packet.tail - at);
  }

  /** A packet with a copy of `payload`, or null where there is none to be had, which is counted. */
  #packetOf(payload: Uint8Array): Packet | null {
    const packet = this.#pool.allocate(this.#headroom, payload.length);
    if (packet === null) {
      this.counters.noPacket++;
      return null;
    }
    packet.bytes.set(payload, packet.head);
    packet.tail = packet.head + payload.length;
    return packet;
  }

  /** Prepends the header, with its checksum, and hands the packet to the network. Consumes the packet. */
  push(packet: Packet, session: UdpSession): Verdict {
    const { path } = session;
    const at = packet.push(udpHeaderBytes);
    const { view, length } = packet;
    view.setInt32(at + UdpOffset.sourcePort, (session.sourcePort << 16) | session.destinationPort);
    // The checksum is zero while it is summed up.
    view.setInt32(at + UdpOffset.length, length << 16);
    packet.transportAt = at;
    finishChecksum(packet, UdpOffset.checksum, path);
    this.counters.sent++;
    return path.network.push(packet, path);
  }

  /** Checks a datagram and puts it into the receive queue of who wants it. Consumes the packet. */
  pop(packet: Packet): Verdict {
    const { view } = packet;
    const at = packet.pop(udpHeaderBytes);
    const length = at < 0 ? 0 : datagramLength(view, at);
    // Bytes behind the datagram's own length are not part of it.
    if (length < udpHeaderBytes || at + length > packet.tail) {
      this.counters.badLength++;
      packet.release();
      return Verdict.dropped;
    }
    packet.transportAt = at;
    if (!this.#hasGoodChecksum(packet, at, length)) {
      packet.release();
      return Verdict.dropped;
    }
    return packet.multicast ? this.#deliverToAll(packet, at, length) : this.#deliverToOne(packet, at, length);
  }

  /**
   * Tells the connected socket whose datagram an ICMP error quotes (RFC 1122 section 4.1.3.3). A smaller path MTU (RFC
   * 1191) is taken over for where any socket has sent to from that port.
   */
  control(event: ErrorEvent): void {
    this.counters.errors++;
    const { kind, packet } = event;
    const at = packet.transportAt;
    const local = sourcePort(packet.view, at);
    const remote = destinationPort(packet.view, at);
    const connected = this.#table.connected(packet, packet.sourceAt, local, packet.destinationAt, remote);
    if (kind === ErrorKind.packetTooBig) {
      connected?.tooBig(packet, event.mtu);
      for (const socket of this.#table.boundTo(local)) socket.tooBig(packet, event.mtu);
      return;
    }
    const name = errorNameOf(kind);
    if (name !== null) connected?.fail(name);
  }

  /** Called by a socket that closes. */
  closed(socket: UdpSocket): void {
    this.#table.remove(socket);
  }

  #deliverToOne(packet: Packet, at: number, length: number): Verdict {
    const { view } = packet;
    const from = sourcePort(view, at);
    const to = destinationPort(view, at);
    const socket = this.#table.receiver(packet, from, to) ?? this.interceptor?.(packet, from, to) ?? null;
    if (socket === null) {
      this.counters.noSocket++;
      const network = this.#networks.of(packet.family as Family);
      if (network !== null) return network.reject(packet, ErrorKind.portUnreachable);
      packet.release();
      return Verdict.dropped;
    }
    const delivered = this.#deliver(socket, packet, at, length, from);
    packet.release();
    return delivered ? Verdict.done : Verdict.dropped;
  }

  /** A broadcast or multicast datagram goes to every socket that matches, and is never answered with an error. */
  #deliverToAll(packet: Packet, at: number, length: number): Verdict {
    const from = sourcePort(packet.view, at);
    const sockets = this.#table.boundTo(destinationPort(packet.view, at));
    let matched = 0;
    let delivered = 0;
    for (let index = 0; index < sockets.length; index++) {
      const socket = sockets[index]!;
      if (socket.match(packet) === 0) continue;
      matched++;
      if (this.#deliver(socket, packet, at, length, from)) delivered++;
    }
    if (matched === 0) this.counters.noSocket++;
    packet.release();
    return delivered > 0 ? Verdict.done : Verdict.dropped;
  }

  #deliver(socket: UdpSocket, packet: Packet, at: number, length: number, from: number): boolean {
    const delivered = socket.deliver(packet, at + udpHeaderBytes, length - udpHeaderBytes, from);
    if (delivered) this.counters.received++;
    else this.counters.queueFull++;
    return delivered;
  }

  #hasGoodChecksum(packet: Packet, at: number, length: number): boolean {
    const { view } = packet;
    if (checksumField(view, at) === 0) {
      if (packet.family === 4) return true;
      this.counters.missingChecksum++;
      return false;
    }
    if (packet.checksum !== ChecksumState.none) return true;
    const addressBytes = packet.family === 4 ? 4 : 16;
    const addressSum = sum(view, packet.destinationAt, addressBytes, sum(view, packet.sourceAt, addressBytes));
    if (verify(view, at, length, addUint16(length, addUint16(udpProtocolNumber, addressSum)))) return true;
    this.counters.badChecksum++;
    return false;
  }

  #mayBind(address: IpAddress): boolean {
    if (this.#networks.of(address.family) === null) return false;
    if (address.isUnspecified || address.isMulticast || address.isBroadcast) return true;
    // An address can be bound if packets may be sent from it, even to itself: it is ours, or an interface may spoof.
    return this.findPath(address, address, null) !== null;
  }

  #reserve(address: IpAddress, port: number, reuse: boolean): PortReservation {
    const request: PortRequest = {
      protocol: udpProtocolNumber,
      address,
      sharing: reuse ? Sharing.reuse : Sharing.exclusive,
    };
    const reservation = port === 0 ? this.#ports.reserveEphemeral(request) : this.#ports.reserve(request, port);
    if (reservation !== null) return reservation;
    const endpoint = formatEndpoint({ address, port });
    throw makeError(
      "AddrInUse",
      port === 0
        ? `Cannot choose a UDP port for ${address}: all ephemeral ports are taken`
        : `Cannot bind ${endpoint}: another UDP socket has that port`,
    );
  }
}

/** What a connected socket is told of an error, or null when it is told nothing. */
function errorNameOf(kind: ErrorKind): ErrorName | null {
  switch (kind) {
    case ErrorKind.portUnreachable:
    case ErrorKind.protocolUnreachable:
      return "ConnectionRefused";
    case ErrorKind.networkUnreachable:
      return "NetworkUnreachable";
    case ErrorKind.hostUnreachable:
    case ErrorKind.neighborUnreachable:
    case ErrorKind.prohibited:
    case ErrorKind.timeExceeded:
      return "HostUnreachable";
    default:
      return null;
  }
}
