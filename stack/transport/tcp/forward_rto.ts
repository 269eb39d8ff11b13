/**
 * Forward RTO-recovery (RFC 5682): finds out, without the help of options, whether a retransmission time-out was
 * spurious. After the first retransmission, new data are sent in place of what is believed lost. If the answers go on to
 * cover what was never sent again, it had been on its way all the time.
 *
 * @module
 */

import { before } from "../../sequence.ts";
import type { Acknowledgement } from "./acknowledgement.ts";

/** New segments that are sent before the second answer tells (section 2.1, step 2b). */
export const mostNewSegments = 2;

const Step = {
  /** Nothing is to be found out. */
  off: 0,
  /** The oldest segment has been sent again: its answer is awaited. */
  retransmitted: 1,
  /** That answer covered a part: new data go, and the next answer decides. */
  sendingNew: 2,
} as const;

/** What an acknowledgement says about the time-out. */
export const Finding = {
  /** Nothing yet, or nothing more. */
  none: 0,
  /** The originals were on their way: it was spurious. */
  spurious: 1,
  /** They were lost (section 2.1, step 3a). */
  genuine: 2,
} as const;

/** One of the values of {@linkcode Finding}. */
export type Finding = (typeof Finding)[keyof typeof Finding];

/** What one connection finds out about a time-out. */
export class ForwardRto {
  #step: (typeof Step)[keyof typeof Step] = Step.off;
  #sent = 0;

  /** The oldest segment, and nothing else that is out, is sent again for the first time. */
  begin(): void {
    this.#step = Step.retransmitted;
  }

  /** The timer has expired once more, or something else was sent again. */
  interrupted(): void {
    if (this.#step !== Step.retransmitted) this.#step = Step.off;
  }

  /** There is nothing to find out any more, or no way to. */
  stop(): void {
    this.#step = Step.off;
  }

  /** Takes an acknowledgement in, where `point` was SND.NXT when the timer expired, and returns what it says. */
  acknowledged(ack: Acknowledgement, sndUna: number, point: number): Finding {
    if (this.#step === Step.off || (ack.advanced === 0 && ack.delivered === 0 && !ack.repeated)) return Finding.none;
    if (this.#step === Step.sendingNew) {
      this.#step = Step.off;
      return ack.advanced > 0 ? Finding.spurious : Finding.genuine;
    }
    // All of it at once, or nothing: that is no sign of originals on their way.
    const partial = ack.advanced > 0 && before(sndUna, point);
    this.#step = partial ? Step.sendingNew : Step.off;
    this.#sent = 0;
    return Finding.none;
  }

  /** Whether new data are to be sent, and nothing again. */
  get wantsNew(): boolean {
    return this.#step === Step.sendingNew;
  }

  /** Whether another new segment may go before the next answer. */
  get admits(): boolean {
    return this.#sent < mostNewSegments;
  }

  /** A new segment was sent. */
  sentNew(): void {
    this.#sent++;
  }

  /** No new segment can be sent. Without any, what is lost is repaired in the ordinary way (step 2a). */
  noneToSend(): void {
    if (this.#sent === 0) this.#step = Step.off;
  }
}
