/**
 * One UDP socket: a bound port, with a peer or without, as the socket API uses it. All calls are synchronous.
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import { type ErrorName, makeError } from "../errors.ts";
import type { Nic } from "../link/nic.ts";
import type { Path } from "../network/path.ts";
import type { Packet } from "../packet.ts";
import type { AddressCache } from "./address_cache.ts";
import { DatagramQueue } from "./datagram_queue.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import type { Flow } from "./flow_table.ts";
import type { GroupMembership } from "./udp_groups.ts";

/** Where to bind a socket. */
export interface BindRequest {
  /** Address and port; the unspecified address for all of its family, port 0 for an ephemeral one. */
  readonly local: Endpoint;
  /** Share the port with other sockets that allow it too. The one bound last receives what is sent to one host. */
  readonly reuse?: boolean;
  /** Receive what arrives on this interface only, and send by no other. Default: all interfaces. */
  readonly nic?: Nic;
  /** Most bytes that wait in the receive queue. Default 262,144. */
  readonly receiveBufferBytes?: number;
}

/** What to connect a socket to. */
export interface UdpConnectRequest {
  /** The peer: the only one whose datagrams are received. */
  readonly remote: Endpoint;
  /** Our address; null to let the network choose. */
  readonly localAddress?: IpAddress | null;
  /** Our port; 0 for an ephemeral one. */
  readonly localPort?: number;
  /** Share the port with other sockets that allow it too. */
  readonly reuse?: boolean;
  /** Most bytes that wait in the receive queue. Default 262,144. */
  readonly receiveBufferBytes?: number;
}

/** Settings of a socket; each may be changed at any time. */
export interface UdpSettings {
  /** Allow sending to broadcast addresses. Default false. */
  broadcast: boolean;
  /** TTL or hop limit of unicast datagrams, 1 to 255. Default 64. */
  timeToLive: number;
  /** TTL or hop limit of multicast datagrams, 0 to 255. Default 1 (RFC 1112 section 6.1). */
  multicastTimeToLive: number;
  /** Hand multicast datagrams to our own sockets that have joined the group as well. Default false. */
  multicastLoopback: boolean;
  /** The interface for multicast datagrams; null for the one that the routes say. */
  multicastNic: Nic | null;
  /** Type of service or traffic class: DSCP and ECN bits. Default 0. */
  trafficClass: number;
  /** Forbid routers to fragment. Default false. */
  dontFragment: boolean;
}

/** A path with what a sender must know of it besides. */
export interface UdpPath {
  /** The way to the destination. */
  readonly path: Path;
  /** Whether the destination is a broadcast address of the interface. */
  readonly broadcast: boolean;
  /** The interface that it had to be found on: the socket's, or its {@linkcode UdpSettings.multicastNic}; else null. */
  readonly multicastNic: Nic | null;
}

/** What a datagram needs besides its payload. */
export interface UdpSession {
  /** The way to the destination. */
  path: Path;
  /** Our port. */
  sourcePort: number;
  /** The receiver's port. */
  destinationPort: number;
}

/** The UDP module, as its sockets see it. */
export interface UdpHost {
  /** Address objects of senders. */
  readonly addresses: AddressCache;
  /** Who is told of groups. */
  readonly groups: GroupMembership;
  /** Looks for a path; null when there is none. */
  findPath(destination: IpAddress, source: IpAddress | null, nic: Nic | null): UdpPath | null;
  /** Sends a copy of `payload`. */
  send(payload: Uint8Array, session: UdpSession): void;
  /** Hands a copy of `payload`, which goes to a multicast group, to our own sockets. */
  loop(payload: Uint8Array, session: UdpSession): void;
  /** Forgets a socket that closes. */
  closed(socket: UdpSocket): void;
}

/** Who sent a received datagram. Filled in by {@linkcode UdpSocket.receive}. */
export interface DatagramSender {
  /** The sender's address. */
  address: IpAddress;
  /** The sender's port. */
  port: number;
}

