/**
 * HyStart++ (RFC 9406): leaves slow start when round trips grow longer, before packets are lost, and goes on in
 * "conservative slow start" until it is clear that the growth was real.
 *
 * @module
 */

import { notBefore } from "../../../sequence.ts";

/** Smallest and largest growth of the round-trip time that counts, in milliseconds (RFC 9406 section 4.3). */
const minimumThreshold = 4;
const maximumThreshold = 16;
/** The growth that counts is the last round's minimum divided by this. */
const thresholdDivisor = 8;
/** Samples that a round needs before it is judged. */
const samplesNeeded = 8;
/** Conservative slow start grows this many times slower. */
const conservativeDivisor = 4;
/** Rounds of conservative slow start until congestion avoidance begins. */
const conservativeRounds = 5;
/** Without pacing, one ACK counts for no more than this many segments (RFC 9406 section 4.3: L). */
const limitSegments = 8;

/** What slow start is to do with an ACK. */
export interface SlowStartAdvice {
  /** The window grows by this fraction of what is acknowledged. */
  factor: number;
  /** What is acknowledged counts up to this many segments an ACK. */
  limit: number;
  /** Whether slow start is over. */
  done: boolean;
}

/** The answer to every connection: it is used at once. */
const advice: SlowStartAdvice = { factor: 1, limit: limitSegments, done: false };

/** The state of one connection's slow start. */
export class HyStart {
  #begun = false;
  #windowEnd = 0;
  #lastRoundMinimum = Infinity;
  #roundMinimum = Infinity;
  #samples = 0;
  #conservative = false;
  #baseline = Infinity;
  #roundsLeft = conservativeRounds;

  /** Begins anew: slow start begins after a time-out or a long idle time. */
  restart(): void {
    this.#begun = false;
    this.#lastRoundMinimum = this.#roundMinimum = this.#baseline = Infinity;
    this.#samples = 0;
    this.#conservative = false;
    this.#roundsLeft = conservativeRounds;
  }

  /**
   * Takes the round-trip sample of an ACK in. A round ends when `sndUna` reaches what `sndNxt` was when it began.
   * The answer is the same object each time.
   */
  acknowledged(rtt: number, sndUna: number, sndNxt: number): SlowStartAdvice {
    advice.done = false;
    if (!this.#begun || notBefore(sndUna, this.#windowEnd)) this.#startRound(sndNxt);
    this.#roundMinimum = Math.min(this.#roundMinimum, rtt);
    this.#samples++;
    if (this.#samples >= samplesNeeded && this.#roundMinimum !== Infinity && this.#lastRoundMinimum !== Infinity) {
      if (!this.#conservative) {
        const threshold = Math.max(
          minimumThreshold,
          Math.min(this.#lastRoundMinimum / thresholdDivisor, maximumThreshold),
        );
        if (this.#roundMinimum >= this.#lastRoundMinimum + threshold) {
          this.#conservative = true;
          this.#baseline = this.#roundMinimum;
          this.#roundsLeft = conservativeRounds;
        }
      } else if (this.#roundMinimum < this.#baseline) {
        // The growth was jitter: resume slow start.
        this.#conservative = false;
        this.#baseline = Infinity;
      }
    }
    advice.factor = this.#conservative ? 1 / conservativeDivisor : 1;
    return advice;
  }

  #startRound(sndNxt: number): void {
    if (this.#conservative && --this.#roundsLeft === 0) advice.done = true;
    this.#begun = true;
    this.#windowEnd = sndNxt;
    this.#lastRoundMinimum = this.#roundMinimum;
    this.#roundMinimum = Infinity;
    this.#samples = 0;
  }
}
