/**
 * The device behind a TAP or TUN interface.
 *
 * @module
 */

import type { DeviceHost } from "../stack/link/device.ts";
import type { Packet } from "../stack/packet.ts";
import type { Verdict } from "../stack/protocol.ts";
import type { BulkReceiveThread } from "./bulk_receive_thread.ts";
import { DescriptorDevice, type DeviceIdentity } from "./descriptor_device.ts";
import { HostInterface } from "./host_interface.ts";
import type { Libc } from "./libc.ts";
import type { ReceiveThread } from "./receive_thread.ts";

const TUNSETOFFLOAD = 0x400454d0;

/**
 * What the kernel may leave to us in the frames that we read, the most first: an older kernel refuses what it does not
 * know. Super-datagrams of UDP are not asked for: nothing here takes them.
 */
const TUN_F_CSUM = 0x01;
const TUN_F_TSO = 0x02 | 0x04;
const TUN_F_TSO_ECN = 0x08;
const offloadOffers = [TUN_F_CSUM | TUN_F_TSO | TUN_F_TSO_ECN, TUN_F_CSUM | TUN_F_TSO, TUN_F_CSUM] as const;

/** Bytes in front of the network header of a TAP frame: Ethernet's 14, and 4 for a VLAN tag, which no MTU counts. */
const etherBytes = 14 + 4;
const smallestMtu = 68;
const largestFrame = 65535;

/** A TAP or TUN device. Made by `openTap` and `openTun`. */
export class TunTapDevice extends DescriptorDevice {
  /** The kernel's end: its addresses, routes and switches. */
  readonly host: HostInterface;
  readonly #thread: ReceiveThread | null;
  /** What switches the thread; null where it is always on, or there is none. */
  readonly #whileBulk: BulkReceiveThread | null;
  #mtu = 0;

  /**
   * Takes over a share in the C library, an attached descriptor and the switch of the receive thread, which is used by
   * `whileBulk`, or stays as it is.
   */
  constructor(
    libc: Libc,
    descriptor: number,
    identity: DeviceIdentity,
    thread: ReceiveThread | null = null,
    whileBulk: BulkReceiveThread | null = null,
  ) {
    super(libc, descriptor, identity);
    this.host = new HostInterface(this.name, () => this.refresh());
    this.#thread = thread;
    this.#whileBulk = whileBulk;
  }

  /** See {@linkcode DescriptorDevice.attach}. The kernel leaves to the stack what the stack says that it takes. */
  override attach(host: DeviceHost): void {
    if (this.headerBytes > 0) {
      this.receivesSuperSegments = offerOffloads(this.libc, this.descriptor, host.offload ?? false);
    }
    super.attach(host);
  }

  /** See {@linkcode DescriptorDevice.transmit}. */
  override transmit(packet: Packet): Verdict {
    const { length } = packet;
    this.#whileBulk?.sending(length >= this.#mtu ? length : 0);
    return super.transmit(packet);
  }

  /** See {@linkcode DescriptorDevice.close}. */
  override close(): void {
    if (!this.closed) this.#endThread();
    super.close();
  }

  /** See {@linkcode DescriptorDevice.surrender}. The receive thread stays as it is. */
  override surrender(): number {
    this.#thread?.close();
    return super.surrender();
  }

  /** A persistent interface would remember the thread, and cannot be told any more when nobody has it open. */
  #endThread(): void {
    try {
      if (this.#thread?.running) this.#thread.running = false;
    } catch {
      // The interface is gone.
    }
    this.#thread?.close();
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

/** Offers the kernel to leave as much to us as it can, or nothing. Returns whether super-segments may come. */
function offerOffloads(libc: Libc, descriptor: number, wanted: boolean): boolean {
  for (const offer of wanted ? offloadOffers : []) {
    if (libc.calls.ioctlNumber(descriptor, TUNSETOFFLOAD, offer) >= 0) return (offer & TUN_F_TSO) !== 0;
  }
  // A persistent interface remembers what its last owner said.
  libc.calls.ioctlNumber(descriptor, TUNSETOFFLOAD, 0);
  return false;
}

/** Checks an MTU before the kernel is asked. */
export function checkMtu(name: string, medium: "ethernet" | "ip", mtu: number): void {
  const largest = medium === "ethernet" ? largestFrame - 14 : largestFrame;
  if (Number.isInteger(mtu) && mtu >= smallestMtu && mtu <= largest) return;
  throw new RangeError(`Cannot set the MTU of "${name}" to ${mtu}: it goes from ${smallestMtu} to ${largest} bytes`);
}
