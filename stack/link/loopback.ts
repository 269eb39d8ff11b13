/**
 * The loopback: what is sent is received, without leaving the program.
 *
 * @module
 */

import type { MacAddress } from "../address.ts";
import { ChecksumState, type Packet, PacketQueue } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import type { Device, DeviceHost } from "./device.ts";
import { Offload } from "./segmentation.ts";

/** Options of {@linkcode LoopbackDevice}. */
export interface LoopbackOptions {
  /** Name for people. Default `lo`. */
  name?: string;
  /** The most bytes of a packet. Default 65,535: the largest IP packet. */
  mtu?: number;
  /** The most packets that wait to be received. Default 1024. */
  queuePackets?: number;
}

/** A device that hands back what it is given, the very same packets, in order. */
export class LoopbackDevice implements Device {
  /** Name for people. */
  readonly name: string;
  /** Packets start with their IP header. */
  readonly medium = "ip" as const;
  /** The most bytes of a packet. */
  readonly mtu: number;
  /** None: there is nobody to tell apart. */
  readonly address: MacAddress | null = null;
  /** None. */
  readonly headerBytes: number = 0;
  /** True: checksums need not be verified. */
  readonly loopback: boolean = true;
  /** Everything: nothing has to be finished that never leaves memory. */
  readonly offloads: number = Offload.checksum | Offload.tcp4 | Offload.tcp6 | Offload.ecn;
  /** False: nothing waits for an operating system. */
  readonly wantsWrite: boolean = false;
  /** Packets dropped because the queue was full. */
  queueDropped: number = 0;
  readonly #queue = new PacketQueue();
  readonly #queuePackets: number;
  #host: DeviceHost | null = null;

  /** An empty loopback, not yet attached. */
  constructor(options: LoopbackOptions = {}) {
    this.name = options.name ?? "lo";
    this.mtu = options.mtu ?? 65535;
    this.#queuePackets = options.queuePackets ?? 1024;
  }

  /** Takes the stack's side of the contract. */
  attach(host: DeviceHost): void {
    this.#host = host;
  }

  /** The oldest packet that was sent, or null. */
  receive(): Packet | null {
    return this.#queue.dequeue();
  }

  /** Puts the packet in line to be received, or drops it when the queue is full. Consumes the packet. */
  transmit(packet: Packet): Verdict {
    if (this.#host === null || this.#queue.length >= this.#queuePackets) {
      this.queueDropped++;
      packet.release();
      return Verdict.dropped;
    }
    packet.forgetHeaders();
    // What never leaves memory needs neither its checksum completed nor its segments cut.
    packet.checksum = ChecksumState.verified;
    packet.segmentBytes = 0;
    this.#queue.enqueue(packet);
    if (this.#queue.length === 1) this.#host.wake();
    return Verdict.done;
  }

  /** Does nothing: what is sent can be received at once. */
  flush(): void {}

  /** Releases the packets that wait, and drops what is sent from now on. */
  close(): void {
    this.#queue.clear();
    this.#host = null;
  }
}
