/**
 * The scoreboard: a record of every segment that is in the network, with what is known of it. It is what loss
 * detection, the congestion window and round-trip samples work from (RFC 6675 section 3, RFC 8985 section 5.2). A
 * super-segment is one record until the peer acknowledges a part of it.
 *
 * Records stand in the order of their sequence numbers in parallel arrays; nothing is allocated per segment.
 *
 * @module
 */

import { FreeList } from "../../free_list.ts";
import { add, before, distance, notAfter } from "../../sequence.ts";

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

/** Records for which there is room at first. */
const smallestCapacity = 16;

/** Most records into which a peer may cut what is out by acknowledging odd pieces of it. */
const mostRecordsBySplitting = 16_384;

/** The columns of the table, one row a record. */
const Column = {
  start: 0,
  end: 1,
  sentAt: 2,
  marks: 3,
  /** Of a sacked record: at least how many sacked records stand here in a row, itself included; 0 while unknown. */
  run: 4,
  /** Payload bytes of each of the segments that it stands for; 0 where it is one. */
  segmentBytes: 5,
} as const;

const columns = 6;

const noTable = new Float64Array(0);

/** Tables of the smallest size that nobody uses, so that connections with nothing under way hold none. */
const spareTables = new FreeList<Float64Array>();

/** Who is told of losses. */
export interface LossWatcher {
  /** What was sent from `start` up to `end` is believed lost: the first copy, or one that was sent again. */
  lost?(start: number, end: number): void;
}

/** The records of one connection. Index 0 is the oldest. */
export class Scoreboard {
  /** No records: for those who have none to share. Nothing is added to it. */
  static readonly none: Scoreboard = new Scoreboard();
  #table: Float64Array = noTable;
  #capacity = 0;
  #head = 0;
  #count = 0;
  /** No record before this index is lost and not sent again. */
  #retransmitHint = 0;
  /** Whether any record remembers a run. */
  #runsKnown = false;
  /** Sequence space that the records cover, in bytes. */
  outstanding: number = 0;
  /** The part of it that is marked sacked. */
  sacked: number = 0;
  /** The part of it that is marked lost. */
  lost: number = 0;
  /** The part of it that is marked retransmitted. */
  retransmitted: number = 0;
  /** How many segments are marked sacked. */
  sackedCount: number = 0;
  /** Who is told of records that are found lost. */
  watcher: LossWatcher | null = null;

  /** How many records there are. */
  get count(): number {
    return this.#count;
  }

  /** Bytes that are believed to be in the network: "pipe" of RFC 6675. */
  get inFlight(): number {
    return this.outstanding - this.sacked - this.lost + this.retransmitted;
  }

  /** Whether records may still be cut in two because of what the peer acknowledges. */
  get splittable(): boolean {
    return this.#count < mostRecordsBySplitting;
  }

  /** First sequence number of a record. */
  start(index: number): number {
    return this.#table[this.#row(index) + Column.start]!;
  }

  /** Sequence number behind a record. */
  end(index: number): number {
    return this.#table[this.#row(index) + Column.end]!;
  }

