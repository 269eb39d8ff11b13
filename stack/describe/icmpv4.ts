/**
 * ICMPv4 messages in words.
 *
 * @module
 */

import {
  echoIdentifierAt,
  echoSequenceAt,
  icmpCodeAt,
  icmpTypeAt,
  Icmpv4Field,
  icmpv4HeaderBytes,
  Icmpv4Type,
  isErrorType,
  nextHopMtuAt,
  UnreachableCode,
} from "../network/icmpv4_header.ts";
import { IpAddress } from "../address.ts";
import { behind, type Description, has, lengthOf, type Span } from "./description.ts";

/** Message types by number (IANA "ICMP Type Numbers"). */
const typeNames: Readonly<Record<number, string>> = {
  0: "echo reply",
  3: "destination unreachable",
  4: "source quench",
  5: "redirect",
  6: "alternate host address",
  8: "echo request",
  9: "router advertisement",
  10: "router solicitation",
  11: "time exceeded",
  12: "parameter problem",
  13: "timestamp request",
  14: "timestamp reply",
  15: "information request",
  16: "information reply",
  17: "address mask request",
  18: "address mask reply",
  30: "traceroute",
  31: "datagram conversion error",
  32: "mobile host redirect",
  33: "where are you",
  34: "I am here",
  35: "mobile registration request",
  36: "mobile registration reply",
  37: "domain name request",
  38: "domain name reply",
  40: "security failure",
  42: "extended echo request",
  43: "extended echo reply",
};

const codeNames: Readonly<Record<number, readonly string[]>> = {
  3: [
    "net unreachable",
    "host unreachable",
    "protocol unreachable",
    "port unreachable",
    "fragmentation needed",
    "source route failed",
    "net unknown",
    "host unknown",
    "source host isolated",
    "net prohibited",
    "host prohibited",
    "net unreachable for this service",
    "host unreachable for this service",
    "communication prohibited",
    "precedence violation",
    "precedence cutoff",
  ],
  5: ["redirect for net", "redirect for host", "redirect for service and net", "redirect for service and host"],
  11: ["time exceeded in transit", "time exceeded in reassembly"],
  12: ["parameter problem", "required option missing", "bad length"],
};

/** Messages with an identifier and a sequence number. */
const numberedTypes: ReadonlySet<number> = new Set([
  Icmpv4Type.echoReply,
  Icmpv4Type.echoRequest,
  Icmpv4Type.timestampRequest,
  Icmpv4Type.timestampReply,
  15,
  16,
  17,
  18,
]);

/**
 * The ICMPv4 message in `span`. `describeQuoted` describes the packet that an error quotes.
 */
export function describeIcmpv4(span: Span, description: Description, describeQuoted: (quoted: Span) => string): string {
  const length = lengthOf(span);
  if (!has(span, icmpv4HeaderBytes, description)) return `ICMP, length ${length}`;
  const { view, at } = span;
  const type = icmpTypeAt(view, at);
  const code = icmpCodeAt(view, at);
  const parts = [`ICMP ${nameOfIcmpv4(type, code)}`];
  if (numberedTypes.has(type)) parts.push(`id ${echoIdentifierAt(view, at)}`, `seq ${echoSequenceAt(view, at)}`);
  if (type === Icmpv4Type.destinationUnreachable && code === UnreachableCode.fragmentationNeeded) {
    parts.push(`mtu ${nextHopMtuAt(view, at)}`);
  }
  if (type === Icmpv4Type.redirect) parts.push(`to ${IpAddress.fromUint32(view.getUint32(at + 4))}`);
  if (type === Icmpv4Type.parameterProblem && code === 0) parts.push(`octet ${view.getUint8(at + 4)}`);
  if (isErrorType(type) && length > icmpv4HeaderBytes) {
    parts.push(`for [${describeQuoted(behind(span, Icmpv4Field.payload))}]`);
  }
  return [...parts, `length ${length}`].join(", ");
}

/** What a message of that type and code says. */
export function nameOfIcmpv4(type: number, code: number): string {
  const byCode = codeNames[type]?.[code];
  if (byCode !== undefined) return byCode;
  const name = typeNames[type] ?? `type ${type}`;
  return code === 0 ? name : `${name} code ${code}`;
}
