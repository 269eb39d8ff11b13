/**
 * Packets that wait for a decision about them.
 *
 * @module
 */

import type { Packet } from "../packet.ts";

/**
 * A copy of a packet that a transport is handling, from its network header on, as the transport sees it; null when the
 * pool is exhausted. A copy takes no more room than it needs, unlike the packet, which may be the device's largest.
 */
export function copyWhole(packet: Packet): Packet | null {
  const { head } = packet;
  packet.head = packet.networkAt;
  const copy = packet.copy();
  packet.head = head;
  if (copy !== null) copy.head = head;
  return copy;
}
