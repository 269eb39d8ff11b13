/**
 * What IP packets carry, field by field.
 *
 * @module
 */

import { addUint16, sum, verify } from "../checksum.ts";
import {
  echoIdentifierAt,
  echoSequenceAt,
  icmpCodeAt,
  icmpTypeAt,
  Icmpv4Field,
  icmpv4HeaderBytes,
  Icmpv4Type,
  nextHopMtuAt,
  UnreachableCode,
} from "../network/icmpv4_header.ts";
import {
  acknowledgementNumber,
  destinationPort,
  Flag,
  flags,
  headerBytes,
  minimumHeaderBytes,
  sequenceNumber,
  sourcePort,
  TcpField,
  urgentPointer,
  windowField,
} from "../transport/tcp/header.ts";
import { checksumField as udpChecksum, datagramLength, udpHeaderBytes } from "../transport/udp_header.ts";
import { describeDhcp, dhcpPorts, type DhcpText } from "./dhcp.ts";
import { describeDns, dnsPorts } from "./dns.ts";
import type { Span } from "./description.ts";
import { nameOfIcmpv4 } from "./icmpv4.ts";
import { checksumField, type Field, type Layer } from "./layer.ts";
import { describeFlags, describeTcpOptions } from "./segment.ts";

/** What an IP packet carries. */
export interface Segment extends Span {
  /** The protocol's number. */
  readonly protocol: number;
  /** Where source and destination address of the packet stand. */
  readonly addressesAt: number;
  /** Bytes of both addresses. */
  readonly addressBytes: number;
  /** Whether all that its checksum covers is there. */
  readonly isWhole: boolean;
}

const Protocol = { icmp: 1, tcp: 6, udp: 17 } as const;

/** Adds the layers of a segment, and returns where what could be read ends. */
export function dissectTransport(segment: Segment, layers: Layer[]): number {
  switch (segment.protocol) {
    case Protocol.tcp:
      return dissectTcp(segment, layers);
    case Protocol.udp:
      return dissectUdp(segment, layers);
    case Protocol.icmp:
      return dissectIcmpv4(segment, layers);
    default:
      return segment.at;
  }
}

function dissectTcp(segment: Segment, layers: Layer[]): number {
  const { view, at, available } = segment;
  if (at + minimumHeaderBytes > available) return at;
  const length = headerBytes(view, at);
  if (length < minimumHeaderBytes || at + length > available) return at;
  const controlBits = flags(view, at);
  layers.push({
    name: "TCP",
    fields: [
      { name: "source port", value: sourcePort(view, at) },
      { name: "destination port", value: destinationPort(view, at) },
      { name: "sequence number", value: sequenceNumber(view, at) },
      { name: "acknowledgement number", value: acknowledgementNumber(view, at) },
      { name: "header length", value: length },
      { name: "flags", value: describeFlags(controlBits) },
      { name: "window", value: windowField(view, at) },
      ...checksumOf(segment, view.getUint16(at + TcpField.checksum)),
      ...((controlBits & Flag.urg) === 0 ? [] : [{ name: "urgent pointer", value: urgentPointer(view, at) }]),
      ...describeTcpOptions(view, at + minimumHeaderBytes, at + length).map((value) => ({ name: "option", value })),
    ],
  });
  return at + length;
}

function dissectUdp(segment: Segment, layers: Layer[]): number {
  const { view, at, available } = segment;
  if (at + udpHeaderBytes > available) return at;
  const ports = [sourcePort(view, at), destinationPort(view, at)];
  const sent = udpChecksum(view, at);
  layers.push({
    name: "UDP",
    fields: [
      { name: "source port", value: ports[0]! },
      { name: "destination port", value: ports[1]! },
      { name: "length", value: datagramLength(view, at) },
      ...(sent === 0 ? [{ name: "checksum", value: "none" }] : checksumOf(segment, sent)),
    ],
  });
  const payloadAt = at + udpHeaderBytes;
  const payload: Span = { view, at: payloadAt, end: segment.end, available };
  const found = describeApplication(payload, ports);
  if (found === null) return payloadAt;
  layers.push({ name: found.name, fields: found.fields });
  return available;
}

/** What a datagram carries, by its ports: a message of DNS or DHCP, or null. */
export function describeApplication(
  payload: Span,
  ports: readonly number[],
): (DhcpText & { readonly name: string }) | null {
  if (ports.some((port) => dnsPorts.includes(port))) {
    const message = describeDns(payload);
    if (message !== null) return { name: "DNS", ...message };
  }
  if (ports.some((port) => dhcpPorts.includes(port))) {
    const message = describeDhcp(payload);
    if (message !== null) return { name: "DHCP", ...message };
  }
  return null;
}

function dissectIcmpv4({ view, at, available, isWhole }: Segment, layers: Layer[]): number {
  if (at + icmpv4HeaderBytes > available) return at;
  const type = icmpTypeAt(view, at);
  const code = icmpCodeAt(view, at);
  const fields: Field[] = [
    { name: "type", value: type },
    { name: "code", value: code },
    { name: "meaning", value: nameOfIcmpv4(type, code) },
    ...(isWhole ? [checksumField(view.getUint16(at + Icmpv4Field.checksum), verify(view, at, available - at))] : []),
  ];
  if (type === Icmpv4Type.echoRequest || type === Icmpv4Type.echoReply) {
    fields.push({ name: "identifier", value: echoIdentifierAt(view, at) });
    fields.push({ name: "sequence number", value: echoSequenceAt(view, at) });
  }
  if (type === Icmpv4Type.destinationUnreachable && code === UnreachableCode.fragmentationNeeded) {
    fields.push({ name: "next-hop MTU", value: nextHopMtuAt(view, at) });
  }
  layers.push({ name: "ICMP", fields });
  return at + icmpv4HeaderBytes;
}

/** The checksum that covers the pseudo-header as well; it cannot be judged when a part of the segment is missing. */
function checksumOf(segment: Segment, value: number): Field[] {
  const { view, at, end, protocol, addressesAt, addressBytes, isWhole } = segment;
  if (!isWhole) return [{ name: "checksum", value: `0x${value.toString(16).padStart(4, "0")}` }];
  const pseudo = addUint16(end - at, addUint16(protocol, sum(view, addressesAt, addressBytes)));
  return [checksumField(value, verify(view, at, end - at, pseudo))];
}
