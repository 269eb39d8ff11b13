/**
 * Reno's congestion control (RFC 5681) with appropriate byte counting (RFC 3465).
 *
 * @module
 */

import {
  type AckSample,
  Congestion,
  type CongestionControl,
  type CongestionWindow,
  smallestThresholdSegments,
} from "./control.ts";

/** What is left of the window after a loss (RFC 5681 equation 4), and after a mark (RFC 8511 section 3.1). */
const beta = 0.5;
const markedBeta = 0.8;

/**
 * Grows the window in slow start by what was acknowledged and returns the bytes that are left over once the threshold
 * is reached.
 */
export function slowStart(window: CongestionWindow, bytes: number): number {
  const most = window.slowStartLimit * window.segmentBytes;
  const grow = Math.min(bytes, most, window.slowStartThreshold - window.size);
  window.size += grow;
  if (window.inSlowStart) return 0;
  window.afterTimeout = false;
  return Math.max(0, bytes - grow);
}

/** Additive increase: one segment for each window of acknowledged bytes. */
export class Reno implements CongestionControl {
  readonly name = "reno";
  #acknowledged = 0;

  /** Slow start below the threshold, congestion avoidance above it (RFC 5681 section 3.1). */
  acknowledged(window: CongestionWindow, sample: AckSample): void {
    let bytes = sample.bytes;
    if (window.inSlowStart) bytes = slowStart(window, bytes);
    this.#acknowledged += bytes;
    if (this.#acknowledged >= window.size) {
      this.#acknowledged -= window.size;
      window.size += window.segmentBytes;
    }
  }

  /** A part of what is in the network (RFC 5681 equation 4), without what limited transmit added (RFC 3042). */
  threshold(window: CongestionWindow, inFlight: number, _now?: number, sign: Congestion = Congestion.loss): number {
    this.#acknowledged = 0;
    const kept = (sign === Congestion.mark ? markedBeta : beta) * Math.min(inFlight, window.size);
    return Math.max(kept, smallestThresholdSegments * window.segmentBytes);
  }

  /** Nothing beyond what the threshold says. */
  timedOut(): void {}

  /** Nothing to keep. */
  idled(): void {}

  /** Nothing to restore. */
  undone(): void {}
}
