/**
 * The host's end of a program's device.
 *
 * @module
 */

import { HostChanges, type IpPrefix, type Logger, Rtnetlink, type TunTapDevice } from "../mod.ts";

/**
 * Frames that the kernel may have on their way to a program. Its own 1000 overflow when some hundred connections begin
 * at the same time: what it loses then, its TCP takes long to make up for.
 */
const queueLength = 10_000;

/** The addresses at the two ends of a device. */
export interface LinkAddresses {
  /** The stack's; null as long as it is not known. */
  readonly address: IpPrefix | null;
  /** The host's. */
  readonly host: IpPrefix;
}

/**
 * Gives the host its address on the device, sets the device's MTU unless that is null, lengthens its queue, and
 * switches it on. Returns how to undo it.
 *
 * @throws {Error} If the kernel refuses, or another interface has these addresses. Nothing is left behind.
 */
export function setUpHost(
  device: TunTapDevice,
  addresses: LinkAddresses,
  mtu: number | null,
  logger: Logger,
): HostChanges {
  const changes = new HostChanges(logger);
  try {
    const { name } = device;
    checkCollisions(name, addresses);
    const { up } = device.host.info();
    if (mtu !== null) changes.changeLink(name, { mtu });
    device.refresh();
    // An interface that is on is somebody else's, who may have left no privilege to change it.
    if (!up && device.host.info().txQueueLength < queueLength) changes.changeLink(name, { txQueueLength: queueLength });
    changes.addAddress(name, addresses.host);
    changes.changeLink(name, { up: true });
    return changes;
  } catch (error) {
    changes[Symbol.dispose]();
    throw error;
  }
}

function checkCollisions(name: string, { address, host }: LinkAddresses): void {
  using kernel = new Rtnetlink();
  const { index } = kernel.link(name);
  for (const { index: other, prefix } of kernel.addresses()) {
    if (other === index || !collides(prefix, address, host)) continue;
    const owner = kernel.links().find((link) => link.index === other)?.name ?? `interface ${other}`;
    throw new Error(
      address === null
        ? `Cannot use ${host.address}: ${owner} has ${prefix}; give another address with --host`
        : `Cannot use ${host.address} and ${address}: ${owner} has ${prefix}; give other addresses with --host and --address`,
    );
  }
}

/** Whether an address of another interface takes away the traffic between ours. */
function collides(other: IpPrefix, address: IpPrefix | null, host: IpPrefix): boolean {
  if ((address !== null && other.address.equals(address.address)) || other.address.equals(host.address)) return true;
  return other.length === host.length && other.contains(host.address);
}
