/**
 * Recording what passes a device, as a pcapng file.
 *
 * @module
 */

import { ChecksumState, type Packet } from "../packet.ts";
import type { Verdict } from "../protocol.ts";
import type { Clock } from "../clock.ts";
import type { Device, DeviceHost } from "./device.ts";
import { DeviceWrapper } from "./device_wrapper.ts";
import { ethernetHeaderBytes } from "./ethernet_header.ts";
import { completeChecksum, cutSegment, segmentCount } from "./segmentation.ts";
import { Direction, enhancedPacketBlock, interfaceDescriptionBlock, LinkType, sectionHeaderBlock } from "./pcapng.ts";

/** Options of {@linkcode capture}. */
export interface CaptureOptions {
  /** Most bytes to keep of each frame. Default 262,144: all of it. */
  snapLength?: number;
  /**
   * Milliseconds since 1970 UTC at which the stack's clock stood at 0. Default 0. For the platform's clock it is
   * `performance.timeOrigin`.
   */
  epoch?: number;
}

/** Takes the next bytes of the file, which it may keep. Buffering is its business. */
export type CaptureSink = (bytes: Uint8Array<ArrayBuffer>) => void;

const defaultSnapLength = 262_144;

/** A device that records what passes. Made by {@linkcode capture}. */
export class CaptureDevice extends DeviceWrapper {
  readonly #sink: CaptureSink;
  readonly #snapLength: number;
  readonly #epoch: number;
  #clock: Clock | null = null;
  /** Frames recorded. */
  frames: number = 0;

  /** Made by {@linkcode capture}. */
  constructor(inner: Device, sink: CaptureSink, options: CaptureOptions) {
    super(inner);
    const { snapLength = defaultSnapLength, epoch = 0 } = options;
    if (!(snapLength >= 1 && snapLength <= 0xffff_ffff)) {
      throw new RangeError(`Cannot keep ${snapLength} bytes of each frame: at least 1 is needed`);
    }
    this.#sink = sink;
    this.#snapLength = Math.floor(snapLength);
    this.#epoch = epoch;
    sink(sectionHeaderBlock("tapstack"));
    sink(interfaceDescriptionBlock({
      linkType: inner.medium === "ethernet" ? LinkType.ethernet : LinkType.raw,
      snapLength: this.#snapLength,
      name: inner.name,
    }));
  }

  /** As {@linkcode Device.attach}. */
  override attach(host: DeviceHost): void {
    this.#clock = host.timers.clock;
    super.attach(host);
  }

  /** As {@linkcode Device.receive}. */
  override receive(): Packet | null {
    const packet = this.inner.receive();
    if (packet !== null) this.#record(packet, Direction.inbound);
    return packet;
  }

  /** As {@linkcode Device.transmit}. */
  override transmit(packet: Packet): Verdict {
    this.#record(packet, Direction.outbound);
    return this.inner.transmit(packet);
  }

  /** Records what a wire would carry: finished checksums, and one frame for each segment. */
  #record(packet: Packet, direction: Direction): void {
    if (packet.segmentBytes === 0) {
      const { checksum } = packet;
      completeChecksum(packet);
      // Nothing is left to be done about what is sent; what was received needs no verification, as before.
      if (direction === Direction.inbound && checksum === ChecksumState.partial) {
        packet.checksum = ChecksumState.verified;
      }
      return this.#write(packet, direction);
    }
    const linkHeaderBytes = this.medium === "ethernet" ? ethernetHeaderBytes : 0;
    const count = segmentCount(packet);
    for (let index = 0; index < count; index++) {
      const frame = cutSegment(packet, index, 0, linkHeaderBytes);
      if (frame === null) continue;
      completeChecksum(frame);
      this.#write(frame, direction);
      frame.release();
    }
  }

  #write(packet: Packet, direction: Direction): void {
    const end = Math.min(packet.tail, packet.head + this.#snapLength);
    const now = this.#epoch + (this.#clock?.now() ?? 0);
    this.frames++;
    this.#sink(enhancedPacketBlock({
      interfaceIndex: 0,
      timestamp: Math.round(now * 1000),
      direction,
      originalLength: packet.length,
    }, packet.bytes.subarray(packet.head, end)));
  }
}

/**
 * Records both directions of a device: a pcapng file for Wireshark and its like. The first blocks go to `sink` at once,
 * so that the file is valid even when nothing passes.
 *
 * @throws {RangeError} If `snapLength` is no positive number.
 *
 * @example
 * ```ts
 * import { capture } from "./capture.ts";
 * import { createWire } from "./wire.ts";
 *
 * const blocks: Uint8Array[] = [];
 * const [left, right] = createWire();
 * const device = capture(left, (bytes) => blocks.push(bytes), { snapLength: 128, epoch: performance.timeOrigin });
 * device.close();
 * right.close();
 * ```
 */
export function capture(device: Device, sink: CaptureSink, options: CaptureOptions = {}): CaptureDevice {
  return new CaptureDevice(device, sink, options);
}
