/**
 * Tells bulk data from other traffic.
 *
 * @module
 */

/** Frames after which the time is asked for. */
const windowFrames = 512;

/** Windows in a row that have to agree. */
const windowsInARow = 4;

/** Bytes of full frames a millisecond from which on it is bulk, and below which it is none any more: 0.8 and 0.2 Gbit/s. */
const bulkRate = 100_000;
const quietRate = 25_000;

/**
 * Looks at what is sent. Bulk are full frames, many in a short time: requests and answers, acknowledgements and small
 * datagrams are none, however many there are.
 */
export class BulkMeter {
  readonly #now: () => number;
  #startedAt: number;
  #frames = 0;
  #bytes = 0;
  /** Windows in a row that speak against the present verdict. */
  #doubts = 0;
  #bulk = false;

  /** Begins without bulk. `now` tells milliseconds since any time. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
  }

  /** The verdict. */
  get bulk(): boolean {
    return this.#bulk;
  }

  /** Notes a frame, and the bytes that count: none unless it is a full one. */
  sent(fullBytes: number): void {
    this.#bytes += fullBytes;
    if (++this.#frames >= windowFrames) this.#endWindow();
  }

  #endWindow(): void {
    const now = this.#now();
    const elapsed = now - this.#startedAt;
    const doubtful = this.#bulk ? this.#bytes < quietRate * elapsed : this.#bytes > bulkRate * elapsed;
    this.#startedAt = now;
    this.#frames = 0;
    this.#bytes = 0;
    this.#doubts = doubtful ? this.#doubts + 1 : 0;
    if (this.#doubts < windowsInARow) return;
    this.#doubts = 0;
    this.#bulk = !this.#bulk;
  }
}
