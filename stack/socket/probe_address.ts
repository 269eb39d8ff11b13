/**
 * Asking a link whether an address is free, with a promise (RFC 5227).
 *
 * @module
 */

import { abortError } from "../errors.ts";
import { IpAddress, type MacAddress } from "../address.ts";
import type { Arp } from "../link/arp.ts";
import type { Nic } from "../link/nic.ts";
import type { Random } from "../random.ts";

/** What a probe works with. */
export interface ProbeWiring {
  /** Asks the link. */
  arp: Arp;
  /** For the times between probes. */
  random: Random;
}

/**
 * Resolves with the hardware address of who has `address`, or wants it too; with null if nobody does, or if the medium
 * has no such addresses.
 *
 * @throws {TypeError} If `address` is no IPv4 address.
 * @throws {DOMException} The signal's reason, by default an `AbortError`, if it is aborted first.
 */
export async function probeAddress(
  { arp, random }: ProbeWiring,
  nic: Nic,
  address: string,
  signal: AbortSignal,
): Promise<MacAddress | null> {
  const parsed = IpAddress.parse(address);
  if (parsed.family !== 4) throw new TypeError(`Cannot probe ${address}: give an IPv4 address`);
  if (nic.mac === null) return null;
  if (signal.aborted) throw abortError(signal);
  const { promise, resolve, reject } = Promise.withResolvers<MacAddress | null>();
  const cancel = arp.probe(nic, parsed, random, resolve);
  const onAbort = () => {
    cancel();
    reject(abortError(signal));
  };
  signal.addEventListener("abort", onAbort);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
