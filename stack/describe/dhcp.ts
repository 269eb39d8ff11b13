/**
 * DHCP messages in words (RFC 2131, RFC 2132).
 *
 * @module
 */

import { IpAddress, MacAddress } from "../address.ts";
import { broadcastFlag, DhcpPort, Ethernet, magicCookie, MessageField, Operation, OptionCode } from "../dhcp_format.ts";
import type { Span } from "./description.ts";
import type { Field } from "./layer.ts";

/** The ports of DHCP's server and client. */
export const dhcpPorts: readonly number[] = [DhcpPort.server, DhcpPort.client];

/** The values of the option `DHCP message type`, from 1 (RFC 2132 section 9.6). */
const typeNames: readonly string[] = [
  "Discover",
  "Offer",
  "Request",
  "Decline",
  "Ack",
  "Nak",
  "Release",
  "Inform",
];

/** How the value of an option reads. */
type Kind = "addresses" | "seconds" | "text" | "number" | "codes";

/** Options that are shown by name (RFC 2132). */
const options: Readonly<Record<number, readonly [name: string, kind: Kind]>> = {
  [OptionCode.subnetMask]: ["subnet mask", "addresses"],
  [OptionCode.routers]: ["routers", "addresses"],
  [OptionCode.nameServers]: ["name servers", "addresses"],
  [OptionCode.hostName]: ["host name", "text"],
  [OptionCode.domainName]: ["domain name", "text"],
  [OptionCode.interfaceMtu]: ["interface MTU", "number"],
  [OptionCode.broadcastAddress]: ["broadcast address", "addresses"],
  [OptionCode.requestedAddress]: ["requested address", "addresses"],
  [OptionCode.leaseTime]: ["lease time", "seconds"],
  [OptionCode.serverIdentifier]: ["server identifier", "addresses"],
  [OptionCode.parameterRequests]: ["parameter request list", "codes"],
  [OptionCode.message]: ["message", "text"],
  [OptionCode.maximumMessageSize]: ["maximum message size", "number"],
  [OptionCode.renewalTime]: ["renewal time", "seconds"],
  [OptionCode.rebindingTime]: ["rebinding time", "seconds"],
};

/** A DHCP message for people. */
export interface DhcpText {
  /** All of it in one line. */
  readonly text: string;
  /** Its fields. */
  readonly fields: Field[];
}

/** The DHCP message in `span`, or null if it is none or cut off before its options. Never throws. */
export function describeDhcp(span: Span): DhcpText | null {
  const { view, at } = span;
  const end = Math.min(span.end, span.available);
  if (at + MessageField.options > end || view.getUint32(at + MessageField.cookie) !== magicCookie) return null;
  const address = (field: number) => IpAddress.fromUint32(view.getUint32(at + field));
  const isEthernet = view.getUint8(at + MessageField.hardwareType) === Ethernet.type &&
    view.getUint8(at + MessageField.hardwareLength) === Ethernet.addressBytes;
  const hardware = isEthernet
    ? MacAddress.fromBytes(new Uint8Array(view.buffer, view.byteOffset + at + MessageField.clientHardware, 6))
      .toString()
    : "unknown hardware";
  const transaction = `0x${view.getUint32(at + MessageField.transaction).toString(16).padStart(8, "0")}`;
  const isRequest = view.getUint8(at + MessageField.operation) === Operation.request;
  const found = readOptions(view, at + MessageField.options, end);
  const type = found.type === null
    ? (isRequest ? "BOOTP request" : "BOOTP reply")
    : `DHCP ${typeNames[found.type - 1] ?? `type ${found.type}`}`;
  const yours = address(MessageField.yourAddress);
  const text = `${type}, xid ${transaction}, ${isRequest ? "from" : "to"} ${hardware}${
    yours.isUnspecified ? "" : `, address ${yours}`
  }`;
  const fields: Field[] = [
    { name: "type", value: type },
    { name: "transaction", value: transaction },
    { name: "seconds", value: view.getUint16(at + MessageField.seconds) },
    { name: "broadcast", value: (view.getUint16(at + MessageField.flags) & broadcastFlag) !== 0 },
    { name: "client address", value: address(MessageField.clientAddress).toString() },
    { name: "your address", value: yours.toString() },
    { name: "server address", value: address(MessageField.serverAddress).toString() },
    { name: "relay address", value: address(MessageField.relayAddress).toString() },
    { name: "client hardware", value: hardware },
    ...found.fields,
  ];
  return { text, fields };
}

function readOptions(view: DataView, at: number, end: number): { type: number | null; fields: Field[] } {
  const fields: Field[] = [];
  let type: number | null = null;
  while (at < end) {
    const code = view.getUint8(at);
    if (code === OptionCode.end) break;
    if (code === OptionCode.pad) {
      at++;
      continue;
    }
    const length = at + 2 <= end ? view.getUint8(at + 1) : Infinity;
    if (at + 2 + length > end) {
      fields.push({ name: `option ${code}`, value: "cut off" });
      break;
    }
    if (code === OptionCode.messageType && length === 1) type = view.getUint8(at + 2);
    else fields.push(optionField(view, code, at + 2, length));
    at += 2 + length;
  }
  return { type, fields };
}

function optionField(view: DataView, code: number, at: number, length: number): Field {
  const [name, kind] = options[code] ?? [`option ${code}`, "codes"];
  return { name, value: valueOf(view, kind, at, length) };
}

function valueOf(view: DataView, kind: Kind, at: number, length: number): string | number {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length);
  if (kind === "addresses" && length > 0 && length % 4 === 0) {
    return Array.from({ length: length / 4 }, (_, index) => IpAddress.fromUint32(view.getUint32(at + 4 * index)))
      .join(", ");
  }
  if (kind === "seconds" && length === 4) return view.getUint32(at);
  if (kind === "number" && length === 2) return view.getUint16(at);
  if (kind === "text") return Array.from(bytes, visible).join("");
  return bytes.join(" ");
}

/** What comes from the wire must not steer a terminal. */
function visible(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
}
