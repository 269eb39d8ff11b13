/**
 * Frames field by field: every header from Ethernet to the application, as far as the bytes go.
 *
 * @module
 */

import { IpAddress, MacAddress } from "../address.ts";
import { verify } from "../checksum.ts";
import { arpBytes, ArpField, ArpOperation, arpOperationAt, isIpv4OnEthernetAt } from "../link/arp_header.ts";
import { EthernetField, ethernetHeaderBytes, etherTypeAt } from "../link/ethernet_header.ts";
import { EtherType } from "../link/nic.ts";
import {
  fragmentOffsetAt,
  headerBytesAt,
  identificationAt,
  Ipv4Field,
  Ipv4Flag,
  ipv4HeaderBytes,
  moreFragmentsAt,
  protocolAt,
  timeToLiveAt,
  totalLengthAt,
  trafficClassAt,
} from "../network/ipv4_header.ts";
import { protocolName } from "./description.ts";
import { dissectTransport, type Segment } from "./dissect_transport.ts";
import { checksumField, hex16, type Layer } from "./layer.ts";

/** Options of {@linkcode dissectFrame}. */
export interface DissectOptions {
  /** What the frame starts with. Default `"ethernet"`. */
  medium?: "ethernet" | "ip";
}

const etherTypeNames: Readonly<Record<number, string>> = {
  [EtherType.ipv4]: "IPv4",
  [EtherType.arp]: "ARP",
  [EtherType.ipv6]: "IPv6",
};

/** Where the fields of an IPv6 header lie (RFC 8200 section 3). */
const Ipv6Field = { firstWord: 0, payloadLength: 4, nextHeader: 6, hopLimit: 7, source: 8, destination: 24 } as const;
const ipv6HeaderBytes = 40;

/**
 * Takes a frame apart. Never throws, whatever the bytes are: the layers end where they cannot be read further, and what
 * is left is the last layer, `Data`.
 *
 * @param frame The bytes of the frame, or the first of them.
 * @param options What the frame starts with.
 * @returns The headers from the outermost on.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dissectFrame } from "./dissect.ts";
 *
 * const packet = new Uint8Array(28);
 * packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 4, 0, 0, 7, 0, 8, 0, 0]);
 * const layers = dissectFrame(packet, { medium: "ip" });
 * assertEquals(layers.map(({ name }) => name), ["IPv4", "UDP"]);
 * assertEquals(layers[1]!.fields[0], { name: "source port", value: 1024 });
 * ```
 */
export function dissectFrame(frame: Uint8Array, options: DissectOptions = {}): Layer[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const layers: Layer[] = [];
  const end = options.medium === "ip" ? dissectIp(view, 0, layers) : dissectEthernet(view, layers);
  if (end < frame.length) layers.push({ name: "Data", fields: [{ name: "length", value: frame.length - end }] });
  return layers;
}

/** Each part of the frame adds its layers, and returns where what it could read ends. */
function dissectEthernet(view: DataView, layers: Layer[]): number {
  if (view.byteLength < ethernetHeaderBytes) return 0;
  const etherType = etherTypeAt(view, 0);
  const name = etherTypeNames[etherType];
  layers.push({
    name: "Ethernet",
    fields: [
      { name: "destination", value: macAt(view, EthernetField.destination) },
      { name: "source", value: macAt(view, EthernetField.source) },
      { name: "type", value: name === undefined ? hex16(etherType) : `${hex16(etherType)} (${name})` },
    ],
  });
  if (etherType === EtherType.arp) return dissectArp(view, ethernetHeaderBytes, layers);
  const isIp = etherType === EtherType.ipv4 || etherType === EtherType.ipv6;
  return isIp ? dissectIp(view, ethernetHeaderBytes, layers) : ethernetHeaderBytes;
}

function dissectArp(view: DataView, at: number, layers: Layer[]): number {
  if (at + arpBytes > view.byteLength || !isIpv4OnEthernetAt(view, at)) return at;
  const operation = arpOperationAt(view, at);
  const name = operation === ArpOperation.request ? " (request)" : operation === ArpOperation.reply ? " (reply)" : "";
  layers.push({
    name: "ARP",
    fields: [
      { name: "operation", value: `${operation}${name}` },
      { name: "sender hardware", value: macAt(view, at + ArpField.senderHardware) },
      { name: "sender protocol", value: ipv4At(view, at + ArpField.senderProtocol) },
      { name: "target hardware", value: macAt(view, at + ArpField.targetHardware) },
      { name: "target protocol", value: ipv4At(view, at + ArpField.targetProtocol) },
    ],
  });
  return at + arpBytes;
}

