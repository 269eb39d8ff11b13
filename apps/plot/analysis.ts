/**
 * What the segments of a connection mean for the side whose data are plotted: what is new, what was sent again, what
 * was acknowledged, and how much was out at any time.
 *
 * @module
 */

import { Flag } from "../../stack/transport/tcp/header.ts";
import type { RecordedConnection, RecordedSegment, Side } from "./connection.ts";

/**
 * What a segment with payload is: `new`, a `retransmission` of bytes that passed before, `late` where it fills a hole
 * that was left before (the first copy was lost, or overtaken, ahead of whoever recorded it), or a `probe` of a window
 * that is closed.
 */
export type SegmentKind = "new" | "retransmission" | "late" | "probe";

/** A segment of the side whose data are plotted, with payload, SYN or FIN. */
export interface DataSegment extends RecordedSegment {
  /** What it is. */
  readonly kind: SegmentKind;
  /** Behind its last byte: SYN and FIN count as one. */
  readonly end: number;
}

/** A value from some moment on. */
export interface Step {
  /** From when on, in milliseconds. */
  readonly time: number;
  /** The value. */
  readonly value: number;
}

/** A SACK block, and when it came. */
export interface SackBlock {
  /** When it came, in milliseconds. */
  readonly time: number;
  /** Its first byte. */
  readonly left: number;
  /** Behind its last byte. */
  readonly right: number;
}

/** A connection seen from the side whose data are plotted. Sequence numbers count from its SYN. */
export interface TimeSequence {
  /** Whose data they are. */
  readonly sender: Side;
  /** Its segments that take sequence numbers. */
  readonly data: readonly DataSegment[];
  /** Bytes of the stream that passed, each counted once. */
  readonly bytes: number;
  /** How far the peer has acknowledged. */
  readonly acknowledged: readonly Step[];
  /** How far the peer's window reaches; empty where its scale is not known. */
  readonly windowEdge: readonly Step[];
  /** ACKs that repeat the one before (RFC 5681 section 2): `value` is what they acknowledge. */
  readonly duplicateAcks: readonly Step[];
  /** The peer's SACK blocks. */
  readonly sackBlocks: readonly SackBlock[];
  /** Segments with RST, of either side. */
  readonly resets: readonly RecordedSegment[];
  /** Bytes that were sent and not acknowledged. */
  readonly outstanding: readonly Step[];
}

/** Bytes that have passed, as ranges in ascending order that do not touch. */
class PassedBytes {
  readonly #ranges: [left: number, right: number][] = [];

  /** Adds `[left, right)` and returns how much of it was not there yet. */
  add(left: number, right: number): number {
    const ranges = this.#ranges;
    // Almost always it goes behind all others.
    let first = ranges.length;
    while (first > 0 && ranges[first - 1]![1] >= left) first--;
    let last = first;
    let fresh = right - left;
    const merged: [number, number] = [left, right];
    for (; last < ranges.length && ranges[last]![0] <= right; last++) {
      const [rangeLeft, rangeRight] = ranges[last]!;
      fresh -= Math.max(0, Math.min(right, rangeRight) - Math.max(left, rangeLeft));
      merged[0] = Math.min(merged[0], rangeLeft);
      merged[1] = Math.max(merged[1], rangeRight);
    }
    ranges.splice(first, last - first, merged);
    return fresh;
  }
}

/** Draws the conclusions from the segments of `connection`, about the data that `sender` sends. */
export function analyze({ segments }: RecordedConnection, sender: Side): TimeSequence {
  const analysis = new Analysis(sender);
  for (const segment of segments) {
    if (segment.from === sender) analysis.sent(segment);
    else analysis.answered(segment);
    if ((segment.flags & Flag.rst) !== 0) analysis.resets.push(segment);
  }
  return analysis;
}

class Analysis implements TimeSequence {
  readonly sender: Side;
  readonly data: DataSegment[] = [];
  bytes: number = 0;
  readonly acknowledged: Step[] = [];
  readonly windowEdge: Step[] = [];
  readonly duplicateAcks: Step[] = [];
  readonly sackBlocks: SackBlock[] = [];
  readonly resets: RecordedSegment[] = [];
  readonly outstanding: Step[] = [];
  readonly #passed = new PassedBytes();
  #highest = -1;
  #acknowledged = -1;
  #edge = Infinity;
  #lastAck: RecordedSegment | null = null;

  constructor(sender: Side) {
    this.sender = sender;
  }

  /** A segment of the side whose data are plotted. */
  sent(segment: RecordedSegment): void {
    const { time, sequence, length } = segment;
    const end = sequence + sequenceLength(segment);
    if (end === sequence || (segment.flags & Flag.rst) !== 0) return;
    const kind = length > 0 && sequence >= this.#edge ? "probe" : this.#kindOf(segment, end);
    this.data.push({ ...segment, kind, end });
    if (kind === "probe") return;
    this.#highest = Math.max(this.#highest, end);
    this.#noteOutstanding(time);
  }

  #kindOf(segment: RecordedSegment, end: number): SegmentKind {
    const { sequence, length } = segment;
    const fresh = this.#passed.add(sequence, end);
    // SYN and FIN take a number but are no byte.
    this.bytes += Math.min(fresh, length);
    if (sequence >= this.#highest) return "new";
    return fresh < end - sequence ? "retransmission" : "late";
  }

  /** A segment of the other side. */
  answered(segment: RecordedSegment): void {
    const { time, acknowledgement, window, sack } = segment;
    if (acknowledgement === null || (segment.flags & Flag.rst) !== 0) return;
    if (this.#isDuplicate(segment)) this.duplicateAcks.push({ time, value: acknowledgement });
    this.#lastAck = segment;
    for (const [left, right] of sack) this.sackBlocks.push({ time, left, right });
    // An old ACK that was overtaken says nothing any more.
    if (acknowledgement < this.#acknowledged) return;
    if (acknowledgement > this.#acknowledged) {
      this.#acknowledged = acknowledgement;
      this.acknowledged.push({ time, value: acknowledgement });
    }
    if (window !== null && acknowledgement + window !== this.#edge) {
      this.#edge = acknowledgement + window;
      this.windowEdge.push({ time, value: this.#edge });
    }
    this.#noteOutstanding(time);
  }

  /** RFC 5681 section 2: data are out, no payload, no SYN or FIN, and neither ACK nor window have changed. */
  #isDuplicate(segment: RecordedSegment): boolean {
    const last = this.#lastAck;
    return last !== null && segment.acknowledgement === last.acknowledgement && segment.window === last.window &&
      sequenceLength(segment) === 0 && segment.acknowledgement! < this.#highest;
  }

  #noteOutstanding(time: number): void {
    if (this.#highest < 0) return;
    const value = Math.max(0, this.#highest - Math.max(0, this.#acknowledged));
    if (this.outstanding.at(-1)?.value !== value) this.outstanding.push({ time, value });
  }
}

/** How many sequence numbers a segment takes. */
function sequenceLength({ length, flags }: RecordedSegment): number {
  return length + ((flags & Flag.syn) !== 0 ? 1 : 0) + ((flags & Flag.fin) !== 0 ? 1 : 0);
}
