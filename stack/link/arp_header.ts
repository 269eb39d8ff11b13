/**
 * ARP messages for IPv4 on Ethernet (RFC 826): where their fields lie, and what they hold.
 *
 * @module
 */

import { EtherType } from "./nic.ts";

/** Where the fields of an ARP message lie, in bytes from its start. */
export const ArpField = {
  hardwareType: 0,
  protocolType: 2,
  hardwareLength: 4,
  protocolLength: 5,
  operation: 6,
  senderHardware: 8,
  senderProtocol: 14,
  targetHardware: 18,
  targetProtocol: 24,
} as const;

/** Bytes of a message. */
export const arpBytes: number = 28;

/** Values of the operation field. */
export const ArpOperation = {
  request: 1,
  reply: 2,
} as const;

/** The first four fields together: Ethernet, IPv4, 6 and 4 bytes long. */
const hardwareAndProtocol = 0x0001_0000 + EtherType.ipv4;
const lengths = 0x0604;

/** Whether the message at `at` is about IPv4 addresses on Ethernet. */
export function isIpv4OnEthernetAt(view: DataView, at: number): boolean {
  return view.getUint32(at + ArpField.hardwareType) === hardwareAndProtocol &&
    view.getUint16(at + ArpField.hardwareLength) === lengths;
}

/** The operation: request, reply, or something else. */
export function arpOperationAt(view: DataView, at: number): number {
  return view.getUint16(at + ArpField.operation);
}

/** Writes the fields in front of the addresses. */
export function writeArpHeader(view: DataView, at: number, operation: number): void {
  view.setUint32(at + ArpField.hardwareType, hardwareAndProtocol);
  view.setUint16(at + ArpField.hardwareLength, lengths);
  view.setUint16(at + ArpField.operation, operation);
}
