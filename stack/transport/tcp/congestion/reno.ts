/**
 * Reno's congestion control (RFC 5681) with appropriate byte counting (RFC 3465).
 *
 * @module
 */

import { type AckSample, type CongestionControl, type CongestionWindow, smallestThresholdSegments } from "./control.ts";

/** Slow start may grow the window by this many segments for one ACK (RFC 3465 section 2.3: L). */
export const slowStartLimitSegments = 2;

/**
 * Grows the window in slow start by what was acknowledged and returns the bytes that are left over once the threshold
 * is reached.
 */
export function slowStart(window: CongestionWindow, bytes: number, limitSegments: number): number {
  const grow = Math.min(bytes, limitSegments * window.segmentBytes, window.slowStartThreshold - window.size);
  window.size += grow;
  return window.inSlowStart ? 0 : Math.max(0, bytes - grow);
}

/** Additive increase: one segment for each window of acknowledged bytes. */
export class Reno implements CongestionControl {
  readonly name = "reno";
  #acknowledged = 0;

  /** Slow start below the threshold, congestion avoidance above it (RFC 5681 section 3.1). */
  acknowledged(window: CongestionWindow, sample: AckSample): void {
    let bytes = sample.bytes;
    if (window.inSlowStart) bytes = slowStart(window, bytes, slowStartLimitSegments);
    this.#acknowledged += bytes;
    if (this.#acknowledged >= window.size) {
      this.#acknowledged -= window.size;
      window.size += window.segmentBytes;
    }
  }

  /** Half of what is in the network (RFC 5681 equation 4), without what limited transmit added (RFC 3042). */
  threshold(window: CongestionWindow, inFlight: number): number {
    this.#acknowledged = 0;
    return Math.max(Math.min(inFlight, window.size) / 2, smallestThresholdSegments * window.segmentBytes);
  }

  /** Nothing beyond what the threshold says. */
  timedOut(): void {}

  /** Nothing to keep. */
  idled(): void {}

  /** Nothing to restore. */
  undone(): void {}
}
