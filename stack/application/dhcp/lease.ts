/**
 * What a server grants: an address for a while, and what belongs to it.
 *
 * @module
 */

import { IpAddress, IpPrefix } from "../../address.ts";
import { OptionCode } from "../../dhcp_format.ts";
import type { DhcpMessage } from "./message.ts";
import {
  addressesOf,
  addressOf,
  type DhcpOptions,
  type DhcpRoute,
  maskLength,
  routesOf,
  secondsOf,
  textOf,
  uint16Of,
} from "./options.ts";

/** A lease, or the offer of one. */
export interface DhcpLease {
  /** The address, with the length of its subnet's prefix. */
  readonly address: IpPrefix;
  /** The server that granted it. */
  readonly server: IpAddress;
  /** Seconds for which it is granted, from {@linkcode DhcpLease.startedAt}; Infinity for ever. */
  readonly leaseTime: number;
  /** T1: seconds after which the client asks its server for more time. */
  readonly renewalTime: number;
  /** T2: seconds after which it asks any server. */
  readonly rebindingTime: number;
  /** When it was asked for, in milliseconds of the stack's clock. */
  readonly startedAt: number;
  /** Where to send what is not for the link: a default route by the first of {@linkcode DhcpLease.routers} or others. */
  readonly routes: readonly DhcpRoute[];
  /** Routers on the link, most wanted first. */
  readonly routers: readonly IpAddress[];
  /** DNS servers, most wanted first. */
  readonly nameServers: readonly IpAddress[];
  /** The domain in which names are looked up, or null. */
  readonly domainName: string | null;
  /** The name that the client is to have, or null. */
  readonly hostName: string | null;
  /** The largest packet on the link in bytes, or null for what the device carries. */
  readonly mtu: number | null;
  /** All that the server said, by code (RFC 2132). */
  readonly options: DhcpOptions;
}

/** Smaller MTUs would make every byte cost its own weight in headers: all hosts take packets of this size. */
const leastMtu = 576;

/** The shares of a lease after which it is renewed and rebound (RFC 2131 section 4.4.5). */
const renewalShare = 0.5;
const rebindingShare = 0.875;

/** The lease in an offer or an acknowledgement that was asked for at `startedAt`; null if it makes no sense. */
export function leaseFrom({ yourAddress, options }: DhcpMessage, startedAt: number): DhcpLease | null {
  const server = addressOf(options, OptionCode.serverIdentifier);
  const leaseTime = secondsOf(options, OptionCode.leaseTime);
  const length = prefixLength(yourAddress, addressOf(options, OptionCode.subnetMask));
  if (server === null || leaseTime === null || leaseTime === 0 || length === null) return null;
  if (!isHost(yourAddress) || !isHost(server)) return null;
  const address = new IpPrefix(yourAddress, length);
  // A host's bits that are all zeros or all ones are nobody's.
  if (length < 31 && (address.network.equals(yourAddress) || address.broadcast!.equals(yourAddress))) return null;
  const routers = addressesOf(options, OptionCode.routers).filter(isHost);
  const mtu = uint16Of(options, OptionCode.interfaceMtu);
  return {
    address,
    server,
    leaseTime,
    ...renewalTimes(options, leaseTime),
    startedAt,
    routes: routesOf(options) ?? defaultRoute(routers),
    routers,
    nameServers: addressesOf(options, OptionCode.nameServers).filter(isHost),
    domainName: textOf(options, OptionCode.domainName),
    hostName: textOf(options, OptionCode.hostName),
    mtu: mtu !== null && mtu >= leastMtu ? mtu : null,
    options,
  };
}

/** Whether an address can be one host's. */
export function isHost(address: IpAddress): boolean {
  const { isUnspecified, isLoopback, isMulticast } = address;
  // 240.0.0.0/4 is reserved, and everybody's address is in it.
  return !isUnspecified && !isLoopback && !isMulticast && address.bytes[0]! < 240 && address.bytes[0]! > 0;
}

/**
 * The address of a host that a text says.
 *
 * @throws {TypeError} If it says none.
 */
export function parseHost(text: string): IpAddress {
  const address = IpAddress.parse(text);
  if (address.family === 4 && isHost(address)) return address;
  throw new TypeError(`Cannot lease ${text}: give the IPv4 address of a host`);
}

/** The mask's length; without one that of the address's class, as before there were masks (RFC 2131 section 4.4.1). */
function prefixLength(address: IpAddress, mask: IpAddress | null): number | null {
  if (mask !== null) {
    const length = maskLength(mask);
    return length === 0 ? null : length;
  }
  const first = address.bytes[0]!;
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}

/** The server's times, where they come one before the other; else the customary ones. */
function renewalTimes(options: DhcpOptions, leaseTime: number): { renewalTime: number; rebindingTime: number } {
  if (leaseTime === Infinity) return { renewalTime: Infinity, rebindingTime: Infinity };
  const rebindingTime = secondsOf(options, OptionCode.rebindingTime) ?? leaseTime * rebindingShare;
  const renewalTime = secondsOf(options, OptionCode.renewalTime) ?? leaseTime * renewalShare;
  if (renewalTime > 0 && renewalTime < rebindingTime && rebindingTime < leaseTime) {
    return { renewalTime, rebindingTime };
  }
  return { renewalTime: leaseTime * renewalShare, rebindingTime: leaseTime * rebindingShare };
}

function defaultRoute([router]: readonly IpAddress[]): DhcpRoute[] {
  return router === undefined ? [] : [{ prefix: new IpPrefix(IpAddress.unspecified4, 0), gateway: router }];
}
