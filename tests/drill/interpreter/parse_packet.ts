/**
 * Packets as scripts write them: `S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>`, `udp (100)`, `icmp unreachable port`.
 *
 * @module
 */

import type { IcmpSpec, IpSpec, PacketSpec, PortPair, QuotedPacket, TcpOption, TcpSpec, UdpSpec } from "./ast.ts";
import type { Scanner } from "./scanner.ts";

/** Bits of the flag letters. A digit is the value of the three bits that AccECN makes of `A`, `W` and `E`. */
export const flagBits: Readonly<Record<string, number>> = {
  F: 1,
  S: 2,
  R: 4,
  P: 8,
  ".": 16,
  U: 32,
  E: 64,
  W: 128,
  A: 256,
};

const ecnCodes: Readonly<Record<string, number | "anyEct">> = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: "anyEct" };

const nothingSaid: IpSpec = { ecn: null, tos: null, ttl: null, flowLabel: null };

/** Sequence numbers in front of `(`: `1:1001`, `1`, or `...` for any. */
const sequenceRange = /(\.\.\.|\d+)(?:\s*:\s*(\.\.\.|\d+))?\s*\(\s*(\d+)\s*\)/y;

/** A kind of packet that is not interpreted; the script is skipped. */
export class UnsupportedPacket extends Error {
  /** The class's name. */
  override readonly name: string = "UnsupportedPacket";
}

/** Reads a packet, without the sign of its direction. */
export function parsePacket(scanner: Scanner, define: (name: string) => string | undefined): PacketSpec {
  const prefix = scanner.match(/(ipv4|ipv6|gre|mpls)\b/y);
  if (prefix !== null) throw new UnsupportedPacket(`encapsulation in ${prefix[1]} is not interpreted`);
  let ip = nothingSaid;
  let quoted: QuotedPacket | null = null;
  while (scanner.accept("[")) {
    if (scanner.sees("udp") || scanner.match(/(?=(?:\d+|\.\.\.)\s*[:(])/y)) quoted = parseQuoted(scanner);
    else ip = parseIp(scanner, ip, "]");
  }
  // The same in the form that FreeBSD's scripts have.
  if (scanner.accept("(")) ip = parseIp(scanner, ip, ")");
  if (scanner.match(/icmp(?=\s)/y)) return parseIcmp(scanner, 4, ip, quoted, define);
  if (scanner.match(/icmpv6\b/y)) return parseIcmp(scanner, 6, ip, quoted, define);
  const ports = parsePorts(scanner);
  const other = scanner.match(/(sctp|udplite)\b/y);
  if (other !== null) throw new UnsupportedPacket(`${other[1] === "sctp" ? "SCTP" : "UDP-Lite"} is not interpreted`);
  if (scanner.match(/udp\b/y)) return parseUdp(scanner, ip, ports);
  return parseTcp(scanner, ip, ports, define);
}

function parsePorts(scanner: Scanner): PortPair | null {
  const ports = scanner.match(/(\d+)\s*>\s*(\d+)\s*:?/y);
  return ports === null ? null : { source: Number(ports[1]), destination: Number(ports[2]) };
}

/** Reads what stands in brackets about the IP header, up to and with `close`. */
function parseIp(scanner: Scanner, before: IpSpec, close: string): IpSpec {
  const ip: { -readonly [name in keyof IpSpec]: IpSpec[name] } = { ...before };
  do {
    const word = scanner.need(/\w+/y, "something about the IP header, like `ect0` or `ttl 64`")[0].toLowerCase();
    const ecn = ecnCodes[word];
    if (ecn !== undefined) ip.ecn = ecn;
    else if (word === "tos" || word === "tclass" || word === "class" || word === "traffic_class") {
      ip.tos = parseNumber(scanner);
    } else if (word === "ttl" || word === "hlim" || word === "hop_limit") ip.ttl = parseNumber(scanner);
    else if (word === "flowlabel") ip.flowLabel = parseNumber(scanner);
    else throw scanner.error(`\`${word}\` is nothing that can be said of an IP header`, scanner.at - word.length);
  } while (!scanner.accept(close) && (scanner.accept(",") || true));
  return ip;
}

function parseNumber(scanner: Scanner): number {
  return Number(scanner.need(/0[xX][0-9a-fA-F]+|\d+/y, "a number")[0]);
}

/** Reads the packet that an ICMP error quotes, up to and with the bracket behind it. */
function parseQuoted(scanner: Scanner): QuotedPacket {
  if (scanner.accept("udp")) {
    const [, length] = scanner.need(/\(\s*(\d+)\s*\)\s*\]/y, "`(length)]`");
    return { protocol: "udp", sequence: 0, length: Number(length) };
  }
  const { sequence, length } = parseSequence(scanner);
  scanner.expect("]");
  return { protocol: "tcp", sequence: sequence ?? 0, length };
}

interface SequenceRange {
  readonly sequence: number | null;
  readonly length: number;
  /** Whether the number is that on the wire, as `!` says. */
  readonly absolute: boolean;
}

function parseSequence(scanner: Scanner): SequenceRange {
  const [all, start, end, digits] = scanner.need(sequenceRange, "sequence numbers like `1:1001(1000)`");
  const length = Number(digits);
  if (start === "...") return { sequence: null, length, absolute: false };
  const sequence = Number(start);
  if (end !== undefined && end !== "..." && (Number(end) >>> 0) !== ((sequence + length) >>> 0)) {
    throw scanner.error(
      `The numbers disagree: from ${start} to ${end} are ${Number(end) - sequence} bytes, not ${digits}`,
      scanner.at - all.length,
    );
  }
  return { sequence: sequence >>> 0, length, absolute: scanner.accept("!") };
}

