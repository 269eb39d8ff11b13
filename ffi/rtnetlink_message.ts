/**
 * Routing netlink messages (rtnetlink(7)): links, addresses and routes, to and from bytes.
 *
 * @module
 */

import { type Family, IpAddress, IpPrefix, MacAddress } from "../stack/address.ts";
import { encodeAlternativeName, encodeInterfaceLabel, encodeInterfaceName } from "./interface_name.ts";
import {
  decodeCString,
  NetlinkFlag,
  type NetlinkMessage,
  NetlinkRequest,
  parseAttributeList,
  parseAttributes,
  readUint16,
  readUint32,
  uint32Bytes,
} from "./netlink_message.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTM_NEWLINKPROP = 108;
const RTM_DELLINKPROP = 109;

/** struct ifinfomsg: family, padding, device type (16 bits), index, flags, mask of the flags to change (32 bits each). */
const LinkOffset = { deviceType: 2, index: 4, flags: 8 } as const;
const linkBytes = 16;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFLA_STATS64 = 23;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_PROMISC = 0x100;
const IFF_LOWER_UP = 0x10000;
const ARPHRD_ETHER = 1;

/** Where struct rtnl_link_stats64 has the number of frames that the interface did not take for transmission (64 bits). */
const transmitDroppedAt = 56;

/** struct ifaddrmsg: family, prefix length, flags, scope (8 bits each), index (32 bits). */
const AddressOffset = { family: 0, prefixLength: 1, index: 4 } as const;
const addressBytes = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_BROADCAST = 4;
const IFA_F_NODAD = 0x02;

/** struct rtmsg: family, destination and source prefix lengths, tos, table, protocol, scope, type; flags (32 bits). */
const RouteOffset = { family: 0, prefixLength: 1, table: 4, protocol: 5, type: 7, flags: 8 } as const;
const routeBytes = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;
/** The router is on the link, though no subnet of the interface has it. */
const RTNH_F_ONLINK = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
/** struct rtnexthop, which stands before each next hop's attributes: length (16 bits), flags, weight, index. */
const NextHopOffset = { flags: 2, index: 4 } as const;
const nextHopBytes = 8;

/** The flags of what is to be there only if it was not before. */
const addition = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive;

/** The routing table that is meant where none is named. */
export const mainTable = 254;

/** A network interface of the kernel. */
export interface LinkInfo {
  /** The kernel's number for it. */
  readonly index: number;
  /** Its name: `eth0`. */
  readonly name: string;
  /** The other names by which it is found (Linux 5.5). */
  readonly alternativeNames: readonly string[];
  /** Its Ethernet address, or null on media without. */
  readonly mac: MacAddress | null;
  /** The most bytes of network-layer packet that it carries. */
  readonly mtu: number;
  /** Frames that the kernel queues for it. */
  readonly txQueueLength: number;
  /** Whether it was switched on. */
  readonly up: boolean;
  /** Whether it is on and has a carrier. */
  readonly running: boolean;
  /** Whether it is the kernel's loopback. */
  readonly loopback: boolean;
  /** Whether it takes frames for any destination. */
  readonly promiscuous: boolean;
}

/** An address of an interface of the kernel. */
export interface AddressInfo {
  /** The interface's index. */
  readonly index: number;
  /** The address and how many of its bits are the subnet's; with a peer, of the peer's. */
  readonly prefix: IpPrefix;
  /** The other end's address on a point-to-point interface. */
  readonly peer: IpAddress | null;
  /** IPv4: the address's label, which is the interface's name unless somebody chose another; null where there is none. */
  readonly label: string | null;
}

/** A route of the kernel. */
export interface RouteInfo {
  /** Where it leads to; length 0 for the default route. */
  readonly destination: IpPrefix;
  /** The router, or null where the destination is on the link. */
  readonly gateway: IpAddress | null;
  /** Whether the router counts as on the link, though no subnet of the interface has it. */
  readonly onLink: boolean;
  /** The index of the interface that it leaves by, or 0 where there is none. */
  readonly index: number;
  /** The lowest one wins among equal destinations. */
  readonly metric: number;
  /** The source address that it suggests. */
  readonly source: IpAddress | null;
  /** The routing table's number. */
  readonly table: number;
  /** Who made it: 2 for the kernel, 4 for an administrator. */
  readonly protocol: number;
}

