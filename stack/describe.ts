/**
 * Frames in words: one line each, in the manner of tcpdump, for logs, tests and people.
 *
 * @module
 */

import { IpAddress, MacAddress } from "./address.ts";
import { type Description, has, type Span } from "./describe/description.ts";
import { describePacket } from "./describe/packet.ts";
import { arpBytes, ArpField, ArpOperation, arpOperationAt, isIpv4OnEthernetAt } from "./link/arp_header.ts";
import { EthernetField, ethernetHeaderBytes, etherTypeAt } from "./link/ethernet_header.ts";
import { EtherType } from "./link/nic.ts";
import type { Packet } from "./packet.ts";

export type {
  ArpDescription,
  Description,
  EthernetDescription,
  FragmentDescription,
  NetworkDescription,
  TransportDescription,
} from "./describe/description.ts";
export { dissectFrame, type DissectOptions } from "./describe/dissect.ts";
export type { Field, Layer } from "./describe/layer.ts";
export { describeFlags, describeSegment } from "./describe/segment.ts";
export type { InitialSequenceNumbers, SegmentOptions } from "./describe/segment.ts";

/** Options of {@linkcode describeFrame} and {@linkcode describe}. */
export interface DescribeOptions {
  /** What the frame starts with. Default `"ethernet"`. */
  medium?: "ethernet" | "ip";
  /** Begins the line with the hardware addresses. Default false. */
  link?: boolean;
}

/** The least EtherType; below it the field is a length (IEEE 802.3 section 3.2.6). */
const leastEtherType = 1536;

/**
 * Describes the frame in a packet's window. Never throws, whatever the bytes are.
 *
 * @param packet The packet, whose window starts at the link header, or at the IP header on a medium without one.
 * @param options What the frame starts with, and what to show.
 * @returns The frame's fields and its line of text.
 */
export function describe(packet: Packet, options: DescribeOptions = {}): Description {
  return describeFrame(packet.contents(), options);
}

/**
 * Describes a frame. Never throws, whatever the bytes are: the text then ends in `[truncated]` or `[malformed]`.
 *
 * @param frame The bytes of the frame, or the first of them.
 * @param options What the frame starts with, and what to show.
 * @returns The frame's fields and its line of text.
 *
 * @example
 * ```ts
 * import { describeFrame } from "./describe.ts";
 *
 * const packet = new Uint8Array(28);
 * packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 4, 0, 0, 7, 0, 8, 0, 0]);
 * console.log(describeFrame(packet, { medium: "ip" }).text); // IP 192.0.2.1.1024 > 192.0.2.2.7: UDP, length 0
 * ```
 */
export function describeFrame(frame: Uint8Array, options: DescribeOptions = {}): Description {
  const description: Description = {
    text: "",
    problem: null,
    ethernet: null,
    arp: null,
    network: null,
    transport: null,
  };
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  // How long the frame once was is not known: what is missing counts as cut off.
  const span: Span = { view, at: 0, end: Infinity, available: frame.length };
  const text = options.medium === "ip"
    ? describePacket(span, description)
    : describeEthernet(span, description, options.link ?? false);
  description.text = description.problem === null ? text : `${text} [${description.problem}]`;
  return description;
}

function describeEthernet(span: Span, description: Description, showLink: boolean): string {
  if (!has(span, ethernetHeaderBytes, description)) return `Ethernet, length ${span.available}`;
  const { view } = span;
  const etherType = etherTypeAt(view, 0);
  description.ethernet = {
    source: macAt(view, EthernetField.source),
    destination: macAt(view, EthernetField.destination),
    etherType,
  };
  const { source, destination } = description.ethernet;
  const text = describeEtherPayload({ ...span, at: ethernetHeaderBytes }, etherType, description);
  return showLink ? `${source} > ${destination}, ${text}` : text;
}

function describeEtherPayload(span: Span, etherType: number, description: Description): string {
  const length = span.available - span.at;
  if (etherType === EtherType.ipv4 || etherType === EtherType.ipv6) {
    const family = etherType === EtherType.ipv4 ? 4 : 6;
    if (length > 0 && span.view.getUint8(span.at) >>> 4 !== family) {
      description.problem = "malformed";
      return `${family === 4 ? "IP" : "IP6"}, version ${span.view.getUint8(span.at) >>> 4}, length ${length}`;
    }
    return describePacket(span, description);
  }
  if (etherType === EtherType.arp) return describeArp(span, description);
  if (etherType < leastEtherType) return `IEEE 802.3, length ${etherType}`;
  return `ethertype 0x${etherType.toString(16).padStart(4, "0")}, length ${length}`;
}

function describeArp(span: Span, description: Description): string {
  const { view, at } = span;
  const length = span.available - at;
  if (!has(span, arpBytes, description)) return `ARP, length ${length}`;
  const operation = arpOperationAt(view, at);
  if (!isIpv4OnEthernetAt(view, at)) {
    description.problem = "malformed";
    return `ARP, operation ${operation}, length ${length}`;
  }
  const sender = ipv4At(view, at + ArpField.senderProtocol);
  const target = ipv4At(view, at + ArpField.targetProtocol);
  description.arp = { operation, sender, target };
  if (operation === ArpOperation.request) return `ARP, Request who-has ${target} tell ${sender}, length ${length}`;
  if (operation === ArpOperation.reply) {
    return `ARP, Reply ${sender} is-at ${macAt(view, at + ArpField.senderHardware)}, length ${length}`;
  }
  return `ARP, operation ${operation} from ${sender} for ${target}, length ${length}`;
}

function macAt(view: DataView, at: number): string {
  return MacAddress.fromBytes(new Uint8Array(view.buffer, view.byteOffset + at, 6)).toString();
}

function ipv4At(view: DataView, at: number): string {
  return IpAddress.fromUint32(view.getUint32(at)).toString();
}
