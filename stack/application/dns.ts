/**
 * DNS over the stack: {@linkcode resolveDns} in the shape of `Deno.resolveDns`, a resolver with a cache, and a server
 * that forwards. The encoding of messages is the package dns-packet's.
 *
 * @module
 */

export { type CachedAnswer, DnsCache } from "./dns_cache.ts";
export { ask, askOnce, type AskOptions, type DnsAnswer, type DnsNetwork, type NameServer } from "./dns_exchange.ts";
export type { DnsMessage, DnsQuestion, DnsRecord, DnsResponseCode, Edns } from "./dns_message.ts";
export type { DnsRecordType, DnsRecordTypes } from "./dns_records.ts";
export { DnsResolver, type DnsResolverOptions, resolveDns, type ResolveDnsOptions } from "./dns_resolver.ts";
export { DnsServer, type DnsServerCounters, type DnsServerOptions } from "./dns_server.ts";
export { Hosts, reverseName } from "./hosts.ts";
export type { Lookup, TcpNetwork, UdpNetwork } from "./network.ts";
