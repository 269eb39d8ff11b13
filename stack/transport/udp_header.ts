/**
 * The UDP header (RFC 768): offsets and accessors. They cannot fail once the length has been checked.
 *
 * @module
 */

/** Bytes of a UDP header. */
export const udpHeaderBytes = 8;

/** Protocol number of UDP. */
export const udpProtocolNumber = 17;

/** Where the fields of a UDP header stand. */
export const UdpOffset = {
  sourcePort: 0,
  destinationPort: 2,
  length: 4,
  checksum: 6,
} as const;

/** The sender's port. */
export function sourcePort(view: DataView, at: number): number {
  return view.getUint16(at + UdpOffset.sourcePort);
}

/** The receiver's port. */
export function destinationPort(view: DataView, at: number): number {
  return view.getUint16(at + UdpOffset.destinationPort);
}

/** Bytes of header and payload. */
export function datagramLength(view: DataView, at: number): number {
  return view.getUint16(at + UdpOffset.length);
}

/** The checksum field; 0 when the sender computed none. */
export function checksumField(view: DataView, at: number): number {
  return view.getUint16(at + UdpOffset.checksum);
}
