/**
 * A network protocol that goes nowhere: it notes what is sent, and hands up what a test says was received.
 *
 * @module
 */

import { type Family, type IpAddress, IpPrefix } from "../../stack/address.ts";
import { addUint16, sum } from "../../stack/checksum.ts";
import type { Device } from "../../stack/link/device.ts";
import { type LinkProtocol, Nic } from "../../stack/link/nic.ts";
import type { NetworkProtocol, Networks, Path, PathRequest } from "../../stack/network/path.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { type ErrorEvent, type ErrorKind, type TransportProtocol, Verdict } from "../../stack/protocol.ts";

/** A packet that was pushed. */
export interface SentPacket {
  /** Which way it went. */
  readonly path: Path;
  /** The path's settings at that moment. */
  readonly timeToLive: number;
  /** Its traffic class at that moment. */
  readonly trafficClass: number;
  /** The packet from its transport header on. */
  readonly bytes: Uint8Array;
}

/** What {@linkcode FakeNetwork.deliver} is told of a packet. */
export interface Delivery {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** The transport header and everything behind it. */
  readonly bytes: Uint8Array;
  readonly multicast?: boolean;
  readonly nic?: number;
  readonly arrivedAt?: number;
  readonly timeToLive?: number;
  readonly trafficClass?: number;
}

const link: LinkProtocol = {
  name: "none",
  headerBytes: 0,
  push: (packet) => (packet.release(), Verdict.dropped),
  pop: (packet) => (packet.release(), Verdict.dropped),
};

/** An interface that has no device to speak of. */
export function fakeNic(index: number, addresses: string[], loopback = false): Nic {
  const device = { name: `fake${index}`, mtu: 1500, address: null, loopback } as unknown as Device;
  const nic = new Nic(index, device.name, device, link);
  for (const address of addresses) nic.addAddress(IpPrefix.parse(address));
  return nic;
}

/** A network protocol of either family on one interface with one address. */
export class FakeNetwork implements NetworkProtocol, Networks {
  readonly name = "fake";
  readonly headerBytes: number;
  readonly fixedHeaderBytes: number;
  readonly minimumMtu = 576;
  readonly family: Family;
  readonly pool = new PacketPool();
  readonly nic: Nic;
  /** What was pushed, oldest first. */
  readonly sent: SentPacket[] = [];
  /** What was rejected, oldest first. */
  readonly rejected: ErrorKind[] = [];
  /** Calls of {@linkcode FakeNetwork.findPath}. */
  lookups = 0;
  /** Destinations that have no route. */
  readonly unreachable = new Set<string>();

  constructor(address = "192.0.2.1/24") {
    this.nic = fakeNic(0, [address]);
    this.family = this.own.family;
    this.headerBytes = this.fixedHeaderBytes = this.family === 4 ? 20 : 40;
  }

  /** The own address. */
  get own(): IpAddress {
    return this.nic.addresses[0]!.address;
  }

  of(family: Family): NetworkProtocol | null {
    return family === this.family ? this : null;
  }

  register(): void {}

  findPath(request: PathRequest): Path | null {
    this.lookups++;
    const { destination, protocol } = request;
    const source = request.source ?? this.own;
    if (this.unreachable.has(destination.toString()) || !source.equals(this.own)) return null;
    const view = new DataView(new ArrayBuffer(32));
    new Uint8Array(view.buffer).set([...source.bytes, ...destination.bytes]);
    return {
      network: this,
      source,
      destination,
      protocol,
      pseudoSum: addUint16(protocol, sum(view, 0, 32)),
      nic: request.nic ?? this.nic,
      neighbor: { nic: this.nic, etherType: 0x0800, destination: null },
      mtu: 1500,
      timeToLive: 64,
      trafficClass: 0,
      dontFragment: false,
      generation: 0,
    };
  }

  lowerMtu(path: Path, mtu: number): void {
    path.mtu = mtu;
  }

  replyPath(): Path | null {
    return null;
  }

  renew(_path: Path): boolean {
    return true;
  }

  reject(packet: Packet, kind: ErrorKind): Verdict {
    this.rejected.push(kind);
    packet.release();
    return Verdict.done;
  }

  push(packet: Packet, path: Path): Verdict {
    this.sent.push({
      path,
      timeToLive: path.timeToLive,
      trafficClass: path.trafficClass,
      bytes: packet.contents().slice(),
    });
    packet.release();
    return Verdict.done;
  }

  pop(packet: Packet): Verdict {
    packet.release();
    return Verdict.dropped;
  }

  /** A packet as the network protocol would hand it up. */
  packet(delivery: Delivery): Packet {
    const { source, destination, bytes } = delivery;
    const packet = this.pool.allocate(this.fixedHeaderBytes, bytes.length)!;
    packet.networkAt = 0;
    packet.sourceAt = this.family === 4 ? 12 : 8;
    packet.destinationAt = packet.sourceAt + source.bytes.length;
    packet.bytes.set(source.bytes, packet.sourceAt);
    packet.bytes.set(destination.bytes, packet.destinationAt);
    packet.bytes[this.family === 4 ? 8 : 7] = delivery.timeToLive ?? 64;
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    packet.family = this.family;
    packet.transportAt = packet.head;
    packet.multicast = delivery.multicast ?? false;
    packet.nic = delivery.nic ?? 0;
    packet.trafficClass = delivery.trafficClass ?? 0;
    packet.arrivedAt = delivery.arrivedAt ?? 0;
    return packet;
  }

  /** Hands a packet to a transport. */
  deliver(transport: { pop(packet: Packet): Verdict }, delivery: Delivery): Verdict {
    return transport.pop(this.packet(delivery));
  }

  /**
   * Tells a transport of an error about a packet that we sent, reported by `reporter`. As in a real ICMP message, the
   * reporter's header stands in front of the quoted one.
   */
  report(
    transport: Pick<TransportProtocol, "control">,
    error: { kind: ErrorKind; type?: number; code?: number; mtu?: number; reporter: IpAddress },
    quoted: { source: IpAddress; destination: IpAddress; bytes: Uint8Array },
  ): void {
    const header = this.fixedHeaderBytes;
    const { source, destination, bytes } = quoted;
    const inner = new Uint8Array([...new Uint8Array(8), ...new Uint8Array(header), ...bytes]);
    const packet = this.packet({ source: error.reporter, destination: this.own, bytes: inner });
    const innerAt = header + 8;
    packet.sourceAt = innerAt + (this.family === 4 ? 12 : 8);
    packet.destinationAt = packet.sourceAt + source.bytes.length;
    packet.bytes.set(source.bytes, packet.sourceAt);
    packet.bytes.set(destination.bytes, packet.destinationAt);
    packet.transportAt = innerAt + header;
    const event: ErrorEvent = {
      kind: error.kind,
      type: error.type ?? -1,
      code: error.code ?? -1,
      mtu: error.mtu ?? 0,
      packet,
    };
    transport.control(event);
    packet.release();
  }
}