/** How many paths an unconnected socket remembers; a power of two. */
const pathEntries = 16;

/** Most bytes that wait in a receive queue unless the socket says otherwise. */
export const defaultReceiveBufferBytes = 262_144;

/** A UDP socket. Made by `Udp.bind` and `Udp.connect`. */
export class UdpSocket implements Flow {
  /** Our end. Its address is the unspecified one where datagrams to any own address are received. */
  readonly local: Endpoint;
  /** The peer, or null: then datagrams from anybody are received. */
  readonly remote: Endpoint | null;
  /** The only interface that it receives on and sends by, or null. */
  readonly nic: Nic | null;
  /** Its settings; assign a field to change one. */
  readonly settings: UdpSettings = {
    broadcast: false,
    timeToLive: 64,
    multicastTimeToLive: 1,
    multicastLoopback: false,
    multicastNic: null,
    trafficClass: 0,
    dontFragment: false,
  };
  /** Called, in the middle of packet handling, when a datagram or an error has come: note it and return. */
  onReceivable: (() => void) | null = null;
  /** Called when the socket is closed, by whomever. */
  onClosed: (() => void) | null = null;
  /** Datagrams that were dropped because the receive queue was full. */
  dropped: number = 0;
  /** Managed by `FlowTable`. */
  flowHash: number = 0;

  readonly #host: UdpHost;
  readonly #queue: DatagramQueue;
  readonly #memberships: { nic: Nic; group: IpAddress }[] = [];
  #paths: (UdpPath | null)[] | null = null;
  /** By place in `#paths`: a peer's IPv4 address, and which of ours it has written to last. */
  #heardOn: Uint32Array<ArrayBuffer> | null = null;
  #session: UdpSession | null = null;
  #failure: ErrorName | null = null;
  #closed = false;

  /** Made by `Udp` only. */
  constructor(
    host: UdpHost,
    local: Endpoint,
    remote: Endpoint | null,
    receiveBufferBytes: number,
    nic: Nic | null = null,
  ) {
    this.#host = host;
    this.local = local;
    this.remote = remote;
    this.nic = nic;
    this.#queue = new DatagramQueue(receiveBufferBytes);
  }

  /** Most bytes that wait in the receive queue, with 24 bytes for each datagram. What waits already stays. */
  get receiveBufferBytes(): number {
    return this.#queue.limitBytes;
  }
  set receiveBufferBytes(bytes: number) {
    this.#queue.limitBytes = bytes;
  }

  /** Datagrams that can be received now. */
  get receivable(): number {
    return this.#queue.length;
  }

  /** Payload bytes of the next datagram, or -1 when none waits. */
  get nextLength(): number {
    return this.#queue.length === 0 ? -1 : this.#queue.nextLength;
  }

  /** Whether an error waits to be thrown by the next call. */
  get failed(): boolean {
    return this.#failure !== null;
  }

