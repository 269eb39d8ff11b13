/**
 * The device under a program's stack: a TAP or TUN device of its own, or an interface that the host has.
 *
 * @module
 */

import {
  type Device,
  HostGuard,
  IpAddress,
  IpPrefix,
  type Logger,
  openPacketSocket,
  openTap,
  openTun,
  Rtnetlink,
} from "../mod.ts";
import { type Option, toggle, UsageError } from "./cli.ts";
import { type ControlAnswers, controlOptions, type ControlValues } from "./control/server.ts";
import { setUpHost } from "./host_side.ts";
import { linkOptions, type LinkValues, wrapLink } from "./link_options.ts";
import { hostAddress, interfaceAddress, interfaceName, stationAddress, wholeNumber } from "./values.ts";
import { vpnOptions, type VpnValues } from "./vpn/options.ts";

/** A documentation network (RFC 5737), which collides with nothing. */
const defaultHost = IpPrefix.parse("192.0.2.1/24");

/** The options that choose the device, its addresses, and what it does to frames. */
export const deviceOptions = {
  tap: optional("NAME", "Name of the TAP device (default: the next free of tap0, tap1, ...)", interfaceName),
  tun: optional("NAME", "Use a TUN device of that name, which carries IP without Ethernet", interfaceName),
  interface: optional("NAME", "Use an interface that the host has, and goes on using, like eth0", interfaceName),
  guard: toggle("Keep the host's kernel from answering for the stack's address on --interface"),
  promiscuous: toggle("Accept frames and packets for any destination"),
  address: optional(
    "CIDR|dhcp",
    "The stack's address, or dhcp to lease one (default: 192.0.2.2/24, or the --interface's own)",
    (text): IpPrefix | "dhcp" => text === "dhcp" ? text : interfaceAddress(text),
  ),
  host: optional("CIDR", "The host's address on the device (default: 192.0.2.1/24)", interfaceAddress),
  gateway: optional("ADDRESS", "The stack's router (default: the host, or the host's on --interface)", hostAddress),
  mac: optional(
    "MAC",
    "The stack's Ethernet address (default: a random one, or the --interface's own)",
    stationAddress,
  ),
  // RFC 791: every IPv4 module must be able to forward 68 bytes. 65521 leaves room for the Ethernet header.
  mtu: optional("BYTES", "Largest IP packet that the device carries (default: 1500)", wholeNumber(68, 65521)),
  "busy-poll": optional(
    "MICROSECONDS",
    "How long to look for frames before sleeping (default: 50)",
    wholeNumber(0, 1_000_000),
  ),
  "no-offload": toggle("Leave no checksum or segmentation to the kernel: the frames are those of a real wire"),
  ...linkOptions,
  ...vpnOptions,
  ...controlOptions,
} as const;

function optional<Value>(placeholder: string, help: string, parse: (text: string) => Value): Option<Value | null> {
  return { placeholder, help, fallback: null, parse };
}

/** The values of {@linkcode deviceOptions}. */
export interface DeviceValues extends LinkValues, VpnValues, ControlValues {
  /** The TAP device's name, or null for the next free one. */
  readonly tap: string | null;
  /** The TUN device's name, or null for a TAP device. */
  readonly tun: string | null;
  /** The name of the host's interface, or null for a device of the program's own. */
  readonly interface: string | null;
  /** Keep the host's kernel from answering for the stack's address. */
  readonly guard: boolean;
  /** Accept frames and packets for any destination. */
  readonly promiscuous: boolean;
  /** The stack's address, `dhcp` to lease one, or null for the default. */
  readonly address: IpPrefix | "dhcp" | null;
  /** The host's address, or null for the default. */
  readonly host: IpPrefix | null;
  /** The stack's router, or null for the default. */
  readonly gateway: IpAddress | null;
  /** The stack's Ethernet address, or null for a random one. */
  readonly mac: string | null;
  /** The largest IP packet in bytes, or null for the default. */
  readonly mtu: number | null;
  /** Leave no checksum or segmentation to the kernel. */
  readonly "no-offload": boolean;
  /** Microseconds of looking for frames before sleeping, or null for the default. */
  readonly "busy-poll": number | null;
}

/**
 * The addresses at both ends, given neither, one or both of them: what is missing is the other's neighbour.
 *
 * @throws {UsageError} If they are the same address or lie in different networks.
 */
