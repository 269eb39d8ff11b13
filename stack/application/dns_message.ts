/**
 * DNS messages (RFC 1035 section 4), as far as clients and forwarders look into them. Their encoding is dns-packet's.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { dnsPacket } from "./deps/dns_packet.ts";

/** A question: a name without its last dot, and a record type. */
export interface DnsQuestion {
  /** The name; `.` for the root. */
  readonly name: string;
  /** The record type: `A`, `MX`, ..., or `UNKNOWN_65` for one without a name here. */
  readonly type: string;
  /** The class. Default `IN`, the Internet. */
  readonly class?: string;
}

/** A resource record. What `data` is depends on the type. */
export interface DnsRecord {
  /** Whose record it is. */
  readonly name: string;
  /** Its type. */
  readonly type: string;
  /** Seconds for which it may be kept. */
  readonly ttl: number;
  /** Its class; `IN` for the Internet. */
  readonly class?: string;
  /** Its contents, in dns-packet's form: a text for `A`, an object for `MX`, bytes for types that it does not know. */
  readonly data: unknown;
}

/** A response code by name, as in RFC 1035 section 4.1.1: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, ... */
export type DnsResponseCode = string;

/** A message, with what it carries beside the record sections. */
export interface DnsMessage {
  /** Ties a response to its query. */
  readonly id: number;
  /** Whether it is a response. */
  readonly isResponse: boolean;
  /** What is asked for: `QUERY`, and rarely anything else. */
  readonly opcode: string;
  /** The header's flags, opcode and response code as they are (RFC 1035 section 4.1.1). */
  readonly flags: number;
  /** What came of it. */
  readonly code: DnsResponseCode;
  /** Whether the server answers for its own zone. */
  readonly authoritative: boolean;
  /** Whether something is missing that did not fit. */
  readonly truncated: boolean;
  /** Whether the server is asked to resolve for the client. */
  readonly recursionDesired: boolean;
  /** Whether the server does so. */
  readonly recursionAvailable: boolean;
  /** The questions. */
  readonly questions: readonly DnsQuestion[];
  /** The records that answer. */
  readonly answers: readonly DnsRecord[];
  /** Who knows more, or says that there is nothing. */
  readonly authorities: readonly DnsRecord[];
  /** Other records of use. */
  readonly additionals: readonly DnsRecord[];
  /** What the sender says of itself (RFC 6891), or null. */
  readonly edns: Edns | null;
}

/** The part of EDNS that matters here (RFC 6891 section 6.1.2). */
export interface Edns {
  /** The largest UDP message that the sender takes, in bytes. */
  readonly udpPayloadBytes: number;
  /** Its version: 0. */
  readonly version: number;
}

/**
 * The largest UDP message to ask for, in bytes: one that no path has to fragment, as the operators of servers agreed on
 * in 2020.
 */
export const udpPayloadBytes = 1232;

/** The largest UDP message without EDNS, in bytes (RFC 1035 section 2.3.4). */
export const plainPayloadBytes = 512;

/** The bits of the flags that hold the opcode. */
const opcodeMask = 0x7800;

const Flag = { authoritative: 0x400, truncated: 0x200, recursionDesired: 0x100, recursionAvailable: 0x80 } as const;

/** The response codes that are sent from here. */
export const ResponseCode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
};

const codeNumbers: Readonly<Record<string, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