  /** Whether {@linkcode UdpSocket.close} has been called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Copies the next datagram into `target`, as much of it as fits (the rest is lost), writes its sender to `sender` and
   * returns how many bytes were copied; -1 when none waits.
   *
   * @throws {Error} Once, when the peer of a connected socket was reported to be unreachable, for example
   * `ConnectionRefused`.
   */
  receive(target: Uint8Array, sender: DatagramSender): number {
    if (this.#failure !== null) this.#throwFailure("receive from");
    if (this.#queue.length === 0) return -1;
    sender.address = this.#queue.nextAddress(this.#host.addresses);
    sender.port = this.#queue.nextPort;
    return this.#queue.dequeue(target);
  }

  /**
   * Sends a datagram to `destination`, or to the peer of a connected socket. What cannot be sent for lack of memory is
   * dropped and counted, as the network may do as well.
   *
   * @throws {Error} `NetworkUnreachable` without a route, `PermissionDenied` for a broadcast that was not allowed,
   * `InvalidData` for a payload too long for one datagram, and as {@linkcode UdpSocket.receive}.
   */
  send(payload: Uint8Array, destination: Endpoint | null = this.remote): void {
    if (this.#failure !== null) this.#throwFailure("send to");
    if (destination === null) throw makeError("NotConnected", "Cannot send a datagram: no destination was given");
    const { address, port } = destination;
    if (port < 1 || port > 65535) {
      throw new TypeError(`Cannot send a datagram to ${formatEndpoint(destination)}: a port goes from 1 to 65535`);
    }
    const { path, broadcast } = this.#pathTo(destination);
    const limit = path.network.family === 4 ? 65507 : 65527;
    if (payload.length > limit) {
      throw makeError(
        "InvalidData",
        `Cannot send ${payload.length} bytes to ${formatEndpoint(destination)}: a datagram carries at most ${limit}`,
      );
    }
    if (broadcast && !this.settings.broadcast) {
      throw makeError(
        "PermissionDenied",
        `Cannot send to ${formatEndpoint(destination)}: it is a broadcast address, set the option "broadcast" first`,
      );
    }
    path.timeToLive = address.isMulticast ? this.settings.multicastTimeToLive : this.settings.timeToLive;
    path.trafficClass = this.settings.trafficClass;
    path.dontFragment = this.settings.dontFragment;
    const session = this.#session ??= { path, sourcePort: this.local.port, destinationPort: port };
    session.path = path;
    session.destinationPort = port;
    this.#host.send(payload, session);
    if (address.isMulticast && this.settings.multicastLoopback) this.#host.loop(payload, session);
  }

  /**
   * Receives what is sent to a multicast group on an interface.
   *
   * @throws {Error} `AddrInUse` if this socket has joined already.
   */
  joinGroup(nic: Nic, group: IpAddress): void {
    if (this.#membershipAt(nic, group) >= 0) {
      throw makeError("AddrInUse", `Cannot join ${group} on ${nic.name}: the socket has joined it already`);
    }
    this.#host.groups.join(nic, group);
    this.#memberships.push({ nic, group });
  }

  /**
   * Ends what {@linkcode UdpSocket.joinGroup} began.
   *
   * @throws {Error} `AddrNotAvailable` if this socket has not joined.
   */
  leaveGroup(nic: Nic, group: IpAddress): void {
    const at = this.#membershipAt(nic, group);
    if (at < 0) {
      throw makeError("AddrNotAvailable", `Cannot leave ${group} on ${nic.name}: the socket has not joined it`);
    }
    this.#memberships.splice(at, 1);
    this.#host.groups.leave(nic, group);
  }

  /** Stops receiving, leaves all groups and gives the port back. Does nothing the second time. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onReceivable = null;
    for (const { nic, group } of this.#memberships.splice(0)) this.#host.groups.leave(nic, group);
    this.#queue.clear();
    this.#paths = null;
    this.#host.closed(this);
    this.onClosed?.();
    this.onClosed = null;
  }

  /** Whether this unconnected socket wants a packet to its port: 0 for no, and more for a more specific match. */
  match(packet: Packet): 0 | 1 | 2 {
    const { address } = this.local;
    if (address.family !== packet.family || (this.nic !== null && packet.nic !== this.nic.index)) return 0;
    if (!address.isUnspecified) return address.matches(packet.view, packet.destinationAt) ? 2 : 0;
    return packet.multicast && isGroupAt(packet) && !this.#hasJoinedAt(packet) ? 0 : 1;
  }

  /** Queues a datagram of `length` payload bytes at `at`; the packet stays the caller's. Returns false when it is full. */
  deliver(packet: Packet, at: number, length: number, port: number): boolean {
    if (!this.#queue.enqueue(packet, at, length, port)) {
      this.dropped++;
      return false;
    }
    if (this.local.address.isUnspecified && packet.family === 4 && !packet.multicast) this.#noteAddress(packet);
    this.onReceivable?.();
    return true;
  }

  /** A packet of this port's was too big for a link of `mtu` bytes: what is sent there from now on is cut, or refused. */
  tooBig(packet: Packet, mtu: number): void {
    for (const known of this.#paths ?? []) {
      if (known === null || known.path.network.family !== packet.family) continue;
      const { path } = known;
      if (path.destination.matches(packet.view, packet.destinationAt)) path.network.lowerMtu(path, mtu);
    }
  }

  /** Notes an error for the next call to throw. */
  fail(name: ErrorName): void {
    this.#failure = name;
    this.onReceivable?.();
  }

  #throwFailure(doing: string): never {
    const name = this.#failure!;
    this.#failure = null;
    const what = name === "ConnectionRefused" ? "nobody listens on that port" : "an ICMP error says it is unreachable";
    throw makeError(name, `Cannot ${doing} ${formatEndpoint(this.remote!)}: ${what}`);
  }

  /** RFC 1122 section 4.1.3.5: an answer comes from the address that was asked. */
  #noteAddress({ view, sourceAt, destinationAt }: Packet): void {
    const heardOn = this.#heardOn ??= new Uint32Array(2 * pathEntries);
    const place = 2 * (view.getUint8(sourceAt + 3) & (pathEntries - 1));
    heardOn[place] = view.getUint32(sourceAt);
    heardOn[place + 1] = view.getUint32(destinationAt);
  }

  /** Our address that a peer has written to last, or 0. */
  #addressFor(peer: IpAddress): number {
    const heardOn = this.#heardOn;
    if (heardOn === null || peer.family !== 4) return 0;
    const place = 2 * (peer.bytes[3]! & (pathEntries - 1));
    return heardOn[place] === peer.words[0] ? heardOn[place + 1]! : 0;
  }