/** What to change of an interface. */
export interface LinkChange {
  /** Switch it on or off. */
  up?: boolean;
  /** Bytes of network-layer packet. */
  mtu?: number;
  /** Frames. */
  txQueueLength?: number;
}

/** An address as it is added or removed. */
export interface AddressChange {
  /** The interface's index. */
  index: number;
  /** The address and its subnet's bits; with a peer, the peer's. */
  prefix: IpPrefix;
  /** The other end's address on a point-to-point interface. */
  peer?: IpAddress | undefined;
  /** IPv6: whether the kernel first probes for another owner, for a second or so. Default true. */
  duplicateDetection?: boolean | undefined;
  /** IPv4: a label of at most 15 bytes that begins with the interface's name. Default: that name. */
  label?: string | undefined;
}

/** A route as it is added or removed. */
export interface RouteChange {
  /** Where it leads to; length 0 for the default route. */
  destination: IpPrefix;
  /** The router. */
  gateway?: IpAddress | undefined;
  /** Whether the router counts as on the link. Default false. */
  onLink?: boolean | undefined;
  /** The index of the interface. */
  index?: number | undefined;
  /** The lowest one wins among equal destinations. */
  metric?: number | undefined;
  /** The source address that it suggests. */
  source?: IpAddress | undefined;
  /** The routing table. Default {@linkcode mainTable}. */
  table?: number | undefined;
  /** Who makes it. Default 4, an administrator; on removal: any. */
  protocol?: number | undefined;
}

/** Asks for one interface by its name, or for all. */
export function getLinkRequest(name?: string): NetlinkRequest {
  const structure = new Uint8Array(linkBytes);
  if (name === undefined) return new NetlinkRequest(RTM_GETLINK, NetlinkFlag.dump).structure(structure);
  return new NetlinkRequest(RTM_GETLINK, NetlinkFlag.acknowledge)
    .structure(structure)
    .attribute(IFLA_IFNAME, encodeInterfaceName(name));
}

/** Changes an interface. */
export function changeLinkRequest(index: number, change: LinkChange): NetlinkRequest {
  const flags = uint32Bytes(change.up ? IFF_UP : 0);
  const mask = uint32Bytes(change.up === undefined ? 0 : IFF_UP);
  const request = new NetlinkRequest(RTM_NEWLINK, NetlinkFlag.acknowledge)
    .structure([0, 0, 0, 0, ...uint32Bytes(index), ...flags, ...mask]);
  if (change.mtu !== undefined) request.attributeUint32(IFLA_MTU, change.mtu);
  if (change.txQueueLength !== undefined) request.attributeUint32(IFLA_TXQLEN, change.txQueueLength);
  return request;
}

/** Gives an interface another name beside its own. */
export function addAlternativeNameRequest(index: number, name: string): NetlinkRequest {
  return alternativeNameBody(new NetlinkRequest(RTM_NEWLINKPROP, addition), index, name);
}

/** Takes another name away from an interface. */
export function removeAlternativeNameRequest(index: number, name: string): NetlinkRequest {
  return alternativeNameBody(new NetlinkRequest(RTM_DELLINKPROP, NetlinkFlag.acknowledge), index, name);
}

/** Asks for all addresses of all interfaces. */
export function getAddressesRequest(): NetlinkRequest {
  return new NetlinkRequest(RTM_GETADDR, NetlinkFlag.dump).structure(new Uint8Array(addressBytes));
}

/** Adds an address; refused where the interface has it. */
export function addAddressRequest(change: AddressChange): NetlinkRequest {
  const request = new NetlinkRequest(RTM_NEWADDR, addition);
  const { broadcast } = change.prefix;
  addressBody(request, change, change.duplicateDetection === false ? IFA_F_NODAD : 0);
  if (broadcast !== null && change.peer === undefined) request.attribute(IFA_BROADCAST, broadcast.bytes);
  if (change.label !== undefined) request.attribute(IFA_LABEL, encodeInterfaceLabel(change.label));
  return request;
}

/** Removes an address. */
export function removeAddressRequest(change: AddressChange): NetlinkRequest {
  return addressBody(new NetlinkRequest(RTM_DELADDR, NetlinkFlag.acknowledge), change, 0);
}

