/**
 * The link of a stack that runs a script: what the stack sends is kept for comparison, what the script sends arrives.
 *
 * @module
 */

import { type Packet, PacketQueue } from "../../../stack/packet.ts";
import { Verdict } from "../../../stack/protocol.ts";
import type { Device, DeviceHost } from "../../../stack/link/device.ts";
import { type LivePacket, readPacket } from "./live_packet.ts";

/** A device that carries bare IP packets to and from a script. */
export class ScriptDevice implements Device {
  readonly name: string = "script";
  readonly medium = "ip";
  readonly mtu: number;
  readonly address = null;
  readonly headerBytes: number = 0;
  readonly loopback: boolean = false;
  readonly wantsWrite: boolean = false;
  /** What the stack has sent and no event of the script has taken, the oldest first. */
  readonly sent: LivePacket[] = [];
  readonly #arrived = new PacketQueue();
  #host: DeviceHost | null = null;

  /** A link with an MTU in bytes. */
  constructor(mtu: number) {
    this.mtu = mtu;
  }

  /** As {@linkcode Device.attach}. */
  attach(host: DeviceHost): void {
    this.#host = host;
  }

  /** A packet arrives at the stack, which sees it when it is stepped. */
  arrive(bytes: Uint8Array): void {
    const host = this.#host!;
    const packet = host.pool.allocate(host.headroom, bytes.length);
    if (packet === null) throw new Error("The stack has no memory for another packet");
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    this.#arrived.enqueue(packet);
  }

  /** As {@linkcode Device.receive}. */
  receive(): Packet | null {
    return this.#arrived.dequeue();
  }

  /** As {@linkcode Device.transmit}: keeps a copy. */
  transmit(packet: Packet): Verdict {
    this.sent.push(readPacket(packet.contents().slice(), this.#host!.timers.clock.now()));
    packet.release();
    return Verdict.done;
  }

  /** Does nothing: packets never wait here. */
  flush(): void {}

  /** Releases what has arrived. */
  close(): void {
    this.#arrived.clear();
  }
}
