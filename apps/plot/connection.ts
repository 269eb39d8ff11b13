/**
 * A TCP connection as it is plotted, wherever it was recorded.
 *
 * @module
 */

/** One end of a connection: 0 for the one that is named first, 1 for the other. */
export type Side = 0 | 1;

/** A segment on its way past whoever recorded it. */
export interface RecordedSegment {
  /** When it passed, in milliseconds since the first segment of the connection. */
  readonly time: number;
  /** Who sent it. */
  readonly from: Side;
  /** The number of its frame in the capture or of its line in the log, from 1. */
  readonly number: number;
  /** Its sequence number, counted from its sender's SYN, which is 0. */
  readonly sequence: number;
  /** Bytes of payload. */
  readonly length: number;
  /** The control bits. */
  readonly flags: number;
  /** What it acknowledges, counted from its receiver's SYN; null without ACK. */
  readonly acknowledgement: number | null;
  /** The window that it announces in bytes; null where the scale is not known. */
  readonly window: number | null;
  /** The left and right edges of its SACK blocks, counted as `acknowledgement`. */
  readonly sack: readonly (readonly [left: number, right: number])[];
}

/** What a log says of the congestion control of side 0 from some moment on. Sizes are in bytes. */
export interface CongestionSample {
  /** From when on, in milliseconds since the first segment of the connection. */
  readonly time: number;
  /** Congestion window. */
  readonly congestionWindow: number;
  /** Slow-start threshold; Infinity while there is none. */
  readonly slowStartThreshold: number;
  /** What is believed to be in the network. */
  readonly bytesInFlight: number;
  /** `open`, `disorder`, `recovery` or `loss`. */
  readonly congestionState: string;
}

/** A connection that was recorded. */
export interface RecordedConnection {
  /** Both ends, as address and port. */
  readonly ends: readonly [string, string];
  /** Its segments, in the order in which they passed; at least one. */
  readonly segments: readonly RecordedSegment[];
  /** What is known of side 0's congestion control: empty for a capture, which does not show it. */
  readonly congestion: readonly CongestionSample[];
}

/** The bytes of payload that a side has sent, those that were sent again included. */
export function payloadBytes({ segments }: RecordedConnection, side: Side): number {
  return segments.reduce((bytes, { from, length }) => from === side ? bytes + length : bytes, 0);
}

/** The side that has sent more payload. */
export function busierSide(connection: RecordedConnection): Side {
  return payloadBytes(connection, 1) > payloadBytes(connection, 0) ? 1 : 0;
}

/** Milliseconds from the first segment to the last. */
export function durationOf({ segments }: RecordedConnection): number {
  return segments.at(-1)!.time;
}