  /** Sequence space of a record, in bytes. */
  size(index: number): number {
    const row = this.#row(index);
    return distance(this.#table[row + Column.end]!, this.#table[row + Column.start]!);
  }

  /** Sequence space of the largest segment of a record, in bytes. */
  largestSegment(index: number): number {
    const segmentBytes = this.#table[this.#row(index) + Column.segmentBytes]!;
    return segmentBytes === 0 ? this.size(index) : Math.min(segmentBytes, this.size(index));
  }

  /** When it was last sent, in milliseconds. */
  sentAt(index: number): number {
    return this.#table[this.#row(index) + Column.sentAt]!;
  }

  /** What is known of it; see {@linkcode Mark}. */
  marks(index: number): number {
    return this.#table[this.#row(index) + Column.marks]!;
  }

  /** Whether any of `marks` is set on a record. */
  has(index: number, marks: number): boolean {
    return (this.marks(index) & marks) !== 0;
  }

  /**
   * Adds the record of a segment that has just been sent for the first time, or of a super-segment whose parts have
   * `segmentBytes` bytes each.
   */
  append(start: number, end: number, now: number, marks: number, segmentBytes: number = 0): void {
    if (this.#count === this.#capacity) this.#grow();
    this.#write(this.#count++, start, end, now, marks, segmentBytes);
    this.outstanding += distance(end, start);
  }

  /** Removes the oldest record, which has been acknowledged. */
  shift(): void {
    this.#tally(0, -1);
    this.outstanding -= this.size(0);
    this.#head = (this.#head + 1) & (this.#capacity - 1);
    this.#count--;
    if (this.#retransmitHint > 0) this.#retransmitHint--;
    if (this.#count === 0) this.clear();
  }

  /** Cuts the front off the oldest record, up to `sequence`, which lies inside it. */
  trim(sequence: number): void {
    this.#tally(0, -1);
    const row = this.#row(0);
    this.outstanding -= distance(sequence, this.#table[row + Column.start]!);
    this.#table[row + Column.start] = sequence;
    this.#tally(0, 1);
  }

  /** Cuts a record in two at `sequence`, which lies inside it. Both halves keep what is known; FIN goes to the second. */
  split(index: number, sequence: number): void {
    const end = this.end(index);
    const marks = this.marks(index);
    const sentAt = this.sentAt(index);
    const segmentBytes = this.#table[this.#row(index) + Column.segmentBytes]!;
    this.#tally(index, -1);
    if (this.#count === this.#capacity) this.#grow();
    this.#makeRoom(index + 1);
    this.#write(index, this.start(index), sequence, sentAt, marks & ~Mark.fin, segmentBytes);
    this.#write(index + 1, sequence, end, sentAt, marks & ~Mark.syn, segmentBytes);
    this.#tally(index, 1);
    this.#tally(index + 1, 1);
    if (index < this.#retransmitHint) this.#retransmitHint++;
  }

  /** Sequence space of a record and the next together, when both are lost and not sent again; Infinity otherwise. */
  joinableSize(index: number): number {
    if (index + 1 >= this.#count || !this.#isLost(index) || !this.#isLost(index + 1)) return Infinity;
    return distance(this.end(index + 1), this.start(index));
  }

  /** Makes one record of a record and the next, both of which are lost and not sent again. */
  joinNext(index: number): void {
    const table = this.#table;
    const row = this.#row(index);
    const next = this.#row(index + 1);
    table[next + Column.start] = table[row + Column.start]!;
    table[next + Column.sentAt] = Math.max(table[row + Column.sentAt]!, table[next + Column.sentAt]!);
    table[next + Column.marks] = table[row + Column.marks]! | table[next + Column.marks]!;
    for (let moved = index; moved > 0; moved--) {
      const from = this.#row(moved - 1);
      table.copyWithin(this.#row(moved), from, from + columns);
    }
    this.#head = (this.#head + 1) & (this.#capacity - 1);
    this.#count--;
    if (this.#retransmitHint > index) this.#retransmitHint--;
  }

  /** Moves the first `bytes` of the next record, which is larger than that, into this one. Both are lost. */
  takeFromNext(index: number, bytes: number): void {
    const table = this.#table;
    const row = this.#row(index);
    const next = this.#row(index + 1);
    table[row + Column.end] = table[next + Column.start] = add(table[next + Column.start]!, bytes);
    table[row + Column.sentAt] = Math.max(table[row + Column.sentAt]!, table[next + Column.sentAt]!);
    table[row + Column.marks] = table[row + Column.marks]! | (table[next + Column.marks]! & Mark.ambiguous);
  }

  #isLost(index: number): boolean {
    return (this.marks(index) & (Mark.lost | Mark.retransmitted | Mark.syn)) === Mark.lost;
  }

  /** Adds and removes marks. */
  mark(index: number, set: number, clear = 0): void {
    this.#tally(index, -1);
    const at = this.#row(index) + Column.marks;
    const before = this.#table[at]!;
    const marks = (before & ~clear) | set;
    this.#table[at] = marks;
    this.#tally(index, 1);
    if ((marks & (Mark.lost | Mark.retransmitted)) === Mark.lost) {
      this.#retransmitHint = Math.min(this.#retransmitHint, index);
      if ((before & (Mark.lost | Mark.retransmitted)) !== Mark.lost) {
        this.watcher?.lost?.(this.start(index), this.end(index));
      }
    }
    if ((before & ~marks & Mark.sacked) !== 0) this.#forgetRuns();
  }

  /** Notes that a copy of a record that is not lost has been sent at `now`. */
  resentAsProbe(index: number, now: number): void {
    this.mark(index, Mark.ambiguous);
    this.#noteSentAgain(index, now);
  }

  /** Notes that a record that was lost has been sent again at `now`. */
  resent(index: number, now: number): void {
    this.mark(index, Mark.retransmitted | Mark.ambiguous);
    this.#noteSentAgain(index, now);
  }

  /** What is sent again is sent as one segment. */
  #noteSentAgain(index: number, now: number): void {
    this.#tally(index, -1);
    const row = this.#row(index);
    this.#table[row + Column.sentAt] = now;
    this.#table[row + Column.segmentBytes] = 0;
    this.#tally(index, 1);
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

  /**
   * Index of the first record from `index` on that is not sacked, or the count. What is found is remembered, so that
   * long rows of sacked records are not walked with every acknowledgement.
   */
  nextUnsacked(index: number): number {
    const table = this.#table;
    let next = index;
    while (next < this.#count) {
      const row = this.#row(next);
      if ((table[row + Column.marks]! & Mark.sacked) === 0) break;
      next += Math.max(1, table[row + Column.run]!);
    }
    if (next > index) {
      table[this.#row(index) + Column.run] = next - index;
      this.#runsKnown = true;
    }
    return next;
  }

  /** Index of the first record that is lost and not sent again since, or -1. */
  firstToRetransmit(): number {
    if (this.lost === this.retransmitted) return -1;
    for (let index = this.#retransmitHint; index < this.#count; index++) {
      if ((this.marks(index) & (Mark.lost | Mark.retransmitted)) === Mark.lost) {
        this.#retransmitHint = index;
        return index;
      }
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
    if (this.#capacity === smallestCapacity) spareTables.keep(this.#table);
    this.#table = noTable;
    this.#capacity = 0;
    this.#head = this.#count = this.#retransmitHint = 0;
    this.outstanding =
      this.sacked =
      this.lost =
      this.retransmitted =
      this.sackedCount =
        0;
  }

  /** Where a record stands in the table. */
  #row(index: number): number {
    return ((this.#head + index) & (this.#capacity - 1)) * columns;
  }

  #write(index: number, start: number, end: number, sentAt: number, marks: number, segmentBytes: number): void {
    const row = this.#row(index);
    const table = this.#table;
    table[row + Column.start] = start;
    table[row + Column.end] = end;
    table[row + Column.sentAt] = sentAt;
    table[row + Column.marks] = marks;
    table[row + Column.run] = 0;
    table[row + Column.segmentBytes] = segmentBytes;
  }

  /** Moves the records from `index` on one place back. All at once: a peer can have records cut with every segment. */
  #makeRoom(index: number): void {
    const table = this.#table;
    const first = (this.#head + index) & (this.#capacity - 1);
    const end = first + this.#count++ - index;
    const last = this.#capacity - 1;
    if (end > last) {
      table.copyWithin(columns, 0, (end - last - 1) * columns);
      table.copyWithin(0, last * columns);
    }
    table.copyWithin((first + 1) * columns, first * columns, Math.min(end, last) * columns);
  }

  /** A record is sacked no longer: what is remembered of rows may lead across it. */
  #forgetRuns(): void {
    if (!this.#runsKnown) return;
    this.#runsKnown = false;
    for (let index = 0; index < this.#count; index++) this.#table[this.#row(index) + Column.run] = 0;
  }

  /** Adds (`sign` 1) or subtracts (-1) a record's part in the sums by mark. */
  #tally(index: number, sign: 1 | -1): void {
    const marks = this.marks(index);
    if ((marks & (Mark.sacked | Mark.lost | Mark.retransmitted)) === 0) return;
    const size = sign * this.size(index);
    if ((marks & Mark.sacked) !== 0) {
      this.sacked += size;
      this.sackedCount += sign * this.#segments(index);
    }
    if ((marks & Mark.lost) !== 0) this.lost += size;
    if ((marks & Mark.retransmitted) !== 0) this.retransmitted += size;
  }

  /** How many segments a record stands for. */
  #segments(index: number): number {
    const segmentBytes = this.#table[this.#row(index) + Column.segmentBytes]!;
    return segmentBytes === 0 ? 1 : Math.ceil(this.size(index) / segmentBytes);
  }

  #grow(): void {
    const capacity = Math.max(smallestCapacity, 2 * this.#capacity);
    const table = capacity === smallestCapacity
      ? spareTables.take() ?? new Float64Array(capacity * columns)
      : new Float64Array(capacity * columns);
    const wrapped = this.#head * columns;
    table.set(this.#table.subarray(wrapped), 0);
    table.set(this.#table.subarray(0, wrapped), (this.#capacity - this.#head) * columns);
    this.#table = table;
    this.#capacity = capacity;
    this.#head = 0;
  }
}
