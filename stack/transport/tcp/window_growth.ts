/**
 * How large the receive window should be, from what the application reads in a round trip: "dynamic right-sizing" (Fisk
 * and Feng, 2001).
 *
 * @module
 */

/**
 * The shortest time over which the application's rate is measured, in milliseconds, however short the round trip is: what
 * comes in one turn of the event loop says nothing of the rate.
 */
const shortestRound = 1;

/** Measures one connection's round trips as its receiver sees them, and what is read in each. Times in milliseconds. */
export class WindowGrowth {
  #roundFrom: number;
  #read = 0;
  /** The least sample of this round and of the one before: a queue, or a peer with nothing to send, delays echoes. */
  #least = Infinity;
  #leastBefore = Infinity;

  /** The first data have arrived. */
  constructor(now: number) {
    this.#roundFrom = now;
  }

  /**
   * A segment has arrived that echoes a timestamp of ours from `elapsed` ago. Whoever only receives has no other sample
   * than that of the handshake, which may have waited for the next hop's hardware address. An echo that waited for data, or
   * for a delayed acknowledgement, does no harm: the least counts.
   */
  sample(elapsed: number): void {
    if (elapsed < this.#least) this.#least = elapsed;
  }

  /**
   * The application has read `bytes`. Returns the window that this asks for, in bytes, when a round trip is over, and
   * else 0: four times what was read in it, so that the peer can double its sending rate and still send while it
   * repairs a loss, when nothing can be read. `smoothed` is the round-trip time as the sending half knows it, which
   * counts for peers without timestamps.
   */
  read(bytes: number, now: number, smoothed: number): number {
    this.#read += bytes;
    const sampled = Math.min(this.#least, this.#leastBefore);
    const round = Math.max(shortestRound, sampled === Infinity ? smoothed : sampled);
    if (now - this.#roundFrom < round) return 0;
    const wanted = 4 * this.#read;
    this.#roundFrom = now;
    this.#read = 0;
    this.#leastBefore = this.#least;
    this.#least = Infinity;
    return wanted;
  }
}
