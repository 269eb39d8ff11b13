/**
 * Putting checksums right in frames, and checking them, without the code under test but for the sum itself.
 *
 * @module
 */

import { checksum, type ChecksumSum, sum, verify } from "../../stack/checksum.ts";

const ethernetBytes = 14;
const networkAt = ethernetBytes;

/** Where the checksum stands in the header of each transport protocol. */
const checksumOffsets: Readonly<Record<number, number>> = { 1: 2, 2: 2, 6: 16, 17: 6 };

/** The parts of an Ethernet frame with an unfragmented IPv4 packet in it; null where it holds none. */
interface Layout {
  view: DataView;
  headerBytes: number;
  protocol: number;
  transportAt: number;
  transportBytes: number;
  pseudoSum: ChecksumSum;
}

function layoutOf(frame: Uint8Array): Layout | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < networkAt + 20 || view.getUint16(12) !== 0x0800 || view.getUint8(networkAt) >>> 4 !== 4) {
    return null;
  }
  const headerBytes = (view.getUint8(networkAt) & 15) * 4;
  const totalBytes = view.getUint16(networkAt + 2);
  if (headerBytes < 20 || totalBytes < headerBytes || networkAt + totalBytes > frame.length) return null;
  const isFragment = (view.getUint16(networkAt + 6) & 0x3fff) !== 0;
  const protocol = view.getUint8(networkAt + 9);
  const transportBytes = totalBytes - headerBytes;
  const pseudo = new DataView(new ArrayBuffer(4));
  pseudo.setUint16(0, protocol);
  pseudo.setUint16(2, transportBytes);
  return {
    view,
    headerBytes,
    protocol: isFragment ? -1 : protocol,
    transportAt: networkAt + headerBytes,
    transportBytes,
    pseudoSum: protocol === 6 || protocol === 17 ? sum(pseudo, 0, 4, sum(view, networkAt + 12, 8)) : 0,
  };
}

/** Makes the checksums of an Ethernet frame right, as far as its headers say where they are. */
export function fixChecksums(frame: Uint8Array): void {
  const layout = layoutOf(frame);
  if (layout === null) return;
  const { view, headerBytes, protocol, transportAt, transportBytes, pseudoSum } = layout;
  view.setUint16(networkAt + 10, 0);
  view.setUint16(networkAt + 10, checksum(view, networkAt, headerBytes));
  const offset = checksumOffsets[protocol];
  if (offset === undefined || transportBytes < offset + 2) return;
  view.setUint16(transportAt + offset, 0);
  view.setUint16(transportAt + offset, checksum(view, transportAt, transportBytes, pseudoSum));
}

/** Whether all checksums of an Ethernet frame are right, as far as its headers say where they are. */
export function hasRightChecksums(frame: Uint8Array): boolean {
  const layout = layoutOf(frame);
  if (layout === null) return true;
  const { view, headerBytes, protocol, transportAt, transportBytes, pseudoSum } = layout;
  if (!verify(view, networkAt, headerBytes)) return false;
  const offset = checksumOffsets[protocol];
  if (offset === undefined || transportBytes < offset + 2) return true;
  // RFC 768: no checksum was computed.
  if (protocol === 17 && view.getUint16(transportAt + offset) === 0) return true;
  return verify(view, transportAt, transportBytes, pseudoSum);
}
