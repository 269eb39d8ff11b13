/**
 * The TCP connections of a capture file.
 *
 * @module
 */

import { Flag } from "../../stack/transport/tcp/header.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import { RelativeSequence } from "../../stack/relative_sequence.ts";
import { type CapturedSegment, SegmentParser } from "./captured_segment.ts";
import type { RecordedConnection, RecordedSegment, Side } from "./connection.ts";

/** A sequence number further than this from the highest is not counted from: it is damaged, or of somebody else. */
const believedDistance = 2 ** 30;

/** A connection whose segments are being collected. */
class Collected implements RecordedConnection {
  readonly ends: readonly [string, string];
  readonly segments: RecordedSegment[] = [];
  readonly congestion: [] = [];
  /** The initial sequence number of whoever opened it, where its SYN was captured. */
  readonly initial: number | null;
  readonly #startedAt: number;
  readonly #numbers: [RelativeSequence | null, RelativeSequence | null] = [null, null];
  readonly #highest: [number, number] = [0, 0];
  /** What each side's SYN says: null before it was seen, -1 when it does not scale its windows. */
  readonly #scales: [number | null, number | null] = [null, null];

  /** Begins with `first`, whose sender becomes side 0. */
  constructor(first: CapturedSegment) {
    const isOpening = (first.flags & Flag.syn) !== 0 && (first.flags & Flag.ack) === 0;
    this.ends = [first.source, first.destination];
    this.initial = isOpening ? first.sequence : null;
    this.#startedAt = first.time;
  }

  add(segment: CapturedSegment): void {
    const { flags, length } = segment;
    const from: Side = segment.source === this.ends[0] ? 0 : 1;
    const to: Side = from === 0 ? 1 : 0;
    const isSyn = (flags & Flag.syn) !== 0;
    const isAck = (flags & Flag.ack) !== 0;
    if (isSyn) this.#scales[from] = segment.windowScale;
    const sender = this.#numbers[from] ??= new RelativeSequence(segment.sequence, isSyn ? 0 : 1);
    if (isAck) this.#numbers[to] ??= new RelativeSequence(segment.acknowledgement, 1);
    const receiver = this.#numbers[to];
    const relative = sender.of(segment.sequence);
    if (Math.abs(relative - this.#highest[from]) < believedDistance) {
      this.#highest[from] = Math.max(this.#highest[from], sender.advance(segment.sequence));
    }
    this.segments.push({
      time: segment.time - this.#startedAt,
      from,
      number: segment.frame,
      sequence: relative,
      length,
      flags,
      acknowledgement: isAck ? receiver!.of(segment.acknowledgement) : null,
      window: this.#window(segment, from, isSyn),
      sack: receiver === null ? [] : segment.sack.map(([left, right]) => [receiver.of(left), receiver.of(right)]),
    });
  }

  #window({ window }: CapturedSegment, from: Side, isSyn: boolean): number | null {
    // RFC 7323 section 2.2: that of a SYN is never scaled, and scaling takes both sides.
    if (isSyn) return window;
    const [first, second] = this.#scales;
    if (first === null || second === null) return null;
    return first < 0 || second < 0 ? window : window * 2 ** this.#scales[from]!;
  }
}

/**
 * Reads a capture file.
 *
 * @returns Its TCP connections, in the order in which they begin.
 * @throws {TypeError} If it is neither pcapng nor classic pcap, or damaged.
 */
export function readCapturedConnections(file: Uint8Array): RecordedConnection[] {
  const connections: Collected[] = [];
  const current = new Map<string, Collected>();
  const parser = new SegmentParser();
  for (const [index, frame] of readCapture(file).frames.entries()) {
    const segment = parser.parse(frame, index + 1);
    if (segment === null) continue;
    const { source, destination } = segment;
    const key = source < destination ? `${source} ${destination}` : `${destination} ${source}`;
    let connection = current.get(key);
    if (connection === undefined || opensAnother(connection, segment)) {
      connection = new Collected(segment);
      connections.push(connection);
      current.set(key, connection);
    }
    connection.add(segment);
  }
  return connections;
}

/** Whether a segment opens a new connection between the ends of an old one: a SYN that is no copy of the old one's. */
function opensAnother({ initial }: Collected, { flags, sequence }: CapturedSegment): boolean {
  return (flags & Flag.syn) !== 0 && (flags & Flag.ack) === 0 && sequence !== initial;
}
