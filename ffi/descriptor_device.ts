/**
 * What all devices behind a descriptor share: one read(), and one write() or writev(), for each frame.
 *
 * @module
 */

import type { MacAddress } from "../stack/address.ts";
import type { Device, DeviceHost, Poller } from "../stack/link/device.ts";
import { type Packet, PacketPool, PacketQueue } from "../stack/packet.ts";
import { Verdict } from "../stack/protocol.ts";
import { Offload } from "../stack/link/segmentation.ts";
import { Errno } from "./errno.ts";
import { IoVector } from "./io_vector.ts";
import type { Libc } from "./libc.ts";
import { SystemPoller } from "./poller.ts";
import { pushVirtioHeader, readVirtioHeader } from "./virtio_header.ts";

/** Frames that wait for the operating system at most, and their bytes. */
const transmitQueueLimit = 256;
const transmitQueueBytes = 4 * 1024 * 1024;

/** The longest super-segment: the largest IP packet, behind a link header. */
const longestFrame = 65535 + 18;

/** The counters of a device behind a descriptor. */
export interface DescriptorDeviceCounters {
  /** Frames longer than the link's MTU allows. */
  receiveOversized: number;
  /** Frames that were thrown away because no packet was free. */
  receiveNoPacket: number;
  /** Frames whose virtio-net header contradicts them. */
  receiveBadHeader: number;
  /** Reads that failed: the interface is gone. */
  receiveErrors: number;
  /** Frames that waited for the operating system. */
  transmitQueued: number;
  /** Frames that found the queue full. */
  transmitQueueFull: number;
  /** Frames that found the interface down or gone. */
  transmitDown: number;
  /** Frames that the operating system refused for any other reason. */
  transmitErrors: number;
}

/** What tells one device from another. */
export interface DeviceIdentity {
  /** See {@linkcode Device.name}. */
  name: string;
  /** See {@linkcode Device.medium}. */
  medium: "ethernet" | "ip";
  /** See {@linkcode Device.address}. */
  address: MacAddress | null;
  /** Bytes of the virtio-net header in front of each frame. Default 0: there is none. */
  headerBytes?: number;
}

/** A device that reads and writes whole frames through a non-blocking descriptor. */
export abstract class DescriptorDevice implements Device {
  /** See {@linkcode Device.name}. */
  readonly name: string;
  /** See {@linkcode Device.medium}. */
  readonly medium: "ethernet" | "ip";
  /** See {@linkcode Device.address}. */
  readonly address: MacAddress | null;
  /** Bytes of the virtio-net header in front of each frame; 0 where there is none. */
  readonly headerBytes: number;
  /** See {@linkcode Device.loopback}. */
  readonly loopback: boolean = false;
  /** What became of frames that went astray. */
  readonly counters: DescriptorDeviceCounters = {
    receiveOversized: 0,
    receiveNoPacket: 0,
    receiveBadHeader: 0,
    receiveErrors: 0,
    transmitQueued: 0,
    transmitQueueFull: 0,
    transmitDown: 0,
    transmitErrors: 0,
  };
  /** The share in the C library that the device owns. */
  protected readonly libc: Libc;
  #attached: DeviceHost | null = null;
  readonly #waiting = new PacketQueue();
  /** For frames that have no packet: only that the kernel gives them up matters. It holds their virtio-net header. */
  readonly #scratch = new Uint8Array(16);
  /** The header and a stretch of a ring, which may go around its end. */
  readonly #pieces = new IoVector(3);
  /** The packet that the next frame is read into. */
  #spare: Packet | null = null;
  #descriptor: number;
  #gone = false;
  #running = true;

  /** Takes over a share in the C library and a descriptor: both are closed with the device. */
  protected constructor(
    libc: Libc,
    descriptor: number,
    identity: DeviceIdentity,
  ) {
    this.headerBytes = identity.headerBytes ?? 0;
    this.libc = libc;
    this.#descriptor = descriptor;
    this.name = identity.name;
    this.medium = identity.medium;
    this.address = identity.address;
  }

  /** See {@linkcode Device.mtu}. */
  abstract get mtu(): number;

