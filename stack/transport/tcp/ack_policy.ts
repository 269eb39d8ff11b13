/**
 * When to acknowledge what arrives (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2): at once, or a little later, in the
 * hope that an answer of the application carries the acknowledgement.
 *
 * @module
 */

/** How soon data must be acknowledged. */
export const AckNeed = {
  none: 0,
  /** Within the delayed-acknowledgement time, or with the next segment that goes out. */
  delayed: 1,
  /** With the next flush. */
  now: 2,
} as const;

/** One of the values of {@linkcode AckNeed}. */
export type AckNeed = (typeof AckNeed)[keyof typeof AckNeed];

/** How many segments are acknowledged at once, at least, when delaying was in vain, and behind a hole. */
const fewestQuick = 16;

/** Most segments that are acknowledged at once because delaying was in vain. */
const mostQuick = 1024;

/** The policy of one connection. */
export class AckPolicy {
  /** See {@linkcode AckNeed}. */
  need: AckNeed = AckNeed.none;
  /** Bytes and segments that arrived in order since the last acknowledgement. */
  #bytes = 0;
  #segments = 0;
  /** Segments that are still to be acknowledged at once. */
  #quick: number;
  /** Whether a loss grants any. */
  #mayBeQuick: boolean;
  /** How many were granted when delaying was last in vain; doubled each time. */
  #granted = 0;
  /** How many bytes had been received when the application last sent. */
  #bytesAnswered = 0;

  /** The first `quick` segments are acknowledged at once. */
  constructor(quick: number) {
    this.#quick = quick;
    this.#mayBeQuick = quick > 0;
  }

  /** Grants that many segments an acknowledgement at once; 0 delays all that may be delayed. */
  set quick(count: number) {
    this.#quick = count;
    this.#mayBeQuick = count > 0;
    this.#granted = 0;
  }

  /**
   * A segment has brought `bytes` in order, where a full one has `segmentBytes`; `hole` says that it may have closed
   * one.
   */
  arrived(bytes: number, segmentBytes: number, hole: boolean): void {
    this.#bytes += bytes;
    this.#segments++;
    // RFC 5681 section 4.2: at least every second segment; of small ones, too.
    const enough = this.#segments >= 2 || this.#bytes >= 2 * segmentBytes;
    // The peer goes on from a loss with a small window: the less it waits for us, the sooner that has grown again.
    if (hole && this.#mayBeQuick) this.#quick = Math.max(this.#quick, fewestQuick);
    if (hole || this.#quick > 0 || enough) this.need = AckNeed.now;
    else if (this.need === AckNeed.none) this.need = AckNeed.delayed;
  }

  /** A segment goes out that acknowledges everything in order. */
  acknowledged(): void {
    if (this.need === AckNeed.now && this.#quick > 0) this.#quick--;
    this.need = AckNeed.none;
    this.#bytes = 0;
    this.#segments = 0;
  }

  /**
   * The application sends, when `bytesReceived` have arrived in all. When it answers what it received, its answers can
   * carry the acknowledgements, which need not be quick any more; unless waiting for an answer has turned out to be in
   * vain.
   */
  answered(bytesReceived: number): void {
    if (bytesReceived === this.#bytesAnswered) return;
    this.#bytesAnswered = bytesReceived;
    this.conversing();
  }

  /** Data that were waiting carry an acknowledgement: the application may go on to answer what it receives. */
  conversing(): void {
    if (this.#granted === 0) this.#quick = 0;
  }

  /**
   * An acknowledgement was delayed for as long as it may be and no answer carried it. The peer may have waited for it to
   * send the rest of a request (Nagle's algorithm), so it will not wait again soon. A full segment has `segmentBytes`.
   */
  delayedInVain(segmentBytes: number): void {
    if (this.#bytes === 0 || this.#bytes >= segmentBytes) return;
    this.#granted = Math.min(Math.max(fewestQuick, 2 * this.#granted), mostQuick);
    this.#quick = this.#granted;
  }
}
