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
import { below, type Random } from "../../stack/random.ts";
import { fixChecksums, hasRightChecksums } from "./checksums.ts";
import { errorAbout } from "./icmp_error.ts";

const syn = 0x02;
const transportAt = 34;
const echoRequest = 8;
const echoReply = 0;

/** How many of the frames that were sent last errors are made about. */
const rememberedFrames = 16;

/** Errors worth reporting: [type, code]. */
const errors = [[3, 0], [3, 1], [3, 2], [3, 3], [3, 4], [3, 4], [3, 13], [11, 0], [11, 1], [12, 0]] as const;

/** Next-hop MTUs worth reporting. */
const mtus = [0, 1, 67, 68, 551, 552, 576, 1000, 1499, 1500, 0xffff];

/** Whether a frame is an ICMP message of a type over an IPv4 header without options. */
function isPlainIcmp(frame: Uint8Array, type: number): boolean {
  return frame.length >= transportAt + 8 && frame[12] === 8 && frame[13] === 0 && frame[14] === 0x45 &&
    frame[23] === 1 && frame[transportAt] === type;
}

/** Whether a frame is TCP over an IPv4 header without options. */
function isPlainTcp(frame: Uint8Array): boolean {
  return frame.length >= transportAt + 20 && frame[12] === 8 && frame[13] === 0 && frame[14] === 0x45 &&
    frame[23] === 6;
}

/**
 * An Ethernet device of which one frame at a time can be received. It keeps track of the initial sequence numbers of
 * the stack, so that recorded segments can be made to acknowledge what the stack sends instead of what was sent when
 * they were recorded; and of what it sent last, so that errors can be reported about it.
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
  /** The identifier of the stack's latest echo request. */
  #echoIdentifier = 0;
  /** IPv4 packets that the stack sent last. */
  readonly #latest: Uint8Array[] = [];

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
    if (isPlainTcp(frame) && (frame[transportAt + 13]! & syn) !== 0) {
      this.#actual.set(packet.view.getUint16(packet.head + 36), packet.view.getUint32(packet.head + 38));
    } else if (isPlainIcmp(frame, echoRequest)) {
      this.#echoIdentifier = packet.view.getUint16(packet.head + transportAt + 4);
    }
    if (frame[12] === 8 && frame[13] === 0) {
      this.#latest.push(frame.slice());
      if (this.#latest.length > rememberedFrames) this.#latest.shift();
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
    if (!isPlainTcp(frame) || (frame[transportAt + 13]! & syn) === 0) return;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    this.#recorded.set(view.getUint16(36), view.getUint32(38));
  }

  /** A copy of a recorded frame that acknowledges, or replies to, what the stack has sent. */
  adapt(frame: Uint8Array): Uint8Array {
    const copy = frame.slice();
    const view = new DataView(copy.buffer);
    if (isPlainIcmp(copy, echoReply)) {
      view.setUint16(transportAt + 4, this.#echoIdentifier);
      fixChecksums(copy);
    }
    if (!isPlainTcp(copy)) return copy;
    const port = view.getUint16(34);
    const recorded = this.#recorded.get(port);
    const actual = this.#actual.get(port);
    if (recorded === undefined || actual === undefined) return copy;
    view.setUint32(42, view.getUint32(42) - recorded + actual);
    fixChecksums(copy);
    return copy;
  }

  /** An ICMP error about something that the stack sent lately, or null when it has sent nothing yet. */
  error(random: Random): Uint8Array | null {
    const about = this.#latest[below(random, this.#latest.length || 1)];
    if (about === undefined) return null;
    const [type, code] = errors[below(random, errors.length)]!;
    return errorAbout(about, type, code, mtus[below(random, mtus.length)]!);
  }
}
