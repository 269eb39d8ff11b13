/**
 * Ranges of sequence space that have been received behind a hole. They are also the state from which SACK blocks are
 * made (RFC 2018 section 4).
 *
 * @module
 */

import { add, before, distance, earlier, later, notAfter, notBefore } from "../../sequence.ts";

/** The most ranges that are kept in a small window. */
export const fewestRanges = 256;

/** One more may be kept for each so many bytes of a larger window. */
const windowPerRange = 1024;

/**
 * The most ranges that are kept in a window of `bytes`: memory in proportion to what the window takes anyway. A slow start
 * that fills a queue loses every second segment of a window, and what is not kept then has to be sent again.
 */
export function maximumRanges(bytes: number): number {
  return Math.max(fewestRanges, Math.floor(bytes / windowPerRange));
}

/** The indices of the ranges that grew last, the last first, while blocks are chosen. */
const latest: number[] = [];

/** What all empty ranges share, so that connections without holes hold no memory. Never written to. */
const none: number[] = [];

/** Disjoint ranges in sequence order. */
export class Ranges {
  /** No ranges: for those who have none yet to share. Nothing is added to it. */
  static readonly none: Ranges = new Ranges();
  #starts: number[] = none;
  #ends: number[] = none;
  /** When each range last grew, as a running number: the latest goes into the first SACK block. */
  #touched: number[] = none;
  #touches = 0;
  /** Bytes in all ranges. */
  bytes: number = 0;

  /** How many ranges there are. */
  get count(): number {
    return this.#starts.length;
  }

  /** First sequence number of the first range. */
  get firstStart(): number {
    return this.#starts[0]!;
  }

  /** Sequence number behind the first range. */
  get firstEnd(): number {
    return this.#ends[0]!;
  }

  /** Sequence number behind the last range. */
  get lastEnd(): number {
    return this.#ends[this.#ends.length - 1]!;
  }

  /**
   * Adds `[start, end)`, joining what it touches. Returns false, and changes nothing, when there would be more than
   * `most` ranges.
   */
  add(start: number, end: number, most: number = fewestRanges): boolean {
    const starts = this.#starts;
    const ends = this.#ends;
    const from = this.#firstEndingAtOrAfter(start);
    let to = from;
    while (to < starts.length && notAfter(starts[to]!, end)) to++;
    if (to === from) {
      if (starts.length >= most) return false;
      this.bytes += distance(end, start);
      if (starts === none) {
        this.#starts = [start];
        this.#ends = [end];
        this.#touched = [++this.#touches];
        return true;
      }
      starts.splice(from, 0, start);
      ends.splice(from, 0, end);
      this.#touched.splice(from, 0, ++this.#touches);
      return true;
    }
    const joinedStart = earlier(start, starts[from]!);
    const joinedEnd = later(end, ends[to - 1]!);
    for (let index = from; index < to; index++) this.bytes -= distance(ends[index]!, starts[index]!);
    this.bytes += distance(joinedEnd, joinedStart);
    starts[from] = joinedStart;
    ends[from] = joinedEnd;
    this.#touched[from] = ++this.#touches;
    if (to > from + 1) {
      starts.splice(from + 1, to - from - 1);
      ends.splice(from + 1, to - from - 1);
      this.#touched.splice(from + 1, to - from - 1);
    }
    return true;
  }

  /** Drops everything before `sequence`. */
  dropBefore(sequence: number): void {
    while (this.#starts.length > 0 && notAfter(this.#ends[0]!, sequence)) {
      this.bytes -= distance(this.#ends[0]!, this.#starts[0]!);
      this.#starts.shift();
      this.#ends.shift();
      this.#touched.shift();
    }
    if (this.#starts.length > 0 && before(this.#starts[0]!, sequence)) {
      this.bytes -= distance(sequence, this.#starts[0]!);
      this.#starts[0] = sequence;
    }
  }

  /** Whether all of `[start, end)`, which is not empty, is there. */
  covers(start: number, end: number): boolean {
    const index = this.#firstEndingAtOrAfter(end);
    return index < this.#starts.length && notBefore(start, this.#starts[index]!);
  }

  /** The range in which `sequence` lies, as an index, or -1. */
  indexOf(sequence: number): number {
    const index = this.#firstEndingAtOrAfter(add(sequence, 1));
    return index < this.#starts.length && notBefore(sequence, this.#starts[index]!) ? index : -1;
  }

  /** The first range that has something of `[start, end)`, as an index, or -1. */
  firstOverlap(start: number, end: number): number {
    const index = this.#firstEndingAtOrAfter(add(start, 1));
    return index < this.#starts.length && before(this.#starts[index]!, end) ? index : -1;
  }

  /** First sequence number of a range. */
  start(index: number): number {
    return this.#starts[index]!;
  }

  /** Sequence number behind a range. */
  end(index: number): number {
    return this.#ends[index]!;
  }

  /** Makes the range in which `sequence` lies the latest, as if it had grown: something in it came once more. */
  touch(sequence: number): void {
    const index = this.indexOf(sequence);
    if (index >= 0) this.#touched[index] = ++this.#touches;
  }

  /**
   * Writes up to `limit` SACK blocks to `edges` from block `block` on, the range that grew last first (RFC 2018
   * section 4), and returns the number of blocks that `edges` now holds.
   */
  blocks(edges: Int32Array, block: number, limit: number): number {
    const touched = this.#touched;
    const wanted = limit - block;
    let found = 0;
    for (let index = 0; index < touched.length; index++) {
      const time = touched[index]!;
      if (found === wanted && (found === 0 || time < touched[latest[found - 1]!]!)) continue;
      let place = found < wanted ? found++ : found - 1;
      for (; place > 0 && touched[latest[place - 1]!]! < time; place--) latest[place] = latest[place - 1]!;
      latest[place] = index;
    }
    for (let place = 0; place < found; place++, block++) {
      edges[2 * block] = this.#starts[latest[place]!]!;
      edges[2 * block + 1] = this.#ends[latest[place]!]!;
    }
    return block;
  }

  /** Forgets everything. */
  clear(): void {
    this.#starts = this.#ends = this.#touched = none;
    this.bytes = 0;
  }

  /** Index of the first range that ends at `sequence` or behind it, or the count where none does. */
  #firstEndingAtOrAfter(sequence: number): number {
    const ends = this.#ends;
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(ends[middle]!, sequence)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
