/**
 * `--address dhcp`: a program's stack leases its address.
 *
 * @module
 */

import type { Logger, Nic, Stack } from "../../mod.ts";
import { type DhcpClient, type DhcpLease, obtainLease, type ObtainLeaseOptions } from "../../stack/application/dhcp.ts";

/** How long to wait for a lease, in milliseconds: a discovery is sent five times in it. */
const patience = 60_000;

/**
 * Leases an address for the interface and says on standard error which.
 *
 * @throws {Deno.errors.TimedOut} If there is no lease in a minute.
 * @throws {DOMException} If `signal` is aborted first.
 */
export async function leaseAddress(
  { stack, nic, signal }: { stack: Stack; nic: Nic; signal: AbortSignal },
  values: { interface: string | null; mac: string | null },
  logger: Logger,
): Promise<DhcpClient> {
  console.error(`Leasing an address for ${nic.name} by DHCP`);
  let lease: DhcpLease | null = null;
  const onChange: ObtainLeaseOptions["onChange"] = (_, now) => {
    if (now !== null && lease !== null && !now.address.address.equals(lease.address.address)) {
      logger.warn(`The address is ${now.address} now, it was ${lease.address}`);
    }
    lease = now ?? lease;
  };
  const options = { ...identityFor(nic, values), timeout: patience, signal, logger, onChange };
  const client = await obtainLease(stack, nic, options);
  const { address, server, leaseTime } = await client.bound();
  console.error(`Leased ${address} from ${server} for ${leaseTime === Infinity ? "ever" : `${leaseTime} seconds`}`);
  return client;
}

/**
 * Who the stack is for the server. On an interface of the host it may have the host's hardware address: it then says
 * that it is somebody else (RFC 2132 section 9.14), or it would get the host's own lease.
 */
export function identityFor(
  { mac }: Nic,
  values: { interface: string | null; mac: string | null },
): Pick<ObtainLeaseOptions, "clientIdentifier"> {
  if (values.interface === null || values.mac !== null) return {};
  return { clientIdentifier: new Uint8Array([0, ...new TextEncoder().encode(`tapstack ${mac}`)]) };
}