export function chooseAddresses(
  { address, host }: { address: IpPrefix | null; host: IpPrefix | null },
): { address: IpPrefix; host: IpPrefix } {
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

/** A device and what a stack needs to use it, ready to be attached. */
export interface OpenLink {
  /** The stack's end, with what the options put in front of it. */
  readonly device: Device;
  /** The stack's address; null where it is to be leased by DHCP. */
  readonly address: IpPrefix | null;
  /** The host's address at the other end; null on an interface of the host, which leads elsewhere. */
  readonly host: IpPrefix | null;
  /** The stack's router, or null where it has none. */
  readonly gateway: IpAddress | null;
  /** Whether the stack is to accept packets for any destination. */
  readonly promiscuous: boolean;
  /** Rejects when the link is lost for good; absent where that does not happen. */
  readonly lost?: Promise<void>;
  /** What the link tells by the control socket, beside the stack; absent for nothing. */
  readonly answers?: ControlAnswers;
  /** Undoes what was changed of the host. Does nothing the second time, and never throws. */
  undo(): void;
  /** Finishes the recording, once the device has been closed. Does nothing the second time, and never throws. */
  finish(): void;
}

/**
 * Opens the device that the options describe and sets up the host's end.
 *
 * @throws {UsageError} If the options contradict each other.
 * @throws {Error} If it cannot be done. Nothing is left behind.
 */
export function openLink(values: DeviceValues, logger: Logger): OpenLink {
  refuseContradictions(values);
  return values.interface === null
    ? openOwnDevice(values, logger)
    : openHostInterface(values.interface, values, logger);
}

/** Options that say nothing together. */
const contradictions = [
  ["tun", "tap", "a device is one or the other"],
  ["tun", "mac", "a TUN device has no Ethernet address"],
  ["interface", "tap", "an interface of the host is no device of its own"],
  ["interface", "tun", "an interface of the host is no device of its own"],
  ["interface", "host", "the host keeps the addresses that it has there"],
  ["interface", "mtu", "the host's interface has an MTU already"],
  ["vpn", "tap", "the link is a tunnel or a device"],
  ["vpn", "tun", "the link is a tunnel or a device"],
  ["vpn", "interface", "the link is a tunnel or an interface of the host"],
  ["vpn", "address", "the server assigns the address"],
  ["vpn", "host", "the host is not on the link"],
  ["vpn", "gateway", "the server is the router"],
  ["vpn", "mac", "a tunnel has no Ethernet address"],
  ["vpn", "mtu", "the server says the MTU"],
] as const;

/** Options that say nothing where the address is leased. */
const leaseContradictions = [
  ["tun", "DHCP knows its clients by their Ethernet addresses"],
  ["gateway", "the DHCP server says which"],
  ["guard", "the stack's address is not the host's"],
] as const;

/**
 * Checks options that must not be given together.
 *
 * @throws {UsageError} If they contradict each other.
 */
export function refuseContradictions(values: DeviceValues): void {
  for (const [one, other, reason] of contradictions) {
    if (values[one] === null || values[other] === null) continue;
    throw new UsageError(`Cannot use --${one} with --${other}: ${reason}`);
  }
  if (values.address === "dhcp") {
    for (const [name, reason] of leaseContradictions) {
      if (values[name] === null || values[name] === false) continue;
      throw new UsageError(`Cannot use --${name} with --address dhcp: ${reason}`);
    }
  }
  if (values.guard && values.interface === null) {
    throw new UsageError("Cannot use --guard without --interface: on a device of its own the stack is alone");
  }
}

function openOwnDevice(values: DeviceValues, logger: Logger): OpenLink {
  const { tap, tun, mac, mtu } = values;
  const { address, host } = values;
  const addresses = address === "dhcp"
    ? { address: null, host: host ?? defaultHost }
    : chooseAddresses({ address, host });
  const gateway = addresses.address === null
    ? null
    : chooseGateway(values.gateway ?? addresses.host.address, addresses.address);
  // A persistent device may be on already: it is the host side that knows what to undo.
  const common = { up: false, offload: !values["no-offload"] };
  const device = tun !== null
    ? openTun({ ...common, name: tun })
    : openTap({ ...common, ...(tap === null ? {} : { name: tap }), ...(mac === null ? {} : { mac }) });
  const setUp = () => setUpHost(device, addresses, mtu, logger);
  return finishLink(device, { ...addresses, gateway }, values, setUp, logger);
}

function openHostInterface(name: string, values: DeviceValues, logger: Logger): OpenLink {
  const { mac, promiscuous, guard } = values;
  using kernel = new Rtnetlink();
  const { index } = kernel.link(name);
  const own = kernel.addresses(name).map(({ prefix }) => prefix).filter(({ address }) => address.family === 4);
  if (values.address === "dhcp") {
    const device = openPacketSocket({ interface: name, promiscuous, ...(mac === null ? {} : { mac }) });
    return finishLink(device, { address: null, host: null, gateway: null }, values, () => null, logger);
  }
  const address = values.address ?? own[0];
  if (address === undefined) {
    throw new UsageError(`Cannot use the address of ${name}: it has none of IPv4, give one with --address`);
  }
  if (!guard && own.some((prefix) => prefix.address.equals(address.address))) {
    throw new UsageError(
      `Cannot share ${address.address} with the host, which would reset the stack's connections: ` +
        "take it over with --guard, or give another one with --address",
    );
  }
  const router = kernel.routes().find((route) => route.destination.length === 0 && route.index === index)?.gateway;
  const onLink = router !== null && router !== undefined && address.contains(router) ? router : null;
  const gateway = values.gateway === null ? onLink : chooseGateway(values.gateway, address);
  const device = openPacketSocket({ interface: name, promiscuous, ...(mac === null ? {} : { mac }) });
  const setUp = () => guard ? new HostGuard({ link: name, addresses: [address.address], logger }) : null;
  return finishLink(device, { address, host: null, gateway }, values, setUp, logger);
}

/** Puts in front of a device what the options say, and changes the host; `setUp` returns what undoes that. */
function finishLink(
  device: Device,
  addresses: Pick<OpenLink, "address" | "host" | "gateway">,
  values: DeviceValues,
  setUp: () => Disposable | null,
  logger: Logger,
): OpenLink {
  try {
    const wrapped = wrapLink(device, values, logger);
    try {
      const changes = setUp();
      return {
        ...addresses,
        ...wrapped,
        promiscuous: values.promiscuous,
        undo: () => changes?.[Symbol.dispose](),
      };
    } catch (error) {
      wrapped.finish();
      throw error;
    }
  } catch (error) {
    device.close();
    throw error;
  }
}

/** The router, if it is on the link. */
function chooseGateway(gateway: IpAddress, address: IpPrefix): IpAddress {
  if (address.contains(gateway) && !gateway.equals(address.address)) return gateway;
  throw new UsageError(`Cannot use --gateway ${gateway}: give another address in the network of ${address}`);
}
