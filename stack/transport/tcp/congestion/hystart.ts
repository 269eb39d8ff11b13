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
/**
 * Samples that are judged together: RFC 9406 waits for so many and judges the smallest sample of the round, which is its
 * first where a queue builds up. Here each group of so many is judged by its own smallest, so that a queue is noticed
 * in the round in which it builds up, and not in the next one, when twice as much is on its way.
 */
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
  /** Of the present group of samples, the smallest, and how many there are. */
  #minimum = Infinity;
  #samples = 0;
  #conservative = false;
  #baseline = Infinity;
  #roundsLeft = conservativeRounds;

  /** Begins anew: slow start begins after a time-out or a long idle time. */
  restart(): void {
    this.#begun = false;
    this.#lastRoundMinimum =
      this.#roundMinimum =
      this.#minimum =
      this.#baseline =
        Infinity;
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
    this.#minimum = Math.min(this.#minimum, rtt);
    if (++this.#samples === samplesNeeded) {
      this.#judge(sndNxt);
      this.#samples = 0;
      this.#minimum = Infinity;
    }
    advice.factor = this.#conservative ? 1 / conservativeDivisor : 1;
    return advice;
  }

  #judge(sndNxt: number): void {
    if (this.#lastRoundMinimum === Infinity || this.#roundMinimum === Infinity) return;
    if (this.#conservative) {
      // The growth was jitter: resume slow start.
      if (this.#roundMinimum < this.#baseline) this.#conservative = false;
      return;
    }
    const threshold = Math.max(minimumThreshold, Math.min(this.#lastRoundMinimum / thresholdDivisor, maximumThreshold));
    if (this.#minimum < this.#lastRoundMinimum + threshold) return;
    this.#baseline = this.#minimum;
    this.#startRound(sndNxt);
    this.#conservative = true;
    this.#roundsLeft = conservativeRounds;
  }

  #startRound(sndNxt: number): void {
    if (this.#conservative && --this.#roundsLeft === 0) advice.done = true;
    this.#begun = true;
    this.#windowEnd = sndNxt;
    this.#lastRoundMinimum = this.#roundMinimum;
    this.#roundMinimum = this.#minimum = Infinity;
    this.#samples = 0;
  }
}
