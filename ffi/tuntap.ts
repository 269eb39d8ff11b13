/**
 * TAP and TUN devices: a network interface of the kernel whose other end is this program.
 *
 * @module
 */

import { IpPrefix, MacAddress } from "../stack/address.ts";
import type { DeviceHost } from "../stack/link/device.ts";
import { DescriptorDevice, type DeviceIdentity } from "./descriptor_device.ts";
import { Errno, isSystemError, systemError, type SystemErrorDetails } from "./errno.ts";
import { HostInterface } from "./host_interface.ts";
import { decodeInterfaceName, encodeInterfaceName, interfaceNameBytes } from "./interface_name.ts";
import { cString, Libc } from "./libc.ts";
import { receiveInThread } from "./receive_thread.ts";
import { type HostAddressOptions, type LinkChange, privilegeRemedy } from "./rtnetlink.ts";
import { virtioHeaderBytes } from "./virtio_header.ts";

const clonePath = "/dev/net/tun";
const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
const IFF_NAPI = 0x0010;
/** Further queues of the same interface may be opened. */
export const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUNSETVNETHDRSZ = 0x400454d8;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETSNDBUF = 0x400454d4;

/** Memory of frames that may wait for the receive thread, in bytes: beyond, writing says that it would block. */
const receiveThreadBytes = 4 * 1024 * 1024;

/**
 * What the kernel may leave to us in the frames that we read, the most first: an older kernel refuses what it does not
 * know. Super-datagrams of UDP are not asked for: nothing here takes them.
 */
const TUN_F_CSUM = 0x01;
const TUN_F_TSO = 0x02 | 0x04;
const TUN_F_TSO_ECN = 0x08;
const offloadOffers = [TUN_F_CSUM | TUN_F_TSO | TUN_F_TSO_ECN, TUN_F_CSUM | TUN_F_TSO, TUN_F_CSUM] as const;

/** struct ifreq: the name, then, for TUNSETIFF, 16 bits of flags. */
const requestBytes = 40;
const requestFlagsAt = interfaceNameBytes;

/** Bytes in front of the network header of a TAP frame: Ethernet's 14, and 4 for a VLAN tag, which no MTU counts. */
const etherBytes = 14 + 4;
const smallestMtu = 68;
const largestFrame = 65535;

/** An address for the kernel's end of a device. */
export interface HostAddress extends HostAddressOptions {
  /** The address and its subnet's bits, or the peer's with a peer: `192.0.2.1/24`. */
  address: string | IpPrefix;
}

/** Options of {@linkcode openTun}. */
export interface TunOptions {
  /**
   * The interface's name: at most 15 bytes. `%d` at its end stands for the first free number. A persistent interface
   * of that name is taken over. Default `tun%d` or `tap%d`.
   */
  name?: string;
  /** The most bytes of network-layer packet in a frame, for both ends. Default: what the kernel says, which is 1500. */
  mtu?: number;
  /** Frames that the kernel queues towards this program before it drops some. Default: what the kernel says. */
  txQueueLength?: number;
  /** Addresses for the kernel's end. Default: none. */
  hostAddresses?: readonly (string | IpPrefix | HostAddress)[];
  /** Whether to switch the kernel's end on, where it is not. Default true. */
  up?: boolean;
  /**
   * Leave checksums and segmentation to the kernel where it offers that, in both directions: frames of up to 64 KiB pass
   * at once. Default true; without it, the frames are those of a real wire.
   */
  offload?: boolean;
  /**
   * Have the kernel take what this program sends in a thread of its own, on another processor, and not inside of each
   * call that sends: more throughput where frames are small or flows many, for longer round trips. It needs
   * CAP_SYS_ADMIN, and Linux 5.12 or later. Default false.
   */
  receiveThread?: boolean;
}

/** Options of {@linkcode openTap}. */
export interface TapOptions extends TunOptions {
  /** The Ethernet address of this program's end. Default: a random, locally administered one. */
  mac?: string | MacAddress;
}

/** A TAP or TUN device. Made by {@linkcode openTap} and {@linkcode openTun}. */
export class TunTapDevice extends DescriptorDevice {
  /** The kernel's end: its addresses, routes and switches. */
  readonly host: HostInterface;
  #mtu = 0;

  /** Takes over a share in the C library and an attached descriptor. */
  constructor(libc: Libc, descriptor: number, identity: DeviceIdentity) {
    super(libc, descriptor, identity);
    this.host = new HostInterface(this.name, () => this.refresh());
  }

  /** See {@linkcode DescriptorDevice.attach}. The kernel leaves to the stack what the stack says that it takes. */
  override attach(host: DeviceHost): void {
    if (this.headerBytes > 0) {
      this.receivesSuperSegments = offerOffloads(this.libc, this.descriptor, host.offload ?? false);
    }
    super.attach(host);
  }

  /** The most bytes of network-layer packet that a frame carries. Setting it changes both ends. */
  get mtu(): number {
    return this.#mtu;
  }

