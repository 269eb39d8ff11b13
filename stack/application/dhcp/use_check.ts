/**
 * Whether somebody uses an address, found out before it is offered (RFC 2131 section 2.2).
 *
 * @module
 */

import type { IpAddress, MacAddress } from "../../address.ts";
import type { Nic } from "../../link/nic.ts";
import type { DhcpNetwork } from "./socket.ts";

/**
 * Sends an echo request to an address, for which it must first be asked who has it: an answer to either shows that the
 * address is in use, by somebody other than `client`, within `timeout` milliseconds.
 */
export async function isAddressInUse(
  network: DhcpNetwork,
  nic: Nic,
  address: IpAddress,
  client: MacAddress,
  timeout: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { neighbors } = network;
  // What is remembered from an earlier holder proves nothing.
  neighbors.remove(nic, address);
  let answered = false;
  for await (const { kind } of network.ping(address.toString(), { count: 1, timeout, signal })) {
    if (kind === "reply") answered = true;
  }
  const mac = neighbors.find(nic, address).destination;
  // The request may still wait for an answer from the link.
  if (mac === null) neighbors.remove(nic, address);
  return mac === null ? answered : !mac.equals(client);
}