/** Asks for all routes of a family, in all tables. */
export function getRoutesRequest(family: Family): NetlinkRequest {
  const structure = new Uint8Array(routeBytes);
  structure[RouteOffset.family] = familyNumber(family);
  return new NetlinkRequest(RTM_GETROUTE, NetlinkFlag.dump).structure(structure);
}

/** Adds a route; refused where there is one to the same destination with the same metric. */
export function addRouteRequest(change: RouteChange): NetlinkRequest {
  const scope = change.gateway === undefined && change.destination.address.family === 4
    ? RT_SCOPE_LINK
    : RT_SCOPE_UNIVERSE;
  return routeBody(new NetlinkRequest(RTM_NEWROUTE, addition), change, [
    change.protocol ?? RTPROT_STATIC,
    scope,
    RTN_UNICAST,
  ]);
}

/** Removes a route, whoever added it. */
export function removeRouteRequest(change: RouteChange): NetlinkRequest {
  const request = new NetlinkRequest(RTM_DELROUTE, NetlinkFlag.acknowledge);
  return routeBody(request, change, [change.protocol ?? 0, RT_SCOPE_NOWHERE, 0]);
}

/** An interface, from an answer to {@linkcode getLinkRequest}; null for any other message. */
export function parseLink({ type, payload }: NetlinkMessage): LinkInfo | null {
  if (type !== RTM_NEWLINK || payload.length < linkBytes) return null;
  const attributes = parseAttributes(payload, linkBytes);
  const flags = readUint32(payload, LinkOffset.flags);
  const name = attributes.get(IFLA_IFNAME);
  const mac = attributes.get(IFLA_ADDRESS);
  const isEthernet = readUint16(payload, LinkOffset.deviceType) === ARPHRD_ETHER && mac?.length === 6;
  return {
    index: readUint32(payload, LinkOffset.index),
    name: name === undefined ? "" : decodeCString(name),
    alternativeNames: parseAlternativeNames(attributes.get(IFLA_PROP_LIST)),
    mac: isEthernet ? MacAddress.fromBytes(mac) : null,
    mtu: readUint32(attributes.get(IFLA_MTU)),
    txQueueLength: readUint32(attributes.get(IFLA_TXQLEN)),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    promiscuous: (flags & IFF_PROMISC) !== 0,
  };
}

/** Frames that an interface did not take from the kernel, from an answer to {@linkcode getLinkRequest}; null as there. */
export function parseTransmitDrops({ type, payload }: NetlinkMessage): number | null {
  if (type !== RTM_NEWLINK || payload.length < linkBytes) return null;
  const counters = parseAttributes(payload, linkBytes).get(IFLA_STATS64);
  return readUint32(counters, transmitDroppedAt) + readUint32(counters, transmitDroppedAt + 4) * 2 ** 32;
}

/** An address, from an answer to {@linkcode getAddressesRequest}; null for any other message or family. */
export function parseAddress({ type, payload }: NetlinkMessage): AddressInfo | null {
  const family = parseFamily(payload[AddressOffset.family]);
  if (type !== RTM_NEWADDR || payload.length < addressBytes || family === null) return null;
  const attributes = parseAttributes(payload, addressBytes);
  // IFA_ADDRESS is the peer's on point-to-point interfaces and the same as IFA_LOCAL, or alone (IPv6), elsewhere.
  const far = parseIp(attributes.get(IFA_ADDRESS), family);
  const label = attributes.get(IFA_LABEL);
  const local = parseIp(attributes.get(IFA_LOCAL), family) ?? far;
  if (local === null) return null;
  return {
    index: readUint32(payload, AddressOffset.index),
    prefix: new IpPrefix(local, payload[AddressOffset.prefixLength]!),
    peer: far === null || far.equals(local) ? null : far,
    label: label === undefined ? null : decodeCString(label),
  };
}

