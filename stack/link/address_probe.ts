/**
 * Probing whether an IPv4 address is free on a link (RFC 5227 section 2.1).
 *
 * @module
 */

import { type IpAddress, MacAddress } from "../address.ts";
import type { Packet } from "../packet.ts";
import { fraction, type Random } from "../random.ts";
import type { Timer, Timers } from "../timers.ts";
import { ArpField } from "./arp_header.ts";
import type { Nic } from "./nic.ts";

/** RFC 5227 section 1.1, in milliseconds where they are times. */
const probeWait = 1000;
const probeCount = 3;
const probeMinimum = 1000;
const probeMaximum = 2000;
const announceWait = 2000;

/** What an {@linkcode AddressProbe} is made of. */
export interface AddressProbeOptions {
  /** The interface to ask on. */
  nic: Nic;
  /** The address. */
  address: IpAddress;
  /** Timers and clock. */
  timers: Timers;
  /** For the times between probes. */
  random: Random;
  /** Sends one probe. */
  send: () => void;
  /** Told once how it ended: who has the address, or null if nobody has. */
  onDone: (owner: MacAddress | null) => void;
}

/** One address that is being probed. */
export class AddressProbe {
  /** The interface that it asks on. */
  readonly nic: Nic;
  readonly #address: IpAddress;
  readonly #random: Random;
  readonly #send: () => void;
  readonly #onDone: (owner: MacAddress | null) => void;
  readonly #timer: Timer;
  #sent = 0;

  /** Begins to probe, after a random while, so that hosts that are switched on together do not ask together. */
  constructor(options: AddressProbeOptions) {
    this.nic = options.nic;
    this.#address = options.address;
    this.#random = options.random;
    this.#send = options.send;
    this.#onDone = options.onDone;
    this.#timer = options.timers.create(() => this.#expire());
    this.#timer.start(fraction(options.random) * probeWait);
  }

  /**
   * Looks at an ARP message of the link: whoever sends from the address has it, and whoever probes it as well wants it,
   * which is as bad.
   */
  examine(packet: Packet, at: number, isProbe: boolean): void {
    const addressAt = at + (isProbe ? ArpField.targetProtocol : ArpField.senderProtocol);
    if (!this.#address.matches(packet.view, addressAt)) return;
    const macAt = at + ArpField.senderHardware;
    if (this.nic.mac?.matches(packet.view, macAt) ?? false) return;
    this.#end(MacAddress.fromBytes(packet.bytes, macAt));
  }

  /** Ends it without a result. */
  cancel(): void {
    this.#timer.dispose();
  }

  #expire(): void {
    if (this.#sent === probeCount) return this.#end(null);
    this.#send();
    this.#sent++;
    const between = probeMinimum + fraction(this.#random) * (probeMaximum - probeMinimum);
    this.#timer.start(this.#sent === probeCount ? announceWait : between);
  }

  #end(owner: MacAddress | null): void {
    this.cancel();
    this.#onDone(owner);
  }
}
