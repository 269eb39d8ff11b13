/**
 * Congestion control: the window it keeps, and the interface by which an algorithm is plugged in.
 *
 * @module
 */

import { Measure, newMeasures } from "../measures.ts";
import type { RttEstimator } from "../rtt.ts";

/** The congestion window of one connection. All sizes are in bytes. */
export class CongestionWindow {
  /** Payload bytes of a full segment. */
  segmentBytes: number;
  /** Whether what it allows is sent at a pace rather than in bursts. */
  paced: boolean = false;

  /** Where what outlasts a pause is kept. */
  #measures: number[] = newMeasures();

  /** Starts with the initial window for segments of `segmentBytes`. */
  constructor(segmentBytes: number) {
    this.segmentBytes = segmentBytes;
    this.size = initialWindow(segmentBytes);
  }

  /** Goes on with the window of another connection. */
  use(measures: number[], segmentBytes: number): void {
    this.#measures = measures;
    this.segmentBytes = segmentBytes;
    this.paced = false;
  }

  /** Whether slow start follows a retransmission time-out. */
  get afterTimeout(): boolean {
    return this.#measures[Measure.afterTimeout] === 1;
  }

  set afterTimeout(follows: boolean) {
    this.#measures[Measure.afterTimeout] = follows ? 1 : 0;
  }

  /** The congestion window, cwnd. */
  get size(): number {
    return this.#measures[Measure.window]!;
  }

  set size(bytes: number) {
    this.#measures[Measure.window] = bytes;
  }

  /** The slow-start threshold, ssthresh; Infinity until the first congestion. */
  get slowStartThreshold(): number {
    return this.#measures[Measure.slowStartThreshold]!;
  }

  set slowStartThreshold(bytes: number) {
    this.#measures[Measure.slowStartThreshold] = bytes;
  }

  /** Whether the window is below the threshold. */
  get inSlowStart(): boolean {
    return this.size < this.slowStartThreshold;
  }

  /**
   * How many segments slow start may add for one ACK (RFC 3465 section 2.3: L). After a time-out it is one: an ACK that
   * fills a hole then covers much that left the network long ago.
   */
  get slowStartLimit(): number {
    return this.afterTimeout ? 1 : 2;
  }

  /** Takes a new segment size over, and starts with the initial window for it: before anything was sent. */
  restart(segmentBytes: number): void {
    this.segmentBytes = segmentBytes;
    this.size = initialWindow(segmentBytes);
  }
}

/** The initial window (RFC 6928): ten segments, but no more than 14,600 bytes or two segments. */
export function initialWindow(segmentBytes: number): number {
  return Math.min(10 * segmentBytes, Math.max(2 * segmentBytes, 14_600));
}

/** The loss window and the smallest threshold, in segments (RFC 5681 section 3.1). */
export const smallestThresholdSegments = 2;

/** What shows that a path is congested. */
export const Congestion = {
  /** Packets were lost. */
  loss: 0,
  /** A router has marked packets (RFC 3168), and marks are to count for less than losses (RFC 8311, RFC 8511). */
  mark: 1,
} as const;

/** One of the values of {@linkcode Congestion}. */
export type Congestion = (typeof Congestion)[keyof typeof Congestion];

/** What an acknowledgement tells a congestion control algorithm. One object is filled again for each. */
export interface AckSample {
  /** Bytes that are newly acknowledged, selectively or not. */
  bytes: number;
  /** The round-trip estimates, this acknowledgement's sample included. */
  readonly rtt: RttEstimator;
  /** The time, in milliseconds. */
  now: number;
  /** The oldest sequence number that is not acknowledged. */
  sndUna: number;
  /** The next sequence number to be sent. */
  sndNxt: number;
}

/**
 * A congestion control algorithm, one object for each connection. It decides how the window grows while all is well
 * and how far it falls when not; how a recovery proceeds is the same for all of them.
 *
 * @example One segment a round trip, and a tenth less after a loss
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Stack } from "../../../stack.ts";
 * import type { AckSample, CongestionControl, CongestionWindow } from "./control.ts";
 *
 * class Gentle implements CongestionControl {
 *   readonly name = "gentle";
 *   acknowledged(window: CongestionWindow, { bytes }: AckSample): void {
 *     window.size += window.inSlowStart ? bytes : window.segmentBytes * bytes / window.size;
 *   }
 *   threshold(window: CongestionWindow): number {
 *     return Math.max(0.9 * window.size, 2 * window.segmentBytes);
 *   }
 *   timedOut(): void {}
 *   idled(): void {}
 *   undone(): void {}
 * }
 *
 * // For all connections of a stack, or with `settings` for those of a listener or a single one.
 * await using stack = new Stack({ tcp: { congestionControl: () => new Gentle() } });
 * using listener = stack.listen({ port: 7, settings: { congestionControl: "reno" } });
 * using client = await stack.connect({ port: 7 });
 * using server = await listener.accept();
 * assertEquals([client, server].map((conn) => conn.info().congestionControl), ["gentle", "reno"]);
 * ```
 */
export interface CongestionControl {
  /** The algorithm's name: `reno`, `cubic`. */
  readonly name: string;
  /**
   * Bytes have been acknowledged outside recovery while the window was what limited sending: let the window grow.
   */
  acknowledged(window: CongestionWindow, sample: AckSample): void;
  /**
   * Congestion: packets were lost, or marked. Returns the new slow-start threshold, given how much is in the network.
   * `sign` tells marks from losses if the setting `alternativeBackoff` says so; otherwise a mark is a loss.
   */
  threshold(window: CongestionWindow, inFlight: number, now: number, sign: Congestion): number;
  /** The retransmission timer expired, after {@linkcode CongestionControl.threshold} was asked. */
  timedOut(window: CongestionWindow, now: number): void;
  /** The connection has been idle for a retransmission time-out or longer and now sends again. */
  idled(idle: number): void;
  /** The last congestion turned out not to be one: the window has been restored, so restore what belongs to it. */
  undone(): void;
}

/** Makes the algorithm's state for one connection. */
export type CongestionControlFactory = () => CongestionControl;
