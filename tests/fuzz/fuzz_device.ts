/**
 * The device through which fuzz tests feed a stack: frames go in by hand, and what the stack sends is checked.
 *
 * @module
 */

import { MacAddress } from "../../stack/address.ts";
import { describeFrame } from "../../stack/describe.ts";
import type { Device, DeviceHost } from "../../stack/link/device.ts";
import type { Packet } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { fixChecksums, hasRightChecksums } from "./checksums.ts";

const synAndAck = 0x12;
const transportAt = 34;

/** Whether a frame is TCP over an IPv4 header without options. */
function isPlainTcp(frame: Uint8Array): boolean {
  return frame.length >= transportAt + 20 && frame[12] === 8 && frame[13] === 0 && frame[14] === 0x45 &&
    frame[23] === 6;
}

/**
 * An Ethernet device of which one frame at a time can be received. It keeps track of the initial sequence numbers of
 * the stack, so that recorded segments can be made to acknowledge what the stack sends instead of what was sent when
 * they were recorded.
 */
export class FuzzDevice implements Device {
  readonly name: string = "fuzz0";
  readonly medium = "ethernet" as const;
  readonly mtu: number = 1500;
  /** That of the recorded end. */
  readonly address: MacAddress = MacAddress.parse("02:00:00:00:00:02");
  readonly headerBytes: number = 0;
  readonly loopback: boolean = false;
  readonly wantsWrite: boolean = false;
  /** Frames that the stack took. */
  received = 0;
  /** Frames that the stack sent. */
  sent = 0;
  #host: DeviceHost | null = null;
  #frame: Uint8Array | null = null;
  /** Initial sequence numbers of the recorded end and of the stack, by the other end's port. */
  readonly #recorded = new Map<number, number>();
  readonly #actual = new Map<number, number>();

  attach(host: DeviceHost): void {
    this.#host = host;
  }

  receive(): Packet | null {
    const frame = this.#frame;
    if (frame === null || this.#host === null) return null;
    this.#frame = null;
    const packet = this.#host.pool.allocate(this.#host.headroom, frame.length);
    if (packet === null) throw new Error("The pool is exhausted: packets have leaked");
    packet.bytes.set(frame, packet.head);
    packet.tail = packet.head + frame.length;
    this.received++;
    return packet;
  }

  transmit(packet: Packet): Verdict {
    const frame = packet.contents();
    const { text, problem } = describeFrame(frame);
    if (problem !== null || !hasRightChecksums(frame)) throw new Error(`The stack sent a bad frame: ${text}`);
    if (isPlainTcp(frame) && (frame[transportAt + 13]! & synAndAck) === synAndAck) {
      this.#actual.set(packet.view.getUint16(packet.head + 36), packet.view.getUint32(packet.head + 38));
    }
    this.sent++;
    packet.release();
    return Verdict.done;
  }

  flush(): void {}

  close(): void {
    this.#frame = null;
  }

  /** Lets the stack receive a frame. */
  offer(frame: Uint8Array): void {
    this.#frame = frame;
    this.#host?.wake();
  }

  /** Learns the recorded end's initial sequence numbers from a frame that it sent. */
  learn(frame: Uint8Array): void {
    if (!isPlainTcp(frame) || (frame[transportAt + 13]! & synAndAck) !== synAndAck) return;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    this.#recorded.set(view.getUint16(36), view.getUint32(38));
  }

  /** A copy of a recorded frame that acknowledges what the stack has sent. */
  adapt(frame: Uint8Array): Uint8Array {
    const copy = frame.slice();
    if (!isPlainTcp(copy)) return copy;
    const view = new DataView(copy.buffer);
    const port = view.getUint16(34);
    const recorded = this.#recorded.get(port);
    const actual = this.#actual.get(port);
    if (recorded === undefined || actual === undefined) return copy;
    view.setUint32(42, view.getUint32(42) - recorded + actual);
    fixChecksums(copy);
    return copy;
  }
}
