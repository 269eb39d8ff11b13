/**
 * Undoing what programs that no longer run have changed of the host's network.
 *
 * @module
 */

import { Errno, isSystemError } from "./errno.ts";
import { HostLease } from "./host_lease.ts";
import { type HostMark, type MarkedChange, parseMark } from "./host_marks.ts";
import type { LinkChange, LinkInfo, Rtnetlink } from "./rtnetlink.ts";

/**
 * The number that says, in a route's `protocol`, that this library made it. The kernel's, administrators' and routing
 * daemons' numbers are others (`/etc/iproute2/rt_protos`).
 */
export const routeProtocol = 84;

/** Undoes a marked change of an interface, as far as nobody has done so or changed it again since. */
export function undoMarked(kernel: Rtnetlink, link: string, change: MarkedChange): void {
  if ("address" in change) {
    const { address, peer } = change;
    const isThere = kernel.addresses(link).some(({ prefix }) => String(prefix) === String(address));
    if (isThere) kernel.removeAddress(link, address, peer === null ? {} : { peer });
    return;
  }
  const { before, after } = change;
  const { up, mtu, txQueueLength } = kernel.link(link);
  const restored: LinkChange = {};
  if (after.up === up) restored.up = before.up!;
  if (after.mtu === mtu) restored.mtu = before.mtu!;
  if (after.txQueueLength === txQueueLength) restored.txQueueLength = before.txQueueLength!;
  if (Object.keys(restored).length > 0) kernel.changeLink(link, restored);
}

/** A change in words: `mtu 1400, txQueueLength 100 on "eth0"`. */
export function describeMarked(link: string, change: MarkedChange): string {
  if ("address" in change) return `the address ${change.address} of "${link}"`;
  return `${Object.entries(change.after).map(([key, value]) => `${key} ${value}`).join(", ")} on "${link}"`;
}

/**
 * Undoes what programs of this network namespace that no longer run have left behind. `tell` is told of each change
 * that was undone, `fail` why another one stays. Never throws for a single one.
 */
export function undoStale(kernel: Rtnetlink, tell: (text: string) => void, fail: (error: unknown) => void): void {
  const links = kernel.links();
  const attempt = (text: string, undo: () => void) => {
    try {
      undo();
      tell(text);
    } catch (error) {
      if (!isGone(error)) fail(error);
    }
  };
  undoRoutes(kernel, links, attempt);
  for (const { link, name, mark: { change } } of staleMarks(links)) {
    attempt(describeMarked(link, change), () => {
      undoMarked(kernel, link, change);
      kernel.removeAlternativeName(link, name);
    });
  }
}

type Attempt = (text: string, undo: () => void) => void;

function undoRoutes(kernel: Rtnetlink, links: readonly LinkInfo[], attempt: Attempt): void {
  for (const { destination, gateway, index, metric, protocol } of kernel.routes()) {
    if (protocol !== routeProtocol || HostLease.isHeld(metric)) continue;
    const link = links.find((link) => link.index === index)?.name;
    const route = {
      destination,
      metric,
      protocol,
      ...(gateway === null ? {} : { gateway }),
      ...(link === undefined ? {} : { link }),
    };
    attempt(`the route to ${destination}`, () => kernel.removeRoute(route));
  }
}

interface StaleMark {
  readonly link: string;
  readonly name: string;
  readonly mark: HostMark;
}

/** The marks of programs that no longer run, the latest change first. */
function staleMarks(links: readonly LinkInfo[]): StaleMark[] {
  const found: StaleMark[] = [];
  for (const { name: link, alternativeNames } of links) {
    for (const name of alternativeNames) {
      const mark = parseMark(name);
      if (mark !== null && !HostLease.isHeld(mark.lease)) found.push({ link, name, mark });
    }
  }
  return found.sort((one, other) => other.mark.serial - one.mark.serial);
}

/** Whether what was to be undone is not there any more: another program may be about the same. */
function isGone(error: unknown): boolean {
  return isSystemError(error) &&
    [Errno.ESRCH, Errno.ENOENT, Errno.ENODEV, Errno.EADDRNOTAVAIL].some((errno) => errno === error.errno);
}
