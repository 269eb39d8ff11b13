/**
 * The link protocol of media that carry IP packets without any header: TUN devices and the loopback.
 *
 * @module
 */

import type { Counters } from "../counters.ts";
import type { Packet } from "../packet.ts";
import { type UpperProtocol, Verdict } from "../protocol.ts";
import { EtherType, type LinkProtocol, type LinkSession } from "./nic.ts";

/** What the bare link protocol counts. */
export interface BareIpCounters {
  /** Packets handed up. */
  received: number;
  /** Packets sent. */
  sent: number;
  /** Dropped: empty, or of a version that nobody receives. */
  unknownVersion: number;
}

/** What the bare link protocol is wired to. */
export interface BareIpOptions {
  /** Where to count. */
  counters: Counters;
}

/** Demultiplexes packets by the IP version in their first four bits; adds nothing when sending. */
export class BareIp implements LinkProtocol {
  /** `bareIp` */
  readonly name: string = "bareIp";
  /** No header at all. */
  readonly headerBytes: number = 0;
  /** What it counts. */
  readonly counters: BareIpCounters;
  #ipv4: UpperProtocol | null = null;
  #ipv6: UpperProtocol | null = null;

  /** Takes its wiring; {@linkcode BareIp.register} adds who receives. */
  constructor(options: BareIpOptions) {
    this.counters = options.counters.register("bareIp", { received: 0, sent: 0, unknownVersion: 0 });
  }

  /**
   * Registers who receives packets, by EtherType as on other links.
   *
   * @throws {RangeError} If the EtherType is neither that of IPv4 nor that of IPv6.
   */
  register(etherType: number, upper: UpperProtocol): void {
    if (etherType === EtherType.ipv4) this.#ipv4 = upper;
    else if (etherType === EtherType.ipv6) this.#ipv6 = upper;
    else throw new RangeError(`Cannot carry EtherType 0x${etherType.toString(16)} without a link header: only IP fits`);
  }

  /** Hands the packet to the session's interface as it is. Consumes the packet. */
  push(packet: Packet, session: LinkSession): Verdict {
    packet.linkAt = -1;
    packet.nic = session.nic.index;
    this.counters.sent++;
    return session.nic.transmit(packet);
  }

  /** Hands the packet to the IP version that its first four bits name. */
  pop(packet: Packet): Verdict {
    const version = packet.length === 0 ? 0 : packet.view.getUint8(packet.head) >>> 4;
    const upper = version === 4 ? this.#ipv4 : version === 6 ? this.#ipv6 : null;
    if (upper === null) {
      this.counters.unknownVersion++;
      packet.release();
      return Verdict.dropped;
    }
    packet.linkAt = -1;
    packet.multicast = false;
    this.counters.received++;
    return upper.pop(packet);
  }
}
