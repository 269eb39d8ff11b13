/**
 * What a link must offer to carry the stack's frames, and what it is given in return.
 *
 * @module
 */

import type { MacAddress } from "../address.ts";
import type { Packet, PacketPool } from "../packet.ts";
import type { Verdict } from "../protocol.ts";
import type { Timers } from "../timers.ts";

/** What a device is given when it is attached to a stack. */
export interface DeviceHost {
  /** Where packets for received frames come from. */
  readonly pool: PacketPool;
  /** Headroom, in bytes, at which received frames start, so that any reply can be built in place. */
  readonly headroom: number;
  /** The stack's timers and clock. */
  readonly timers: Timers;
  /**
   * Whether the stack takes what a device may leave unfinished: partial checksums, and super-segments, which are marked
   * as such in the packet. Absent: it does not, and wants the frames that a wire would carry.
   */
  readonly offload?: boolean;
  /** To be called when frames have become available without the poller noticing: an in-memory link does. */
  wake(): void;
  /** To be called when the MTU or the link's state changed. */
  linkChanged(): void;
}

/** Sleeping until there is something to do; made by devices that wait in the operating system. */
export interface Poller {
  /**
   * Whether all that there may be to do interrupts the wait, so that nothing is gained by looking for work before. Absent
   * where devices have to be looked at.
   */
  readonly missesNothing?: boolean;
  /**
   * Resolves when a device can be read, when one that {@linkcode Device.wantsWrite} can be written, after `timeout`
   * milliseconds, or after {@linkcode Poller.interrupt}: whichever comes first. Lets the program's own timers and I/O
   * run, now and then at least where waits are interrupted again and again.
   */
  wait(devices: readonly Device[], timeout: number): Promise<void>;
  /**
   * Waits on this thread for `duration` milliseconds at most, during which the program stands still, and returns whether
   * a device can be read or written, or an interruption was pending. Absent where the platform cannot do that.
   */
  nap?(devices: readonly Device[], duration: number): boolean;
  /**
   * Resolves after the program's own pending timers and I/O had their turn: a fair and cheap pause. A brief one is for
   * what is ready without a look at the operating system: timers, ticks, immediates.
   */
  yield(brief?: boolean): Promise<void>;
  /** Ends the present {@linkcode Poller.wait}, or the next one if there is none. */
  interrupt(): void;
  /**
   * Says whether waits keep the program running, the present one included: true at first. Absent where the platform
   * cannot tell.
   */
  hold?(held: boolean): void;
  /** Frees what it holds. No wait is under way. */
  close(): void;
}

/** Which of the flows come to a device, where several devices, each with a stack of its own, share an interface. */
export interface FlowShare {
  /** Which of them this is: 0 and up. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
}

/** A link that carries frames: a TAP device, a loopback, one end of an in-memory wire. */
export interface Device {
  /** Name for people: `tap0`. */
  readonly name: string;
  /** What a frame starts with: an Ethernet header, or the IP header itself. */
  readonly medium: "ethernet" | "ip";
  /** The most bytes of network-layer packet that a frame carries. */
  readonly mtu: number;
  /** Hardware address of the stack's end, or null where the medium has none. */
  readonly address: MacAddress | null;
  /** Headroom, in bytes, that the device itself needs in front of a frame. */
  readonly headerBytes: number;
  /** Whether what is sent never leaves the machine, so that checksums need not be verified. */
  readonly loopback: boolean;
  /**
   * What the device finishes by itself in frames that are handed to it: bits of `Offload` (see `segmentation.ts`).
   * Absent or 0: nothing; it is handed finished frames only.
   */
  readonly offloads?: number;
  /** Whether it sends what a packet has borrowed from where it is (see `Packet.borrow`). Absent: packets are filled. */
  readonly gathers?: boolean;
  /** Its share in the interface, where it is one of several: the stack then chooses ephemeral ports of its own. */
  readonly share?: FlowShare;
  /** The operating system's descriptor that a {@linkcode Poller} waits for, where there is one. */
  readonly descriptor?: number;
  /** Whether frames wait for the operating system to take them: the poller then waits for that too. */
  readonly wantsWrite: boolean;
  /** Called once, before anything else. */
  attach(host: DeviceHost): void;
  /**
   * The next received frame as a packet that the caller owns, or null when none waits. Its window covers the frame,
   * starting at the host's headroom; nothing else is set.
   */
  receive(): Packet | null;
  /**
   * Sends the frame in the packet's window. Consumes the packet. What cannot be sent at once waits in a bounded queue
   * or is dropped and counted.
   */
  transmit(packet: Packet): Verdict;
  /** Sends what waits, as far as the operating system takes it. */
  flush(): void;
  /** Makes a poller that can wait for this kind of device; absent on links that live in memory. */
  createPoller?(): Poller;
  /** Releases every packet and operating-system resource. */
  close(): void;
}
