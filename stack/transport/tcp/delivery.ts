/**
 * How much of what was sent the peer has, and how fast it gets there.
 *
 * @module
 */

import { notBefore } from "../../sequence.ts";

/** Counts the deliveries of one connection. */
export class Delivery {
  /** Sequence space that the peer has said it has, acknowledged or selectively so, in bytes. */
  bytes: number = 0;
  /** Bytes a second that arrived in the last round trip that was full of data; 0 before the first. */
  rate: number = 0;
  /** When the present round began, in milliseconds; -1 while nothing is in the network. */
  #roundAt = -1;
  /** What had been delivered when it began. */
  #roundBytes = 0;
  /** The sequence number whose acknowledgement ends it. */
  #roundEnd = 0;

  /**
   * An acknowledgement says that `bytes` more have arrived. Rounds begin and end with acknowledgements, so that neither
   * bursts nor the time in which there was nothing to send is taken for the rate of the path.
   */
  acknowledged(bytes: number, sndUna: number, sndNxt: number, now: number): void {
    this.bytes += bytes;
    if (this.#roundAt >= 0) {
      if (!notBefore(sndUna, this.#roundEnd)) return;
      const elapsed = now - this.#roundAt;
      if (elapsed > 0) this.rate = (this.bytes - this.#roundBytes) * 1000 / elapsed;
    }
    this.#roundAt = sndUna === sndNxt ? -1 : now;
    this.#roundBytes = this.bytes;
    this.#roundEnd = sndNxt;
  }
}
