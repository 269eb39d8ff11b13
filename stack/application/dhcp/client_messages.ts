/**
 * The messages that a client sends (RFC 2131 section 4.4, table 5).
 *
 * @module
 */

import { IpAddress, type MacAddress } from "../../address.ts";
import { DhcpPort, MessageType, Operation, OptionCode } from "../../dhcp_format.ts";
import type { Path } from "../../network/path.ts";
import type { DhcpLease } from "./lease.ts";
import { encodeMessage } from "./message.ts";
import { addressBytes, textBytes, uint16Bytes } from "./options.ts";
import type { DhcpSocket } from "./socket.ts";

/** What a client says of itself. */
export interface ClientIdentity {
  /** Its name, or undefined. */
  readonly hostName?: string;
  /** Who it is, for the server; undefined for its hardware address. */
  readonly clientIdentifier?: Uint8Array;
  /** Options to ask for beside the usual ones. */
  readonly parameterRequests?: readonly number[];
}

/** The transaction's number, and for how many seconds the client has been at it. */
export interface MessageHead {
  /** `xid` */
  readonly transaction: number;
  /** `secs` */
  readonly seconds: number;
}

/** What clients of this stack use. Routes come before routers, as RFC 3442 asks for. */
const usualRequests: readonly number[] = [
  OptionCode.subnetMask,
  OptionCode.classlessRoutes,
  OptionCode.routers,
  OptionCode.nameServers,
  OptionCode.hostName,
  OptionCode.domainName,
  OptionCode.interfaceMtu,
  OptionCode.broadcastAddress,
  OptionCode.renewalTime,
  OptionCode.rebindingTime,
];

/** The size of packets that every host takes. */
const leastPacketBytes = 576;

type OptionEntry = [code: number, value: Uint8Array];

/** Sends the messages of one client. */
export class ClientMessages {
  readonly #hardware: MacAddress;
  readonly #identifier: OptionEntry;
  /** What every message that asks for something says. */
  readonly #wishes: readonly OptionEntry[];

  /**
   * Takes what does not change.
   *
   * @throws {TypeError} If the identifier or the name is too short or too long.
   */
  constructor(hardware: MacAddress, mtu: number, identity: ClientIdentity) {
    const { hostName, clientIdentifier = new Uint8Array([1, ...hardware.bytes]), parameterRequests = [] } = identity;
    // RFC 2132 section 9.14: two bytes at least.
    if (clientIdentifier.length < 2 || clientIdentifier.length > 255) {
      throw new TypeError(`Cannot use a client identifier of ${clientIdentifier.length} bytes: give 2 to 255`);
    }
    if (hostName !== undefined && !/^[\x21-\x7e]{1,255}$/.test(hostName)) {
      throw new TypeError(`Cannot use "${hostName}" as a host name: give 1 to 255 letters, digits, dots and dashes`);
    }
    this.#hardware = hardware;
    this.#identifier = [OptionCode.clientIdentifier, clientIdentifier];
    this.#wishes = [
      [OptionCode.maximumMessageSize, uint16Bytes(Math.max(leastPacketBytes, Math.min(mtu, 1500)))],
      [OptionCode.parameterRequests, new Uint8Array(new Set([...usualRequests, ...parameterRequests]))],
      ...(hostName === undefined ? [] : [[OptionCode.hostName, textBytes(hostName)] as OptionEntry]),
    ];
  }

  /** Asks everybody who has an address for us. `wanted` is the one that we would like. */
  discover(socket: DhcpSocket, head: MessageHead, wanted: IpAddress | null): void {
    const wish = wanted === null ? [] : [requested(wanted)];
    sendToAll(socket, this.#encode(MessageType.discover, head, [...wish, ...this.#wishes]));
  }

  /** Takes an offer, which all servers are told. */
  request(socket: DhcpSocket, head: MessageHead, { address, server }: DhcpLease): void {
    const choice = [requested(address.address), from(server)];
    sendToAll(socket, this.#encode(MessageType.request, head, [...choice, ...this.#wishes]));
  }

  /** Asks everybody whether we may go on using an address that we had before. */
  reboot(socket: DhcpSocket, head: MessageHead, address: IpAddress): void {
    sendToAll(socket, this.#encode(MessageType.request, head, [requested(address), ...this.#wishes]));
  }

  /** Asks the server of a lease whether we may keep it. */
  renew(socket: DhcpSocket, head: MessageHead, { address: { address }, server }: DhcpLease): void {
    const payload = this.#encode(MessageType.request, head, this.#wishes, address);
    socket.send(payload, address, server, DhcpPort.server);
  }

  /** Asks everybody whether we may keep a lease. */
  rebind(socket: DhcpSocket, head: MessageHead, { address: { address } }: DhcpLease): void {
    sendToAll(socket, this.#encode(MessageType.request, head, this.#wishes, address), address);
  }

  /** Says that somebody else has the address of a lease. */
  decline(socket: DhcpSocket, transaction: number, { address, server }: DhcpLease): void {
    const options = [requested(address.address), from(server)];
    sendToAll(socket, this.#encode(MessageType.decline, { transaction, seconds: 0 }, options));
  }

  /** Gives a lease back, and returns the way to its server, or null where there is none. */
  release(socket: DhcpSocket, transaction: number, { address: { address }, server }: DhcpLease): Path | null {
    const payload = this.#encode(MessageType.release, { transaction, seconds: 0 }, [from(server)], address);
    return socket.send(payload, address, server, DhcpPort.server);
  }

  #encode(type: number, head: MessageHead, options: readonly OptionEntry[], clientAddress?: IpAddress): Uint8Array {
    // RFC 2131 section 4.1: who has no address yet cannot receive what is sent to the one that it will have.
    const broadcast = clientAddress === undefined && (type === MessageType.discover || type === MessageType.request);
    return encodeMessage({
      operation: Operation.request,
      type,
      ...head,
      broadcast,
      clientHardware: this.#hardware,
      options: new Map([this.#identifier, ...options]),
      ...(clientAddress === undefined ? {} : { clientAddress }),
    });
  }
}

function sendToAll(socket: DhcpSocket, payload: Uint8Array, source: IpAddress = IpAddress.unspecified4): void {
  socket.broadcast(payload, source, DhcpPort.server);
}

function requested(address: IpAddress): OptionEntry {
  return [OptionCode.requestedAddress, addressBytes(address)];
}

function from(server: IpAddress): OptionEntry {
  return [OptionCode.serverIdentifier, addressBytes(server)];
}
