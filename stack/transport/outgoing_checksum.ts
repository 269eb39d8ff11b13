/**
 * The checksum of a packet that a transport sends.
 *
 * @module
 */

import { addUint16, fold } from "../checksum.ts";
import { Offload, putChecksum } from "../link/segmentation.ts";
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
    return putChecksum(packet, at, fieldOffset, pseudo);
  }
  view.setUint16(at + fieldOffset, fold(pseudo));
  packet.checksum = ChecksumState.partial;
  packet.checksumStart = at;
  packet.checksumOffset = fieldOffset;
}
