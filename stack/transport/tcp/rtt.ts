/**
 * Round-trip time estimation and the retransmission time-out (RFC 6298).
 *
 * @module
 */

import { Measure, newMeasures } from "./measures.ts";

/** Time-out before the first sample, in milliseconds (RFC 6298 section 2.1). */
export const initialTimeout = 1000;

/**
 * Least that the time-out exceeds the smoothed round-trip time by, and so the smallest time-out, in milliseconds.
 * RFC 6298 section 2.4 asks for a time-out of 1 s and notes that a smaller one may be chosen where clocks allow it;
 * 200 ms, and this way to apply it, is what Linux does: where round trips hardly vary, four times their variation is
 * so little that the first queue on a long path would make the timer expire.
 */
export const minimumTimeout = 200;

/** Largest time-out, in milliseconds (RFC 6298 section 2.5 asks for at least 60 s). */
export const maximumTimeout = 120_000;

/** Time-out after a SYN had to be sent again, in milliseconds (RFC 6298 section 5.7). */
export const timeoutAfterLostSyn = 3000;

/** How long the windowed minimum remembers, in milliseconds (RFC 8985 section 6.2 suggests some such window). */
const minimumWindow = 300_000;

/** The estimator of one connection at a time. All times are in milliseconds. */
export class RttEstimator {
  /** Where all that it knows is kept. */
  #measures: number[] = newMeasures();

  /** One without a sample. */
  constructor() {
    this.begin(initialTimeout, minimumTimeout);
  }

  /** Goes on with what is known of another connection. */
  use(measures: number[]): void {
    this.#measures = measures;
  }

  /** How often the time-out has been doubled since the last fresh sample. */
  get backoff(): number {
    return this.#measures[Measure.backoff]!;
  }

  /** Least that the time-out exceeds the smoothed round-trip time by, in place of G in RFC 6298 section 2.3. */
  get least(): number {
    return this.#measures[Measure.leastTimeout]!;
  }

  /** SRTT; 0 before the first sample. */
  get smoothed(): number {
    return this.#measures[Measure.smoothedRtt]!;
  }

  /** RTTVAR. */
  get variance(): number {
    return this.#measures[Measure.rttVariance]!;
  }

  /** The latest sample. */
  get latest(): number {
    return this.#measures[Measure.latestRtt]!;
  }

  /** The smallest sample of the last minutes; Infinity before the first sample. */
  get minimum(): number {
    return this.#measures[Measure.minimumRtt]!;
  }

  /** Sets the time-out before the first sample, and the smallest one. */
  begin(timeout: number, least: number): void {
    this.#measures[Measure.leastTimeout] = least;
    this.#setTimeout(timeout);
  }

  /**
   * The first sample will hold a wait that the next ones do not, that for the next hop's hardware address: it counts
   * until there is another one only.
   */
  expectWait(): void {
    this.#measures[Measure.firstWaits] = 1;
  }

  /** Takes a sample in. The caller keeps Karn's rule: no sample from a segment that was sent twice. */
  sample(measured: number, now: number): void {
    // What comes back within one batch over the loopback interface may carry the time at which the batch began.
    const rtt = Math.max(0, measured);
    const measures = this.#measures;
    measures[Measure.latestRtt] = rtt;
    let { smoothed, variance } = this;
    const first = smoothed === 0;
    if (first || measures[Measure.firstWaits] === 1) {
      smoothed = Math.max(rtt, Number.MIN_VALUE);
      variance = rtt / 2;
      if (!first) measures[Measure.firstWaits] = 0;
    } else {
      variance += (Math.abs(smoothed - rtt) - variance) / 4;
      smoothed += (rtt - smoothed) / 8;
    }
    measures[Measure.smoothedRtt] = smoothed;
    measures[Measure.rttVariance] = variance;
    if (rtt <= this.minimum || now - measures[Measure.minimumRttAt]! > minimumWindow) {
      measures[Measure.minimumRtt] = rtt;
      measures[Measure.minimumRttAt] = now;
    }
    this.#setTimeout(smoothed + Math.max(this.least, 4 * variance));
    this.#measures[Measure.backoff] = 0;
  }

  /** Whether there has been a sample. */
  get measured(): boolean {
    return this.smoothed !== 0;
  }

  /** The time-out without back-off. */
  get baseTimeout(): number {
    return this.#measures[Measure.timeout]!;
  }

  /** The time-out to use now, back-off included. */
  get timeout(): number {
    const { baseTimeout, backoff } = this;
    return backoff === 0 ? baseTimeout : Math.min(maximumTimeout, baseTimeout * 2 ** backoff);
  }

  /** Doubles the time-out (RFC 6298 section 5.5). */
  backOff(): void {
    if (this.timeout < maximumTimeout) this.#measures[Measure.backoff]!++;
  }

  /** The SYN had to be sent again: be careful until a sample comes (RFC 6298 section 5.7). */
  synWasLost(): void {
    this.#measures[Measure.backoff] = 0;
    this.#setTimeout(timeoutAfterLostSyn);
  }

  #setTimeout(timeout: number): void {
    this.#measures[Measure.timeout] = Math.min(maximumTimeout, Math.max(this.least, timeout));
  }
}
