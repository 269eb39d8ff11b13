/**
 * Blocks of the pcapng capture file format (draft-ietf-opsawg-pcapng), little-endian. A file is a section header, one
 * interface description for each interface, then packets.
 *
 * @module
 */

/** Block types of pcapng, and the magic numbers that say in which byte order and format a file is. */
export const BlockType = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  simplePacket: 3,
  enhancedPacket: 6,
} as const;

/** What a section header says in the byte order of its section. */
export const byteOrderMagic = 0x1a2b3c4d;

/** Option codes of pcapng that are written or read here. */
export const OptionCode = {
  end: 0,
  interfaceName: 2,
  packetFlags: 2,
  userApplication: 4,
  timestampResolution: 9,
  timestampOffset: 14,
} as const;

/** What a captured frame starts with (the LINKTYPE_ registry). */
export const LinkType = {
  ethernet: 1,
  /** A bare IPv4 or IPv6 packet. */
  raw: 101,
} as const;

/** Which way a captured frame went, as in the lowest two bits of the packet flags. */
export const Direction = {
  unknown: 0,
  inbound: 1,
  outbound: 2,
} as const;

/** One of the values of {@linkcode Direction}. */
export type Direction = (typeof Direction)[keyof typeof Direction];

/** What {@linkcode interfaceDescriptionBlock} describes. */
export interface InterfaceDescription {
  /** One of {@linkcode LinkType}, or another number of that registry. */
  linkType: number;
  /** Most bytes that are kept of each frame; 0 for no limit. */
  snapLength: number;
  /** Name for people. */
  name: string;
}

/** What {@linkcode enhancedPacketBlock} holds. */
export interface PacketRecord {
  /** The interface's place among the interface descriptions, from 0. */
  interfaceIndex: number;
  /** Microseconds since 1970 UTC. */
  timestamp: number;
  /** Which way it went. */
  direction: Direction;
  /** Bytes of the whole frame, which may be more than those captured. */
  originalLength: number;
}

/** log10 of the units of a timestamp in a second: what interface descriptions say, and all timestamps are in. */
const microseconds = 6;
const optionHeaderBytes = 4;
/** Type and length in front, and the length again behind. */
const blockFrameBytes = 12;
const packetHeaderBytes = 20;
const flagsOptionBytes = optionHeaderBytes + 4;
const lowWord = 0x1_0000_0000;

/** The block that begins a section; `application` names the program that wrote it. */
export function sectionHeaderBlock(application: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(application);
  const { bytes, view } = makeBlock(BlockType.sectionHeader, 16 + optionBytes(text) + optionHeaderBytes);
  view.setUint32(8, byteOrderMagic, true);
  view.setUint16(12, 1, true); // Major version; the minor one is 0.
  view.setBigInt64(16, -1n, true); // Section length: not known.
  putOption(bytes, view, 24, OptionCode.userApplication, text);
  return bytes;
}

/** The block that describes an interface. */
export function interfaceDescriptionBlock(description: InterfaceDescription): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(description.name);
  const resolution = new Uint8Array([microseconds]);
  const options = optionBytes(name) + optionBytes(resolution) + optionHeaderBytes;
  const { bytes, view } = makeBlock(BlockType.interfaceDescription, 8 + options);
  view.setUint16(8, description.linkType, true);
  view.setUint32(12, description.snapLength, true);
  const next = putOption(bytes, view, 16, OptionCode.interfaceName, name);
  putOption(bytes, view, next, OptionCode.timestampResolution, resolution);
  return bytes;
}

/** The block that holds a captured frame, of which `data` are the bytes that were kept. */
export function enhancedPacketBlock(record: PacketRecord, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const dataBytes = padded(data.length);
  const body = packetHeaderBytes + dataBytes + flagsOptionBytes + optionHeaderBytes;
  const { bytes, view } = makeBlock(BlockType.enhancedPacket, body);
  view.setUint32(8, record.interfaceIndex, true);
  view.setUint32(12, Math.floor(record.timestamp / lowWord), true);
  view.setUint32(16, record.timestamp % lowWord, true);
  view.setUint32(20, data.length, true);
  view.setUint32(24, record.originalLength, true);
  bytes.set(data, 28);
  const optionsAt = 28 + dataBytes;
  view.setUint16(optionsAt, OptionCode.packetFlags, true);
  view.setUint16(optionsAt + 2, 4, true);
  view.setUint32(optionsAt + 4, record.direction, true);
  return bytes;
}

/** `length` rounded up to whole 32-bit words, as everything in a pcapng file is. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

function makeBlock(type: number, bodyBytes: number): { bytes: Uint8Array<ArrayBuffer>; view: DataView<ArrayBuffer> } {
  const length = blockFrameBytes + bodyBytes;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  view.setUint32(length - 4, length, true);
  return { bytes, view };
}

function optionBytes(value: Uint8Array): number {
  return optionHeaderBytes + padded(value.length);
}

/** Writes an option and returns where the next one goes. */
function putOption(bytes: Uint8Array, view: DataView, at: number, code: number, value: Uint8Array): number {
  view.setUint16(at, code, true);
  view.setUint16(at + 2, value.length, true);
  bytes.set(value, at + optionHeaderBytes);
  return at + optionBytes(value);
}
