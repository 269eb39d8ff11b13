/**
 * Tail loss probes (RFC 8985 section 7): when acknowledgements stay away, the last segment, or a new one, asks for one,
 * so that a loss at the end of the data need not wait for the retransmission timer.
 *
 * @module
 */

import { after, before } from "../../sequence.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { RttEstimator } from "./rtt.ts";

/** When the tail is probed while the round-trip time is unknown, in milliseconds (section 7.2). */
const delayUnmeasured = 1000;

/** What is allowed for the peer's and our own timers when its ACK need not be delayed, in milliseconds. */
const slack = 2;

/** When to probe the tail, in milliseconds from now; `maximumAckDelay` is allowed for when a single segment is out (section 7.2). */
export function tailProbeDelay(rtt: RttEstimator, single: boolean, maximumAckDelay: number): number {
  return rtt.measured ? 2 * rtt.smoothed + (single ? maximumAckDelay : slack) : delayUnmeasured;
}

/** The tail loss probe of one connection. */
export class TailProbe {
  /** Whether one is in the network, unanswered. */
  outstanding: boolean = false;
  #end = 0;
  #again = false;

  /** A probe has been sent: a new segment, or the last one again; it ends at `sndNxt`. */
  sent(sndNxt: number, again: boolean): void {
    this.outstanding = true;
    this.#end = sndNxt;
    this.#again = again;
  }

  /** Its answer says nothing any more. */
  forget(): void {
    this.outstanding = false;
  }

  /**
   * Takes an acknowledgement in, and returns whether the probe repaired a loss (section 7.4.2). That all has arrived says
   * nothing yet: the original may have been on its way. A report of the duplicate, or another plain ACK for it, says that
   * it was; progress beyond says that there was none.
   */
  answered(ack: Acknowledgement, sndUna: number): boolean {
    if (!this.outstanding || before(sndUna, this.#end)) return false;
    const beyond = after(sndUna, this.#end);
    const duplicate = ack.duplicateReported && ack.duplicateEnd === this.#end;
    const plain = ack.advanced === 0 && !ack.sackedMore;
    if (!this.#again || duplicate || beyond || plain) this.outstanding = false;
    return this.#again && !duplicate && beyond;
  }
}