  /** The longest frame that the MTU allows, in bytes, link header included. */
  protected abstract get frameBytes(): number;

  /**
   * Reads the next frame into `room`, behind its virtio-net header where the device has those, and returns their
   * length; -1 with an errno where there is none.
   */
  protected readFrame(room: Uint8Array<ArrayBuffer>): number {
    return this.libc.calls.read(this.#descriptor, room, room.length);
  }

  /** Called when a longer frame was received: the MTU may have been changed on the kernel's side. */
  protected abstract oversized(): void;

  /** What the kernel finishes in frames that are written; see {@linkcode Device.offloads}. */
  get offloads(): number {
    return this.headerBytes === 0 ? 0 : Offload.checksum | Offload.tcp4 | Offload.tcp6 | Offload.ecn;
  }

  /** See {@linkcode Device.gathers}: where the kernel finishes frames, their payload need not pass through our hands. */
  get gathers(): boolean {
    return this.headerBytes > 0;
  }

  /** Whether the kernel may leave checksums and segmentation of the frames that are read to us: it was told so. */
  protected receivesSuperSegments: boolean = false;

  /** The descriptor, or -1, which poll() passes over, when the interface is gone or the device closed. */
  get descriptor(): number {
    return this.#gone ? -1 : this.#descriptor;
  }

  /** See {@linkcode Device.wantsWrite}. */
  get wantsWrite(): boolean {
    return this.#waiting.length > 0 && !this.#gone;
  }

  /** Whether the kernel's end took the last frame: false once it is down or gone. */
  get running(): boolean {
    return this.#running;
  }

  /** Whether the device was closed. */
  get closed(): boolean {
    return this.#descriptor < 0;
  }

  /** See {@linkcode Device.attach}. */
  attach(host: DeviceHost): void {
    const needed = host.headroom + this.#readBytes;
    if (needed > PacketPool.largeBytes) {
      throw new RangeError(
        `Cannot attach "${this.name}": frames of ${this.frameBytes} bytes with ${host.headroom} bytes of headroom do ` +
          `not fit a packet of ${PacketPool.largeBytes} bytes; set a smaller MTU`,
      );
    }
    this.#attached = host;
  }

  /** See {@linkcode Device.receive}. */
  receive(): Packet | null {
    const host = this.#attached;
    if (host === null || this.#gone) return null;
    this.#spare ??= host.pool.allocate(host.headroom, this.#readBytes);
    const packet = this.#spare;
    if (packet === null) return this.#discard();
    const { headerBytes } = this;
    for (;;) {
      const room = packet.viewFrom(host.headroom - headerBytes);
      const read = this.readFrame(room);
      if (read < 0) {
        this.#receiveFailed(this.libc.errno);
        return null;
      }
      packet.tail = packet.head + read - headerBytes;
      if (headerBytes > 0 && !readVirtioHeader(packet, packet.head - headerBytes)) {
        this.counters.receiveBadHeader++;
        packet.reset(host.headroom);
      } else if (packet.length <= this.frameBytes || packet.segmentBytes > 0) {
        this.#spare = null;
        return packet;
      } else {
        packet.reset(host.headroom);
        this.counters.receiveOversized++;
        this.oversized();
        if (this.#spare !== packet) return this.receive();
      }
    }
  }

  /** One byte more than can be right, so that a frame that is too long shows. */
  get #readBytes(): number {
    return (this.receivesSuperSegments ? longestFrame : this.frameBytes) + 1;
  }

  /** See {@linkcode Device.transmit}. */
  transmit(packet: Packet): Verdict {
    if (this.headerBytes > 0) pushVirtioHeader(packet);
    if (this.closed) {
      this.counters.transmitDown++;
      packet.release();
      return Verdict.dropped;
    }
    if (this.#waiting.length > 0) return this.#enqueue(packet);
    if (this.#write(packet)) {
      packet.release();
      if (!this.#running) this.#setRunning(true);
      return Verdict.done;
    }
    return this.#transmitFailed(packet, this.libc.errno);
  }

  /** See {@linkcode Device.flush}. */
  flush(): void {
    // A frame is written before it leaves the queue: one that is refused for now keeps its place.
    for (let packet = this.#waiting.first; packet !== null; packet = this.#waiting.first) {
      const sent = this.#write(packet);
      const errno = sent ? 0 : this.libc.errno;
      if (isTransient(errno)) return;
      this.#waiting.dequeue();
      if (sent) packet.release();
      else this.#transmitFailed(packet, errno);
    }
  }

  /** See {@linkcode Device.createPoller}. */
  createPoller(): Poller {
    return new SystemPoller();
  }

  /** See {@linkcode Device.close}. A second call does nothing. */
  close(): void {
    if (this.closed) return;
    this.libc.calls.close(this.#giveUp());
    this.libc.close();
  }

  /** Closes the device but for its descriptor, which it returns: that is the caller's from now on. */
  surrender(): number {
    const descriptor = this.#giveUp();
    this.libc.close();
    return descriptor;
  }

  #giveUp(): number {
    const descriptor = this.#descriptor;
    this.#waiting.clear();
    this.releaseSpare();
    this.#descriptor = -1;
    this.#gone = true;
    this.#running = false;
    return descriptor;
  }

  /** The same as {@linkcode DescriptorDevice.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Gives the packet back that the next frame was to be read into: its size no longer fits. */
  protected releaseSpare(): void {
    this.#spare?.release();
    this.#spare = null;
  }

  /** Tells the stack that the MTU or the link's state changed. */
  protected linkChanged(): void {
    this.#attached?.linkChanged();
  }

  #write(packet: Packet): boolean {
    if (packet.lender !== null) return this.#gather(packet, packet.lender);
    return this.libc.calls.write(this.#descriptor, packet.viewFrom(packet.head), packet.length) >= 0;
  }

  /** Writes a packet whose last bytes are still in a ring, around whose end they may go. */
  #gather(packet: Packet, ring: Uint8Array<ArrayBuffer>): boolean {
    const { head, length, lentAt, lentBytes } = packet;
    const first = Math.min(lentBytes, ring.length - lentAt);
    const pieces = this.#pieces;
    pieces.clear();
    pieces.add(packet.bytes, head, length - lentBytes);
    pieces.add(ring, lentAt, first);
    if (first < lentBytes) pieces.add(ring, 0, lentBytes - first);
    return this.libc.calls.writev(this.#descriptor, pieces.entries, pieces.count) >= 0;
  }

  #discard(): null {
    if (this.libc.calls.read(this.#descriptor, this.#scratch, this.#scratch.length) >= 0) {
      this.counters.receiveNoPacket++;
    } else {
      this.#receiveFailed(this.libc.errno);
    }
    return null;
  }

  #receiveFailed(errno: number): void {
    if (isTransient(errno)) return;
    this.counters.receiveErrors++;
    // A packet socket says ENETDOWN once and goes on; anything else means that there is nothing to read from any more.
    if (errno !== Errno.ENETDOWN) this.#gone = true;
    this.#setRunning(false);
  }

  #transmitFailed(packet: Packet, errno: number): Verdict {
    if (isTransient(errno)) return this.#enqueue(packet);
    packet.release();
    if (errno === Errno.EIO || errno === Errno.ENETDOWN || errno === Errno.ENXIO || errno === Errno.EBADFD) {
      this.counters.transmitDown++;
      if (errno === Errno.EBADFD) this.#gone = true;
      this.#setRunning(false);
    } else {
      this.counters.transmitErrors++;
    }
    return Verdict.dropped;
  }

  #enqueue(packet: Packet): Verdict {
    if (this.#waiting.length >= transmitQueueLimit || this.#waiting.bytes >= transmitQueueBytes) {
      this.counters.transmitQueueFull++;
      packet.release();
      return Verdict.dropped;
    }
    this.counters.transmitQueued++;
    this.#waiting.enqueue(packet);
    return Verdict.queued;
  }

  #setRunning(running: boolean): void {
    if (this.#running === running) return;
    this.#running = running;
    this.linkChanged();
  }
}

/** Whether the operating system would take the same call later. */
function isTransient(errno: number): boolean {
  return errno === Errno.EAGAIN || errno === Errno.ENOBUFS || errno === Errno.EINTR || errno === Errno.ENOMEM;
}
