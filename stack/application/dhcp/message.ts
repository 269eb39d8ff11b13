/**
 * DHCP messages to and from bytes (RFC 2131 section 2).
 *
 * @module
 */

import { IpAddress, MacAddress } from "../../address.ts";
import {
  broadcastFlag,
  Ethernet,
  magicCookie,
  MessageField as Offset,
  MessageType,
  Operation,
  OptionCode,
} from "../../dhcp_format.ts";
import { type DhcpOptions, readOptions, uint8Of, writeOptions } from "./options.ts";

/** BOOTP's size, below which relays and servers may drop a message (RFC 1542 section 2.1). */
const leastBytes = 300;

/** What everybody takes: an IP packet of 576 bytes without its headers (RFC 2131 section 2). */
const mostBytes = 576 - 28;

/** A DHCP message. */
export interface DhcpMessage {
  /** Who sent it; see {@linkcode Operation}. */
  readonly operation: number;
  /** What it is; see {@linkcode MessageType}. */
  readonly type: number;
  /** `xid`: the client's number, which the answers repeat. */
  readonly transaction: number;
  /** `secs`: for how long the client has been at it. */
  readonly seconds: number;
  /** Whether answers are to be broadcast. */
  readonly broadcast: boolean;
  /** `ciaddr`: the address that the client uses. */
  readonly clientAddress: IpAddress;
  /** `yiaddr`: the address that the client gets. */
  readonly yourAddress: IpAddress;
  /** `giaddr`: the relay that passed it on. */
  readonly relayAddress: IpAddress;
  /** `chaddr`: the client's hardware address. */
  readonly clientHardware: MacAddress;
  /** All options but the type. */
  readonly options: DhcpOptions;
}

/** What to write: a {@linkcode DhcpMessage}, of which what is zero may be left out. */
export type DhcpMessageParts =
  & Pick<DhcpMessage, "operation" | "type" | "transaction" | "clientHardware" | "options">
  & Partial<DhcpMessage>;

/** The message in `bytes`; null if it is none, none of DHCP's, or not from Ethernet. Never throws. */
export function decodeMessage(bytes: Uint8Array): DhcpMessage | null {
  if (bytes.length < Offset.options) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(Offset.cookie) !== magicCookie) return null;
  const operation = bytes[Offset.operation]!;
  if (operation !== Operation.request && operation !== Operation.reply) return null;
  if (bytes[Offset.hardwareType] !== Ethernet.type || bytes[Offset.hardwareLength] !== Ethernet.addressBytes) {
    return null;
  }
  const options = new Map<number, Uint8Array>();
  if (!readAllOptions(bytes, options)) return null;
  const type = uint8Of(options, OptionCode.messageType);
  if (type === null || type < MessageType.discover || type > MessageType.inform) return null;
  options.delete(OptionCode.messageType);
  return {
    operation,
    type,
    transaction: view.getUint32(Offset.transaction),
    seconds: view.getUint16(Offset.seconds),
    broadcast: (view.getUint16(Offset.flags) & broadcastFlag) !== 0,
    clientAddress: IpAddress.fromBytes(bytes, Offset.clientAddress, 4),
    yourAddress: IpAddress.fromBytes(bytes, Offset.yourAddress, 4),
    relayAddress: IpAddress.fromBytes(bytes, Offset.relayAddress, 4),
    clientHardware: MacAddress.fromBytes(bytes, Offset.clientHardware),
    options,
  };
}

/** The options, and those that stand in two other fields where there was no room (RFC 2131 section 4.1). */
function readAllOptions(bytes: Uint8Array, options: Map<number, Uint8Array>): boolean {
  if (!readOptions(bytes, Offset.options, bytes.length, options)) return false;
  const overload = uint8Of(options, OptionCode.overload) ?? 0;
  options.delete(OptionCode.overload);
  const inBootFile = (overload & 1) === 0 || readOptions(bytes, Offset.bootFile, Offset.cookie, options);
  return inBootFile && ((overload & 2) === 0 || readOptions(bytes, Offset.serverName, Offset.bootFile, options));
}

/** The bytes of a message. Options for which there is no room in what everybody takes are left out. */
export function encodeMessage(message: DhcpMessageParts): Uint8Array {
  const bytes = new Uint8Array(mostBytes);
  const view = new DataView(bytes.buffer);
  bytes[Offset.operation] = message.operation;
  bytes[Offset.hardwareType] = Ethernet.type;
  bytes[Offset.hardwareLength] = Ethernet.addressBytes;
  view.setUint32(Offset.transaction, message.transaction);
  view.setUint16(Offset.seconds, Math.min(message.seconds ?? 0, 0xffff));
  view.setUint16(Offset.flags, message.broadcast ? broadcastFlag : 0);
  writeAddress(bytes, Offset.clientAddress, message.clientAddress);
  writeAddress(bytes, Offset.yourAddress, message.yourAddress);
  writeAddress(bytes, Offset.relayAddress, message.relayAddress);
  bytes.set(message.clientHardware.bytes, Offset.clientHardware);
  view.setUint32(Offset.cookie, magicCookie);
  const type: [number, Uint8Array] = [OptionCode.messageType, new Uint8Array([message.type])];
  const end = writeOptions(bytes, Offset.options, new Map([type, ...message.options]));
  return bytes.subarray(0, Math.max(end, leastBytes));
}

function writeAddress(bytes: Uint8Array, at: number, address: IpAddress | undefined): void {
  if (address !== undefined) bytes.set(address.bytes, at);
}
