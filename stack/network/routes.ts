/**
 * The routing table of both families: longest prefix first, then the smallest metric.
 *
 * @module
 */

import { type Family, type IpAddress, IpPrefix } from "../address.ts";
import type { Nic } from "../link/nic.ts";

/** One route. */
export interface Route {
  /** Which destinations it is for. */
  readonly prefix: IpPrefix;
  /** The interface to send from. */
  readonly nic: Nic;
  /** The router to send to, or null when the destinations are on the link. */
  readonly gateway: IpAddress | null;
  /** Among routes with equal prefixes the smallest wins. */
  readonly metric: number;
  /** The source address that packets should have, or null to choose one of the interface's. */
  readonly source: IpAddress | null;
}

/** What to add: a {@linkcode Route} whose gateway, metric and source may be left out. */
export interface RouteRequest {
  /** Which destinations it is for; host bits are cleared. */
  prefix: IpPrefix;
  /** The interface to send from. */
  nic: Nic;
  /** The router to send to. Default: none, the destinations are on the link. */
  gateway?: IpAddress | null;
  /** Among routes with equal prefixes the smallest wins. Default 0. */
  metric?: number;
  /** The source address that packets should have. Default: one of the interface's. */
  source?: IpAddress | null;
}

/** What to remove: all routes that agree in what is given. */
export interface RouteFilter {
  /** Which destinations. */
  prefix?: IpPrefix;
  /** The interface. */
  nic?: Nic;
  /** The router; null for routes to the link itself. */
  gateway?: IpAddress | null;
  /** The metric. */
  metric?: number;
}

/**
 * The routes of a stack.
 *
 * Sending looks a route up once for each path and not for each packet, so the table is a sorted list: what a host or
 * a small gateway has.
 */
export class Routes {
  /** Changes with every change that can lead packets another way. */
  generation: number = 1;
  #ipv4: readonly Route[] = [];
  #ipv6: readonly Route[] = [];

  /**
   * Adds a route, and replaces the one with the same prefix, interface, gateway and metric.
   *
   * @throws {TypeError} If the gateway or the source is of another family than the prefix.
   */
  add(request: RouteRequest): Route {
    const { family } = request.prefix.address;
    const route: Route = {
      prefix: new IpPrefix(request.prefix.network, request.prefix.length),
      nic: request.nic,
      gateway: request.gateway ?? null,
      metric: request.metric ?? 0,
      source: request.source ?? null,
    };
    for (const address of [route.gateway, route.source]) {
      if (address !== null && address.family !== family) {
        throw new TypeError(`Cannot add a route to ${route.prefix} with ${address}: both must be of one IP version`);
      }
    }
    const { prefix, nic, gateway, metric } = route;
    const others = this.#of(family).filter((other) => !matches(other, { prefix, nic, gateway, metric }));
    this.#replace(family, [...others, route].sort(compare));
    return route;
  }

  /** Removes all routes that agree in what `filter` gives, and returns how many. */
  remove(filter: RouteFilter): number {
    let removed = 0;
    for (const family of [4, 6] as const) {
      const before = this.#of(family);
      const kept = before.filter((route) => !matches(route, filter));
      if (kept.length === before.length) continue;
      removed += before.length - kept.length;
      this.#replace(family, kept);
    }
    return removed;
  }

  /** The routes of one family, or of both, in the order in which they are tried. */
  list(family?: Family): readonly Route[] {
    return family === undefined ? [...this.#ipv4, ...this.#ipv6] : this.#of(family);
  }

  /** The route to a destination, or null; with `nic`, only among those of that interface. Allocates nothing. */
  lookup(destination: IpAddress, nic: Nic | null = null): Route | null {
    const routes = this.#of(destination.family);
    for (let place = 0; place < routes.length; place++) {
      const route = routes[place]!;
      if ((nic === null || route.nic === nic) && route.prefix.contains(destination)) return route;
    }
    return null;
  }

  /** As {@linkcode Routes.lookup} for the address that stands at `at` in a packet. */
  lookupAt(family: Family, view: DataView, at: number): Route | null {
    const routes = this.#of(family);
    for (let place = 0; place < routes.length; place++) {
      const route = routes[place]!;
      if (route.prefix.containsAt(view, at)) return route;
    }
    return null;
  }

  /** To be called when something else that paths were made from has changed: an address, a link's MTU. */
  touch(): void {
    this.generation++;
  }

  #of(family: Family): readonly Route[] {
    return family === 4 ? this.#ipv4 : this.#ipv6;
  }

  #replace(family: Family, routes: readonly Route[]): void {
    if (family === 4) this.#ipv4 = routes;
    else this.#ipv6 = routes;
    this.generation++;
  }
}

function compare(left: Route, right: Route): number {
  return right.prefix.length - left.prefix.length || left.metric - right.metric;
}

function matches(route: Route, filter: RouteFilter): boolean {
  const { prefix, nic, gateway, metric } = filter;
  if (prefix !== undefined) {
    if (prefix.address.family !== route.prefix.address.family || prefix.length !== route.prefix.length) return false;
    if (!prefix.network.equals(route.prefix.address)) return false;
  }
  if (nic !== undefined && nic !== route.nic) return false;
  if (metric !== undefined && metric !== route.metric) return false;
  if (gateway === undefined) return true;
  return gateway === null ? route.gateway === null : route.gateway?.equals(gateway) ?? false;
}
