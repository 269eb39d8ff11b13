/**
 * The Ethernet header (IEEE 802.3, in the EtherType form of RFC 894): where its fields lie, and what they hold.
 *
 * @module
 */

import type { MacAddress } from "../address.ts";

/** Where the fields of an Ethernet header lie, in bytes from its start. */
export const EthernetField = {
  destination: 0,
  source: 6,
  etherType: 12,
} as const;

/** Bytes of an Ethernet header. */
export const ethernetHeaderBytes: number = 14;

/** The EtherType of the header at `at`; below 1536 it is an IEEE 802.3 length instead. */
export function etherTypeAt(view: DataView, at: number): number {
  return view.getUint16(at + EthernetField.etherType);
}

/** Whether the hardware address at `at` names a group: multicast or broadcast. */
export function isGroupMacAt(view: DataView, at: number): boolean {
  return (view.getUint8(at) & 1) === 1;
}

/** Whether the hardware address at `at` can belong to one station: no group, and not all zero. */
export function isStationMacAt(view: DataView, at: number): boolean {
  return !isGroupMacAt(view, at) && (view.getUint16(at) !== 0 || view.getUint32(at + 2) !== 0);
}

/** Writes a hardware address at `at`. */
export function writeMac(view: DataView, at: number, address: MacAddress): void {
  view.setUint16(at, address.high16);
  view.setUint32(at + 2, address.low32);
}

/** Writes all 14 bytes of a header at `at`. */
export function writeEthernetHeader(
  view: DataView,
  at: number,
  destination: MacAddress,
  source: MacAddress,
  etherType: number,
): void {
  writeMac(view, at + EthernetField.destination, destination);
  writeMac(view, at + EthernetField.source, source);
  view.setUint16(at + EthernetField.etherType, etherType);
}