/** A unicast route, from an answer to {@linkcode getRoutesRequest}; null for any other message, kind or family. */
export function parseRoute({ type, payload }: NetlinkMessage): RouteInfo | null {
  const family = parseFamily(payload[RouteOffset.family]);
  if (type !== RTM_NEWROUTE || payload.length < routeBytes || family === null) return null;
  if (payload[RouteOffset.type] !== RTN_UNICAST) return null;
  const attributes = parseAttributes(payload, routeBytes);
  const hops = attributes.get(RTA_MULTIPATH);
  // Of several next hops, the first stands for all.
  const hop = hops === undefined
    ? attributes
    : parseAttributes(hops.subarray(0, Math.max(readUint16(hops), nextHopBytes)), nextHopBytes);
  const destination = parseIp(attributes.get(RTA_DST), family) ?? IpAddress.unspecified(family);
  const table = attributes.get(RTA_TABLE);
  const flags = hops === undefined ? payload[RouteOffset.flags]! : hops[NextHopOffset.flags] ?? 0;
  return {
    destination: new IpPrefix(destination, payload[RouteOffset.prefixLength]!),
    gateway: parseIp(hop.get(RTA_GATEWAY), family) ?? parseVia(hop.get(RTA_VIA)),
    onLink: (flags & RTNH_F_ONLINK) !== 0,
    index: hops === undefined ? readUint32(hop.get(RTA_OIF)) : readUint32(hops, NextHopOffset.index),
    metric: readUint32(attributes.get(RTA_PRIORITY)),
    source: parseIp(attributes.get(RTA_PREFSRC), family),
    table: table === undefined ? payload[RouteOffset.table]! : readUint32(table),
    protocol: payload[RouteOffset.protocol]!,
  };
}

function parseAlternativeNames(properties: Uint8Array = new Uint8Array()): string[] {
  return parseAttributeList(properties, 0).filter(([type]) => type === IFLA_ALT_IFNAME)
    .map(([, name]) => decodeCString(name));
}

function alternativeNameBody(request: NetlinkRequest, index: number, name: string): NetlinkRequest {
  return request.structure([0, 0, 0, 0, ...uint32Bytes(index), 0, 0, 0, 0, 0, 0, 0, 0])
    .nested(IFLA_PROP_LIST, (list) => list.attribute(IFLA_ALT_IFNAME, encodeAlternativeName(name)));
}

function addressBody(request: NetlinkRequest, change: AddressChange, flags: number): NetlinkRequest {
  const { index, prefix: { address, length }, peer } = change;
  return request
    .structure([familyNumber(address.family), length, flags, RT_SCOPE_UNIVERSE, ...uint32Bytes(index)])
    .attribute(IFA_LOCAL, address.bytes)
    .attribute(IFA_ADDRESS, (peer ?? address).bytes);
}

function routeBody(request: NetlinkRequest, change: RouteChange, kind: readonly number[]): NetlinkRequest {
  const { destination: { network, length }, gateway, index, metric, source, table = mainTable } = change;
  const flags = uint32Bytes(change.onLink ? RTNH_F_ONLINK : 0);
  request
    .structure([familyNumber(network.family), length, 0, 0, table < 256 ? table : 0, ...kind, ...flags])
    .attributeUint32(RTA_TABLE, table);
  if (length > 0) request.attribute(RTA_DST, network.bytes);
  if (gateway?.family === network.family) request.attribute(RTA_GATEWAY, gateway.bytes);
  else if (gateway !== undefined) request.attribute(RTA_VIA, [familyNumber(gateway.family), 0, ...gateway.bytes]);
  if (index !== undefined) request.attributeUint32(RTA_OIF, index);
  if (metric !== undefined) request.attributeUint32(RTA_PRIORITY, metric);
  if (source !== undefined) request.attribute(RTA_PREFSRC, source.bytes);
  return request;
}

const AF_INET = 2;
const AF_INET6 = 10;

function familyNumber(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

function parseFamily(number: number | undefined): Family | null {
  return number === AF_INET ? 4 : number === AF_INET6 ? 6 : null;
}

function parseIp(bytes: Uint8Array | undefined, family: Family): IpAddress | null {
  if (bytes === undefined || bytes.length !== (family === 4 ? 4 : 16)) return null;
  return IpAddress.fromBytes(bytes, 0, family);
}

/** RTA_VIA: a gateway of another family, which says its family first (RFC 5549: IPv4 by way of an IPv6 router). */
function parseVia(bytes: Uint8Array | undefined): IpAddress | null {
  const family = bytes === undefined ? null : parseFamily(readUint16(bytes));
  return family === null ? null : parseIp(bytes!.subarray(2), family);
}
