/**
 * The scoreboard: a record of every segment that is in the network, with what is known of it. It is what loss
 * detection, the congestion window and round-trip samples work from (RFC 6675 section 3, RFC 8985 section 5.2).
 *
 * Records stand in the order of their sequence numbers in parallel arrays; nothing is allocated per segment.
 *
 * @module
 */

import { before, distance, notAfter } from "../../sequence.ts";

/** What is known of a segment in the network. */
export const Mark = {
  /** The peer has it, as a SACK block or a count of duplicate ACKs says. */
  sacked: 1,
  /** It is believed lost. */
  lost: 2,
  /** It was believed lost, and has been sent again, and that copy is in the network. */
  retransmitted: 4,
  /** It has been sent more than once, so that an acknowledgement is ambiguous (Karn). */
  ambiguous: 8,
  /** It carries SYN. */
  syn: 16,
  /** It carries FIN. */
  fin: 32,
} as const;

const smallestCapacity = 16;

/** The records of one connection. Index 0 is the oldest. */
export class Scoreboard {
  #starts: Uint32Array = new Uint32Array(0);
  #ends: Uint32Array = new Uint32Array(0);
  #sentAt: Float64Array = new Float64Array(0);
  #marks: Uint8Array = new Uint8Array(0);
  #head = 0;
  #count = 0;
  /** Sequence space that the records cover, in bytes. */
  outstanding: number = 0;
  /** The part of it that is marked sacked. */
  sacked: number = 0;
  /** The part of it that is marked lost. */
  lost: number = 0;
  /** The part of it that is marked retransmitted. */
  retransmitted: number = 0;
  /** How many records are marked sacked. */
  sackedCount: number = 0;

  /** How many records there are. */
  get count(): number {
    return this.#count;
  }

  /** Bytes that are believed to be in the network: "pipe" of RFC 6675. */
  get inFlight(): number {
    return this.outstanding - this.sacked - this.lost + this.retransmitted;
  }

  /** First sequence number of a record. */
  start(index: number): number {
    return this.#starts[this.#slot(index)]!;
  }

  /** Sequence number behind a record. */
  end(index: number): number {
    return this.#ends[this.#slot(index)]!;
  }