function dissectIp(view: DataView, at: number, layers: Layer[]): number {
  if (at >= view.byteLength) return at;
  return view.getUint8(at) >>> 4 === 6 ? dissectIpv6(view, at, layers) : dissectIpv4(view, at, layers);
}

function dissectIpv4(view: DataView, at: number, layers: Layer[]): number {
  if (at + ipv4HeaderBytes > view.byteLength || view.getUint8(at) >>> 4 !== 4) return at;
  const headerBytes = headerBytesAt(view, at);
  const totalLength = totalLengthAt(view, at);
  const headerEnd = at + headerBytes;
  if (headerBytes < ipv4HeaderBytes || headerEnd > view.byteLength || totalLength < headerBytes) return at;
  const flagsAndOffset = view.getUint16(at + Ipv4Field.flagsAndOffset);
  const offset = fragmentOffsetAt(view, at);
  const more = moreFragmentsAt(view, at);
  const protocol = protocolAt(view, at);
  layers.push({
    name: "IPv4",
    fields: [
      { name: "header length", value: headerBytes },
      { name: "traffic class", value: trafficClassAt(view, at) },
      { name: "total length", value: totalLength },
      { name: "identification", value: identificationAt(view, at) },
      { name: "don't fragment", value: (flagsAndOffset & Ipv4Flag.dontFragment) !== 0 },
      { name: "more fragments", value: more },
      { name: "fragment offset", value: offset },
      { name: "time to live", value: timeToLiveAt(view, at) },
      { name: "protocol", value: `${protocol} (${protocolName(protocol)})` },
      checksumField(view.getUint16(at + Ipv4Field.checksum), verify(view, at, headerBytes)),
      { name: "source", value: ipv4At(view, at + Ipv4Field.source) },
      { name: "destination", value: ipv4At(view, at + Ipv4Field.destination) },
      ...(headerBytes > ipv4HeaderBytes ? [{ name: "option bytes", value: headerBytes - ipv4HeaderBytes }] : []),
    ],
  });
  if (offset > 0) return headerEnd;
  return dissectTransport({
    view,
    at: headerEnd,
    end: at + totalLength,
    available: Math.min(at + totalLength, view.byteLength),
    protocol,
    addressesAt: at + Ipv4Field.source,
    addressBytes: 8,
    // What a fragment's checksum covers is not all here.
    isWhole: !more && at + totalLength <= view.byteLength,
  }, layers);
}

function dissectIpv6(view: DataView, at: number, layers: Layer[]): number {
  if (at + ipv6HeaderBytes > view.byteLength) return at;
  const firstWord = view.getUint32(at + Ipv6Field.firstWord);
  const length = view.getUint16(at + Ipv6Field.payloadLength);
  const protocol = view.getUint8(at + Ipv6Field.nextHeader);
  layers.push({
    name: "IPv6",
    fields: [
      { name: "traffic class", value: (firstWord >>> 20) & 0xff },
      { name: "flow label", value: firstWord & 0xfffff },
      { name: "payload length", value: length },
      { name: "next header", value: `${protocol} (${protocolName(protocol)})` },
      { name: "hop limit", value: view.getUint8(at + Ipv6Field.hopLimit) },
      { name: "source", value: ipv6At(view, at + Ipv6Field.source) },
      { name: "destination", value: ipv6At(view, at + Ipv6Field.destination) },
    ],
  });
  const end = at + ipv6HeaderBytes + length;
  const segment: Segment = {
    view,
    at: at + ipv6HeaderBytes,
    end,
    available: Math.min(end, view.byteLength),
    protocol,
    addressesAt: at + Ipv6Field.source,
    addressBytes: 32,
    isWhole: end <= view.byteLength,
  };
  return dissectTransport(segment, layers);
}

function macAt(view: DataView, at: number): string {
  return MacAddress.fromBytes(new Uint8Array(view.buffer, view.byteOffset + at, 6)).toString();
}

function ipv4At(view: DataView, at: number): string {
  return IpAddress.fromUint32(view.getUint32(at)).toString();
}

function ipv6At(view: DataView, at: number): string {
  return IpAddress.fromBytes(new Uint8Array(view.buffer, view.byteOffset + at, 16), 0, 6).toString();
}
