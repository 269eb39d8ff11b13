/**
 * What `dhcp serve` is told.
 *
 * @module
 */

import { IpAddress, IpPrefix, MacAddress } from "../../mod.ts";
import type { DhcpReservation, DhcpRoute } from "../../stack/application/dhcp.ts";
import { InvalidValue, type Option } from "../cli.ts";
import { hostAddress, stationAddress, wholeNumber } from "../values.ts";

function list<Value>(placeholder: string, help: string, parse: (text: string) => Value): Option<readonly Value[]> {
  return {
    placeholder,
    help: `serve: ${help}; may be repeated`,
    repeatable: true,
    fallback: [],
    parse: (text) => text.split(",").map(parse),
  };
}

function optional<Value>(placeholder: string, help: string, parse: (text: string) => Value): Option<Value | null> {
  return { placeholder, help: `serve: ${help}`, fallback: null, parse };
}

/** The options of `dhcp serve`. */
export const serveOptions = {
  range: optional("FIRST-LAST", "addresses to lease (default: the longest run of free ones in the subnet)", range),
  router: list("ADDRESS", "router to tell clients (default: none)", hostAddress),
  dns: list("ADDRESS", "DNS server to tell clients (default: none)", hostAddress),
  domain: optional("NAME", "domain to tell clients (default: none)", domain),
  route: list("CIDR=ADDRESS", "route to tell clients, by option 121 (default: none)", route),
  "client-mtu": optional("BYTES", "MTU to tell clients (default: none)", wholeNumber(576, 65535)),
  lease: {
    placeholder: "SECONDS",
    help: "serve: how long a lease lasts (default: 3600)",
    fallback: 3600,
    parse: wholeNumber(1, 2 ** 31),
  },
  reserve: list("MAC=ADDRESS", "address that is one client's", reservation),
  leases: optional("FILE", "keep the leases in this file, which the next run reads (default: nowhere)", String),
} as const;

/** The addresses that `192.0.2.10-192.0.2.99` says. */
function range(text: string): readonly [IpAddress, IpAddress] {
  const ends = text.split("-").map(IpAddress.tryParse);
  const [first, last] = ends;
  if (ends.length !== 2 || first?.family !== 4 || last?.family !== 4) {
    throw new InvalidValue("write it like 192.0.2.100-192.0.2.199");
  }
  return [first, last];
}

function domain(text: string): string {
  if (/^[A-Za-z0-9_.-]{1,253}$/.test(text)) return text;
  throw new InvalidValue("give letters, digits, dots and dashes");
}

function route(text: string): DhcpRoute {
  const [destination, router = ""] = text.split("=");
  try {
    const prefix = IpPrefix.parse(destination!);
    const gateway = IpAddress.parse(router);
    if (prefix.address.family === 4 && gateway.family === 4) {
      return { prefix, gateway: gateway.isUnspecified ? null : gateway };
    }
  } catch {
    // Told below.
  }
  throw new InvalidValue("write it like 198.51.100.0/24=192.0.2.1, with 0.0.0.0 for what is on the link");
}

function reservation(text: string): DhcpReservation {
  const [mac, address] = text.split("=");
  if (address === undefined) throw new InvalidValue("write it like 02:00:00:00:00:01=192.0.2.7");
  return { mac: MacAddress.parse(stationAddress(mac!)), address: hostAddress(address) };
}

/** The longest run of addresses of a subnet without some of them, but no more than a server leases. */
export function freeRange(subnet: IpPrefix, taken: readonly IpAddress[]): readonly [IpAddress, IpAddress] | null {
  const first = subnet.network.words[0]! + (subnet.length < 31 ? 1 : 0);
  const last = Math.min(
    subnet.network.words[0]! + 2 ** (32 - subnet.length) - (subnet.length < 31 ? 2 : 1),
    first + 65_535,
  );
  const stops = [...taken.map(({ words }) => words[0]!).filter((word) => word >= first && word <= last), last + 1]
    .sort((left, right) => left - right);
  let best: readonly [number, number] = [0, -1];
  let start = first;
  for (const stop of stops) {
    if (stop - 1 - start > best[1] - best[0]) best = [start, stop - 1];
    start = stop + 1;
  }
  return best[1] < best[0] ? null : [IpAddress.fromUint32(best[0]), IpAddress.fromUint32(best[1])];
}
