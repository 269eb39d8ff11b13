/**
 * Leases in words and as JSON.
 *
 * @module
 */

import type { Binding, DhcpLease } from "../../stack/application/dhcp.ts";

/** A lease as plain data. */
export function leaseJson(lease: DhcpLease): Record<string, unknown> {
  const { address, server, leaseTime, renewalTime, rebindingTime, routers, nameServers, routes } = lease;
  return {
    address: address.toString(),
    server: server.toString(),
    // JSON knows no Infinity.
    leaseTime: finite(leaseTime),
    renewalTime: finite(renewalTime),
    rebindingTime: finite(rebindingTime),
    routers: routers.map(String),
    routes: routes.map(({ prefix, gateway }) => ({ prefix: String(prefix), gateway: gateway?.toString() ?? null })),
    nameServers: nameServers.map(String),
    domainName: lease.domainName,
    hostName: lease.hostName,
    mtu: lease.mtu,
  };
}

/** A lease as lines for people. */
export function leaseLines(lease: DhcpLease): string[] {
  const { leaseTime, renewalTime, rebindingTime } = lease;
  const rows: [string, string][] = [
    ["address", lease.address.toString()],
    ["server", lease.server.toString()],
    [
      "lease",
      leaseTime === Infinity
        ? "for ever"
        : `${leaseTime} s, renewed after ${renewalTime} s, by any server after ${rebindingTime} s`,
    ],
    [
      "routes",
      lease.routes.map(({ prefix, gateway }) => `${prefix} ${gateway === null ? "" : `via ${gateway}`}`.trim()).join(
        ", ",
      ),
    ],
    ["DNS", lease.nameServers.join(", ")],
    ["domain", lease.domainName ?? ""],
    ["name", lease.hostName ?? ""],
    ["MTU", lease.mtu?.toString() ?? ""],
  ];
  return rows.filter(([, text]) => text !== "").map(([name, text]) => `  ${name.padEnd(7)}  ${text}`);
}

/** What has become of a lease of a server, as one line. */
export function bindingLine({ address, mac, hostName, state, expiresAt }: Readonly<Binding>, now: number): string {
  const client = hostName === null ? String(mac) : `${mac} (${hostName})`;
  switch (state) {
    case "leased":
      return `${address} leased to ${client} ${
        expiresAt === Infinity ? "for ever" : `for ${Math.round((expiresAt - now) / 1000)} s`
      }`;
    case "free":
      return `${address} given back by ${client}`;
    case "declined":
      return `${address} is in use by somebody else`;
    case "offered":
      return `${address} offered to ${client}`;
  }
}

function finite(seconds: number): number | null {
  return seconds === Infinity ? null : seconds;
}