const ednsOption = {
  type: "OPT",
  name: ".",
  udpPayloadSize: udpPayloadBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** Encodes a query. */
export function encodeQuery(id: number, question: DnsQuestion, recursionDesired = true): Uint8Array {
  return dnsPacket.encode({
    type: "query",
    id,
    flags: recursionDesired ? Flag.recursionDesired : 0,
    questions: [{ ...question, class: "IN" }],
    additionals: [ednsOption],
  } as unknown as dnsPacket.Packet);
}

/** What a response is made of. */
export interface ResponseParts {
  /** The response code's number. */
  code: number;
  /** Records that answer. */
  answers?: readonly DnsRecord[];
  /** Records about who knows, or that there is nothing. */
  authorities?: readonly DnsRecord[];
  /** Whether we answer for ourselves. */
  authoritative?: boolean;
}

/** Encodes the response to a query, cut down to nothing but its header where it is longer than `mostBytes`. */
export function encodeResponse(query: DnsMessage, parts: ResponseParts, mostBytes: number): Uint8Array {
  const { code, answers = [], authorities = [], authoritative = false } = parts;
  const flags = code | (query.flags & opcodeMask) | Flag.recursionAvailable | (authoritative ? Flag.authoritative : 0) |
    (query.recursionDesired ? Flag.recursionDesired : 0);
  const message = {
    type: "response",
    id: query.id,
    flags,
    questions: query.questions,
    answers,
    authorities,
    additionals: query.edns === null ? [] : [ednsOption],
  };
  const whole = dnsPacket.encode(message as unknown as dnsPacket.Packet);
  if (whole.length <= mostBytes) return whole;
  // RFC 2181 section 9: the client asks again over TCP, and does not use what has come.
  const short = { ...message, flags: flags | Flag.truncated, answers: [], authorities: [] };
  return dnsPacket.encode(short as unknown as dnsPacket.Packet);
}

/** Decodes a message; null if it is none. */
export function decodeMessage(bytes: Uint8Array): DnsMessage | null {
  try {
    return toMessage(dnsPacket.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
  } catch {
    return null;
  }
}

/** What dns-packet hands out beside what its types say. */
interface Decoded extends dnsPacket.DecodedPacket {
  opcode: string;
  rcode: string;
}

function toMessage(packet: dnsPacket.DecodedPacket): DnsMessage {
  const { id = 0, opcode, rcode, questions = [], answers = [], authorities = [], additionals = [] } = packet as Decoded;
  const edns = additionals.find((record) => record.type === "OPT");
  return {
    id,
    isResponse: packet.flag_qr,
    opcode,
    flags: packet.flags ?? 0,
    code: rcode,
    authoritative: packet.flag_aa,
    truncated: packet.flag_tc,
    recursionDesired: packet.flag_rd,
    recursionAvailable: packet.flag_ra,
    questions: questions.map(({ name, type, class: among = "IN" }) => ({ name, type, class: among })),
    answers: answers.filter(isOrdinary) as unknown as DnsRecord[],
    authorities: authorities.filter(isOrdinary) as unknown as DnsRecord[],
    additionals: additionals.filter(isOrdinary) as unknown as DnsRecord[],
    edns: edns === undefined ? null : { udpPayloadBytes: edns.udpPayloadSize, version: edns.ednsVersion },
  };
}

function isOrdinary({ type }: { type: string }): boolean {
  return type !== "OPT";
}

/** The number of a response code; that of SERVFAIL for those that are none of this page. */
export function codeNumber(code: DnsResponseCode): number {
  return codeNumbers[code] ?? ResponseCode.serverFailure;
}

/** Whether a message answers a query: RFC 5452 section 9.1 asks for all of it, and the source beside. */
export function isResponseTo(message: DnsMessage, id: number, question: DnsQuestion): boolean {
  const [asked] = message.questions;
  return message.isResponse && message.id === id && message.opcode === "QUERY" && message.questions.length === 1 &&
    asked!.type === question.type && sameName(asked!.name, question.name);
}

/** Whether two names are the same: case does not matter (RFC 4343), nor does a last dot. */
export function sameName(left: string, right: string): boolean {
  return canonicalName(left) === canonicalName(right);
}

/** A name in the form in which it is compared. */
export function canonicalName(name: string): string {
  return name.length > 1 && name.endsWith(".") ? name.slice(0, -1).toLowerCase() : name.toLowerCase();
}

/** What becomes of a name by the aliases among some records. */
export interface Resolution {
  /** The name at the end of the aliases. */
  readonly name: string;
  /** Its records of the type. */
  readonly records: readonly DnsRecord[];
}

/** Most aliases of one name. */
const mostAliases = 16;

/** Follows CNAME records, and returns where they lead, and the records of the type there. */
export function followAliases(question: DnsQuestion, answers: readonly DnsRecord[]): Resolution {
  let { name } = question;
  for (let aliases = 0; aliases < mostAliases; aliases++) {
    const own = answers.filter((record) => sameName(record.name, name));
    const records = own.filter(({ type }) => type === question.type);
    const alias = own.find(({ type }) => type === "CNAME");
    if (records.length > 0 || alias === undefined || typeof alias.data !== "string") return { name, records };
    name = alias.data;
  }
  return { name, records: [] };
}

/** The seconds for which an answer may be kept; null if it must not be. RFC 2308 section 5 for negative ones. */
export function lifetime(message: DnsMessage, question: DnsQuestion): number | null {
  if (message.code !== "NOERROR" && message.code !== "NXDOMAIN") return null;
  const isPositive = message.code === "NOERROR" && message.answers.some(({ type }) => type === question.type);
  if (isPositive) return Math.min(...message.answers.map(({ ttl }) => ttl));
  const authority = message.authorities.find(({ type }) => type === "SOA");
  if (authority === undefined) return null;
  const { minimum = 0 } = authority.data as { minimum?: number };
  return Math.min(authority.ttl, minimum, ...message.answers.map(({ ttl }) => ttl));
}
