/**
 * RACK (RFC 8985 section 6): a segment is lost when one that was sent sufficiently later has been delivered.
 *
 * @module
 */

import { after } from "../../sequence.ts";
import type { RttEstimator } from "./rtt.ts";
import { Mark, type Scoreboard } from "./scoreboard.ts";

/** Duplicate acknowledgements that mean a loss (RFC 5681: DupThresh). */
export const duplicateThreshold = 3;

/** Recoveries for which a widened reordering window is kept (RFC 8985 section 6.2.4). */
const reorderingPersistence = 16;

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
  #forward = 0;
  #hasForward = false;
  #windowMultiplier = 1;
  #persist = 0;
  #duplicateRound = 0;
  #duplicateNoted = false;
  readonly #rtt: RttEstimator;

  /** Works from the estimates of `rtt`. */
  constructor(rtt: RttEstimator) {
    this.#rtt = rtt;
  }

  /** A segment has been delivered (section 6.2, steps 2 and 3). */
  delivered(sentAt: number, end: number, ambiguous: boolean, echo: number, now: number): void {
    const rtt = now - sentAt;
    // The ACK may be for an earlier transmission than the last: its echo is older, or it comes too soon.
    if (ambiguous && ((echo >= 0 && echo < Math.floor(sentAt)) || rtt < this.#rtt.minimum)) return;
    if (this.sentAt < 0 || sentAt > this.sentAt || (sentAt === this.sentAt && after(end, this.end))) {
      this.sentAt = sentAt;
      this.end = end;
      this.rtt = rtt;
    }
    if (!this.#hasForward || after(end, this.#forward)) {
      this.#forward = end;
      this.#hasForward = true;
    } else if (!ambiguous && end !== this.#forward) {
      this.reorderingSeen = true;
    }
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
    for (let index = 0; index < scoreboard.count; index++) {
      const marks = scoreboard.marks(index);
      if ((marks & Mark.sacked) !== 0) continue;
      if ((marks & (Mark.lost | Mark.retransmitted)) === Mark.lost) continue;
      const sentAt = scoreboard.sentAt(index);
      const sentEarlier = sentAt < this.sentAt || (sentAt === this.sentAt && after(this.end, scoreboard.end(index)));
      if (!sentEarlier) {
        // What was sent once stands in the order in which it was sent: nothing behind it can be older.
        if ((marks & Mark.ambiguous) === 0) break;
        continue;
      }
      const remaining = sentAt + this.rtt + window - now;
      if (remaining <= 0) scoreboard.mark(index, Mark.lost, Mark.retransmitted);
      else wait = Math.max(wait, remaining);
    }
    return wait;
  }
}