  set mtu(mtu: number) {
    checkMtu(this.name, this.medium, mtu);
    this.host.change({ mtu });
  }

  /** Reads the MTU from the kernel, in case that another program changed it, and tells the stack. */
  refresh(): void {
    const { mtu } = this.host.info();
    if (mtu === this.#mtu) return;
    this.#mtu = mtu;
    this.releaseSpare();
    this.linkChanged();
  }

  /** See {@linkcode DescriptorDevice.frameBytes}. */
  protected override get frameBytes(): number {
    return this.medium === "ethernet" ? this.#mtu + etherBytes : this.#mtu;
  }

  /** See {@linkcode DescriptorDevice.oversized}. */
  protected override oversized(): void {
    try {
      this.refresh();
    } catch {
      // The interface has just gone away: the next read says so.
    }
  }
}

/**
 * Opens a TAP device, which carries Ethernet frames. The kernel's end goes away when it is closed, unless it was made
 * persistent before.
 *
 * @example Give the kernel one address and keep the rest of the subnet for the stack
 * ```ts ignore
 * import { openTap } from "./tuntap.ts";
 *
 * using tap = openTap({ name: "tap0", hostAddresses: ["10.0.0.1/24"] });
 * tap.host.addRoute({ destination: "192.0.2.0/24", gateway: "10.0.0.2" });
 * ```
 *
 * @throws {TypeError} If no interface can have the name, or the kernel's end has the same Ethernet address.
 * @throws {RangeError} If the MTU is not 68 to 65521 bytes.
 * @throws {SystemError} If the kernel refuses; see {@linkcode isDeviceUnavailable} for whether it always would.
 * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
 */
export function openTap(options: TapOptions = {}): TunTapDevice {
  return openTapWith(0, options);
}

/** As {@linkcode openTap}, with more flags for the kernel: {@linkcode IFF_MULTI_QUEUE}. */
export function openTapWith(flags: number, options: TapOptions): TunTapDevice {
  const mac = options.mac === undefined ? randomMac() : toMac(options.mac);
  if (mac.isGroup) throw new TypeError(`Cannot use ${mac} for a device: it is a group's address, clear its lowest bit`);
  const device = open("tap%d", IFF_TAP | flags, options, mac);
  if (device.host.info().mac?.equals(mac)) {
    device.close();
    throw new TypeError(`Cannot use ${mac} for "${device.name}": the kernel's end has it; choose another address`);
  }
  return device;
}

/**
 * Opens a TUN device, which carries IP packets without a link header. The kernel's end goes away when it is closed,
 * unless it was made persistent before.
 *
 * @throws {TypeError} If no interface can have the name.
 * @throws {RangeError} If the MTU is not 68 to 65535 bytes.
 * @throws {SystemError} If the kernel refuses; see {@linkcode isDeviceUnavailable} for whether it always would.
 * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
 */
export function openTun(options: TunOptions = {}): TunTapDevice {
  return open("tun%d", IFF_TUN, options, null);
}

/**
 * Whether `error`, thrown by {@linkcode openTap} or {@linkcode openTun}, means that this program cannot have such
 * devices here at all, whatever it asks for: no permission, no device node, no Linux. A program may then go on with
 * links that live in memory.
 */
export function isDeviceUnavailable(error: unknown): boolean {
  if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotSupported) return true;
  if (!isSystemError(error)) return false;
  return error.syscall === openCall || error.errno === Errno.EPERM;
}

const openCall = `open(${clonePath})`;
const attachCall = "ioctl(TUNSETIFF)";

function open(defaultName: string, kind: number, options: TunOptions, mac: MacAddress | null): TunTapDevice {
  const medium = (kind & IFF_TAP) !== 0 ? "ethernet" : "ip";
  const name = options.name ?? defaultName;
  const { offload = true, receiveThread = false } = options;
  const request = new Uint8Array(requestBytes);
  request.set(encodeInterfaceName(name));
  if (options.mtu !== undefined) checkMtu(name, medium, options.mtu);

  const libc = Libc.open();
  let device: TunTapDevice;
  try {
    const action = `open ${describe(kind, name)}`;
    const descriptor = openClone(libc, action);
    const flags = kind | IFF_NO_PI | (receiveThread ? IFF_NAPI : 0);
    const headerBytes = attach(libc, descriptor, request, flags, offload, action);
    if (receiveThread) libc.calls.ioctl(descriptor, TUNSETSNDBUF, new Int32Array([receiveThreadBytes]));
    const identity = { name: decodeInterfaceName(request), medium, address: mac, headerBytes } as const;
    device = new TunTapDevice(libc, descriptor, identity);
  } catch (error) {
    libc.close();
    throw error;
  }
  try {
    configure(device, options);
  } catch (error) {
    device.close();
    throw error;
  }
  return device;
}

/** A device for people; where the kernel was to choose the number, there is no name yet. */
function describe(kind: number, name: string): string {
  const type = (kind & IFF_TAP) !== 0 ? "TAP" : "TUN";
  return name.endsWith("%d") ? `a ${type} device` : `the ${type} device "${name}"`;
}

