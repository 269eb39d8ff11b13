/**
 * Builders of raw frames and packets for tests. They know nothing of the stack's own writing of headers, so that the
 * two check each other.
 *
 * @module
 */

import { concat } from "@std/bytes";
import { IpAddress, MacAddress } from "../../stack/address.ts";
import type { Packet, PacketPool } from "../../stack/packet.ts";

/** Bytes in front of packets made by {@linkcode packetOf}. */
export const testHeadroom = 128;

/** A packet of the pool with these bytes as its window. */
export function packetOf(pool: PacketPool, bytes: Uint8Array, headroom = testHeadroom): Packet {
  const packet = pool.allocate(headroom, bytes.length);
  if (packet === null) throw new Error(`Cannot allocate ${bytes.length} bytes: the pool is exhausted`);
  packet.bytes.set(bytes, packet.head);
  packet.tail = packet.head + bytes.length;
  return packet;
}

/** Bytes from hexadecimal digits; spaces and line ends do not count. */
export function hex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) => parseInt(digits.slice(2 * at, 2 * at + 2), 16));
}

/** `length` bytes that tell their place: 0, 1, 2, ... modulo 251. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at + from) % 251);
}

/** The Internet checksum, computed the plain way of RFC 1071 section 4.1. */
export function plainChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum += bytes[at]! << (at % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Two bytes of a number, in network order. */
export function uint16(value: number): Uint8Array {
  return new Uint8Array([value >>> 8, value]);
}

/** An Ethernet frame. */
export function ethernetFrame(destination: string, source: string, etherType: number, payload: Uint8Array): Uint8Array {
  return concat([MacAddress.parse(destination).bytes, MacAddress.parse(source).bytes, uint16(etherType), payload]);
}

/** What stands in an ARP message. */
export interface ArpFields {
  /** 1 for a request, 2 for a reply. */
  operation: number;
  /** The sender's hardware and IP addresses. */
  sender: [mac: string, ip: string];
  /** The target's hardware and IP addresses. */
  target: [mac: string, ip: string];
}

/** An ARP message for IPv4 on Ethernet. */
export function arpMessage({ operation, sender, target }: ArpFields): Uint8Array {
  return concat([
    hex("0001 0800 06 04"),
    uint16(operation),
    MacAddress.parse(sender[0]).bytes,
    IpAddress.parse(sender[1]).bytes,
    MacAddress.parse(target[0]).bytes,
    IpAddress.parse(target[1]).bytes,
  ]);
}

/** What stands in an IPv4 header; what is left out is ordinary, and lengths and checksum are right. */
export interface Ipv4Fields {
  source?: string;
  destination?: string;
  protocol?: number;
  version?: number;
  /** The header length field, in 32-bit words. */
  headerWords?: number;
  trafficClass?: number;
  totalLength?: number;
  identification?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** In bytes. */
  offset?: number;
  timeToLive?: number;
  options?: Uint8Array;
  /** What is added to the right checksum. */
  checksumError?: number;
}

/** An IPv4 packet. */
export function ipv4Packet(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const options = fields.options ?? new Uint8Array(0);
  const headerBytes = 20 + options.length;
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0) | ((fields.offset ?? 0) >>> 3);
  const header = concat([
    new Uint8Array([
      ((fields.version ?? 4) << 4) | (fields.headerWords ?? headerBytes / 4),
      fields.trafficClass ?? 0,
    ]),
    uint16(fields.totalLength ?? headerBytes + payload.length),
    uint16(fields.identification ?? 0x1234),
    uint16(flags),
    new Uint8Array([fields.timeToLive ?? 64, fields.protocol ?? 253, 0, 0]),
    IpAddress.parse(fields.source ?? "192.0.2.1").bytes,
    IpAddress.parse(fields.destination ?? "192.0.2.2").bytes,
    options,
  ]);
  header.set(uint16((plainChecksum(header) + (fields.checksumError ?? 0)) & 0xffff), 10);
  return concat([header, payload]);
}

/** An ICMPv4 message: `rest` is the second half of its header. */
export function icmpMessage(type: number, code: number, rest: Uint8Array, payload: Uint8Array): Uint8Array {
  const message = concat([new Uint8Array([type, code, 0, 0]), rest, payload]);
  message.set(uint16(plainChecksum(message)), 2);
  return message;
}

/** An ICMPv4 echo request (type 8) or reply (type 0). */
export function echoMessage(type: number, identifier: number, sequence: number, payload: Uint8Array): Uint8Array {
  return icmpMessage(type, 0, concat([uint16(identifier), uint16(sequence)]), payload);
}

/** The fields of an IPv4 packet as read from its bytes the plain way. */
export interface Ipv4Reading {
  source: string;
  destination: string;
  protocol: number;
  trafficClass: number;
  totalLength: number;
  identification: number;
  dontFragment: boolean;
  moreFragments: boolean;
  offset: number;
  timeToLive: number;
  checksumRight: boolean;
  payload: Uint8Array;
}

/** Reads an IPv4 packet. */
export function readIpv4(bytes: Uint8Array): Ipv4Reading {
  const word = (at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
  const headerBytes = (bytes[0]! & 15) * 4;
  return {
    source: bytes.subarray(12, 16).join("."),
    destination: bytes.subarray(16, 20).join("."),
    protocol: bytes[9]!,
    trafficClass: bytes[1]!,
    totalLength: word(2),
    identification: word(4),
    dontFragment: (word(6) & 0x4000) !== 0,
    moreFragments: (word(6) & 0x2000) !== 0,
    offset: (word(6) & 0x1fff) * 8,
    timeToLive: bytes[8]!,
    checksumRight: plainChecksum(bytes.subarray(0, headerBytes)) === 0,
    payload: bytes.subarray(headerBytes),
  };
}
