/**
 * The messages that a server sends (RFC 2131 section 4.3, table 3), and where they go.
 *
 * @module
 */

import { IpAddress, type IpPrefix } from "../../address.ts";
import { DhcpPort, MessageType, Operation, OptionCode } from "../../dhcp_format.ts";
import { type DhcpMessage, encodeMessage } from "./message.ts";
import { addressBytes, type DhcpRoute, maskOf, routeBytes, secondsBytes, textBytes, uint16Bytes } from "./options.ts";
import type { DhcpSocket } from "./socket.ts";

/** What the clients of a link are told. */
export interface DhcpServerParameters {
  /** Routers, most wanted first. Default: none. */
  routers?: readonly IpAddress[];
  /** DNS servers, most wanted first. Default: none. */
  nameServers?: readonly IpAddress[];
  /** The domain in which names are looked up. Default: none. */
  domainName?: string;
  /** The largest packet on the link, in bytes, at least 576. Default: what the devices carry. */
  mtu?: number;
  /** Routes for clients that understand option 121, which then do not look at the routers. Default: none. */
  routes?: readonly DhcpRoute[];
}

type OptionEntry = [code: number, value: Uint8Array];

/** The shares of a lease after which it is to be renewed and rebound (RFC 2131 section 4.4.5). */
const renewalShare = 0.5;
const rebindingShare = 0.875;

/** Answers the clients of one link. */
export class ServerMessages {
  readonly #address: IpPrefix;
  readonly #parameters: readonly OptionEntry[];

  /** Takes the server's address and what the clients are told. */
  constructor(address: IpPrefix, parameters: DhcpServerParameters) {
    this.#address = address;
    this.#parameters = entriesOf(address, parameters);
  }

  /** Offers or grants an address for so many seconds. */
  grant(
    socket: DhcpSocket,
    message: DhcpMessage,
    type: typeof MessageType.offer | typeof MessageType.ack,
    yourAddress: IpAddress,
    leaseTime: number,
  ): void {
    const options: OptionEntry[] = [[OptionCode.leaseTime, secondsBytes(leaseTime)]];
    if (leaseTime !== Infinity) {
      options.push([OptionCode.renewalTime, secondsBytes(leaseTime * renewalShare)]);
      options.push([OptionCode.rebindingTime, secondsBytes(leaseTime * rebindingShare)]);
    }
    options.push(...this.#asked(message));
    this.#send(socket, message, this.#encode(message, type, yourAddress, options), yourAddress);
  }

  /** Tells a client that has an address what else there is to know (RFC 2131 section 4.3.5). */
  inform(socket: DhcpSocket, message: DhcpMessage): void {
    const payload = this.#encode(message, MessageType.ack, IpAddress.unspecified4, this.#asked(message));
    this.#send(socket, message, payload, message.clientAddress);
  }

  /** Refuses what a client asks for. */
  refuse(socket: DhcpSocket, message: DhcpMessage, reason: string): void {
    const { relayAddress } = message;
    const options: OptionEntry[] = [[OptionCode.message, textBytes(reason)]];
    const payload = this.#encode(message, MessageType.nak, IpAddress.unspecified4, options);
    // The client may have an address that it cannot be reached at: RFC 2131 section 4.1.
    if (relayAddress.isUnspecified) socket.broadcast(payload, this.#address.address, DhcpPort.client);
    else socket.send(payload, this.#address.address, relayAddress, DhcpPort.server);
  }

  /** RFC 2131 section 4.1: by the relay, to the address that the client uses, to everybody, or to its hardware. */
  #send(socket: DhcpSocket, message: DhcpMessage, payload: Uint8Array, yourAddress: IpAddress): void {
    const { relayAddress, clientAddress, clientHardware } = message;
    const { address } = this.#address;
    if (!relayAddress.isUnspecified) socket.send(payload, address, relayAddress, DhcpPort.server);
    else if (!clientAddress.isUnspecified) {
      socket.send(payload, address, clientAddress, DhcpPort.client, clientHardware);
    } else if (message.broadcast) socket.broadcast(payload, address, DhcpPort.client);
    else socket.send(payload, address, yourAddress, DhcpPort.client, clientHardware);
  }

  #encode(message: DhcpMessage, type: number, yourAddress: IpAddress, options: readonly OptionEntry[]): Uint8Array {
    const { transaction, clientHardware, relayAddress } = message;
    const identifier = message.options.get(OptionCode.clientIdentifier);
    const isNak = type === MessageType.nak;
    return encodeMessage({
      operation: Operation.reply,
      type,
      transaction,
      clientHardware,
      yourAddress,
      relayAddress,
      clientAddress: isNak || type === MessageType.offer ? IpAddress.unspecified4 : message.clientAddress,
      // The relay is to broadcast a refusal (RFC 2131 section 4.3.2).
      broadcast: message.broadcast || (isNak && !relayAddress.isUnspecified),
      options: new Map([
        [OptionCode.serverIdentifier, addressBytes(this.#address.address)],
        ...options,
        // RFC 6842: the client recognises itself by it.
        ...(identifier === undefined ? [] : [[OptionCode.clientIdentifier, identifier] as OptionEntry]),
      ]),
    });
  }

  /** What the client asked for, in its order; all there is if it did not say. */
  #asked(message: DhcpMessage): readonly OptionEntry[] {
    const requests = message.options.get(OptionCode.parameterRequests);
    if (requests === undefined) return this.#parameters;
    return [...new Set(requests)].flatMap((code) => this.#parameters.filter(([known]) => known === code));
  }
}

function entriesOf(address: IpPrefix, parameters: DhcpServerParameters): OptionEntry[] {
  const { routers = [], nameServers = [], domainName, mtu, routes = [] } = parameters;
  const entries: OptionEntry[] = [[OptionCode.subnetMask, addressBytes(maskOf(address))]];
  // RFC 2132 section 3.3 and RFC 3442: mask before routes, and routes before routers.
  if (routes.length > 0) entries.push([OptionCode.classlessRoutes, routeBytes(routes)]);
  if (routers.length > 0) entries.push([OptionCode.routers, addressBytes(...routers)]);
  if (nameServers.length > 0) entries.push([OptionCode.nameServers, addressBytes(...nameServers)]);
  if (domainName !== undefined) entries.push([OptionCode.domainName, textBytes(domainName)]);
  if (mtu !== undefined) entries.push([OptionCode.interfaceMtu, uint16Bytes(mtu)]);
  const { broadcast } = address;
  if (broadcast !== null) entries.push([OptionCode.broadcastAddress, addressBytes(broadcast)]);
  return entries;
}