/** Opens the clone device, which stands for no interface yet. */
function openClone(libc: Libc, action: string): number {
  const descriptor = libc.calls.open(cString(clonePath), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor >= 0) return descriptor;
  const { errno } = libc;
  throw systemError(openCall, errno, { action, remedy: openRemedy(errno) });
}

/**
 * Attaches the clone device to the interface that `request` names; the kernel writes its name there. Returns the bytes of
 * the virtio-net header that frames then have: 0 where it is not wanted, or the kernel does not know it.
 */
function attach(
  libc: Libc,
  descriptor: number,
  request: Uint8Array<ArrayBuffer>,
  flags: number,
  offload: boolean,
  action: string,
): number {
  const view = new DataView(request.buffer);
  for (const header of offload ? [IFF_VNET_HDR, 0] : [0]) {
    view.setUint16(requestFlagsAt, flags | header, true);
    if (libc.calls.ioctl(descriptor, TUNSETIFF, request) >= 0) {
      return header === 0 ? 0 : agreeOnHeader(libc, descriptor);
    }
    if (libc.errno !== Errno.EINVAL) break;
  }
  const { errno } = libc;
  libc.calls.close(descriptor);
  throw systemError(attachCall, errno, { action, remedy: attachRemedy(errno) });
}

/** Says how long the virtio-net header is, in case that a persistent interface remembers another length. */
function agreeOnHeader(libc: Libc, descriptor: number): number {
  libc.calls.ioctl(descriptor, TUNSETVNETHDRSZ, new Int32Array([virtioHeaderBytes]));
  return virtioHeaderBytes;
}

/** Offers the kernel to leave as much to us as it can, or nothing. Returns whether super-segments may come. */
function offerOffloads(libc: Libc, descriptor: number, wanted: boolean): boolean {
  for (const offer of wanted ? offloadOffers : []) {
    if (libc.calls.ioctlNumber(descriptor, TUNSETOFFLOAD, offer) >= 0) return (offer & TUN_F_TSO) !== 0;
  }
  // A persistent interface remembers what its last owner said.
  libc.calls.ioctlNumber(descriptor, TUNSETOFFLOAD, 0);
  return false;
}

function configure(device: TunTapDevice, options: TunOptions): void {
  const { mtu, txQueueLength, hostAddresses = [], up = true, receiveThread = false } = options;
  const { host } = device;
  // Before the interface is switched on: no frame has been taken yet.
  if (receiveThread) receiveInThread(device.name);
  const present = host.info();
  const change: LinkChange = {};
  // What is as it should be is left alone: then the owner of a persistent interface needs no privilege.
  if (mtu !== undefined && mtu !== present.mtu) change.mtu = mtu;
  if (txQueueLength !== undefined && txQueueLength !== present.txQueueLength) change.txQueueLength = txQueueLength;
  if (up && !present.up) change.up = true;
  if (Object.keys(change).length > 0) host.change(change);
  device.refresh();
  for (const entry of hostAddresses) {
    if (typeof entry === "string" || entry instanceof IpPrefix) host.addAddress(entry);
    else host.addAddress(entry.address, entry);
  }
}

/** What to do when {@linkcode openCall} fails. */
export function openRemedy(errno: number): SystemErrorDetails["remedy"] {
  switch (errno) {
    case Errno.ENOENT:
      return "load the driver with `modprobe tun`; in a container, pass the device in with `--device /dev/net/tun`";
    case Errno.ENODEV:
    case Errno.ENXIO:
      return "this kernel has no TUN/TAP driver loaded: try `modprobe tun`";
    case Errno.EACCES:
    case Errno.EPERM:
      return `run as root, or give this user access to ${clonePath}`;
  }
  return undefined;
}

/** What to do when {@linkcode attachCall} fails. */
export function attachRemedy(errno: number): SystemErrorDetails["remedy"] {
  switch (errno) {
    case Errno.EPERM:
      return privilegeRemedy;
    case Errno.EBUSY:
      return "another program has it open: stop that one, or choose another name";
    case Errno.EINVAL:
      return "an interface of another kind has that name: choose another name";
  }
  return undefined;
}

/** Checks an MTU before the kernel is asked. */
function checkMtu(name: string, medium: "ethernet" | "ip", mtu: number): void {
  const largest = medium === "ethernet" ? largestFrame - 14 : largestFrame;
  if (Number.isInteger(mtu) && mtu >= smallestMtu && mtu <= largest) return;
  throw new RangeError(`Cannot set the MTU of "${name}" to ${mtu}: it goes from ${smallestMtu} to ${largest} bytes`);
}

function toMac(mac: string | MacAddress): MacAddress {
  return typeof mac === "string" ? MacAddress.parse(mac) : mac;
}

function randomMac(): MacAddress {
  const [bits, more] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return MacAddress.local(bits, more);
}
