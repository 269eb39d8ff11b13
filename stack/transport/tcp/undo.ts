/**
 * Taking a repair back when the loss was none: the original had only been late. How that shows: an echo from before the
 * first retransmission (Eifel, RFC 3522), or every retransmission reported as a duplicate (RFC 3708). RFC 4015 says what
 * to restore.
 *
 * @module
 */

import { after } from "../../sequence.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { CongestionWindow } from "./congestion/control.ts";

/** What an echo says about a repair. */
export const Verification = {
  /** Nothing. */
  open: 0,
  /** The original had arrived. */
  spurious: 1,
  /** The retransmission was needed. */
  needed: 2,
} as const;

/** One of the values of {@linkcode Verification}. */
export type Verification = (typeof Verification)[keyof typeof Verification];

/** What one connection remembers of the time before a repair. Sizes are in bytes, times in milliseconds. */
export class Undo {
  /** Whether there is something to take back. */
  possible: boolean = false;
  #window = 0;
  #threshold = 0;
  /** When the first segment was sent again in this repair; -1 before that. */
  #firstRetransmissionAt = -1;
  /** Retransmissions of this repair that the peer has not reported as duplicates. */
  #retransmissions = 0;
  /** After the repair: the sequence number whose acknowledgement ends a round trip; and how many are to end still. */
  #until = 0;
  #rounds = 0;

  /** A repair begins: remembers the window. */
  remember(window: CongestionWindow): void {
    this.possible = true;
    this.#window = window.size;
    this.#threshold = window.slowStartThreshold;
    this.#firstRetransmissionAt = -1;
    this.#retransmissions = 0;
  }

  /** A segment has been sent again. */
  retransmitted(now: number): void {
    if (this.#firstRetransmissionAt < 0) this.#firstRetransmissionAt = now;
    this.#retransmissions++;
  }

  /** Whether the peer may still report retransmissions as duplicates. */
  get reportsAwaited(): boolean {
    return this.#retransmissions > 0;
  }

  /**
   * The repair has ended, when SND.NXT was `sndNxt`. The report that the last retransmissions were duplicates takes a
   * round trip longer, and another acknowledgement may overtake it.
   */
  repaired(sndNxt: number): void {
    this.#until = sndNxt;
    this.#rounds = 2;
  }

  /** Everything up to `sndUna` has been acknowledged since the repair ended: after two round trips nothing is taken back. */
  age(sndUna: number, sndNxt: number): void {
    if (!this.possible || !after(sndUna, this.#until)) return;
    this.possible = --this.#rounds > 0;
    this.#until = sndNxt;
  }

  /** Eifel: what the first acknowledgement of progress answers; `echo` is when that was sent, or -1. */
  verify(ack: Acknowledgement, echo: number): Verification {
    if (!this.possible || ack.advanced === 0 || !ack.retransmissionAcked) return Verification.open;
    if (echo < 0 || this.#firstRetransmissionAt < 0) return Verification.open;
    // Timestamps are whole milliseconds.
    return echo < Math.floor(this.#firstRetransmissionAt) ? Verification.spurious : Verification.needed;
  }

  /** A retransmission was reported as a duplicate. Returns whether all have been: none had been needed (RFC 3708). */
  duplicateReported(): boolean {
    return this.possible && this.#retransmissions > 0 && --this.#retransmissions === 0;
  }

  /** RFC 4015 section 3: restores the window, without a burst: it is sent into as ACKs come. */
  restore(window: CongestionWindow): void {
    window.size = Math.max(window.size, this.#window);
    window.slowStartThreshold = Math.max(window.slowStartThreshold, this.#threshold);
    window.afterTimeout = false;
    this.possible = false;
  }
}
