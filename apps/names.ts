/**
 * How programs find the addresses of names: the host's own table first, then a DNS server, asked over the stack.
 *
 * @module
 */

import { IpAddress } from "../mod.ts";
import { type DnsNetwork, DnsResolver, Hosts, type NameServer } from "../stack/application/dns.ts";
import type { DhcpLease } from "../stack/application/dhcp.ts";
import { InvalidValue, type Option } from "./cli.ts";
import { port as parsePort } from "./values.ts";

/** The server that a text says: `192.0.2.53`, or `192.0.2.53:5353`. */
export function nameServer(text: string): NameServer {
  const [, ipAddr, port] = /^([\d.]+)(?::(\d+))?$/.exec(text) ?? [];
  if (ipAddr === undefined || IpAddress.tryParse(ipAddr) === null) {
    throw new InvalidValue("give an IPv4 address, with a port where it is not 53, like 192.0.2.53 or 192.0.2.53:5353");
  }
  return port === undefined ? { ipAddr } : { ipAddr, port: parsePort(port) };
}

/** The option `--dns`. */
export const dnsOption: Option<readonly NameServer[]> = {
  placeholder: "SERVER",
  help:
    "DNS server to ask for names; may be repeated (default: names of /etc/hosts only, or those that came with --address dhcp)",
  repeatable: true,
  fallback: [],
  parse: (text) => text.split(",").map(nameServer),
};

/** The servers to ask: those that the user names, else those that came with a leased address. */
export function chooseNameServers(named: readonly NameServer[], lease: DhcpLease | null): readonly NameServer[] {
  return named.length > 0 ? named : (lease?.nameServers ?? []).map((address) => ({ ipAddr: address.toString() }));
}

/** The table of hosts in a file: by default the system's, which may be missing or closed to us. */
export async function readHosts(path?: string): Promise<Hosts> {
  try {
    return new Hosts(await Deno.readTextFile(path ?? "/etc/hosts"));
  } catch (error) {
    if (path === undefined) return new Hosts();
    throw new Error(`Cannot read "${path}": ${error instanceof Error ? error.message : error}`);
  }
}

/** A resolver for a program's stack. */
export async function createResolver(network: DnsNetwork, nameServers: readonly NameServer[]): Promise<DnsResolver> {
  return new DnsResolver(network, { nameServers, hosts: await readHosts() });
}
