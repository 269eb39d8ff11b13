/**
 * The TAP device under a program's stack, and the host's end of it.
 *
 * @module
 */

import { IpAddress, IpPrefix, type Logger, openTap, Rtnetlink, type TunTapDevice } from "../mod.ts";
import { errorLine, type Option, UsageError } from "./cli.ts";
import { interfaceAddress, interfaceName, stationAddress, wholeNumber } from "./values.ts";

/** A documentation network (RFC 5737), which collides with nothing. */
const defaultHost = IpPrefix.parse("192.0.2.1/24");

/**
 * Frames that the kernel may have on their way to a program. Its own 1000 overflow when some hundred connections begin
 * at the same time: what it loses then, its TCP takes long to make up for.
 */
const queueLength = 10_000;

/** The options that choose the device and its addresses. */
export const deviceOptions = {
  tap: optional("NAME", "Name of the TAP device (default: the next free of tap0, tap1, ...)", interfaceName),
  address: optional("CIDR", "The stack's address (default: 192.0.2.2/24)", interfaceAddress),
  host: optional("CIDR", "The host's address on the device (default: 192.0.2.1/24)", interfaceAddress),
  mac: optional("MAC", "The stack's Ethernet address (default: a random one)", stationAddress),
  // RFC 791: every IPv4 module must be able to forward 68 bytes. 65521 leaves room for the Ethernet header.
  mtu: optional("BYTES", "Largest IP packet that the device carries (default: 1500)", wholeNumber(68, 65521)),
} as const;

function optional<Value>(placeholder: string, help: string, parse: (text: string) => Value): Option<Value | null> {
  return { placeholder, help, fallback: null, parse };
}

/** The values of {@linkcode deviceOptions}. */
export interface DeviceValues {
  /** The device's name, or null for the next free one. */
  readonly tap: string | null;
  /** The stack's address, or null for the default. */
  readonly address: IpPrefix | null;
  /** The host's address, or null for the default. */
  readonly host: IpPrefix | null;
  /** The stack's Ethernet address, or null for a random one. */
  readonly mac: string | null;
  /** The largest IP packet in bytes, or null for the default. */
  readonly mtu: number | null;
}

/** The addresses at the two ends of the device. */
export interface LinkAddresses {
  /** The stack's. */
  readonly address: IpPrefix;
  /** The host's. */
  readonly host: IpPrefix;
}

/**
 * The addresses at both ends, given neither, one or both of them: what is missing is the other's neighbour.
 *
 * @throws {UsageError} If they are the same address or lie in different networks.
 */
export function chooseAddresses({ address, host }: Pick<DeviceValues, "address" | "host">): LinkAddresses {
  if (address === null) {
    const given = host ?? defaultHost;
    return { address: neighborOf(given, "--address"), host: given };
  }
  if (host === null) return { address, host: neighborOf(address, "--host") };
  if (address.address.equals(host.address)) {
    throw new UsageError(`Cannot use ${address.address} for both --address and --host: give two addresses`);
  }
  if (!address.contains(host.address) || !host.contains(address.address)) {
    throw new UsageError(`Cannot use --address ${address} with --host ${host}: give two addresses of one network`);
  }
  return { address, host };
}

/** The first other address of the same network that a host can have. */
function neighborOf(prefix: IpPrefix, option: string): IpPrefix {
  const first = prefix.network.words[0]! + (prefix.length < 31 ? 1 : 0);
  for (const candidate of [first, first + 1]) {
    const address = IpAddress.fromUint32(candidate);
    const possible = prefix.contains(address) && prefix.broadcast?.equals(address) !== true;
    if (possible && !address.equals(prefix.address)) return new IpPrefix(address, prefix.length);
  }
  throw new UsageError(`Cannot choose a neighbor for ${prefix}: its network has no second address, give ${option}`);
}

/** The host's end of a device, set up for the stack's sake. */
export class HostSide {
  readonly #logger: Logger;
  readonly #name: string;
  /** What undoes the set-up, in the order in which it was done. */
  readonly #undo: ((kernel: Rtnetlink) => void)[] = [];

