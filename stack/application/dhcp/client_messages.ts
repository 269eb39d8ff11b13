/**
 * The messages that a client sends (RFC 2131 section 4.4, table 5).
 *
 * @module
 */

import type { IpAddress, MacAddress } from "../../address.ts";
import type { DhcpLease } from "./lease.ts";
import { encodeMessage, MessageType, Operation } from "./message.ts";
import { addressBytes, OptionCode, textBytes, uint16Bytes } from "./options.ts";

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

/** Writes the messages of one client. */
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

  /** Who has an address for us? `wanted` is the one that we would like. */
  discover(head: MessageHead, wanted: IpAddress | null): Uint8Array {
    return this.#encode(MessageType.discover, head, [...(wanted === null ? [] : [requested(wanted)]), ...this.#wishes]);
  }

  /** Takes an offer. */
  request(head: MessageHead, { address, server }: DhcpLease): Uint8Array {
    return this.#encode(MessageType.request, head, [requested(address.address), from(server), ...this.#wishes]);
  }

  /** May we go on using an address that we had before? */
  reboot(head: MessageHead, address: IpAddress): Uint8Array {
    return this.#encode(MessageType.request, head, [requested(address), ...this.#wishes]);
  }

  /** May we keep the address that we use? */
  renew(head: MessageHead, address: IpAddress): Uint8Array {
    return this.#encode(MessageType.request, head, this.#wishes, address);
  }

  /** Somebody else has the address. */
  decline(transaction: number, { address, server }: DhcpLease): Uint8Array {
    return this.#encode(MessageType.decline, { transaction, seconds: 0 }, [requested(address.address), from(server)]);
  }

  /** We no longer need the address. */
  release(transaction: number, { address, server }: DhcpLease): Uint8Array {
    return this.#encode(MessageType.release, { transaction, seconds: 0 }, [from(server)], address.address);
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

function requested(address: IpAddress): OptionEntry {
  return [OptionCode.requestedAddress, addressBytes(address)];
}

function from(server: IpAddress): OptionEntry {
  return [OptionCode.serverIdentifier, addressBytes(server)];
}
