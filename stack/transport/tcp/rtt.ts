/**
 * Round-trip time estimation and the retransmission time-out (RFC 6298).
 *
 * @module
 */

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

/** The estimator of one connection. All times are in milliseconds. */
export class RttEstimator {
  /** SRTT; 0 before the first sample. */
  smoothed: number = 0;
  /** RTTVAR. */
  variance: number = 0;
  /** The latest sample. */
  latest: number = 0;
  /** The smallest sample of the last minutes; Infinity before the first sample. */
  minimum: number = Infinity;
  /** How often the time-out has been doubled since the last fresh sample. */
  backoff: number = 0;
  /** Least that the time-out exceeds the smoothed round-trip time by, in place of G in RFC 6298 section 2.3. */
  least: number = minimumTimeout;
  #timeout = initialTimeout;
  #minimumAt = 0;
  #firstWaits = false;

  /** Sets the time-out before the first sample, and the smallest one. */
  begin(timeout: number, least: number): void {
    this.least = least;
    this.#setTimeout(timeout);
  }

  /**
   * The first sample will hold a wait that the next ones do not, that for the next hop's hardware address: it counts
   * until there is another one only.
   */
  expectWait(): void {
    this.#firstWaits = true;
  }

  /** Takes a sample in. The caller keeps Karn's rule: no sample from a segment that was sent twice. */
  sample(measured: number, now: number): void {
    // What comes back within one batch over the loopback interface may carry the time at which the batch began.
    const rtt = Math.max(0, measured);
    this.latest = rtt;
    const first = this.smoothed === 0;
    if (first || this.#firstWaits) {
      this.smoothed = Math.max(rtt, Number.MIN_VALUE);
      this.variance = rtt / 2;
      this.#firstWaits &&= first;
    } else {
      this.variance += (Math.abs(this.smoothed - rtt) - this.variance) / 4;
      this.smoothed += (rtt - this.smoothed) / 8;
    }
    if (rtt <= this.minimum || now - this.#minimumAt > minimumWindow) {
      this.minimum = rtt;
      this.#minimumAt = now;
    }
    this.#setTimeout(this.smoothed + Math.max(this.least, 4 * this.variance));
    this.backoff = 0;
  }

  /** Whether there has been a sample. */
  get measured(): boolean {
    return this.smoothed !== 0;
  }

  /** The time-out without back-off. */
  get baseTimeout(): number {
    return this.#timeout;
  }

  /** The time-out to use now, back-off included. */
  get timeout(): number {
    return Math.min(maximumTimeout, this.#timeout * 2 ** this.backoff);
  }

  /** Doubles the time-out (RFC 6298 section 5.5). */
  backOff(): void {
    if (this.timeout < maximumTimeout) this.backoff++;
  }

  /** The SYN had to be sent again: be careful until a sample comes (RFC 6298 section 5.7). */
  synWasLost(): void {
    this.backoff = 0;
    this.#setTimeout(timeoutAfterLostSyn);
  }

  #setTimeout(timeout: number): void {
    this.#timeout = Math.min(maximumTimeout, Math.max(this.least, timeout));
  }
}
