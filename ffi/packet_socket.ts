/**
 * Packet sockets: frames of an interface that the kernel has already, without taking it away from the kernel.
 *
 * @module
 */

import { MacAddress } from "../stack/address.ts";
import type { DeviceHost } from "../stack/link/device.ts";
import { completeChecksum, cutSegment, segmentCount } from "../stack/link/segmentation.ts";
import { type Packet, PacketQueue } from "../stack/packet.ts";
import { DescriptorDevice, type DeviceIdentity } from "./descriptor_device.ts";
import { Errno, systemError } from "./errno.ts";
import { HostInterface } from "./host_interface.ts";
import { Libc } from "./libc.ts";
import { PACKET_AUXDATA, PacketReceiver, SOL_PACKET } from "./packet_message.ts";
import { type LinkInfo, Rtnetlink } from "./rtnetlink.ts";
import { virtioHeaderBytes } from "./virtio_header.ts";

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_ALL = 0x0003;

const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_PROMISC = 1;
const PACKET_MR_ALLMULTI = 2;
const PACKET_MR_UNICAST = 3;

/**
 * Memory for frames on their way to this program. The kernel's usual 208 KiB hold three super-segments, and what comes
 * behind them is lost.
 */
const receiveBufferBytes = 8 * 1024 * 1024;

const etherBytes = 14;
const vlanTagBytes = 4;

/** Options of {@linkcode openPacketSocket}. */
export interface PacketSocketOptions {
  /** The interface's name: `eth0`. */
  interface: string;
  /**
   * Receive frames for any station. The interface's promiscuous mode is on as long as the device is open; the kernel
   * ends it with the program, however that ends. Default false.
   */
  promiscuous?: boolean;
  /** The Ethernet address of this program's end. Default: the interface's own. */
  mac?: string | MacAddress;
  /** Receive what leaves the interface too: for a program that only watches. Default false. */
  outgoing?: boolean;
}

/** An interface of the kernel's, shared with it. Made by {@linkcode openPacketSocket}. */
export class PacketSocketDevice extends DescriptorDevice {
  /** The interface as the kernel sees it: its addresses, routes and switches. */
  readonly host: HostInterface;
  readonly #descriptor: number;
  readonly #receiver = new PacketReceiver();
  /** The segments of a super-segment, for a stack that does not take such. */
  readonly #segments = new PacketQueue();
  #attached: DeviceHost | null = null;
  #mtu: number;

  /** Takes over a share in the C library and a bound socket. */
  constructor(libc: Libc, descriptor: number, identity: DeviceIdentity, mtu: number) {
    super(libc, descriptor, identity);
    this.#descriptor = descriptor;
    this.#mtu = mtu;
    this.host = new HostInterface(this.name, () => this.refresh());
    // Nobody asks: what a sender on this machine leaves to its interface reaches us unfinished.
    this.receivesSuperSegments = true;
  }

  /** The most bytes of network-layer packet that a frame carries. */
  get mtu(): number {
    return this.#mtu;
  }

