/**
 * Answers of DNS servers as dig prints them.
 *
 * @module
 */

import type { DnsAnswer, DnsQuestion, DnsRecord } from "../../stack/application/dns.ts";

/** Names end with a dot. */
const absolute = (name: unknown): string => typeof name === "string" && !name.endsWith(".") ? `${name}.` : String(name);

const quoted = (text: unknown): string =>
  `"${(typeof text === "string" ? text : new TextDecoder().decode(text as Uint8Array)).replaceAll(/["\\]/g, "\\$&")}"`;

/** What dns-packet makes of a record's data. */
// deno-lint-ignore no-explicit-any -- each formatter knows its own shape
type Data = any;

const formatters: Readonly<Record<string, (data: Data) => string>> = {
  A: String,
  AAAA: String,
  CNAME: absolute,
  DNAME: absolute,
  NS: absolute,
  PTR: absolute,
  MX: ({ preference = 0, exchange }) => `${preference} ${absolute(exchange)}`,
  SRV: ({ priority = 0, weight = 0, port, target }) => `${priority} ${weight} ${port} ${absolute(target)}`,
  TXT: (parts) => (Array.isArray(parts) ? parts : [parts]).map(quoted).join(" "),
  SOA: ({ mname, rname, serial, refresh, retry, expire, minimum }) =>
    `${absolute(mname)} ${absolute(rname)} ${serial} ${refresh} ${retry} ${expire} ${minimum}`,
  CAA: ({ issuerCritical = false, tag, value }) => `${issuerCritical ? 128 : 0} ${tag} ${quoted(value)}`,
  NAPTR: ({ order, preference, flags, services, regexp, replacement }) =>
    `${order} ${preference} ${quoted(flags)} ${quoted(services)} ${quoted(regexp)} ${absolute(String(replacement))}`,
};

/** A record's contents as in a zone file; those of unknown types as in RFC 3597. */
export function formatData({ type, data }: DnsRecord): string {
  const format = formatters[type];
  if (format !== undefined) return format(data);
  if (!(data instanceof Uint8Array)) return JSON.stringify(data);
  return `\\# ${data.length} ${[...data].map((byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase()}`;
}

function formatRecord(record: DnsRecord): string {
  const type = record.type.replace("UNKNOWN_", "TYPE");
  return [absolute(record.name), record.ttl, record.class ?? "IN", type, formatData(record)].join("\t");
}

function section(title: string, records: readonly DnsRecord[]): string[] {
  return records.length === 0 ? [] : ["", `;; ${title} SECTION:`, ...records.map(formatRecord)];
}

/** The lines of an answer. */
export function formatAnswer(question: DnsQuestion, answer: DnsAnswer, milliseconds: number): string[] {
  const { message, server, tcp, bytes } = answer;
  const { answers, authorities, additionals, edns } = message;
  const flags = [
    "qr",
    ...(message.authoritative ? ["aa"] : []),
    ...(message.truncated ? ["tc"] : []),
    ...(message.recursionDesired ? ["rd"] : []),
    ...(message.recursionAvailable ? ["ra"] : []),
  ];
  const additional = additionals.length + (edns === null ? 0 : 1);
  return [
    `;; ->>HEADER<<- opcode: ${message.opcode}, status: ${message.code}, id: ${message.id}`,
    `;; flags: ${flags.join(" ")}; QUERY: ${message.questions.length}, ANSWER: ${answers.length}, ` +
    `AUTHORITY: ${authorities.length}, ADDITIONAL: ${additional}`,
    "",
    ";; QUESTION SECTION:",
    `;${absolute(question.name)}\t\tIN\t${question.type}`,
    ...section("ANSWER", answers),
    ...section("AUTHORITY", authorities),
    ...section("ADDITIONAL", additionals),
    "",
    `;; Query time: ${Math.round(milliseconds)} msec`,
    `;; SERVER: ${server.ipAddr}#${server.port ?? 53} (${tcp ? "TCP" : "UDP"})`,
    `;; MSG SIZE  rcvd: ${bytes}`,
  ];
}
