/**
 * Connecting to a host by its name.
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import { abortError } from "../errors.ts";
import type { TcpConnectOptions } from "../socket/options.ts";
import type { TcpConn } from "../socket/tcp_conn.ts";
import type { Lookup, TcpNetwork } from "./network.ts";

/** Whether `hostname` needs no looking up. */
export function isAddress(hostname: string): boolean {
  const bare = hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
  return hostname === "localhost" || IpAddress.tryParse(bare) !== null;
}

/**
 * Connects to the first address of a host that answers. Without `lookup`, names are refused as `connect` does.
 *
 * @throws {Deno.errors.NotFound} If there is no such host.
 * @throws {Error} What the attempt to connect to the last of its addresses threw.
 */
export async function connectToHost(
  network: Pick<TcpNetwork, "connect">,
  lookup: Lookup | null,
  options: TcpConnectOptions,
): Promise<TcpConn> {
  const { hostname, signal } = options;
  if (lookup === null || hostname === undefined || isAddress(hostname)) return await network.connect(options);
  const addresses = await unlessAborted(lookup(hostname, signal), signal);
  let failure: unknown = new Error(`Cannot connect to ${hostname}: it has no address`);
  for (const address of addresses) {
    if (signal?.aborted) throw abortError(signal);
    try {
      return await network.connect({ ...options, hostname: address });
    } catch (error) {
      failure = error;
    }
  }
  if (failure instanceof Error && !(failure instanceof DOMException)) failure.message += ` (${hostname})`;
  throw failure;
}

/** As `promise`, but rejects when `signal` is aborted: a lookup need not heed it. */
async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return await promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortError(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