  /** Reads the MTU from the kernel, in case that another program changed it, and tells the stack. */
  refresh(): void {
    const { mtu } = this.host.info();
    if (mtu === this.#mtu) return;
    this.#mtu = mtu;
    this.linkChanged();
  }

  /** See {@linkcode DescriptorDevice.attach}. */
  override attach(host: DeviceHost): void {
    this.#attached = host;
    super.attach(host);
  }

  /** See {@linkcode DescriptorDevice.receive}. */
  override receive(): Packet | null {
    const segment = this.#segments.dequeue();
    if (segment !== null) return segment;
    const packet = super.receive();
    if (packet === null || this.#attached?.offload === true) return packet;
    if (packet.segmentBytes === 0) {
      completeChecksum(packet);
      return packet;
    }
    this.#cut(packet, this.#attached?.headroom ?? 0);
    return this.#segments.dequeue();
  }

  /** See {@linkcode DescriptorDevice.close}. */
  override close(): void {
    this.#segments.clear();
    super.close();
  }

  /** See {@linkcode DescriptorDevice.frameBytes}. */
  protected override get frameBytes(): number {
    return this.medium === "ethernet" ? this.#mtu + etherBytes + vlanTagBytes : this.#mtu;
  }

  /** See {@linkcode DescriptorDevice.readFrame}. */
  protected override readFrame(room: Uint8Array<ArrayBuffer>): number {
    return this.#receiver.receive(this.libc, this.#descriptor, room);
  }

  /** See {@linkcode DescriptorDevice.oversized}. */
  protected override oversized(): void {
    try {
      this.refresh();
    } catch {
      // The interface has just gone away: the next read says so.
    }
  }

  #cut(packet: Packet, headroom: number): void {
    const segments = segmentCount(packet);
    for (let index = 0; index < segments; index++) {
      const segment = cutSegment(packet, index, headroom, this.medium === "ethernet" ? etherBytes : 0);
      if (segment === null) {
        this.counters.receiveNoPacket++;
        break;
      }
      completeChecksum(segment);
      this.#segments.enqueue(segment);
    }
    packet.release();
  }
}

/**
 * Opens an interface that the kernel has already, such as `eth0` or one end of a veth pair. The kernel goes on using
 * it: what arrives there, both see. A stack therefore needs an address of its own there, or a `HostGuard` that takes
 * the kernel's away for a while; else the kernel resets the stack's connections. What this program sends, it does not
 * receive.
 *
 * It needs CAP_NET_RAW, and Linux 4.20 or later.
 *
 * @example Join the network of `eth0` with an address that nobody else has
 * ```ts ignore
 * import { openPacketSocket } from "./packet_socket.ts";
 *
 * const device = openPacketSocket({ interface: "eth0" });
 * stack.attach(device, { addresses: ["192.0.2.77/24"], gateway: "192.0.2.1" });
 * ```
 *
 * @throws {TypeError} If no interface can have the name, or the Ethernet address is a group's.
 * @throws {SystemError} If there is no such interface, it is down, or the kernel refuses.
 * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
 */
export function openPacketSocket(options: PacketSocketOptions): PacketSocketDevice {
  const { interface: name, promiscuous = false } = options;
  const link = findLink(name);
  const mac = typeof options.mac === "string" ? MacAddress.parse(options.mac) : options.mac ?? link.mac;
  if (mac?.isGroup) {
    throw new TypeError(`Cannot use ${mac} for "${name}": it is a group's address, clear its lowest bit`);
  }
  const libc = Libc.open();
  let descriptor = -1;
  try {
    descriptor = openSocket(libc, link.name, options.outgoing ?? false);
    if (promiscuous) addMembership(libc, descriptor, link, PACKET_MR_PROMISC, null);
    if (link.mac !== null) {
      addMembership(libc, descriptor, link, PACKET_MR_ALLMULTI, null);
      if (mac !== null && !mac.equals(link.mac)) addMembership(libc, descriptor, link, PACKET_MR_UNICAST, mac);
    }
    bind(libc, descriptor, link);
    // The loopback's frames have Ethernet headers, but nobody has an address there.
    const medium = link.mac !== null || link.loopback ? "ethernet" : "ip";
    const identity = { name, medium, address: mac, headerBytes: virtioHeaderBytes } as const;
    return new PacketSocketDevice(libc, descriptor, identity, link.mtu);
  } catch (error) {
    if (descriptor >= 0) libc.calls.close(descriptor);
    libc.close();
    throw error;
  }
}

function findLink(name: string): LinkInfo {
  using kernel = new Rtnetlink();
  const link = kernel.link(name);
  if (link.up) return link;
  const remedy = `switch it on with \`ip link set ${name} up\``;
  throw systemError("netlink", Errno.ENETDOWN, { action: `open the interface "${name}"`, remedy });
}

/** A socket that receives nothing yet. */
function openSocket(libc: Libc, name: string, outgoing: boolean): number {
  const action = `open the interface "${name}"`;
  const descriptor = libc.calls.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    const { errno } = libc;
    const remedy = errno === Errno.EPERM ? "it needs CAP_NET_RAW: run as root, or inside `unshare -rn`" : undefined;
    throw systemError("socket(AF_PACKET)", errno, { action, remedy });
  }
  const memory = new Int32Array([receiveBufferBytes]);
  // Beyond the system's limit where the privilege is there, else up to it.
  if (libc.calls.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, memory, 4) < 0) {
    libc.calls.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, memory, 4);
  }
  const needed = { PACKET_VNET_HDR, PACKET_AUXDATA, ...(outgoing ? {} : { PACKET_IGNORE_OUTGOING }) };
  for (const [option, number] of Object.entries(needed)) {
    if (libc.calls.setsockopt(descriptor, SOL_PACKET, number, new Int32Array([1]), 4) === 0) continue;
    const { errno } = libc;
    libc.calls.close(descriptor);
    throw systemError(`setsockopt(${option})`, errno, { action, remedy: "it needs Linux 4.20 or later" });
  }
  return descriptor;
}

/** struct packet_mreq: interface (32 bits), type and address length (16 bits each), address (8 bytes). */
function addMembership(libc: Libc, descriptor: number, link: LinkInfo, type: number, mac: MacAddress | null): void {
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  view.setInt32(0, link.index, true);
  view.setUint16(4, type, true);
  if (mac !== null) {
    view.setUint16(6, mac.bytes.length, true);
    request.set(mac.bytes, 8);
  }
  if (libc.calls.setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, request.length) === 0) return;
  const what = type === PACKET_MR_PROMISC
    ? "frames for any station"
    : mac === null
    ? "all groups"
    : `frames for ${mac}`;
  throw systemError("setsockopt(PACKET_ADD_MEMBERSHIP)", libc.errno, { action: `receive ${what} from "${link.name}"` });
}

/** struct sockaddr_ll: family, protocol (16 bits each, the latter in network byte order), interface (32 bits), 12 more. */
function bind(libc: Libc, descriptor: number, link: LinkInfo): void {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL);
  view.setInt32(4, link.index, true);
  if (libc.calls.bind(descriptor, address, address.length) === 0) return;
  throw systemError("bind(AF_PACKET)", libc.errno, { action: `open the interface "${link.name}"` });
}
