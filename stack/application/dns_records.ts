/**
 * The records of `resolveDns` in Deno's form.
 *
 * @module
 */

import type { DnsRecord } from "./dns_message.ts";

/** What each record type becomes. */
export interface DnsRecordTypes {
  /** IPv4 addresses. */
  A: string;
  /** IPv6 addresses. */
  AAAA: string;
  /** The name that this one stands for. */
  CNAME: string;
  /** Name servers. */
  NS: string;
  /** The name of an address. */
  PTR: string;
  /** Who issues certificates. */
  CAA: Deno.CaaRecord;
  /** Who takes mail. */
  MX: Deno.MxRecord;
  /** Rules for rewriting names. */
  NAPTR: Deno.NaptrRecord;
  /** The zone. */
  SOA: Deno.SoaRecord;
  /** Where a service is. */
  SRV: Deno.SrvRecord;
  /** Texts, each in its parts. */
  TXT: string[];
}

/** The record types that `resolveDns` knows. */
export type DnsRecordType = keyof DnsRecordTypes;

/** What dns-packet makes of the data of the types above, all of it. */
// deno-lint-ignore no-explicit-any -- each converter knows its own shape
type Data = any;

/** Deno ends names with a dot. */
const absolute = (name: string): string => name.endsWith(".") ? name : `${name}.`;

const text = (part: unknown): string => typeof part === "string" ? part : new TextDecoder().decode(part as Uint8Array);

const converters: { [Type in DnsRecordType]: (data: Data) => DnsRecordTypes[Type] } = {
  A: (address) => address,
  AAAA: (address) => address,
  CNAME: absolute,
  NS: absolute,
  PTR: absolute,
  CAA: ({ issuerCritical = false, tag, value }) => ({ critical: issuerCritical, tag, value }),
  MX: ({ preference = 0, exchange }) => ({ preference, exchange: absolute(exchange) }),
  NAPTR: ({ order, preference, flags, services, regexp, replacement }) => ({
    order,
    preference,
    flags: text(flags),
    services: text(services),
    regexp: text(regexp),
    replacement: absolute(text(replacement)),
  }),
  SOA: ({ mname, rname, serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0 }) => ({
    mname: absolute(mname),
    rname: absolute(rname),
    serial,
    refresh,
    retry,
    expire,
    minimum,
  }),
  SRV: ({ priority = 0, weight = 0, port, target }) => ({ priority, weight, port, target: absolute(target) }),
  TXT: (parts) => (Array.isArray(parts) ? parts : [parts]).map(text),
};

/** Whether `resolveDns` knows a record type. */
export function isRecordType(type: string): type is DnsRecordType {
  return Object.hasOwn(converters, type);
}

/** A record's contents in Deno's form. */
export function toRecord<Type extends DnsRecordType>(type: Type, record: DnsRecord): DnsRecordTypes[Type] {
  return converters[type](record.data);
}
