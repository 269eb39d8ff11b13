/**
 * Multicast membership of interfaces on behalf of sockets.
 *
 * @module
 */

import type { IpAddress } from "../address.ts";
import type { Nic } from "../link/nic.ts";

/** Who is told when sockets join and leave groups: what counts them and sends IGMP or MLD reports. */
export interface GroupMembership {
  /** A socket joins `group` on `nic`. */
  join(nic: Nic, group: IpAddress): void;
  /** A socket that joined leaves again. Called once for each join. */
  leave(nic: Nic, group: IpAddress): void;
}

/** Who reports to the routers of a link which groups are received there. */
export interface GroupReporter {
  /** An interface receives a group from now on. */
  joined(nic: Nic, group: IpAddress): void;
  /** An interface no longer receives a group. */
  left(nic: Nic, group: IpAddress): void;
}

/** Counts the sockets of each group, keeps the interface's own list, and has changes of that reported. */
export class NicGroups implements GroupMembership {
  readonly #members = new Map<Nic, Map<string, number>>();
  readonly #reporter: GroupReporter | null;

  /** Takes who reports; null for nobody. */
  constructor(reporter: GroupReporter | null = null) {
    this.#reporter = reporter;
  }

  /** Counts a socket in; the first one joins the interface. */
  join(nic: Nic, group: IpAddress): void {
    let groups = this.#members.get(nic);
    if (groups === undefined) this.#members.set(nic, groups = new Map());
    const members = groups.get(String(group)) ?? 0;
    groups.set(String(group), members + 1);
    if (members > 0) return;
    nic.joinGroup(group);
    this.#reporter?.joined(nic, group);
  }

  /** Counts a socket out; the last one leaves on the interface. */
  leave(nic: Nic, group: IpAddress): void {
    const groups = this.#members.get(nic);
    const members = groups?.get(String(group)) ?? 0;
    if (groups === undefined || members === 0) return;
    if (members > 1) {
      groups.set(String(group), members - 1);
      return;
    }
    groups.delete(String(group));
    if (groups.size === 0) this.#members.delete(nic);
    nic.leaveGroup(group);
    this.#reporter?.left(nic, group);
  }
}
