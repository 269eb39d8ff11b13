/**
 * A bad network in front of any device.
 *
 * @module
 */

import { type Packet, PacketQueue } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import { SeededRandom } from "../random.ts";
import type { Device, DeviceHost } from "./device.ts";
import { DeviceWrapper } from "./device_wrapper.ts";
import { ethernetHeaderBytes } from "./ethernet_header.ts";
import { bothWays, type ImpairedLinkOptions, Impairment } from "./impairment.ts";

/** Most frames that wait for the stack. */
const inboxFrames = 16_384;

/** Most frames taken from the device in one {@linkcode ImpairedDevice.receive} that finds none to return. */
const batchFrames = 256;

/** A device whose frames pass through an {@linkcode Impairment} each way. Made by {@linkcode impair}. */
export class ImpairedDevice extends DeviceWrapper {
  /** What happens to frames that the stack sends. */
  readonly outgoing: Impairment;
  /** What happens to frames that the stack is to receive. */
  readonly incoming: Impairment;
  readonly #inbox = new PacketQueue();
  #host: DeviceHost | null = null;
  /** Whether the stack is asking for frames just now, so that it need not be woken up for them. */
  #receiving = false;

  /** Made by {@linkcode impair}. */
  constructor(inner: Device, options: ImpairedLinkOptions) {
    super(inner);
    const random = new SeededRandom(options.seed ?? 1);
    const linkHeaderBytes = inner.medium === "ethernet" ? ethernetHeaderBytes : 0;
    const [outgoing, incoming] = bothWays(options);
    this.outgoing = new Impairment({
      options: outgoing,
      random,
      linkHeaderBytes,
      deliver: (packet) => this.#deliverOutgoing(packet),
    });
    this.incoming = new Impairment({
      options: incoming,
      random,
      linkHeaderBytes,
      deliver: (packet) => this.#deliverIncoming(packet),
    });
  }

  /** None: what is to be lost, delayed or damaged are the frames of a real network. */
  override get offloads(): number {
    return 0;
  }

  /** As {@linkcode Device.attach}. */
  override attach(host: DeviceHost): void {
    this.#host = host;
    this.outgoing.start(host.timers);
    this.incoming.start(host.timers);
    // What is to be lost, delayed or damaged are the frames of a real network.
    super.attach({
      pool: host.pool,
      headroom: host.headroom,
      timers: host.timers,
      wake: () => host.wake(),
      linkChanged: () => host.linkChanged(),
    });
  }

  /** As {@linkcode Device.receive}. */
  override receive(): Packet | null {
    this.#receiving = true;
    let taken = 0;
    while (this.#inbox.length === 0 && taken < batchFrames) {
      const packet = this.inner.receive();
      if (packet === null) break;
      taken++;
      this.incoming.accept(packet);
    }
    this.#receiving = false;
    if (taken === batchFrames) this.#host?.wake();
    return this.#inbox.dequeue();
  }

  /** As {@linkcode Device.transmit}. What the network loses is no business of the sender: it is told `done`. */
  override transmit(packet: Packet): Verdict {
    this.outgoing.accept(packet);
    return Verdict.done;
  }

  /** As {@linkcode Device.close}. */
  override close(): void {
    this.outgoing.stop();
    this.incoming.stop();
    this.#inbox.clear();
    super.close();
  }

  #deliverOutgoing(packet: Packet): boolean {
    const verdict = this.inner.transmit(packet);
    // A frame that was delayed leaves outside of any burst that the stack would flush.
    this.inner.flush();
    return verdict !== Verdict.dropped;
  }

  #deliverIncoming(packet: Packet): boolean {
    if (this.#inbox.length >= inboxFrames) {
      packet.release();
      return false;
    }
    this.#inbox.enqueue(packet);
    if (!this.#receiving) this.#host?.wake();
    return true;
  }
}

/**
 * Puts a bad network in front of a device.
 *
 * @throws {RangeError} If an option lies outside its range.
 *
 * @example A TAP device that loses 2 % of the frames each way
 * ```ts ignore
 * const device = impair(openTap({ name: "tap0" }), { impairments: { loss: 0.02, delay: 20 } });
 * const nic = stack.attach(device, { addresses: ["10.0.0.2/24"] });
 * ```
 */
export function impair(device: Device, options: ImpairedLinkOptions = {}): ImpairedDevice {
  return new ImpairedDevice(device, options);
}
