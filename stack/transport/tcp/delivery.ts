/**
 * How much of what was sent the peer has, and how fast it gets there.
 *
 * @module
 */

import { notBefore } from "../../sequence.ts";
import { Measure, newMeasures } from "./measures.ts";

/** Counts the deliveries of one connection at a time. */
export class Delivery {
  /** Where what it finds is kept. */
  #measures: number[];
  /** When the present round began, in milliseconds; -1 while nothing is in the network. */
  #roundAt = -1;
  /** What had been delivered when it began. */
  #roundBytes = 0;
  /** The sequence number whose acknowledgement ends it. */
  #roundEnd = 0;

  /** Keeps what it finds in `measures`. */
  constructor(measures: number[] = newMeasures()) {
    this.#measures = measures;
  }

  /** Goes on with a connection that has nothing in the network. */
  begin(measures: number[]): void {
    this.#measures = measures;
    this.#roundAt = -1;
  }

  /** Sequence space that the peer has said it has, acknowledged or selectively so, in bytes. */
  get bytes(): number {
    return this.#measures[Measure.delivered]!;
  }

  /** Bytes a second that arrived in the last round trip that was full of data; 0 before the first. */
  get rate(): number {
    return this.#measures[Measure.deliveryRate]!;
  }

  /**
   * An acknowledgement says that `bytes` more have arrived. Rounds begin and end with acknowledgements, so that neither
   * bursts nor the time in which there was nothing to send is taken for the rate of the path.
   */
  acknowledged(bytes: number, sndUna: number, sndNxt: number, now: number): void {
    const measures = this.#measures;
    const delivered = measures[Measure.delivered] = this.bytes + bytes;
    if (this.#roundAt >= 0) {
      if (!notBefore(sndUna, this.#roundEnd)) return;
      const elapsed = now - this.#roundAt;
      if (elapsed > 0) measures[Measure.deliveryRate] = (delivered - this.#roundBytes) * 1000 / elapsed;
    }
    this.#roundAt = sndUna === sndNxt ? -1 : now;
    this.#roundBytes = delivered;
    this.#roundEnd = sndNxt;
  }
}
