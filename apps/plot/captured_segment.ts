/**
 * Finding the TCP segment in a captured frame.
 *
 * @module
 */

import { type Family, IpAddress, type TrackedSegment } from "../../mod.ts";
import type { CapturedFrame } from "../../stack/link/pcap_reader.ts";
import {
  fragmentOffsetAt,
  headerBytesAt,
  Ipv4Field,
  ipv4HeaderBytes,
  protocolAt,
  totalLengthAt,
} from "../../stack/network/ipv4_header.ts";
import { formatEndpoint } from "../../stack/transport/endpoint.ts";
import {
  acknowledgementNumber,
  destinationPort,
  flags,
  headerBytes,
  minimumHeaderBytes,
  sequenceNumber,
  sourcePort,
  windowField,
} from "../../stack/transport/tcp/header.ts";
import { TcpOptions } from "../../stack/transport/tcp/options.ts";

/** A segment as it stands in a capture. Sequence numbers are absolute. */
export interface CapturedSegment extends TrackedSegment {
  /** The number of its frame, from 1. */
  readonly frame: number;
  /** Milliseconds since 1970 UTC. */
  readonly time: number;
  /** The sender's address and port. */
  readonly source: string;
  /** The receiver's address and port. */
  readonly destination: string;
  /** Left and right edges of the SACK blocks. */
  readonly sack: readonly (readonly [left: number, right: number])[];
}

/** Where the EtherType stands in the frames of a link type (the LINKTYPE_ registry), and where the packet begins. */
const framing: Readonly<Record<number, { readonly etherTypeAt: number; readonly packetAt: number }>> = {
  // Ethernet.
  1: { etherTypeAt: 12, packetAt: 14 },
  // Bare IP: the packet says its version.
  101: { etherTypeAt: -1, packetAt: 0 },
  // What Linux puts in front of packets of "any" interface, in two versions.
  113: { etherTypeAt: 14, packetAt: 16 },
  276: { etherTypeAt: 0, packetAt: 20 },
};

const EtherType = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100 } as const;
const vlanTagBytes = 4;
const tcpProtocol = 6;

/** Where the fields of an IPv6 header lie (RFC 8200 section 3). */
const Ipv6Field = { payloadLength: 4, nextHeader: 6, source: 8, destination: 24 } as const;
const ipv6HeaderBytes = 40;
/** Extension headers that say where they end: hop-by-hop options, routing, destination options. */
const ipv6Extensions: readonly number[] = [0, 43, 60];

/** Where a segment lies in a frame. */
interface Place {
  readonly family: Family;
  readonly sourceAt: number;
  readonly destinationAt: number;
  readonly at: number;
  /** Behind its last byte, captured or not. */
  readonly end: number;
}

/** Reads the TCP segments of frames. */
export class SegmentParser {
  readonly #options = new TcpOptions();

  /** The segment in a frame, of which `number` is the place in the capture; null where there is none, or not all of its header. */
  parse(frame: CapturedFrame, number: number): CapturedSegment | null {
    const { bytes, timestamp } = frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const place = findSegment(view, frame);
    if (place === null || place.at + minimumHeaderBytes > bytes.length) return null;
    const { at, end } = place;
    const header = headerBytes(view, at);
    if (header < minimumHeaderBytes || at + header > end) return null;
    const options = this.#options;
    options.parse(view, at + minimumHeaderBytes, Math.min(at + header, bytes.length));
    const endpoint = (addressAt: number, port: number) =>
      formatEndpoint({ address: IpAddress.fromBytes(bytes, addressAt, place.family), port });
    return {
      frame: number,
      time: timestamp,
      source: endpoint(place.sourceAt, sourcePort(view, at)),
      destination: endpoint(place.destinationAt, destinationPort(view, at)),
      sequence: sequenceNumber(view, at),
      acknowledgement: acknowledgementNumber(view, at),
      flags: flags(view, at),
      length: end - at - header,
      window: windowField(view, at),
      windowScale: options.windowScale,
      sack: Array.from(
        { length: options.sackBlocks },
        (_, block) => [options.sackEdges[2 * block]!, options.sackEdges[2 * block + 1]!],
      ),
    };
  }
}

function findSegment(view: DataView, frame: CapturedFrame): Place | null {
  const layout = framing[frame.interface.linkType];
  if (layout === undefined) return null;
  let { etherTypeAt, packetAt } = layout;
  if (etherTypeAt >= 0) {
    if (packetAt + vlanTagBytes > view.byteLength) return null;
    if (view.getUint16(etherTypeAt) === EtherType.vlan) {
      etherTypeAt = packetAt + 2;
      packetAt += vlanTagBytes;
    }
    const etherType = view.getUint16(etherTypeAt);
    if (etherType !== EtherType.ipv4 && etherType !== EtherType.ipv6) return null;
  }
  if (packetAt + ipv4HeaderBytes > view.byteLength) return null;
  const version = view.getUint8(packetAt) >>> 4;
  if (version === 4) return findInIpv4(view, packetAt, frame.originalLength);
  return version === 6 ? findInIpv6(view, packetAt, frame.originalLength) : null;
}

function findInIpv4(view: DataView, at: number, frameEnd: number): Place | null {
  if (protocolAt(view, at) !== tcpProtocol || fragmentOffsetAt(view, at) > 0) return null;
  const length = totalLengthAt(view, at);
  return {
    family: 4,
    sourceAt: at + Ipv4Field.source,
    destinationAt: at + Ipv4Field.destination,
    at: at + headerBytesAt(view, at),
    // A packet that is too long for its length field, as segmentation offload makes them, says 0.
    end: length === 0 ? frameEnd : at + length,
  };
}

function findInIpv6(view: DataView, at: number, frameEnd: number): Place | null {
  if (at + ipv6HeaderBytes > view.byteLength) return null;
  const length = view.getUint16(at + Ipv6Field.payloadLength);
  const end = length === 0 ? frameEnd : at + ipv6HeaderBytes + length;
  let protocol = view.getUint8(at + Ipv6Field.nextHeader);
  let next = at + ipv6HeaderBytes;
  while (ipv6Extensions.includes(protocol)) {
    if (next + 8 > view.byteLength) return null;
    protocol = view.getUint8(next);
    next += 8 * (view.getUint8(next + 1) + 1);
  }
  if (protocol !== tcpProtocol) return null;
  return { family: 6, sourceAt: at + Ipv6Field.source, destinationAt: at + Ipv6Field.destination, at: next, end };
}
