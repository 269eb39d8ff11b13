/**
 * Frames and hosts for tests of links.
 *
 * @module
 */

import type { Device, DeviceHost } from "../../stack/link/device.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import type { Timers } from "../../stack/timers.ts";

/** A host for devices under test, which counts how often it was called. */
export class TestHost implements DeviceHost {
  readonly pool: PacketPool = new PacketPool();
  readonly headroom: number = 128;
  readonly timers: Timers;
  /** How often the device said that frames are available. */
  wakes = 0;
  /** How often the device said that its MTU or state changed. */
  linkChanges = 0;

  constructor(timers: Timers) {
    this.timers = timers;
  }

  wake(): void {
    this.wakes++;
  }

  linkChanged(): void {
    this.linkChanges++;
  }

  /** A frame of `length` bytes that begins with `mark` as a 32-bit number. */
  frame(mark: number, length = 60): Packet {
    const packet = this.pool.allocate(this.headroom, length)!;
    packet.tail += length;
    packet.bytes.fill(0, packet.head, packet.tail);
    packet.view.setUint32(packet.head, mark);
    return packet;
  }
}

/** Takes all frames that wait at a device and returns their marks. */
export function drain(device: Device): number[] {
  const marks: number[] = [];
  for (let packet = device.receive(); packet !== null; packet = device.receive()) {
    marks.push(packet.view.getUint32(packet.head));
    packet.release();
  }
  return marks;
}

/** The whole numbers from 0 to `length`, exclusive. */
export function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
