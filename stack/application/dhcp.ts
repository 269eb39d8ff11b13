/**
 * DHCP over the stack (RFC 2131, RFC 2132, RFC 3442): {@linkcode obtainLease} gives an interface an address for as long
 * as it is wanted, and {@linkcode DhcpServer} leases addresses to the clients of a link.
 *
 * @example A server and a client on a wire
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createWire, IpAddress, Stack } from "../../mod.ts";
 * import { DhcpServer, obtainLease } from "./dhcp.ts";
 *
 * await using router = new Stack();
 * await using host = new Stack();
 * const [left, right] = createWire();
 * using _server = new DhcpServer(router, router.attach(left, { addresses: ["10.0.0.1/24"] }), {
 *   range: [IpAddress.parse("10.0.0.100"), IpAddress.parse("10.0.0.199")],
 *   routers: [IpAddress.parse("10.0.0.1")],
 *   probe: false,
 * });
 * await using client = await obtainLease(host, host.attach(right), { probe: false });
 * assertEquals(client.lease?.server.toString(), "10.0.0.1");
 * ```
 *
 * @module
 */

export { OptionCode } from "../dhcp_format.ts";
export { DhcpClient } from "./dhcp/client.ts";
export type { DhcpClientCounters, DhcpClientOptions, DhcpState } from "./dhcp/client_options.ts";
export type { DhcpLease } from "./dhcp/lease.ts";
export type { Binding, BindingState } from "./dhcp/lease_table.ts";
export { obtainLease, type ObtainLeaseOptions } from "./dhcp/obtain_lease.ts";
export type { DhcpOptions, DhcpRoute } from "./dhcp/options.ts";
export { type DhcpReservation, DhcpServer, type DhcpServerCounters, type DhcpServerOptions } from "./dhcp/server.ts";
export type { DhcpServerParameters } from "./dhcp/server_messages.ts";
export { type DhcpNetwork } from "./dhcp/socket.ts";
