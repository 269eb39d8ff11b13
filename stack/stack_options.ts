/**
 * What a stack, and an interface of it, can be told when it is made.
 *
 * @module
 */

import type { NicOptions } from "./link/nic.ts";
import type { Logger } from "./logger.ts";
import type { Random } from "./random.ts";
import type { Timers } from "./timers.ts";
import type { TcpConfiguration } from "./transport/tcp/configuration.ts";

/** Options of {@linkcode Stack}. */
export interface StackOptions {
  /** Who is told of devices that come and go. Default: nobody. */
  logger?: Logger;
  /** Where unpredictable numbers come from. Default: the platform's cryptographic generator. */
  random?: Random;
  /** Timers, and through them the clock, to share with other stacks. Default: timers on the system's clock. */
  timers?: Timers;
  /** Run by itself. Default true; a simulation says false and calls {@linkcode Stack.step}. */
  eventLoop?: boolean;
  /**
   * How long to go on looking for work before sleeping, in microseconds: costs processor time, saves the time that
   * waking up takes. 0 turns it off. Default 50.
   */
  busyPoll?: number;
  /** The most memory for packets, in bytes. Default 64 MiB. */
  packetMemory?: number;
  /** Forward packets between interfaces; see {@linkcode Stack.forwarding}. Default false. */
  forwarding?: boolean;
  /** Settings of TCP. */
  tcp?: TcpConfiguration;
}

/** Options of {@linkcode Stack.attach}. */
export interface AttachOptions extends NicOptions {
  /** Addresses with prefix lengths, for example `192.0.2.2/24`. */
  addresses?: string[];
  /** The router for everything that is not on the link. */
  gateway?: string;
  /** Name of the interface for people. Default: the device's. */
  name?: string;
}
