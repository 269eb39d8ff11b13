/**
 * CUBIC congestion control (RFC 9438), with HyStart++ (RFC 9406) for its slow start.
 *
 * Windows are kept in bytes here and converted to segments where the RFC's formulas want them.
 *
 * @module
 */

import type { RttEstimator } from "../rtt.ts";
import {
  type AckSample,
  Congestion,
  type CongestionControl,
  type CongestionWindow,
  smallestThresholdSegments,
} from "./control.ts";
import { HyStart } from "./hystart.ts";
import { slowStart } from "./reno.ts";

/** C, in segments per second cubed (RFC 9438 section 5.1). */
const growth = 0.4;
/** The multiplicative decrease factor (section 4.6). */
const beta = 0.7;
/** The same after a mark, where marks count for less than losses (RFC 8511 section 3.1). */
const markedBeta = 0.85;
/** Additive increase of the Reno-friendly estimate that makes it fair with `beta` (section 4.3). */
const renoAlpha = (3 * (1 - beta)) / (1 + beta);

/** What a congestion that was none must give back. */
interface Saved {
  readonly windowMax: number;
  readonly epochStart: number;
  readonly timeToMax: number;
  readonly windowReno: number;
  readonly windowPrior: number;
}

/** CUBIC's state for one connection. Windows are in segments, times in seconds. */
export class Cubic implements CongestionControl {
  readonly name = "cubic";
  /** Only the first slow start needs it: later ones know the threshold (RFC 9406 section 4.3). */
  #hyStart: HyStart | null = null;
  /** The window just before the last decrease, W_max; 0 before the first. */
  #windowMax = 0;
  /** When the present congestion avoidance began, in milliseconds; -1 when it has to begin with the next ACK. */
  #epochStart = -1;
  /** The time that the cubic function takes to reach `#windowMax`, K. */
  #timeToMax = 0;
  /** What Reno's window would be, W_est. */
  #windowReno = 0;
  /** The window when congestion was last met, from which `#windowReno` may grow faster (section 4.3). */
  #windowPrior = 0;
  /** When congestion avoidance was last at work, in milliseconds. */
  #avoidedAt = 0;
  #saved: Saved | null = null;

  /** Slow start below the threshold, the cubic function above it (section 4.2). */
  acknowledged(window: CongestionWindow, sample: AckSample): void {
    let bytes = sample.bytes;
    if (window.slowStartThreshold === Infinity) {
      const hyStart = this.#hyStart ??= new HyStart();
      const advice = hyStart.acknowledged(sample.rtt.latest, sample.sndUna, sample.sndNxt);
      if (!advice.done) {
        // RFC 9406 section 4.3: L is infinite with pacing.
        const most = window.paced ? Infinity : advice.limit * window.segmentBytes;
        window.size += Math.min(bytes, most) * advice.factor;
        return;
      }
      window.slowStartThreshold = window.size;
      this.#hyStart = null;
    } else if (window.inSlowStart) {
      bytes = slowStart(window, bytes);
      if (bytes === 0) return;
    }
    this.#avoid(window, bytes, sample.rtt, sample.now);
  }

  #avoid(window: CongestionWindow, bytes: number, rtt: RttEstimator, now: number): void {
    const segment = window.segmentBytes;
    const current = window.size / segment;
    const acknowledged = bytes / segment;
    if (this.#epochStart < 0) {
      this.#epochStart = now;
      this.#windowReno = current;
      if (current < this.#windowMax) {
        this.#timeToMax = Math.cbrt((this.#windowMax - current) / growth);
      } else {
        this.#timeToMax = 0;
        this.#windowMax = current;
      }
    } else if (now - this.#avoidedAt > rtt.smoothed) {
      // Section 5.8: while the application, or the peer's window, held the sender back, time stood still.
      this.#epochStart += now - this.#avoidedAt - rtt.smoothed;
    }
    this.#avoidedAt = now;
    const elapsed = (now - this.#epochStart) / 1000;
    const offset = elapsed + rtt.smoothed / 1000 - this.#timeToMax;
    // Section 4.2: the target is one round trip ahead, and never more than half a window away.
    const target = Math.min(Math.max(growth * offset ** 3 + this.#windowMax, current), 1.5 * current);
    const cubic = growth * (elapsed - this.#timeToMax) ** 3 + this.#windowMax;
    // Section 4.3: once past the window of the last congestion, grow as fast as Reno itself.
    const alpha = this.#windowReno >= this.#windowPrior ? 1 : renoAlpha;
    this.#windowReno += alpha * acknowledged / current;
    if (cubic < this.#windowReno) window.size = Math.max(window.size, this.#windowReno * segment);
    else window.size += ((target - current) / current) * bytes;
  }

  /** A fraction `beta` of the window, with fast convergence (sections 4.6 and 4.7). */
  threshold(window: CongestionWindow, inFlight: number, _now?: number, sign: Congestion = Congestion.loss): number {
    const segment = window.segmentBytes;
    const current = window.size / segment;
    this.#saved = {
      windowMax: this.#windowMax,
      epochStart: this.#epochStart,
      timeToMax: this.#timeToMax,
      windowReno: this.#windowReno,
      windowPrior: this.#windowPrior,
    };
    this.#windowPrior = current;
    this.#windowMax = current < this.#windowMax ? current * (1 + beta) / 2 : current;
    this.#epochStart = -1;
    // Section 4.6: flight size or cwnd; an application that does not fill the window must not keep a stale large one.
    const base = Math.min(window.size, Math.max(inFlight, segment));
    return Math.max(base * (sign === Congestion.mark ? markedBeta : beta), smallestThresholdSegments * segment);
  }

  /** The window restarts from one segment; the next congestion avoidance begins where slow start ends (section 4.8). */
  timedOut(): void {
    this.#windowMax = 0;
    this.#epochStart = -1;
  }

  /** Slow start from the restart window is like the first one. */
  idled(): void {
    this.#hyStart?.restart();
  }

  /** Restores what the last {@linkcode Cubic.threshold} changed (section 4.9.2 on spurious fast retransmits). */
  undone(): void {
    if (this.#saved === null) return;
    this.#windowMax = this.#saved.windowMax;
    this.#epochStart = this.#saved.epochStart;
    this.#timeToMax = this.#saved.timeToMax;
    this.#windowReno = this.#saved.windowReno;
    this.#windowPrior = this.#saved.windowPrior;
    this.#saved = null;
  }
}
