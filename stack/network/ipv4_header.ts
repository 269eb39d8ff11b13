/**
 * The IPv4 header (RFC 791 section 3.1): where its fields lie, and what they hold.
 *
 * The accessors read a header that was checked before: at least 20 bytes stand at `at`.
 *
 * @module
 */

/** Where the fields of an IPv4 header lie, in bytes from its start. */
export const Ipv4Field = {
  versionAndLength: 0,
  trafficClass: 1,
  totalLength: 2,
  identification: 4,
  flagsAndOffset: 6,
  timeToLive: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  options: 20,
} as const;

/** The bits of the flags-and-offset field. */
export const Ipv4Flag = {
  dontFragment: 0x4000,
  moreFragments: 0x2000,
  offsetMask: 0x1fff,
} as const;

/** Bytes of a header without options. */
export const ipv4HeaderBytes: number = 20;

/** The longest packet, in bytes with its header. */
export const ipv4MaximumBytes: number = 65535;

/** The version: 4, if the packet is what it is taken for. */
export function versionAt(view: DataView, at: number): number {
  return view.getUint8(at) >>> 4;
}

/** Bytes of the header with its options. */
export function headerBytesAt(view: DataView, at: number): number {
  return (view.getUint8(at) & 0x0f) << 2;
}

/** Type of service: DSCP and ECN bits. */
export function trafficClassAt(view: DataView, at: number): number {
  return view.getUint8(at + Ipv4Field.trafficClass);
}

/** Bytes of header and payload together. */
export function totalLengthAt(view: DataView, at: number): number {
  return view.getUint16(at + Ipv4Field.totalLength);
}

/** What the fragments of one packet have in common. */
export function identificationAt(view: DataView, at: number): number {
  return view.getUint16(at + Ipv4Field.identification);
}

/** Whether fragments with higher offsets exist. */
export function moreFragmentsAt(view: DataView, at: number): boolean {
  return (view.getUint16(at + Ipv4Field.flagsAndOffset) & Ipv4Flag.moreFragments) !== 0;
}

/** Where the fragment's payload belongs, in bytes. */
export function fragmentOffsetAt(view: DataView, at: number): number {
  return (view.getUint16(at + Ipv4Field.flagsAndOffset) & Ipv4Flag.offsetMask) << 3;
}

/** Whether the packet is only a part of one. */
export function isFragmentAt(view: DataView, at: number): boolean {
  return (view.getUint16(at + Ipv4Field.flagsAndOffset) & (Ipv4Flag.moreFragments | Ipv4Flag.offsetMask)) !== 0;
}

/** How many routers the packet may still cross. */
export function timeToLiveAt(view: DataView, at: number): number {
  return view.getUint8(at + Ipv4Field.timeToLive);
}

/** The transport protocol's number. */
export function protocolAt(view: DataView, at: number): number {
  return view.getUint8(at + Ipv4Field.protocol);
}

/** The source address as a 32-bit number. */
export function sourceWordAt(view: DataView, at: number): number {
  return view.getUint32(at + Ipv4Field.source);
}

/** The destination address as a 32-bit number. */
export function destinationWordAt(view: DataView, at: number): number {
  return view.getUint32(at + Ipv4Field.destination);
}

/** Whether an address, as a 32-bit number, is a group: 224.0.0.0/4. */
export function isMulticastWord(address: number): boolean {
  return address >>> 28 === 0xe;
}

/** Whether an address, as a 32-bit number, is a loopback address: 127.0.0.0/8. */
export function isLoopbackWord(address: number): boolean {
  return address >>> 24 === 127;
}

/** 255.255.255.255 as a 32-bit number: everybody on the link. */
export const broadcastWord: number = 0xffff_ffff;

/**
 * Whether an address, as a 32-bit number, can be one host's: not "this network" (0.0.0.0/8), no group, not reserved
 * (240.0.0.0/4), no broadcast to the link. RFC 1122 section 3.2.1.3.
 */
export function isHostWord(address: number): boolean {
  return address >>> 24 !== 0 && address >>> 24 < 224;
}

/**
 * Writes the fixed 20 bytes of a header at `at`, but for the checksum, which is set to zero. Word by word, as the checksum
 * reads them at once: the processor could not do that before the pieces of a word have left its store buffer.
 */
export function writeIpv4Header(
  view: DataView,
  at: number,
  trafficClass: number,
  totalLength: number,
  identification: number,
  flagsAndOffset: number,
  timeToLive: number,
  protocol: number,
  source: number,
  destination: number,
): void {
  view.setInt32(at + Ipv4Field.versionAndLength, 0x4500_0000 | (trafficClass << 16) | totalLength);
  view.setInt32(at + Ipv4Field.identification, (identification << 16) | flagsAndOffset);
  view.setInt32(at + Ipv4Field.timeToLive, (timeToLive << 24) | (protocol << 16));
  view.setUint32(at + Ipv4Field.source, source);
  view.setUint32(at + Ipv4Field.destination, destination);
}
