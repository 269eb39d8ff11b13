/**
 * What all devices behind a descriptor share: one read() or write() for each frame.
 *
 * @module
 */

import type { MacAddress } from "../stack/address.ts";
import type { Device, DeviceHost, Poller } from "../stack/link/device.ts";
import { type Packet, PacketPool, PacketQueue } from "../stack/packet.ts";
import { Verdict } from "../stack/protocol.ts";
import { Errno } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { SystemPoller } from "./poller.ts";

/** Frames that wait for the operating system at most. */
const transmitQueueLimit = 256;

/** The counters of a device behind a descriptor. */
export interface DescriptorDeviceCounters {
  /** Frames longer than the link's MTU allows. */
  receiveOversized: number;
  /** Frames that were thrown away because no packet was free. */
  receiveNoPacket: number;
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

/** A device that reads and writes whole frames through a non-blocking descriptor. */
export abstract class DescriptorDevice implements Device {
  /** See {@linkcode Device.name}. */
  readonly name: string;
  /** See {@linkcode Device.medium}. */
  readonly medium: "ethernet" | "ip";
  /** See {@linkcode Device.address}. */
  readonly address: MacAddress | null;
  /** See {@linkcode Device.headerBytes}. */
  readonly headerBytes: number = 0;
  /** See {@linkcode Device.loopback}. */
  readonly loopback: boolean = false;
  /** What became of frames that went astray. */
  readonly counters: DescriptorDeviceCounters = {
    receiveOversized: 0,
    receiveNoPacket: 0,
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
  /** For frames that have no packet: only that the kernel gives them up matters. */
  readonly #scratch = new Uint8Array(1);
  /** The packet that the next frame is read into. */
  #spare: Packet | null = null;
  #descriptor: number;
  #gone = false;
  #running = true;

  /** Takes over a share in the C library and a descriptor: both are closed with the device. */
  protected constructor(
    libc: Libc,
    descriptor: number,
    identity: { name: string; medium: "ethernet" | "ip"; address: MacAddress | null },
  ) {
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

  /** Called when a longer frame was received: the MTU may have been changed on the kernel's side. */
  protected abstract oversized(): void;

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
    const needed = host.headroom + this.frameBytes + 1;
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
    // One byte more than can be right, so that a frame that is too long shows.
    this.#spare ??= host.pool.allocate(host.headroom, this.frameBytes + 1);
    const packet = this.#spare;
    if (packet === null) return this.#discard();
    for (;;) {
      const room = packet.viewFrom(host.headroom);
      const length = this.libc.calls.read(this.#descriptor, room, room.length);
      if (length < 0) {
        this.#receiveFailed(this.libc.errno);
        return null;
      }
      if (length <= this.frameBytes) {
        packet.tail = packet.head + length;
        this.#spare = null;
        return packet;
      }
      this.counters.receiveOversized++;
      this.oversized();
      if (this.#spare !== packet) return this.receive();
    }
  }

  /** See {@linkcode Device.transmit}. */
  transmit(packet: Packet): Verdict {
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
    this.#waiting.clear();
    this.releaseSpare();
    this.libc.calls.close(this.#descriptor);
    this.libc.close();
    this.#descriptor = -1;
    this.#gone = true;
    this.#running = false;
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
    return this.libc.calls.write(this.#descriptor, packet.viewFrom(packet.head), packet.length) >= 0;
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
    if (this.#waiting.length >= transmitQueueLimit) {
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
