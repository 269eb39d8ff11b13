/**
 * Keeping the kernel out of the conversations of a stack that sits on one of the kernel's own interfaces.
 *
 * @module
 */

import { IpAddress } from "../stack/address.ts";
import type { Logger } from "../stack/logger.ts";
import { Errno, isSystemError, type SystemErrorDetails } from "./errno.ts";
import { HostLease } from "./host_lease.ts";
import { NetlinkSocket } from "./netlink_socket.ts";
import {
  addChainRequest,
  addTableRequest,
  batchRequests,
  dropRuleRequest,
  getTablesRequest,
  NETLINK_NETFILTER,
  parseTableName,
  removeTableRequest,
} from "./nftables_message.ts";
import { privilegeRemedy, Rtnetlink } from "./rtnetlink.ts";

const tablePrefix = "tapstack_";

/** Options of {@linkcode HostGuard}. */
export interface HostGuardOptions {
  /** The name of the interface. */
  link: string;
  /** The IPv4 addresses that the stack has there. */
  addresses: readonly (string | IpAddress)[];
  /** Who is told of what was removed of an earlier run. */
  logger?: Logger | null;
}

/**
 * Drops what an interface receives for the stack's addresses before the kernel's own IP sees it: the kernel then
 * neither answers echo requests nor resets connections of which it knows nothing, nor forwards what is not for it.
 * Packet sockets see frames before that. An address of the kernel's own is taken from it as long as the guard lasts:
 * what the kernel itself has open there, by this interface, stands still.
 *
 * It is a table of nftables whose owner is a socket of this program, so that the kernel removes it with the program,
 * however that ends. A kernel before Linux 5.12 knows no owners: what a killed program has left behind there is removed
 * by the next one.
 *
 * @example
 * ```ts ignore
 * using guard = new HostGuard({ link: "eth0", addresses: ["192.0.2.7"] });
 * ```
 */
export class HostGuard implements Disposable {
  /** The table's name in `nft list tables`. */
  readonly table: string;
  readonly #lease = new HostLease();
  readonly #socket: NetlinkSocket;
  #open = true;

  /**
   * Starts to drop.
   *
   * @throws {TypeError} If an address is no IPv4 address.
   * @throws {SystemError} If there is no such interface, or the kernel has no nftables or refuses.
   */
  constructor({ link, addresses, logger = null }: HostGuardOptions) {
    this.table = tablePrefix + HostLease.format(this.#lease.id);
    this.#socket = new NetlinkSocket(NETLINK_NETFILTER);
    try {
      const index = indexOf(link);
      const guarded = addresses.map(toIpv4);
      for (const table of removeStale(this.#socket)) {
        logger?.warn(`Removed what an earlier run had left behind: the nftables table ${table}`);
      }
      this.#add(link, index, guarded);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #add(link: string, index: number, addresses: readonly IpAddress[]): void {
    const { table } = this;
    const details = (errno: number): SystemErrorDetails => ({
      action: `guard ${addresses.join(", ")} on "${link}" against the kernel`,
      remedy: remedyFor(errno),
    });
    const rules = addresses.map((address) => dropRuleRequest(table, index, address));
    const requests = (owned: boolean) => [addTableRequest(table, owned), addChainRequest(table), ...rules];
    try {
      this.#socket.transact({ ...batchRequests(), requests: requests(true) }, details);
    } catch (error) {
      if (!isSystemError(error) || (error.errno !== Errno.EOPNOTSUPP && error.errno !== Errno.EINVAL)) throw error;
      this.#socket.transact({ ...batchRequests(), requests: requests(false) }, details);
    }
  }

  /** Ends it. Does nothing the second time. Never throws. */
  close(): void {
    if (!this.#open) return;
    try {
      removeTable(this.#socket, this.table);
    } catch {
      // Somebody has removed it before, or the kernel does so with the socket.
    }
    this.#release();
  }

  /** As {@linkcode HostGuard.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #release(): void {
    this.#open = false;
    this.#socket.close();
    this.#lease.close();
  }
}

function remedyFor(errno: number): string | undefined {
  if (errno === Errno.EPERM) return privilegeRemedy;
  const missing = errno === Errno.EOPNOTSUPP || errno === Errno.ENOENT || errno === Errno.EINVAL;
  return missing ? "this kernel may have no nftables: try `modprobe nf_tables`" : undefined;
}

/** Removes the tables of programs that no longer run, and returns their names. */
function removeStale(socket: NetlinkSocket): string[] {
  const names = socket.request(getTablesRequest(), () => ({ action: "list the nftables tables" })).map(parseTableName);
  return names.filter((name) => {
    const id = name?.startsWith(tablePrefix) ? HostLease.parse(name.slice(tablePrefix.length)) : null;
    if (name === null || id === null || HostLease.isHeld(id)) return false;
    removeTable(socket, name);
    return true;
  }) as string[];
}

function removeTable(socket: NetlinkSocket, table: string): void {
  const action = `remove the nftables table ${table}`;
  socket.transact({ ...batchRequests(), requests: [removeTableRequest(table)] }, () => ({ action }));
}

function indexOf(link: string): number {
  using kernel = new Rtnetlink();
  return kernel.link(link).index;
}

function toIpv4(address: string | IpAddress): IpAddress {
  const parsed = typeof address === "string" ? IpAddress.parse(address) : address;
  if (parsed.family === 4) return parsed;
  throw new TypeError(`Cannot guard ${parsed}: give an IPv4 address`);
}
