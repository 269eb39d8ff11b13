/**
 * RACK (RFC 8985 section 6): a segment is lost when one that was sent sufficiently later has been delivered.
 *
 * @module
 */

import { after, before } from "../../sequence.ts";
import type { RttEstimator } from "./rtt.ts";
import { Mark, type Scoreboard } from "./scoreboard.ts";

/** Duplicate acknowledgements that mean a loss (RFC 5681: DupThresh). */
export const duplicateThreshold = 3;

/** Recoveries for which a widened reordering window is kept (RFC 8985 section 6.2.4). */
const reorderingPersistence = 16;

/**
 * Less than this is no time at all, in milliseconds: sums of fractions differ in their last bits, and a deadline must
 * be found to have come when its timer expires.
 */
const clockError = 0.001;

/** RACK's state for one connection. Times are in milliseconds. */
export class Rack {
  /** When the most recently sent of the delivered segments was sent, RACK.xmit_ts; -1 before the first. */
  sentAt: number = -1;
  /** Its end, RACK.end_seq. */
  end: number = 0;
  /** The round trip that it measured, RACK.rtt. */
  rtt: number = 0;
  /** Whether segments have arrived in another order than they were sent. */
  reorderingSeen: boolean = false;
  /** The highest end that was delivered before the acknowledgement under treatment, RACK.fack, and with it. */
  #forward = 0;
  #forwardNow = 0;
  #hasForward = false;
  #hasForwardNow = false;
  #windowMultiplier = 1;
  #persist = 0;
  #duplicateRound = 0;
  #duplicateNoted = false;
  #rtt: RttEstimator;

  /** Works from the estimates of `rtt`. */
  constructor(rtt: RttEstimator) {
    this.#rtt = rtt;
  }

  /** Begins anew with a connection that has nothing in the network, from the estimates of `rtt`. */
  begin(rtt: RttEstimator): void {
    this.#rtt = rtt;
    this.sentAt = -1;
    this.rtt = rtt.latest;
    this.#hasForward = this.#hasForwardNow = this.#duplicateNoted = false;
  }

  /** Whether nothing is known that would matter once nothing is in the network. */
  get atRest(): boolean {
    return !this.reorderingSeen && this.#windowMultiplier === 1;
  }

  /** A segment has been delivered (section 6.2, steps 2 and 3). */
  delivered(sentAt: number, end: number, ambiguous: boolean, echo: number, now: number): void {
    const rtt = Math.max(0, now - sentAt);
    // The ACK may be for an earlier transmission than the last: its echo is older, or it comes too soon.
    if (ambiguous && ((echo >= 0 && echo < Math.floor(sentAt)) || rtt < this.#rtt.minimum)) return;
    if (this.sentAt < 0 || sentAt > this.sentAt || (sentAt === this.sentAt && after(end, this.end))) {
      this.sentAt = sentAt;
      this.end = end;
      this.rtt = rtt;
    }
    // Compared with what was known before this acknowledgement: one that makes up for lost ones brings much at once.
    if (!ambiguous && this.#hasForward && before(end, this.#forward)) this.reorderingSeen = true;
    if (!this.#hasForwardNow || after(end, this.#forwardNow)) {
      this.#forwardNow = end;
      this.#hasForwardNow = true;
    }
  }

  /** All that an acknowledgement delivered has been handed to {@linkcode Rack.delivered}. */
  digested(): void {
    this.#forward = this.#forwardNow;
    this.#hasForward = this.#hasForwardNow;
  }

  /**
   * When what is sent again at `now` counts as sent: after all that has been delivered, even if that took no time, as
   * on a path within one process.
   */
  resendingTime(now: number): number {
    return now > this.sentAt ? now : this.sentAt + clockError;
  }

  /** What counted as the delivery of retransmissions was that of originals: their times say nothing. */
  misled(): void {
    this.sentAt = -1;
  }

  /** A duplicate was reported: the reordering window was too small. Widened once a round trip (section 6.2.4). */
  duplicateReported(sndUna: number, sndNxt: number): void {
    if (this.#duplicateNoted && after(this.#duplicateRound, sndUna)) return;
    this.#duplicateNoted = true;
    this.#duplicateRound = sndNxt;
    this.#windowMultiplier++;
    this.#persist = reorderingPersistence;
  }

  /** A recovery ended without a reported duplicate counts towards forgetting the widened window. */
  recovered(): void {
    if (--this.#persist <= 0) this.#windowMultiplier = 1;
  }

  /** The reordering window, RACK.reo_wnd (section 6.2.4). */
  reorderingWindow(scoreboard: Scoreboard, recovering: boolean): number {
    if (!this.reorderingSeen && (recovering || scoreboard.sackedCount >= duplicateThreshold)) return 0;
    const minimum = this.#rtt.minimum === Infinity ? 0 : this.#rtt.minimum;
    return Math.min(this.#windowMultiplier * minimum / 4, this.#rtt.smoothed);
  }

  /**
   * Marks what must be lost by now (section 6.2.5) and returns how long, in milliseconds, until the next segment may
   * be called lost, or 0 when there is none to wait for.
   */
  detectLoss(scoreboard: Scoreboard, recovering: boolean, now: number): number {
    if (this.sentAt < 0) return 0;
    const window = this.reorderingWindow(scoreboard, recovering);
    let wait = 0;
    for (let index = scoreboard.nextUnsacked(0); index < scoreboard.count; index = scoreboard.nextUnsacked(index + 1)) {
      const marks = scoreboard.marks(index);
      if ((marks & (Mark.lost | Mark.retransmitted)) === Mark.lost) continue;
      if (!this.#sentBeforeDelivered(scoreboard, index)) {
        // What was sent once stands in the order in which it was sent: nothing behind it can be older.
        if ((marks & Mark.ambiguous) === 0) break;
        continue;
      }
      const remaining = scoreboard.sentAt(index) + this.rtt + window - now;
      if (remaining < clockError) scoreboard.mark(index, Mark.lost, Mark.retransmitted);
      else wait = Math.max(wait, remaining);
    }
    return wait;
  }

  /**
   * Marks what is lost when the retransmission timer has expired (section 6.3): the oldest segment, and all but those
   * that were sent so lately that their acknowledgement may still be under way.
   */
  timedOut(scoreboard: Scoreboard, now: number): void {
    const window = this.reorderingWindow(scoreboard, true);
    for (let index = 0; index < scoreboard.count; index++) {
      if (scoreboard.has(index, Mark.sacked)) continue;
      if (index > 0 && scoreboard.sentAt(index) + this.rtt + window - now >= clockError) continue;
      scoreboard.mark(index, Mark.lost, Mark.retransmitted);
    }
  }

  /** RACK_sent_after: whether a segment was sent before the latest that was delivered. */
  #sentBeforeDelivered(scoreboard: Scoreboard, index: number): boolean {
    const sentAt = scoreboard.sentAt(index);
    return sentAt < this.sentAt || (sentAt === this.sentAt && after(this.end, scoreboard.end(index)));
  }
}
