/**
 * Packets as bytes: those that the stack sends are taken apart, those that arrive at it are put together.
 *
 * @module
 */

import { IpAddress } from "../../../stack/address.ts";
import { addUint16, checksum, fold, sum, verify } from "../../../stack/checksum.ts";
import type { TcpOption } from "./ast.ts";
import { readTcpOptions } from "./tcp_options.ts";

/** Numbers of the protocols above IP. */
export const Protocol = { icmpv4: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/** What is common to all packets. */
interface LivePacketBase {
  /** When it was sent, in milliseconds of the virtual clock. */
  readonly sentAt: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly tos: number;
  readonly ttl: number;
  readonly flowLabel: number;
  /** Whether all its checksums are right. */
  readonly intact: boolean;
  readonly payload: Uint8Array;
}

/** A TCP segment with absolute sequence numbers. */
export interface LiveTcp extends LivePacketBase {
  /** Which kind it is. */
  readonly kind: "tcp";
  /** The sender's port. */
  readonly sourcePort: number;
  /** The receiver's port. */
  readonly destinationPort: number;
  /** Sequence number of the first byte. */
  readonly sequence: number;
  /** Acknowledgement number. */
  readonly acknowledgement: number;
  /** The nine flag bits. */
  readonly flags: number;
  /** Window field. */
  readonly window: number;
  /** Urgent pointer. */
  readonly urgent: number;
  /** The options in their order. */
  readonly options: readonly TcpOption[];
}

/** A UDP datagram. */
export interface LiveUdp extends LivePacketBase {
  /** Which kind it is. */
  readonly kind: "udp";
  /** The sender's port. */
  readonly sourcePort: number;
  /** The receiver's port. */
  readonly destinationPort: number;
}

/** An ICMP message; the payload is what stands behind its eight bytes of header. */
export interface LiveIcmp extends LivePacketBase {
  /** Which kind it is. */
  readonly kind: "icmp";
  /** Type of the message. */
  readonly type: number;
  /** Code of the message. */
  readonly code: number;
  /** The second word of the header. */
  readonly rest: number;
}

/** A packet of another protocol. */
export interface LiveOther extends LivePacketBase {
  /** Which kind it is. */
  readonly kind: "other";
  /** Number of the protocol above IP. */
  readonly protocol: number;
}

/** A packet that the stack has sent. */
export type LivePacket = LiveTcp | LiveUdp | LiveIcmp | LiveOther;

/** The IP header of a packet to be made. */
export interface IpHeader {
  /** Where it comes from. */
  readonly source: IpAddress;
  /** Where it goes. */
  readonly destination: IpAddress;
  /** Number of the protocol above IP. */
  readonly protocol: number;
  /** Type of service or traffic class. */
  readonly tos: number;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** IPv6 flow label. */
  readonly flowLabel: number;
}

/** Takes a packet apart, from its IP header on. */
export function readPacket(bytes: Uint8Array, sentAt: number): LivePacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = view.getUint8(0) >> 4 === 6 ? 6 : 4;
  const header = family === 4 ? (view.getUint8(0) & 15) * 4 : 40;
  const length = family === 4 ? view.getUint16(2) : 40 + view.getUint16(4);
  const protocol = view.getUint8(family === 4 ? 9 : 6);
  const first = view.getUint32(0);
  const transport = new DataView(bytes.buffer, bytes.byteOffset + header, length - header);
  const pseudo = family === 4 && protocol === Protocol.icmpv4 ? 0 : pseudoSum(view, family, protocol, length - header);
  const noChecksum = protocol === Protocol.udp && family === 4 && transport.getUint16(6) === 0;
  const base = {
    sentAt,
    source: IpAddress.fromBytes(bytes, family === 4 ? 12 : 8, family),
    destination: IpAddress.fromBytes(bytes, family === 4 ? 16 : 24, family),
    tos: family === 4 ? view.getUint8(1) : (first >>> 20) & 255,
    ttl: view.getUint8(family === 4 ? 8 : 7),
    flowLabel: family === 4 ? 0 : first & 0xf_ffff,
    intact: (family === 6 || verify(view, 0, header)) &&
      (noChecksum || verify(transport, 0, transport.byteLength, pseudo)),
  };
  const payloadFrom = (at: number) => bytes.slice(header + at, length);
  switch (protocol) {
    case Protocol.tcp: {
      const dataAt = (transport.getUint8(12) >> 4) * 4;
      return {
        ...base,
        kind: "tcp",
        sourcePort: transport.getUint16(0),
        destinationPort: transport.getUint16(2),
        sequence: transport.getUint32(4),
        acknowledgement: transport.getUint32(8),
        flags: transport.getUint16(12) & 0x1ff,
        window: transport.getUint16(14),
        urgent: transport.getUint16(18),
        options: readTcpOptions(transport, 20, dataAt),
        payload: payloadFrom(dataAt),
      };
    }
    case Protocol.udp:
      return {
        ...base,
        kind: "udp",
        sourcePort: transport.getUint16(0),
        destinationPort: transport.getUint16(2),
        payload: payloadFrom(8),
      };
    case Protocol.icmpv4:
    case Protocol.icmpv6:
      return {
        ...base,
        kind: "icmp",
        type: transport.getUint8(0),
        code: transport.getUint8(1),
        rest: transport.getUint32(4),
        payload: payloadFrom(8),
      };
  }
  return { ...base, kind: "other", protocol, payload: payloadFrom(0) };
}

/** Puts an IP header in front of a transport header and its payload, whose checksum stands at `checksumAt`. */
export function makePacket(ip: IpHeader, transport: Uint8Array, checksumAt: number): Uint8Array {
  const { family } = ip.source;
  const header = family === 4 ? 20 : 40;
  const bytes = new Uint8Array(header + transport.length);
  const view = new DataView(bytes.buffer);
  bytes.set(transport, header);
  writeIpHeader(view, ip, transport.length);
  const pseudo = ip.protocol === Protocol.icmpv4 ? 0 : pseudoSum(view, family, ip.protocol, transport.length);
  view.setUint16(header + checksumAt, 0);
  view.setUint16(header + checksumAt, fold(sum(view, header, transport.length, pseudo)) ^ 0xffff);
  return bytes;
}

/** Writes an IP header at the beginning of `view`, for `length` bytes behind it. */
export function writeIpHeader(view: DataView, ip: IpHeader, length: number): void {
  const { source, destination } = ip;
  if (source.family === 6) {
    view.setUint32(0, (0x6000_0000 | (ip.tos << 20) | ip.flowLabel) >>> 0);
    view.setUint16(4, length);
    view.setUint8(6, ip.protocol);
    view.setUint8(7, ip.ttl);
    source.bytes.forEach((byte, index) => view.setUint8(8 + index, byte));
    destination.bytes.forEach((byte, index) => view.setUint8(24 + index, byte));
    return;
  }
  view.setUint8(0, 0x45);
  view.setUint8(1, ip.tos);
  view.setUint16(2, 20 + length);
  view.setUint16(6, 0x4000); // Don't fragment.
  view.setUint8(8, ip.ttl);
  view.setUint8(9, ip.protocol);
  source.bytes.forEach((byte, index) => view.setUint8(12 + index, byte));
  destination.bytes.forEach((byte, index) => view.setUint8(16 + index, byte));
  view.setUint16(10, checksum(view, 0, 20));
}

function pseudoSum(view: DataView, family: 4 | 6, protocol: number, length: number): number {
  const addresses = family === 4 ? sum(view, 12, 8) : sum(view, 8, 32);
  return addUint16(length, addUint16(protocol, addresses));
}