function parseUdp(scanner: Scanner, ip: IpSpec, ports: PortPair | null): UdpSpec {
  const [, length] = scanner.need(/\(\s*(\d+)\s*\)/y, "the length of a datagram like `(100)`");
  return { kind: "udp", ip, ports, length: Number(length) };
}

/** Reads an ICMP message behind the word `icmp`. What it quotes may stand in front of that word or at the end. */
function parseIcmp(
  scanner: Scanner,
  family: 4 | 6,
  ip: IpSpec,
  before: QuotedPacket | null,
  define: (name: string) => string | undefined,
): IcmpSpec {
  const [type] = scanner.need(/[a-z_]\w*/y, "a type of ICMP message like `unreachable`");
  const code = scanner.match(/(?!mtu\b)[A-Za-z_]\w*\b(?!\s*\()/y)?.[0] ?? null;
  const mtu = scanner.accept("mtu") ? parseNumber(scanner) : null;
  const quoted = scanner.accept("[") ? parseQuoted(scanner) : before;
  return { kind: "icmp", ip, family, type, code: code === null ? null : define(code) ?? code, mtu, quoted };
}

function parseTcp(
  scanner: Scanner,
  ip: IpSpec,
  ports: PortPair | null,
  define: (name: string) => string | undefined,
): TcpSpec {
  const [letters] = scanner.need(
    /[SFRPUEWA.0-7]+(?=\s)|-(?=\s)/y,
    "flags of a TCP segment like `S.`, or `udp` or `icmp`",
  );
  let flags = 0;
  for (const letter of letters === "-" ? "" : letters) {
    const ace = Number(letter);
    if (letter >= "0" && letter <= "7") flags |= (ace & 1 ? 64 : 0) | (ace & 2 ? 128 : 0) | (ace & 4 ? 256 : 0);
    else flags |= flagBits[letter]!;
  }
  const { sequence, length, absolute } = parseSequence(scanner);
  let acknowledgement: number | null = null;
  let window: number | null = null;
  let urgent: number | null = null;
  for (;;) {
    const field = scanner.match(/(ack|win|urg)\s+(\d+)/y);
    if (field === null) break;
    const value = Number(field[2]);
    if (field[1] === "ack") acknowledgement = value >>> 0;
    else if (field[1] === "win") window = value;
    else urgent = value;
  }
  const options = scanner.accept("<") ? parseOptions(scanner, define) : [];
  if (scanner.match(/\/\s*udp\b/y)) throw new UnsupportedPacket("TCP in UDP is not interpreted");
  return { kind: "tcp", ip, ports, flags, sequence, absolute, length, acknowledgement, window, urgent, options };
}

/** Reads TCP options up to `>`, which is consumed; null for any. */
function parseOptions(scanner: Scanner, define: (name: string) => string | undefined): TcpOption[] | null {
  if (scanner.match(/\.\.\.\s*>/y)) return null;
  const options: TcpOption[] = [];
  if (scanner.accept(">")) return options;
  do options.push(parseOption(scanner, define)); while (scanner.accept(","));
  if (!scanner.accept(">")) throw scanner.unexpected("`,` or `>`");
  return options;
}

function parseOption(scanner: Scanner, define: (name: string) => string | undefined): TcpOption {
  const [word] = scanner.need(/[A-Za-z]\w*/y, "a TCP option");
  const number = (what: string) => Number(scanner.need(/0[xX][0-9a-fA-F]+|\d+/y, what)[0]);
  switch (word.toLowerCase()) {
    case "nop":
      return { kind: "nop" };
    case "eol":
      return { kind: "eol" };
    case "sackok":
      return { kind: "sackOK" };
    case "mss":
      return { kind: "mss", value: number("a maximum segment size") };
    case "wscale":
      return { kind: "wscale", value: number("a shift count") };
    case "ts": {
      const [, value, echo] = scanner.need(
        /(?:\[\s*)?val\s*(\d+)\s*,?\s*ecr\s*(\d+)(?:\s*\])?/y,
        "`val` and `ecr` of the timestamps",
      );
      return { kind: "TS", value: Number(value) >>> 0, echo: Number(echo) >>> 0 };
    }
    case "sack": {
      const blocks: [number, number][] = [];
      for (;;) {
        const block = scanner.match(/(\d+)\s*:\s*(\d+)/y);
        if (block === null) break;
        blocks.push([Number(block[1]) >>> 0, Number(block[2]) >>> 0]);
      }
      return { kind: "sack", blocks };
    }
    case "fo":
    case "foexp": {
      const text = scanner.match(/\w+/y)?.[0] ?? "";
      const cookie = define(text) ?? text;
      if (!/^(?:[0-9a-fA-F]{2})*$/.test(cookie)) {
        throw scanner.error(`\`${text}\` is no cookie: give pairs of hexadecimal digits`, scanner.at - text.length);
      }
      return { kind: "FO", cookie: cookie.toLowerCase(), experimental: word.toLowerCase() === "foexp" };
    }
    case "md5":
      if (scanner.match(/(?:in)?valid\b/y)) {
        throw new UnsupportedPacket("the stack has no TCP MD5 signatures (RFC 2385)");
      }
      return { kind: "md5", digest: scanner.match(/[0-9a-fA-F]{2,}/y)?.[0] ?? "" };
    case "kind":
    case "unknown": {
      const code = number("the number of an option");
      const bytes = scanner.match(/(?:0[xX])?((?:[0-9a-fA-F]{2})+)/y)?.[1] ?? "";
      return { kind: "other", code, data: (bytes.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)) };
    }
  }
  throw scanner.error(`\`${word}\` is no TCP option known here`, scanner.at - word.length);
}
