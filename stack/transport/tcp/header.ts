/**
 * The TCP header (RFC 9293 section 3.1): offsets, flags and field access over a view.
 *
 * @module
 */

/** The number of TCP in an IP header. */
export const protocolNumber = 6;

/** Bytes of a header without options. */
export const minimumHeaderBytes = 20;

/** Bytes of the longest header. */
export const maximumHeaderBytes = 60;

/** Offsets of the fields from the start of the header, in bytes. */
export const TcpField = {
  sourcePort: 0,
  destinationPort: 2,
  sequence: 4,
  acknowledgement: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgentPointer: 18,
  options: 20,
} as const;

/** The control bits, as they stand in the flags byte. */
export const Flag = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

/** The source port. */
export function sourcePort(view: DataView, at: number): number {
  return view.getUint16(at + TcpField.sourcePort);
}

/** The destination port. */
export function destinationPort(view: DataView, at: number): number {
  return view.getUint16(at + TcpField.destinationPort);
}

/** The sequence number. */
export function sequenceNumber(view: DataView, at: number): number {
  return view.getUint32(at + TcpField.sequence);
}

/** The acknowledgement number, whether or not the ACK bit makes it count. */
export function acknowledgementNumber(view: DataView, at: number): number {
  return view.getUint32(at + TcpField.acknowledgement);
}

/** Bytes of the header with its options, as the data offset says. */
export function headerBytes(view: DataView, at: number): number {
  return (view.getUint8(at + TcpField.dataOffset) >>> 4) * 4;
}

/** The control bits; see {@linkcode Flag}. */
export function flags(view: DataView, at: number): number {
  return view.getUint8(at + TcpField.flags);
}

/** The window field as it stands, not scaled: an unsigned number (RFC 9293 section 3.1). */
export function windowField(view: DataView, at: number): number {
  return view.getUint16(at + TcpField.window);
}

/** The urgent pointer, whether or not the URG bit makes it count. */
export function urgentPointer(view: DataView, at: number): number {
  return view.getUint16(at + TcpField.urgentPointer);
}

/**
 * Writes all fixed fields but the checksum, which is set to zero. `length` is that of the header, in bytes.
 *
 * Word by word, as the checksum reads them at once: a word that was written in two pieces could not be read before both
 * have left the processor's store buffer, where they may stand behind others that wait for memory.
 */
export function writeHeader(
  view: DataView,
  at: number,
  localPort: number,
  remotePort: number,
  sequence: number,
  acknowledgement: number,
  length: number,
  controlBits: number,
  window: number,
): void {
  view.setInt32(at + TcpField.sourcePort, (localPort << 16) | remotePort);
  view.setUint32(at + TcpField.sequence, sequence);
  view.setUint32(at + TcpField.acknowledgement, acknowledgement);
  // The length is a multiple of 4, and the data offset counts words.
  view.setInt32(at + TcpField.dataOffset, (length << 26) | (controlBits << 16) | window);
  view.setUint32(at + TcpField.checksum, 0);
}