  /**
   * Gives the host its address on the device, sets the device's MTU unless that is null, lengthens its queue, and
   * switches it on.
   *
   * @throws {Error} If the kernel refuses, or another interface has these addresses. Nothing is left behind.
   */
  constructor(device: TunTapDevice, addresses: LinkAddresses, mtu: number | null, logger: Logger) {
    this.#logger = logger;
    this.#name = device.name;
    try {
      using kernel = new Rtnetlink();
      this.#setUp(kernel, device, addresses, mtu);
    } catch (error) {
      this.undo();
      throw error;
    }
  }

  #setUp(kernel: Rtnetlink, device: TunTapDevice, { address, host }: LinkAddresses, mtu: number | null): void {
    const name = this.#name;
    const link = kernel.link(name);
    let present = false;
    for (const { index, prefix } of kernel.addresses()) {
      if (index === link.index && prefix.address.equals(host.address)) present = true;
      else if (collides(prefix, address, host)) {
        const owner = kernel.links().find((other) => other.index === index)?.name ?? `interface ${index}`;
        throw new Error(
          `Cannot use ${host.address} and ${address}: ${owner} has ${prefix}; give other addresses with --host and --address`,
        );
      }
    }
    if (mtu !== null && mtu !== link.mtu) {
      device.mtu = mtu;
      this.#undo.push((kernel) => kernel.changeLink(name, { mtu: link.mtu }));
    }
    // An interface that is on is somebody else's, who may have left no privilege to change it.
    if (!link.up && link.txQueueLength < queueLength) {
      kernel.changeLink(name, { txQueueLength: queueLength });
      this.#undo.push((kernel) => kernel.changeLink(name, { txQueueLength: link.txQueueLength }));
    }
    if (!present) {
      kernel.addAddress(name, host);
      this.#undo.push((kernel) => kernel.removeAddress(name, host));
    }
    if (!link.up) {
      kernel.changeLink(name, { up: true });
      this.#undo.push((kernel) => kernel.changeLink(name, { up: false }));
    }
  }

  /** Undoes the set-up in reverse order. Does nothing the second time. Never throws: what fails is logged. */
  undo(): void {
    const steps = this.#undo.splice(0).reverse();
    if (steps.length === 0) return;
    try {
      using kernel = new Rtnetlink();
      // A device that is gone has taken its addresses with it.
      if (kernel.findLink(this.#name) === null) return;
      for (const step of steps) this.#attempt(() => step(kernel));
    } catch (error) {
      this.#logger.warn(errorLine(error));
    }
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#logger.warn(errorLine(error));
    }
  }
}

/** Whether an address of another interface takes away the traffic between ours. */
function collides(other: IpPrefix, address: IpPrefix, host: IpPrefix): boolean {
  if (other.address.equals(address.address) || other.address.equals(host.address)) return true;
  return other.length === host.length && other.contains(host.address);
}

/** A TAP device and both its ends' addresses, ready to be attached to a stack. */
export interface OpenLink extends LinkAddresses {
  /** The stack's end. */
  readonly device: TunTapDevice;
  /** The host's end. */
  readonly hostSide: HostSide;
}

/**
 * Opens the TAP device that the options describe and sets up the host's end.
 *
 * @throws {UsageError} If the addresses make no sense.
 * @throws {Error} If it cannot be done. Nothing is left behind.
 */
export function openLink(values: DeviceValues, logger: Logger): OpenLink {
  const addresses = chooseAddresses(values);
  const { tap, mac, mtu } = values;
  // A persistent device may be on already: it is the host side that knows what to undo.
  const device = openTap({ up: false, ...(tap === null ? {} : { name: tap }), ...(mac === null ? {} : { mac }) });
  try {
    return { ...addresses, device, hostSide: new HostSide(device, addresses, mtu, logger) };
  } catch (error) {
    device.close();
    throw error;
  }
}