  /** The path from the address that was asked, which may have been removed since: it is forgotten then. */
  #findFrom(asked: number, peer: IpAddress, nic: Nic | null): UdpPath | null {
    if (asked === 0) return null;
    const found = this.#host.findPath(peer, IpAddress.fromUint32(asked), nic);
    if (found === null) this.#heardOn = null;
    return found;
  }

  #pathTo(destination: Endpoint): UdpPath {
    const { address } = destination;
    const nic = this.nic ?? (address.isMulticast ? this.settings.multicastNic : null);
    const paths = this.#paths ??= new Array(this.remote === null ? pathEntries : 1).fill(null);
    const place = address.bytes[address.bytes.length - 1]! & (paths.length - 1);
    const known = paths[place];
    const asked = this.#addressFor(address);
    if (
      known != null && known.multicastNic === nic && known.path.destination.equals(address) &&
      (asked === 0 || known.path.source.words[0] === asked) && known.path.network.renew(known.path)
    ) return known;
    const { address: local } = this.local;
    const source = local.isUnspecified || local.isMulticast || local.isBroadcast ? null : local;
    const found = local.family !== address.family
      ? null
      : this.#findFrom(asked, address, nic) ?? this.#host.findPath(address, source, nic);
    if (found === null) {
      throw makeError("NetworkUnreachable", `Cannot send to ${formatEndpoint(destination)}: there is no route to it`);
    }
    return paths[place] = found;
  }

  #membershipAt(nic: Nic, group: IpAddress): number {
    return this.#memberships.findIndex((joined) => joined.nic === nic && joined.group.equals(group));
  }

  #hasJoinedAt(packet: Packet): boolean {
    for (const { nic, group } of this.#memberships) {
      if (
        group.family === packet.family && group.matches(packet.view, packet.destinationAt) &&
        (packet.nic === nic.index || packet.looped)
      ) return true;
    }
    return false;
  }
}

/** Whether a packet's destination is a multicast group, rather than a broadcast address. */
function isGroupAt(packet: Packet): boolean {
  const first = packet.view.getUint8(packet.destinationAt);
  return packet.family === 4 ? (first & 0xf0) === 0xe0 : first === 0xff;
}
