/**
 * DNS messages in words (RFC 1035 section 4).
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import type { Span } from "./description.ts";
import type { Field } from "./layer.ts";

/** The ports of DNS and of multicast DNS (RFC 6762). */
export const dnsPorts: readonly number[] = [53, 5353];

/** Where the fields of a message's header lie. */
const HeaderField = { identifier: 0, flags: 2, questions: 4, answers: 6, authorities: 8, additional: 10 } as const;
const headerBytes = 12;

/** Bits of the header's flags. */
const HeaderFlag = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const;

/** Record types (IANA "Domain Name System (DNS) Parameters"). */
const typeNames: Readonly<Record<number, string>> = {
  1: "A",
  2: "NS",
  5: "CNAME",
  6: "SOA",
  12: "PTR",
  15: "MX",
  16: "TXT",
  28: "AAAA",
  33: "SRV",
  41: "OPT",
  43: "DS",
  46: "RRSIG",
  48: "DNSKEY",
  64: "SVCB",
  65: "HTTPS",
  252: "AXFR",
  255: "ANY",
  257: "CAA",
};

const operationNames: Readonly<Record<number, string>> = { 0: "query", 1: "inverse query", 2: "status", 4: "notify" };

const codeNames: readonly string[] = ["NoError", "FormErr", "ServFail", "NXDomain", "NotImp", "Refused"];

/** Types whose data is one name. */
const nameTypes: ReadonlySet<number> = new Set([2, 5, 12]);
const addressBytes: Readonly<Record<number, 4 | 16>> = { 1: 4, 28: 16 };

/** The most bytes of a name, and so the most labels that one can have (RFC 1035 section 2.3.4). */
const mostNameBytes = 255;

/** The most records that are shown. */
const mostRecords = 20;

/** A DNS message for people. */
export interface DnsText {
  /** All of it in one line. */
  readonly text: string;
  /** Its fields. */
  readonly fields: Field[];
}

/** A name or record, and where the next one starts. */
interface Part {
  readonly text: string;
  readonly end: number;
}

/** The DNS message in `span`, or null if it cannot be read to its end. Never throws. */
export function describeDns(span: Span): DnsText | null {
  const { view, at } = span;
  const end = Math.min(span.end, span.available);
  if (at + headerBytes > end) return null;
  const identifier = view.getUint16(at + HeaderField.identifier);
  const flags = view.getUint16(at + HeaderField.flags);
  const counts = [HeaderField.questions, HeaderField.answers, HeaderField.authorities, HeaderField.additional]
    .map((field) => view.getUint16(at + field));
  const operation = (flags >>> 11) & 15;
  const isResponse = (flags & HeaderFlag.response) !== 0;
  const code = codeNames[flags & 15] ?? `code ${flags & 15}`;
  const reader = new MessageReader(view, at, end);
  const questions = reader.parts(at + headerBytes, counts[0]!, (start) => reader.question(start));
  if (questions === null) return null;
  const answers = reader.parts(questions.end, counts[1]!, (start) => reader.record(start));
  if (answers === null) return null;
  const fields: Field[] = [
    { name: "identifier", value: identifier },
    { name: "kind", value: `${operationNames[operation] ?? `operation ${operation}`}${isResponse ? " response" : ""}` },
    { name: "flags", value: flagNames(flags) },
    ...(isResponse ? [{ name: "code", value: code }] : []),
    ...questions.texts.map((value) => ({ name: "question", value })),
    ...answers.texts.map((value) => ({ name: "answer", value })),
    { name: "authority records", value: counts[2]! },
    { name: "additional records", value: counts[3]! },
  ];
  const shown = isResponse
    ? [...questions.texts, code === "NoError" ? "" : code, ...answers.texts].filter((part) => part !== "").join(", ")
    : questions.texts.join(", ");
  return { text: `DNS ${isResponse ? "response" : "query"} ${identifier} ${shown}`.trimEnd(), fields };
}

function flagNames(flags: number): string {
  const names = ([
    [HeaderFlag.authoritative, "authoritative"],
    [HeaderFlag.truncated, "truncated"],
    [HeaderFlag.recursionDesired, "recursion desired"],
    [HeaderFlag.recursionAvailable, "recursion available"],
  ] as const).filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  return names.join(", ") || "none";
}

/** Reads the parts of one message. What cannot be read is null. */
class MessageReader {
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;

  constructor(view: DataView, start: number, end: number) {
    this.#view = view;
    this.#start = start;
    this.#end = end;
  }

  /** `count` parts from `at` on, of which the first few are shown. */
  parts(at: number, count: number, read: (at: number) => Part | null): { texts: string[]; end: number } | null {
    const texts: string[] = [];
    for (let index = 0; index < count; index++) {
      const part = read(at);
      if (part === null) return null;
      if (index < mostRecords) texts.push(part.text);
      else if (index === mostRecords) texts.push("...");
      at = part.end;
    }
    return { texts, end: at };
  }

  question(at: number): Part | null {
    const name = this.#name(at);
    if (name === null || name.end + 4 > this.#end) return null;
    return { text: `${typeName(this.#view.getUint16(name.end))}? ${name.text}`, end: name.end + 4 };
  }

  record(at: number): Part | null {
    const name = this.#name(at);
    if (name === null || name.end + 10 > this.#end) return null;
    const view = this.#view;
    const type = view.getUint16(name.end);
    const length = view.getUint16(name.end + 8);
    const dataAt = name.end + 10;
    if (dataAt + length > this.#end) return null;
    const data = this.#data(type, dataAt, length);
    return { text: data === null ? typeName(type) : `${typeName(type)} ${data}`, end: dataAt + length };
  }

  #data(type: number, at: number, length: number): string | null {
    if (nameTypes.has(type)) return this.#name(at)?.text ?? null;
    if (addressBytes[type] !== length) return null;
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length);
    return IpAddress.fromBytes(bytes, 0, length === 4 ? 4 : 6).toString();
  }

  /** The name at `at`, compressed or not (RFC 1035 section 4.1.4). */
  #name(at: number): Part | null {
    const labels: string[] = [];
    let end = -1;
    // A hostile message may point in a circle: every step counts against the length that a name can have.
    for (let bytes = 0; bytes < mostNameBytes; bytes++) {
      if (at >= this.#end) return null;
      const length = this.#view.getUint8(at);
      if (length === 0) {
        return { text: `${labels.join(".")}.`, end: end < 0 ? at + 1 : end };
      }
      if ((length & 0xc0) === 0xc0) {
        if (at + 2 > this.#end) return null;
        if (end < 0) end = at + 2;
        at = this.#start + (this.#view.getUint16(at) & 0x3fff);
        continue;
      }
      if (length > 63 || at + 1 + length > this.#end) return null;
      labels.push(this.#label(at + 1, length));
      at += 1 + length;
      bytes += length;
    }
    return null;
  }

  /** A label with everything but visible ASCII as decimal escapes (RFC 1035 section 5.1). */
  #label(at: number, length: number): string {
    let text = "";
    for (let index = 0; index < length; index++) {
      const byte = this.#view.getUint8(at + index);
      const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
      text += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
    }
    return text;
  }
}

function typeName(type: number): string {
  return typeNames[type] ?? `TYPE${type}`;
}
