/**
 * What `dns query` is asked: a name, a type and a server in any order, as dig takes them.
 *
 * @module
 */

import { IpAddress } from "../../mod.ts";
import { type DnsQuestion, type NameServer, reverseName } from "../../stack/application/dns.ts";
import { InvalidValue, UsageError } from "../cli.ts";
import { nameServer } from "../names.ts";

/** The record types that can be asked for by name. */
const types = [
  "A",
  "AAAA",
  "CAA",
  "CNAME",
  "DNSKEY",
  "DS",
  "MX",
  "NAPTR",
  "NS",
  "PTR",
  "SOA",
  "SRV",
  "SSHFP",
  "TLSA",
  "TXT",
];

/** A query as its user has written it. */
export interface WrittenQuery {
  /** What to ask. */
  readonly question: DnsQuestion;
  /** Whom; null where none was given. */
  readonly server: NameServer | null;
  /** Over TCP from the beginning. */
  readonly tcp: boolean;
  /** Print the contents of the records only. */
  readonly short: boolean;
  /** Let the server resolve for us. */
  readonly recurse: boolean;
}

/**
 * Reads `NAME [TYPE] [@SERVER] [+tcp] [+short] [+norecurse]`.
 *
 * @throws {UsageError} If it makes no sense.
 */
export function parseQuery(words: readonly string[]): WrittenQuery {
  let name: string | null = null;
  let type: string | null = null;
  let server: NameServer | null = null;
  const flags = new Set<string>();
  for (const word of words) {
    if (word.startsWith("+")) flags.add(flag(word));
    else if (word.startsWith("@")) server = serverFrom(word.slice(1));
    else if (name === null) name = word;
    else if (type === null) type = typeFrom(word);
    else throw new UsageError(`Unexpected argument "${word}"`);
  }
  if (name === null) throw new UsageError("Missing argument: give a name to look up");
  const isAddress = IpAddress.tryParse(name) !== null;
  const isReverse = isAddress && (type === null || type === "PTR");
  const question = isReverse ? { name: reverseName(name), type: "PTR" } : { name: trimmed(name), type: type ?? "A" };
  return {
    question,
    server,
    tcp: flags.has("+tcp"),
    short: flags.has("+short"),
    recurse: !flags.has("+norecurse"),
  };
}

function flag(word: string): string {
  if (["+tcp", "+short", "+norecurse"].includes(word)) return word;
  throw new UsageError(`Unknown flag "${word}": give +tcp, +short or +norecurse`);
}

function serverFrom(text: string): NameServer {
  try {
    return nameServer(text);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot ask "@${text}": ${error.message}`);
  }
}

function typeFrom(word: string): string {
  const type = word.toUpperCase();
  if (types.includes(type)) return type;
  const number = /^TYPE(\d{1,5})$/.exec(type)?.[1];
  if (number !== undefined && Number(number) < 65536) return `UNKNOWN_${number}`;
  throw new UsageError(
    `Cannot ask for records of type "${word}": give one of ${types.join(", ")}, or TYPE and a number`,
  );
}

function trimmed(name: string): string {
  const bare = name.length > 1 && name.endsWith(".") ? name.slice(0, -1) : name;
  const labels = bare === "." ? [] : bare.split(".");
  if (labels.every((label) => label.length >= 1 && label.length <= 63) && bare.length <= 253) return bare;
  throw new UsageError(`Cannot look up "${name}": the parts of a name have 1 to 63 characters, all together 253`);
}