  /** Sequence space of a record, in bytes. */
  size(index: number): number {
    const slot = this.#slot(index);
    return distance(this.#ends[slot]!, this.#starts[slot]!);
  }

  /** When it was last sent, in milliseconds. */
  sentAt(index: number): number {
    return this.#sentAt[this.#slot(index)]!;
  }

  /** What is known of it; see {@linkcode Mark}. */
  marks(index: number): number {
    return this.#marks[this.#slot(index)]!;
  }

  /** Whether any of `marks` is set on a record. */
  has(index: number, marks: number): boolean {
    return (this.#marks[this.#slot(index)]! & marks) !== 0;
  }

  /** Adds the record of a segment that has just been sent for the first time. */
  append(start: number, end: number, now: number, marks: number): void {
    if (this.#count === this.#starts.length) this.#grow();
    const slot = this.#slot(this.#count++);
    this.#starts[slot] = start;
    this.#ends[slot] = end;
    this.#sentAt[slot] = now;
    this.#marks[slot] = marks;
    this.outstanding += distance(end, start);
  }

  /** Removes the oldest record, which has been acknowledged. */
  shift(): void {
    this.#tally(0, -1);
    this.outstanding -= this.size(0);
    this.#head = (this.#head + 1) & (this.#starts.length - 1);
    this.#count--;
    if (this.#count === 0 && this.#starts.length > 4 * smallestCapacity) this.clear();
  }

  /** Cuts the front off the oldest record, up to `sequence`, which lies inside it. */
  trim(sequence: number): void {
    this.#tally(0, -1);
    const slot = this.#slot(0);
    this.outstanding -= distance(sequence, this.#starts[slot]!);
    this.#starts[slot] = sequence;
    this.#tally(0, 1);
  }

  /** Cuts a record in two at `sequence`, which lies inside it. Both halves keep what is known; FIN goes to the second. */
  split(index: number, sequence: number): void {
    const at = this.#slot(index);
    const end = this.#ends[at]!;
    const marks = this.#marks[at]!;
    const sentAt = this.#sentAt[at]!;
    if (this.#count === this.#starts.length) this.#grow();
    this.#count++;
    for (let later = this.#count - 1; later > index + 1; later--) {
      const to = this.#slot(later);
      const from = this.#slot(later - 1);
      this.#starts[to] = this.#starts[from]!;
      this.#ends[to] = this.#ends[from]!;
      this.#sentAt[to] = this.#sentAt[from]!;
      this.#marks[to] = this.#marks[from]!;
    }
    const first = this.#slot(index);
    const second = this.#slot(index + 1);
    this.#ends[first] = sequence;
    this.#marks[first] = marks & ~Mark.fin;
    this.#starts[second] = sequence;
    this.#ends[second] = end;
    this.#sentAt[second] = sentAt;
    this.#marks[second] = marks & ~Mark.syn;
    if ((marks & Mark.sacked) !== 0) this.sackedCount++;
  }

  /** Adds and removes marks. */
  mark(index: number, set: number, clear = 0): void {
    this.#tally(index, -1);
    const slot = this.#slot(index);
    this.#marks[slot] = (this.#marks[slot]! & ~clear) | set;
    this.#tally(index, 1);
  }

  /** Notes that a copy of a record that is not lost has been sent at `now`. */
  resentAsProbe(index: number, now: number): void {
    this.mark(index, Mark.ambiguous);
    this.#sentAt[this.#slot(index)] = now;
  }

  /** Notes that a record that was lost has been sent again at `now`. */
  resent(index: number, now: number): void {
    this.mark(index, Mark.retransmitted | Mark.ambiguous);
    this.#sentAt[this.#slot(index)] = now;
  }

  /** Index of the first record that ends behind `sequence`, or the count where none does. */
  firstEndingAfter(sequence: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (notAfter(this.end(middle), sequence)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Index of the first record that is lost and not sent again since, or -1. */
  firstToRetransmit(): number {
    if (this.lost === this.retransmitted) return -1;
    for (let index = 0; index < this.#count; index++) {
      if ((this.marks(index) & (Mark.lost | Mark.retransmitted)) === Mark.lost) return index;
    }
    return -1;
  }

  /** Whether `sequence` lies in a record that is marked sacked. */
  isSacked(sequence: number): boolean {
    const index = this.firstEndingAfter(sequence);
    return index < this.#count && !before(sequence, this.start(index)) && this.has(index, Mark.sacked);
  }

  /** Forgets everything and gives the memory back. */
  clear(): void {
    this.#starts = new Uint32Array(0);
    this.#ends = new Uint32Array(0);
    this.#sentAt = new Float64Array(0);
    this.#marks = new Uint8Array(0);
    this.#head = this.#count = 0;
    this.outstanding =
      this.sacked =
      this.lost =
      this.retransmitted =
      this.sackedCount =
        0;
  }

  #slot(index: number): number {
    return (this.#head + index) & (this.#starts.length - 1);
  }

  /** Adds (`sign` 1) or subtracts (-1) a record's part in the sums by mark. */
  #tally(index: number, sign: 1 | -1): void {
    const marks = this.marks(index);
    if ((marks & (Mark.sacked | Mark.lost | Mark.retransmitted)) === 0) return;
    const size = sign * this.size(index);
    if ((marks & Mark.sacked) !== 0) {
      this.sacked += size;
      this.sackedCount += sign;
    }
    if ((marks & Mark.lost) !== 0) this.lost += size;
    if ((marks & Mark.retransmitted) !== 0) this.retransmitted += size;
  }

  #grow(): void {
    const capacity = Math.max(smallestCapacity, 2 * this.#starts.length);
    const starts = new Uint32Array(capacity);
    const ends = new Uint32Array(capacity);
    const sentAt = new Float64Array(capacity);
    const marks = new Uint8Array(capacity);
    for (let index = 0; index < this.#count; index++) {
      const slot = this.#slot(index);
      starts[index] = this.#starts[slot]!;
      ends[index] = this.#ends[slot]!;
      sentAt[index] = this.#sentAt[slot]!;
      marks[index] = this.#marks[slot]!;
    }
    this.#starts = starts;
    this.#ends = ends;
    this.#sentAt = sentAt;
    this.#marks = marks;
    this.#head = 0;
  }
}
