/**
 * What a description of a frame consists of.
 *
 * @module
 */

/** What the Ethernet header says. */
export interface EthernetDescription {
  /** The sender's hardware address. */
  source: string;
  /** The receiver's hardware address. */
  destination: string;
  /** What the frame carries; below 1536 it is a length. */
  etherType: number;
}

/** What an ARP message for IPv4 over Ethernet says. */
export interface ArpDescription {
  /** 1 for a request, 2 for a reply. */
  operation: number;
  /** The sender's address. */
  sender: string;
  /** The address that is asked for, or the one of whoever asked. */
  target: string;
}

/** Which part of a packet a fragment is. */
export interface FragmentDescription {
  /** What the fragments of one packet have in common. */
  identification: number;
  /** Where its payload belongs, in bytes. */
  offset: number;
  /** Whether fragments with higher offsets exist. */
  more: boolean;
}

/** What the IP header says. */
export interface NetworkDescription {
  /** 4 or 6. */
  family: 4 | 6;
  /** The sender's address. */
  source: string;
  /** The receiver's address. */
  destination: string;
  /** The number of the protocol that the packet carries. */
  protocol: number;
  /** TTL or hop limit. */
  timeToLive: number;
  /** Which part of a packet it is; null when it is a whole one. */
  fragment: FragmentDescription | null;
}

/** What the transport header says. */
export interface TransportDescription {
  /** The protocol's name: `TCP`, `UDP`, `ICMP`, ... */
  name: string;
  /** The sender's port; null where the protocol has none, or the packet is cut off before it. */
  sourcePort: number | null;
  /** The receiver's port; null as above. */
  destinationPort: number | null;
}

/** A frame for people. */
export interface Description {
  /** All of it in one line. */
  text: string;
  /** What is wrong with the frame: it is shorter than its headers say, or they contradict each other. */
  problem: "truncated" | "malformed" | null;
  /** Null on media without Ethernet headers. */
  ethernet: EthernetDescription | null;
  /** Null when the frame is no ARP message, or is cut off. */
  arp: ArpDescription | null;
  /** Null when the frame carries no IP, or is cut off before it. */
  network: NetworkDescription | null;
  /** Null when the packet is cut off before it. */
  transport: TransportDescription | null;
}

/** A part of a frame that is to be described. */
export interface Span {
  /** The frame. */
  readonly view: DataView;
  /** Where the part starts. */
  readonly at: number;
  /** Where the part ends by what the headers in front of it say. */
  readonly end: number;
  /** Where the bytes that were kept end: not behind `end`. */
  readonly available: number;
}

/** Names of the protocols that IP carries. */
const protocolNames: Readonly<Record<number, string>> = {
  1: "ICMP",
  2: "IGMP",
  4: "IPIP",
  6: "TCP",
  17: "UDP",
  41: "IP6",
  47: "GRE",
  50: "ESP",
  51: "AH",
  58: "ICMP6",
  89: "OSPF",
  103: "PIM",
  112: "VRRP",
  132: "SCTP",
};

/** The name of a protocol that IP carries, by its number. */
export function protocolName(protocol: number): string {
  return protocolNames[protocol] ?? `protocol ${protocol}`;
}

/** A part of `span` that starts `offset` bytes behind its start. */
export function behind(span: Span, offset: number): Span {
  return { ...span, at: Math.min(span.at + offset, span.end) };
}

/** Bytes of a part: of those that were kept where no header says more. */
export function lengthOf(span: Span): number {
  return (span.end === Infinity ? span.available : span.end) - span.at;
}

/** Whether `bytes` of a part are there; if not, notes whether they were cut off or never were. */
export function has(span: Span, bytes: number, description: Description): boolean {
  if (span.at + bytes > span.end) description.problem = "malformed";
  else if (span.at + bytes > span.available) description.problem ??= "truncated";
  else return true;
  return false;
}
