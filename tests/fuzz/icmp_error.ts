/**
 * ICMP errors about frames that were sent.
 *
 * @module
 */

import { fixChecksums } from "./checksums.ts";

const ethernetBytes = 14;
const ipv4Bytes = 20;
const icmpBytes = 8;

/** What an error quotes at most, in bytes (RFC 1812 section 4.3.2.3). */
const quotedBytes = 576 - ipv4Bytes - icmpBytes;

/** The frame with which the receiver of `frame`, an IPv4 packet on Ethernet, reports an error about it. */
export function errorAbout(frame: Uint8Array, type: number, code: number, mtu: number): Uint8Array {
  const quoted = frame.subarray(ethernetBytes, ethernetBytes + quotedBytes);
  const error = new Uint8Array(ethernetBytes + ipv4Bytes + icmpBytes + quoted.length);
  const view = new DataView(error.buffer);
  error.set(frame.subarray(6, 12));
  error.set([2, 0, 0, 0, 0, 1], 6);
  view.setUint16(12, 0x0800);
  const networkAt = ethernetBytes;
  view.setUint16(networkAt, 0x45c0);
  view.setUint16(networkAt + 2, error.length - ethernetBytes);
  view.setUint16(networkAt + 8, 0x4001);
  error.set(quoted.subarray(16, 20), networkAt + 12);
  error.set(quoted.subarray(12, 16), networkAt + 16);
  const icmpAt = networkAt + ipv4Bytes;
  error[icmpAt] = type;
  error[icmpAt + 1] = code;
  view.setUint16(icmpAt + 6, mtu);
  error.set(quoted, icmpAt + icmpBytes);
  fixChecksums(error);
  return error;
}
