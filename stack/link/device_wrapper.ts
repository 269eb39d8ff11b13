/**
 * A device in front of another one, to watch or change what passes.
 *
 * @module
 */

import type { MacAddress } from "../address.ts";
import type { Packet } from "../packet.ts";
import type { Verdict } from "../protocol.ts";
import type { Device, DeviceHost, FlowShare, Poller } from "./device.ts";

/** Hands everything on to the device behind it; what is to be different is overridden. */
export abstract class DeviceWrapper implements Device {
  /** As the device behind it, where that has one. */
  readonly descriptor?: number;
  /** As the device behind it, where that has one. */
  readonly share?: FlowShare;
  /** As the device behind it, where that has one. */
  readonly createPoller?: () => Poller;
  /** The device behind it. */
  protected readonly inner: Device;

  /** Takes the device that is to be behind this one. */
  constructor(inner: Device) {
    this.inner = inner;
    if (inner.descriptor !== undefined) this.descriptor = inner.descriptor;
    if (inner.share !== undefined) this.share = inner.share;
    if (inner.createPoller !== undefined) this.createPoller = () => inner.createPoller!();
  }

  /** As the device behind it. */
  get name(): string {
    return this.inner.name;
  }

  /** As the device behind it. */
  get medium(): "ethernet" | "ip" {
    return this.inner.medium;
  }

  /** As the device behind it. */
  get mtu(): number {
    return this.inner.mtu;
  }

  /** As the device behind it. */
  get address(): MacAddress | null {
    return this.inner.address;
  }

  /** As the device behind it. */
  get headerBytes(): number {
    return this.inner.headerBytes;
  }

  /** As the device behind it. */
  get loopback(): boolean {
    return this.inner.loopback;
  }

  /** As the device behind it. */
  get offloads(): number {
    return this.inner.offloads ?? 0;
  }

  /** As the device behind it. */
  get wantsWrite(): boolean {
    return this.inner.wantsWrite;
  }

  /** As {@linkcode Device.attach}. */
  attach(host: DeviceHost): void {
    this.inner.attach(host);
  }

  /** As {@linkcode Device.receive}. */
  receive(): Packet | null {
    return this.inner.receive();
  }

  /** As {@linkcode Device.transmit}. */
  transmit(packet: Packet): Verdict {
    return this.inner.transmit(packet);
  }

  /** As {@linkcode Device.flush}. */
  flush(): void {
    this.inner.flush();
  }

  /** As {@linkcode Device.close}. */
  close(): void {
    this.inner.close();
  }
}
