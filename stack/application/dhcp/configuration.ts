/**
 * An interface as a lease wants it: its address, its routes, its MTU.
 *
 * @module
 */

import type { Nic } from "../../link/nic.ts";
import type { Route } from "../../network/routes.ts";
import type { DhcpLease } from "./lease.ts";
import type { DhcpRoute } from "./options.ts";
import type { DhcpNetwork } from "./socket.ts";

/** What leases have changed of an interface, and nothing else. */
export class Configuration {
  readonly #network: DhcpNetwork;
  readonly #nic: Nic;
  readonly #routes = new Map<string, Route>();
  #address: string | null = null;

  /** Changes nothing yet. */
  constructor(network: DhcpNetwork, nic: Nic) {
    this.#network = network;
    this.#nic = nic;
  }

  /** Makes the interface what the lease says. What was so already is not touched: connections go on. */
  apply(lease: DhcpLease): void {
    const address = lease.address.toString();
    if (address !== this.#address) {
      this.remove();
      this.#network.addAddress(this.#nic, address);
      this.#address = address;
    }
    this.#setRoutes(lease);
    this.#setMtu(lease.mtu ?? Infinity);
  }

  /** Undoes it. */
  remove(): void {
    for (const [key, route] of this.#routes) this.#removeRoute(key, route);
    this.#setMtu(Infinity);
    if (this.#address === null) return;
    this.#network.removeAddress(this.#nic, this.#address.replace(/\/.*/, ""));
    this.#address = null;
  }

  #setRoutes({ address, routes }: DhcpLease): void {
    const wanted = new Map(routes.map((route) => [keyOf(route), route]));
    for (const [key, route] of this.#routes) if (!wanted.has(key)) this.#removeRoute(key, route);
    for (const [key, { prefix, gateway }] of wanted) {
      if (this.#routes.has(key)) continue;
      this.#routes.set(key, this.#network.routes.add({ prefix, nic: this.#nic, gateway, source: address.address }));
    }
  }

  #removeRoute(key: string, { prefix, nic, gateway, metric }: Route): void {
    this.#network.routes.remove({ prefix, nic, gateway, metric });
    this.#routes.delete(key);
  }

  #setMtu(mtu: number): void {
    if (this.#nic.mtuLimit === mtu) return;
    this.#nic.mtuLimit = mtu;
    this.#network.routes.touch();
  }
}

function keyOf({ prefix, gateway }: DhcpRoute): string {
  return `${prefix} ${gateway}`;
}
