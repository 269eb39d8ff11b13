/**
 * The checksum of a packet that a transport sends.
 *
 * @module
 */

import { addUint16, checksum, fold } from "../checksum.ts";
import { Offload } from "../link/segmentation.ts";
import type { Path } from "../network/path.ts";
import { ChecksumState, type Packet } from "../packet.ts";

/**
 * Puts the checksum into a finished transport packet, `fieldOffset` bytes behind its start at `packet.transportAt`, where
 * zero stands; or leaves that to the device of the path where it can: the field then holds the sum of the pseudo-header.
 */
export function finishChecksum(packet: Packet, fieldOffset: number, path: Path): void {
  const { view, transportAt: at, tail } = packet;
  const pseudo = addUint16(tail - at, path.pseudoSum);
  // The device cuts a super-segment first, or the interface does.
  if (packet.segmentBytes === 0 && (path.nic.offloads & Offload.checksum) === 0) {
    packet.fill();
    const sum = checksum(view, at, tail - at, pseudo);
    // RFC 768: UDP writes zero as all ones; to others both are the same.
    view.setUint16(at + fieldOffset, sum === 0 ? 0xffff : sum);
    packet.checksum = ChecksumState.none;
    return;
  }
  view.setUint16(at + fieldOffset, fold(pseudo));
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = at;
  packet.checksumOffset = fieldOffset;
}
