/**
 * Pacing: what the congestion window allows is spread over the round trip instead of being sent in bursts, which short
 * queues would drop (RFC 9002 section 7.7 describes it well; RFC 9406 section 4.3 on slow start without bursts).
 *
 * A budget of bytes fills with time, up to a burst, and every segment takes its bytes out of it. On short round trips
 * the burst is larger than the window, and nothing is ever held back.
 *
 * @module
 */

import type { CongestionWindow } from "./congestion/control.ts";
import type { RttEstimator } from "./rtt.ts";

/** The window is sent in a little less than a round trip, so that the pace is never what limits (RFC 9002: N). */
const gain = 1.25;

/**
 * In slow start each round trip carries twice as much as the one before, and at its end more than twice the average: a
 * window that doubles every round trip is sent at 2 ln 2 = 1.39 times itself a round trip.
 */
const slowStartGain = 1.5;

/** What may be sent at once: the initial window (RFC 9002 section 7.7). */
const burstSegments = 10;

/** What timers are allowed for, in milliseconds: a late one is made up for, and none is set for less. */
const timerGranularity = 1;

/** Round trips shorter than this are not paced, in milliseconds. */
const shortestRoundTrip = 2;

/** The pace for a round-trip time, a window and its threshold, in bytes per millisecond; Infinity for none. */
export function paceOf(rtt: number, window: number, slowStartThreshold: number): number {
  if (rtt < shortestRoundTrip) return Infinity;
  return (window < slowStartThreshold ? slowStartGain : gain) * window / rtt;
}

/** The pace of one connection. Times are in milliseconds. */
export class Pacer {
  /** Whether it holds anything back. */
  enabled: boolean = false;
  /** When what was held back may go; Infinity while nothing is held back. */
  releaseAt: number = Infinity;
  readonly #window: CongestionWindow;
  readonly #rtt: RttEstimator;
  #budget = Infinity;
  #filledAt = 0;

  /** Derives the pace from the window and the round-trip time of one connection. */
  constructor(window: CongestionWindow, rtt: RttEstimator) {
    this.#window = window;
    this.#rtt = rtt;
  }

  /** Begins anew with another connection that has sent nothing lately. */
  begin(): void {
    this.#budget = Infinity;
  }

  /** Whether nothing is held back, and as much may go at once as ever. */
  atRest(now: number): boolean {
    if (this.releaseAt !== Infinity) return false;
    const { rate } = this;
    return rate === Infinity || this.#budget + (now - this.#filledAt) * rate >= this.#burst(rate);
  }

  #burst(rate: number): number {
    return Math.max(burstSegments * this.#window.segmentBytes, 2 * timerGranularity * rate);
  }

  /** The pace in bytes per millisecond; Infinity when there is none. */
  get rate(): number {
    if (!this.enabled) return Infinity;
    return paceOf(this.#rtt.smoothed, this.#window.size, this.#window.slowStartThreshold);
  }

  /** Sees how much may go by now. To be called before a row of {@linkcode Pacer.allows}. */
  refill(now: number): void {
    this.releaseAt = Infinity;
    const { rate } = this;
    this.#window.paced = rate !== Infinity;
    if (rate === Infinity) this.#budget = Infinity;
    else {
      const burst = this.#burst(rate);
      this.#budget = Math.min(burst, this.#budget === Infinity ? burst : this.#budget + (now - this.#filledAt) * rate);
    }
    this.#filledAt = now;
  }

  /** How many bytes may go at once; Infinity when there is no pace. */
  get room(): number {
    return this.#budget;
  }

  /** Whether a segment may go; when not, {@linkcode Pacer.releaseAt} says when. */
  allows(): boolean {
    if (this.#budget > 0) return true;
    const { rate } = this;
    const wanted = Math.max(this.#window.segmentBytes, timerGranularity * rate);
    this.releaseAt = this.#filledAt + (wanted - this.#budget) / rate;
    return false;
  }

  /** Takes what was sent out of the budget. */
  sent(bytes: number): void {
    this.#budget -= bytes;
  }
}
