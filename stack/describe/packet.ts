/**
 * IP packets in words.
 *
 * @module
 */

import { type Family, IpAddress } from "../address.ts";
import {
  fragmentOffsetAt,
  headerBytesAt,
  identificationAt,
  Ipv4Field,
  ipv4HeaderBytes,
  isFragmentAt,
  moreFragmentsAt,
  protocolAt,
  timeToLiveAt,
  totalLengthAt,
  versionAt,
} from "../network/ipv4_header.ts";
import { datagramLength, udpHeaderBytes } from "../transport/udp_header.ts";
import { behind, type Description, has, lengthOf, protocolName, type Span } from "./description.ts";
import { describeApplication } from "./dissect_transport.ts";
import { describeIcmpv4 } from "./icmpv4.ts";
import { describeSegment } from "./segment.ts";

const Protocol = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

/** Where the fields of an IPv6 header lie (RFC 8200 section 3). */
const Ipv6Field = { payloadLength: 4, nextHeader: 6, hopLimit: 7, source: 8, destination: 24 } as const;
const ipv6HeaderBytes = 40;

/** ICMPv6 messages by type (RFC 4443, RFC 4861, RFC 3810). */
const icmp6Names: Readonly<Record<number, string>> = {
  1: "destination unreachable",
  2: "packet too big",
  3: "time exceeded",
  4: "parameter problem",
  128: "echo request",
  129: "echo reply",
  130: "multicast listener query",
  131: "multicast listener report",
  132: "multicast listener done",
  133: "router solicitation",
  134: "router advertisement",
  135: "neighbor solicitation",
  136: "neighbor advertisement",
  137: "redirect",
  143: "multicast listener report v2",
};

/** Bytes of transport header that hold both ports. */
const portsBytes = 4;

/** The IP packet in `span`, of either family, by its version. */
export function describePacket(span: Span, description: Description): string {
  if (!has(span, 1, description)) return "IP";
  return versionAt(span.view, span.at) === 6 ? describeIpv6(span, description) : describeIpv4(span, description);
}

/** The IPv4 packet in `span`. */
export function describeIpv4(span: Span, description: Description): string {
  const { view, at } = span;
  if (!has(span, ipv4HeaderBytes, description)) return `IP, length ${span.available - at}`;
  const headerBytes = headerBytesAt(view, at);
  const totalLength = totalLengthAt(view, at);
  const isWellFormed = versionAt(view, at) === 4 && headerBytes >= ipv4HeaderBytes && totalLength >= headerBytes;
  if (!isWellFormed) {
    description.problem = "malformed";
    return `IP, version ${versionAt(view, at)}, header of ${headerBytes} bytes, length ${totalLength}`;
  }
  // What follows the packet is padding; what is missing was cut off.
  const end = at + totalLength;
  if (end > span.available) description.problem ??= "truncated";
  const payload: Span = { view, at: at + headerBytes, end, available: Math.min(span.available, end) };
  const offset = fragmentOffsetAt(view, at);
  const protocol = protocolAt(view, at);
  description.network = {
    family: 4,
    ...addressesAt(span, Ipv4Field.source, Ipv4Field.destination, 4),
    protocol,
    timeToLive: timeToLiveAt(view, at),
    fragment: isFragmentAt(view, at)
      ? { identification: identificationAt(view, at), offset, more: moreFragmentsAt(view, at) }
      : null,
  };
  const { source, destination, fragment } = description.network;
  if (fragment === null) return describeTransport("IP", payload, protocol, description);
  const { identification, more } = fragment;
  const suffix = ` (frag ${identification}:${totalLength - headerBytes}@${offset}${more ? "+" : ""})`;
  if (offset > 0) return `IP ${source} > ${destination}: ${protocolName(protocol)}${suffix}`;
  // The transport header of the first fragment speaks of the whole packet.
  return describeTransport("IP", { ...payload, end: Infinity }, protocol, description) + suffix;
}

function describeIpv6(span: Span, description: Description): string {
  const { view, at } = span;
  if (!has(span, ipv6HeaderBytes, description)) return `IP6, length ${span.available - at}`;
  const end = at + ipv6HeaderBytes + view.getUint16(at + Ipv6Field.payloadLength);
  if (end > span.available) description.problem ??= "truncated";
  const protocol = view.getUint8(at + Ipv6Field.nextHeader);
  description.network = {
    family: 6,
    ...addressesAt(span, Ipv6Field.source, Ipv6Field.destination, 6),
    protocol,
    timeToLive: view.getUint8(at + Ipv6Field.hopLimit),
    fragment: null,
  };
  const payload = { view, at: at + ipv6HeaderBytes, end, available: Math.min(span.available, end) };
  return describeTransport("IP6", payload, protocol, description);
}

