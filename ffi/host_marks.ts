/**
 * Marks of changes that the kernel itself has no room to mark: other names of the changed interface, which say who
 * changed it and what it was before (Linux 5.5). They live as long as what they speak of, and need no file.
 *
 * @module
 */

import { IpAddress, IpPrefix } from "../stack/address.ts";
import { HostLease } from "./host_lease.ts";
import type { LinkChange } from "./rtnetlink.ts";

/** A change of an interface. */
export type MarkedChange =
  | {
    /** What was changed, as it was before. */
    readonly before: LinkChange;
    /** The same, as it is since. */
    readonly after: LinkChange;
  }
  | {
    /** The address that it was given. */
    readonly address: IpPrefix;
    /** The other end's, or null. */
    readonly peer: IpAddress | null;
  };

/** A mark. */
export interface HostMark {
  /** Whose it is: the number of a {@linkcode HostLease}. */
  readonly lease: number;
  /** Which of its owner's it is: later changes have larger numbers. */
  readonly serial: number;
  /** What it speaks of. */
  readonly change: MarkedChange;
}

const program = "tapstack";

/** What is told of an interface, by its word in a mark. */
const properties = { up: "up", mtu: "mtu", queue: "txQueueLength" } as const;

/** The mark as a name: `tapstack-00ab-1-mtu-1500-1400-queue-1000-100`. */
export function formatMark({ lease, serial, change }: HostMark): string {
  return [program, HostLease.format(lease), serial, ...wordsOf(change)].join("-");
}

/** The mark that a name is, or null for any other name. */
export function parseMark(name: string): HostMark | null {
  const [first, id = "", serial = "", ...words] = name.split("-");
  const lease = HostLease.parse(id);
  const change = changeOf(words);
  if (first !== program || lease === null || !/^\d{1,9}$/.test(serial) || change === null) return null;
  return { lease, serial: Number(serial), change };
}

function wordsOf(change: MarkedChange): (string | number)[] {
  if ("address" in change) {
    const { address: { address, length }, peer } = change;
    return ["address", String(address), length, ...(peer === null ? [] : ["peer", String(peer)])];
  }
  const { before, after } = change;
  return Object.entries(properties).flatMap(([word, property]) =>
    after[property] === undefined ? [] : [word, Number(before[property]), Number(after[property])]
  );
}

function changeOf(words: readonly string[]): MarkedChange | null {
  return words[0] === "address" ? addressOf(words) : linkChangeOf(words);
}

function addressOf([, address = "", length = "", , peer]: readonly string[]): MarkedChange | null {
  const other = peer === undefined ? null : IpAddress.tryParse(peer);
  try {
    return { address: IpPrefix.parse(`${address}/${length}`), peer: other };
  } catch {
    return null;
  }
}

function linkChangeOf(words: readonly string[]): MarkedChange | null {
  const before: LinkChange = {};
  const after: LinkChange = {};
  if (words.length === 0 || words.length % 3 !== 0) return null;
  for (let at = 0; at < words.length; at += 3) {
    const values = words.slice(at + 1, at + 3);
    if (!values.every((value) => /^\d{1,10}$/.test(value))) return null;
    const [old, now] = values.map(Number) as [number, number];
    const word = words[at]!;
    if (word === "up") [before.up, after.up] = [old === 1, now === 1];
    else if (word === "mtu") [before.mtu, after.mtu] = [old, now];
    else if (word === "queue") [before.txQueueLength, after.txQueueLength] = [old, now];
    else return null;
  }
  return { before, after };
}
