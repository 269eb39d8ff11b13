/**
 * TAP and TUN devices: a network interface of the kernel whose other end is this program.
 *
 * @module
 */

import { IpPrefix, MacAddress } from "../stack/address.ts";
import { BulkReceiveThread } from "./bulk_receive_thread.ts";
import { Errno, isSystemError, systemError, type SystemErrorDetails } from "./errno.ts";
import { decodeInterfaceName, encodeInterfaceName, interfaceNameBytes } from "./interface_name.ts";
import { cString, Libc } from "./libc.ts";
import { ReceiveThread } from "./receive_thread.ts";
import { type HostAddressOptions, type LinkChange, privilegeRemedy } from "./rtnetlink.ts";
import { checkMtu, TunTapDevice } from "./tuntap_device.ts";
import { virtioHeaderBytes } from "./virtio_header.ts";

export { TunTapDevice };

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
const TUNSETSNDBUF = 0x400454d4;

/** Memory of frames that may wait for the receive thread, in bytes: beyond, writing says that it would block. */
const receiveThreadBytes = 4 * 1024 * 1024;

/** struct ifreq: the name, then, for TUNSETIFF, 16 bits of flags. */
const requestBytes = 40;
const requestFlagsAt = interfaceNameBytes;

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
   * CAP_SYS_ADMIN, and Linux 5.12 or later.
   *
   * By default, a device that is opened with `offload: false` has the thread only while bulk data are sent, where there
   * is a second processor and the kernel allows it; any other has none. `true` is for always, `false` for never.
   */
  receiveThread?: boolean;
}

/** Options of {@linkcode openTap}. */
export interface TapOptions extends TunOptions {
  /** The Ethernet address of this program's end. Default: a random, locally administered one. */
  mac?: string | MacAddress;
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

/** As {@linkcode openTap}, with another clock for what depends on how fast data are sent; in milliseconds. */
export function openTapOnClock(now: () => number, options: TapOptions): TunTapDevice {
  return open("tap%d", IFF_TAP, options, randomMac(), now);
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

function open(
  defaultName: string,
  kind: number,
  options: TunOptions,
  mac: MacAddress | null,
  now: () => number = () => performance.now(),
): TunTapDevice {
  const medium = (kind & IFF_TAP) !== 0 ? "ethernet" : "ip";
  const name = options.name ?? defaultName;
  const { offload = true } = options;
  // The queues of one interface would have to agree.
  const whileBulk = options.receiveThread === undefined && !offload && (kind & IFF_MULTI_QUEUE) === 0 &&
    navigator.hardwareConcurrency > 1 && ReceiveThread.available;
  const threaded = whileBulk || (options.receiveThread ?? false);
  const request = new Uint8Array(requestBytes);
  request.set(encodeInterfaceName(name));
  if (options.mtu !== undefined) checkMtu(name, medium, options.mtu);

  const libc = Libc.open();
  let device: TunTapDevice;
  try {
    const action = `open ${describe(kind, name)}`;
    const descriptor = openClone(libc, action);
    const flags = kind | IFF_NO_PI | (threaded ? IFF_NAPI : 0);
    const headerBytes = attach(libc, descriptor, request, flags, offload, action);
    const identity = { name: decodeInterfaceName(request), medium, address: mac, headerBytes } as const;
    const thread = threaded ? openThread(libc, descriptor, identity.name, !whileBulk) : null;
    const switched = thread !== null && whileBulk ? new BulkReceiveThread(thread, now) : null;
    device = new TunTapDevice(libc, descriptor, identity, thread, switched);
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

/** The switch of the receive thread; closes the descriptor if it cannot be had. No frame has been taken yet. */
function openThread(libc: Libc, descriptor: number, name: string, on: boolean): ReceiveThread {
  libc.calls.ioctl(descriptor, TUNSETSNDBUF, new Int32Array([receiveThreadBytes]));
  try {
    const thread = ReceiveThread.open(name);
    if (on) thread.running = true;
    return thread;
  } catch (error) {
    libc.calls.close(descriptor);
    throw error;
  }
}

/** Says how long the virtio-net header is, in case that a persistent interface remembers another length. */
function agreeOnHeader(libc: Libc, descriptor: number): number {
  libc.calls.ioctl(descriptor, TUNSETVNETHDRSZ, new Int32Array([virtioHeaderBytes]));
  return virtioHeaderBytes;
}

function configure(device: TunTapDevice, options: TunOptions): void {
  const { mtu, txQueueLength, hostAddresses = [], up = true } = options;
  const { host } = device;
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

function toMac(mac: string | MacAddress): MacAddress {
  return typeof mac === "string" ? MacAddress.parse(mac) : mac;
}

function randomMac(): MacAddress {
  const [bits, more] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return MacAddress.local(bits, more);
}