function addressesAt(
  { view, at }: Span,
  sourceAt: number,
  destinationAt: number,
  family: Family,
): { source: string; destination: string } {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return {
    source: IpAddress.fromBytes(bytes, at + sourceAt, family).toString(),
    destination: IpAddress.fromBytes(bytes, at + destinationAt, family).toString(),
  };
}

function describeTransport(name: string, span: Span, protocol: number, description: Description): string {
  const hasPorts = protocol === Protocol.tcp || protocol === Protocol.udp;
  const isCutOff = hasPorts && !has(span, portsBytes, description);
  const ports = hasPorts && !isCutOff;
  const sourcePort = ports ? span.view.getUint16(span.at) : null;
  const destinationPort = ports ? span.view.getUint16(span.at + 2) : null;
  description.transport = { name: protocolName(protocol), sourcePort, destinationPort };
  const { source, destination } = description.network!;
  const from = sourcePort === null ? source : `${source}.${sourcePort}`;
  const to = destinationPort === null ? destination : `${destination}.${destinationPort}`;
  return `${name} ${from} > ${to}: ${describePayload(span, protocol, description)}`;
}

function describePayload(span: Span, protocol: number, description: Description): string {
  switch (protocol) {
    case Protocol.tcp:
      return describeTcp(span, description);
    case Protocol.udp:
      return describeUdp(span, description);
    case Protocol.icmp:
      return describeIcmpv4(span, description, describeQuoted);
    case Protocol.icmp6:
      return describeIcmp6(span, description);
    default:
      return `${protocolName(protocol)}, length ${lengthOf(span)}`;
  }
}

function describeTcp(span: Span, description: Description): string {
  const end = span.end === Infinity ? span.available : span.end;
  const text = describeSegment(span.view, span.at, end, { available: span.available });
  const mark = /^(.*?),? ?\[(truncated|malformed)\]$/s.exec(text);
  if (mark === null) return text;
  // The mark goes to the end of the line.
  if (mark[2] === "malformed") description.problem = "malformed";
  else description.problem ??= "truncated";
  const rest = mark[1]!;
  if (rest.startsWith("Flags")) return rest;
  return rest === "" ? "TCP" : `TCP, ${rest}`;
}

function describeUdp(span: Span, description: Description): string {
  if (!has(span, udpHeaderBytes, description)) return "UDP";
  const length = datagramLength(span.view, span.at);
  if (length < udpHeaderBytes || length > span.end - span.at) {
    description.problem = "malformed";
    return `UDP, datagram of ${length} bytes`;
  }
  const text = `UDP, length ${length - udpHeaderBytes}`;
  const payload = { ...behind(span, udpHeaderBytes), end: span.at + length };
  const ports = [span.view.getUint16(span.at), span.view.getUint16(span.at + 2)];
  const message = describeApplication({ ...payload, available: Math.min(span.available, payload.end) }, ports);
  return message === null ? text : `${text}, ${message.text}`;
}

function describeIcmp6(span: Span, description: Description): string {
  const length = lengthOf(span);
  if (!has(span, 4, description)) return `ICMP6, length ${length}`;
  const type = span.view.getUint8(span.at);
  const parts = [`ICMP6, ${icmp6Names[type] ?? `type ${type}`}`];
  if ((type === 128 || type === 129) && has(span, 8, description)) {
    parts.push(`id ${span.view.getUint16(span.at + 4)}`, `seq ${span.view.getUint16(span.at + 6)}`);
  }
  return [...parts, `length ${length}`].join(", ");
}

/** A packet that an ICMP error quotes: that it is cut off is no fault. */
function describeQuoted(span: Span): string {
  const quoted: Description = { text: "", problem: null, ethernet: null, arp: null, network: null, transport: null };
  const { view, at } = span;
  const isError = span.available - at > ipv4HeaderBytes && protocolAt(view, at) === Protocol.icmp;
  // An error never quotes an error (RFC 1122 section 3.2.2): what looks like one is not followed further.
  const text = describeIpv4(isError ? { ...span, available: at + ipv4HeaderBytes } : span, quoted);
  return quoted.problem === "malformed" ? `${text} [malformed]` : text;
}
