/**
 * Waiting for a lease.
 *
 * @module
 */

import { abortError, makeError } from "../../errors.ts";
import type { Nic } from "../../link/nic.ts";
import { DhcpClient } from "./client.ts";
import type { DhcpClientOptions } from "./client_options.ts";
import type { DhcpNetwork } from "./socket.ts";

/** Options of {@linkcode obtainLease}. */
export interface ObtainLeaseOptions extends DhcpClientOptions {
  /** Milliseconds to wait for a lease. Default: for ever. */
  timeout?: number;
  /** Ends the wait. Has no effect on a lease that was obtained. */
  signal?: AbortSignal;
}

/**
 * Leases an address for an interface by DHCP, and resolves when the interface has it. The client that it resolves with
 * keeps the lease until it is disposed of, which releases the address.
 *
 * @throws {Deno.errors.TimedOut} If there is no lease in time.
 * @throws {DOMException} The signal's reason, by default an `AbortError`, if it is aborted first.
 * @throws {TypeError} If the interface has no Ethernet address, or an option makes no sense.
 *
 * @example
 * ```ts ignore
 * const nic = stack.attach(openTap({ name: "tap0" }));
 * await using client = await obtainLease(stack, nic, { hostName: "printer", timeout: 30_000 });
 * console.log(client.address, client.lease?.nameServers.join(" "));
 * ```
 */
export async function obtainLease(
  network: DhcpNetwork,
  nic: Nic,
  options: ObtainLeaseOptions = {},
): Promise<DhcpClient> {
  const { timeout = Infinity, signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const limit = new AbortController();
  const client = new DhcpClient(network, nic, options);
  const timer = network.timers.create(() =>
    limit.abort(
      makeError("TimedOut", `Cannot lease an address for ${nic.name}: no DHCP server has granted one in ${timeout} ms`),
    )
  );
  if (timeout !== Infinity) timer.start(timeout);
  try {
    await client.bound({ signal: signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]) });
    return client;
  } catch (error) {
    client.stop();
    throw error;
  } finally {
    timer.dispose();
  }
}
