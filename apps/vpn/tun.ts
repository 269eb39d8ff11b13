/**
 * The TUN device of a client or a server, as its control socket shows it.
 *
 * @module
 */

import { Rtnetlink } from "../../mod.ts";

/** A TUN device as plain data. */
export interface TunSnapshot {
  /** Its name. */
  name: string;
  /** Packets from the system for which its queue had no room. */
  queueDrops: number;
}

/** What there is to say about the device of that name, which may have been removed. */
export function describeTun(name: string): TunSnapshot {
  using kernel = new Rtnetlink();
  return { name, queueDrops: kernel.findLink(name) === null ? 0 : kernel.transmitDrops(name) };
}
