/**
 * A stack whose only neighbor is the kernel.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { openTap, type TapOptions, type TunTapDevice } from "../../ffi/tuntap.ts";
import { describeFrame, type Description } from "../../stack/describe.ts";
import { capture } from "../../stack/link/capture.ts";
import type { Device } from "../../stack/link/device.ts";
import type { Nic } from "../../stack/link/nic.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import { Direction } from "../../stack/link/pcapng.ts";
import { Stack } from "../../stack/stack.ts";
import type { AttachOptions, StackOptions } from "../../stack/stack_options.ts";
import type { TcpTrace } from "../../stack/transport/tcp/trace.ts";
import type { UserConnection } from "../../stack/transport/tcp/user.ts";
import { configureKernel } from "./namespace.ts";

/** The kernel's address on the device, of 24 bits' prefix. */
export const kernelAddress = "192.0.2.1";
/** The stack's address on the device. */
export const stackAddress = "192.0.2.2";
/** An address of the same subnet that nobody has. */
export const absentAddress = "192.0.2.99";

/** What a host is made of. */
export interface HostOptions extends StackOptions {
  /** How the device is opened. The kernel's address is there by default. */
  tap?: TapOptions;
  /** Puts another device in front of the TAP device. */
  wrap?: (tap: TunTapDevice) => Device;
  /** How the device is attached. The stack's address is there by default. */
  attach?: AttachOptions;
}

/** A stack on a TAP device. Disposing of it asserts that nothing of it is left. */
export class Host implements AsyncDisposable {
  readonly tap: TunTapDevice;
  readonly stack: Stack;
  readonly nic: Nic;

  constructor(options: HostOptions = {}) {
    const { tap, wrap = (device) => device, attach, ...stackOptions } = options;
    this.tap = openTap({ hostAddresses: [`${kernelAddress}/24`], ...tap });
    this.stack = new Stack(stackOptions);
    this.nic = this.stack.attach(wrap(this.tap), { addresses: [`${stackAddress}/24`], ...attach });
  }

  /** Resolves with the connection of the first segment, in either direction, after which `condition` holds. */
  connectionThat(condition: (connection: UserConnection) => boolean): Promise<UserConnection> {
    const { promise, resolve } = Promise.withResolvers<UserConnection>();
    const trace: TcpTrace = {
      // The segment has not been dealt with when it is shown: its effect is seen a moment later.
      segment: (connection) => queueMicrotask(() => condition(connection) && resolve(connection)),
    };
    this.stack.trace = trace;
    return promise.finally(() => this.stack.trace = null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.close();
    assertClosed(this.stack);
  }
}

/** A host whose kernel is a router: it forwards what the stack sends beyond it. The test has to need `settings`. */
export function routedHost(options: HostOptions = {}): Host {
  configureKernel("ipv4/ip_forward", 1);
  // By default the kernel sends one ICMP error a second to a host.
  configureKernel("ipv4/icmp_ratelimit", 0);
  return new Host({ attach: { gateway: kernelAddress }, ...options });
}

/** Asserts that a closed stack has given everything back. */
export function assertClosed(stack: Stack): void {
  const { pool, timers, ports, tcp } = stack;
  assertEquals(
    { packets: pool.inUse, timers: timers.running, ports: ports.size, ringBytes: tcp.storage.inUse },
    { packets: 0, timers: 0, ports: 0, ringBytes: 0 },
  );
}

/** A frame that passed a device, and what it was. */
export interface RecordedFrame extends Description {
  /** Whether the stack sent it. */
  sent: boolean;
  /** Its length in bytes. */
  length: number;
}

/** Records the frames of a device: give `wrap` to a {@linkcode Host}. */
export class Recorder {
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];

  readonly wrap = (device: Device): Device => capture(device, (block) => this.#blocks.push(block));

  /** The capture so far, as a file. */
  get file(): Uint8Array<ArrayBuffer> {
    return concat(this.#blocks);
  }

  /** The frames so far. */
  get frames(): RecordedFrame[] {
    return readCapture(this.file).frames.map(({ bytes, direction }) => ({
      ...describeFrame(bytes),
      sent: direction === Direction.outbound,
      length: bytes.length,
    }));
  }

  /** How many frames the stack has sent and received that are fragments. */
  get fragments(): { sent: number; received: number } {
    const fragments = this.frames.filter(({ network }) => network !== null && network.fragment !== null);
    const sent = fragments.filter((frame) => frame.sent).length;
    return { sent, received: fragments.length - sent };
  }
}
