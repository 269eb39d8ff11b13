/**
 * Proportional rate reduction (RFC 6937 and its successor): while losses are repaired, what leaves the network decides
 * what may enter it, so that the window comes down to the threshold without silence and without a burst.
 *
 * @module
 */

/** The rate reduction of one recovery. Sizes are in bytes. */
export class RateReduction {
  #delivered = 0;
  #sent = 0;
  #flight = 1;

  /** A recovery begins with `flight` in the network. */
  begin(flight: number): void {
    this.#delivered = this.#sent = 0;
    this.#flight = Math.max(flight, 1);
  }

  /** Bytes have been sent, for the first time or again. */
  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /**
   * Returns how much may be sent now that `delivered` more has left the network, where `inFlight` is what is left in it
   * (RFC 6937 section 3). `safe` says that the repair makes progress and nothing else was found lost: only then is a slow
   * start up to the threshold.
   */
  allowance(delivered: number, inFlight: number, threshold: number, segment: number, safe: boolean): number {
    this.#delivered += delivered;
    if (inFlight > threshold) return Math.ceil(this.#delivered * threshold / this.#flight) - this.#sent;
    const conserved = Math.max(this.#delivered - this.#sent, delivered);
    return Math.min(safe ? conserved + segment : conserved, threshold - inFlight);
  }

  /** Whether nothing has been sent in this recovery. */
  get untouched(): boolean {
    return this.#sent === 0;
  }
}
