/**
 * The connections of a connection log.
 *
 * @module
 */

import { Flag } from "../../stack/transport/tcp/header.ts";
import type { CongestionSample, RecordedConnection, RecordedSegment } from "./connection.ts";

/** The letters in which the log writes the control bits. */
const flagLetters: Readonly<Record<string, number>> = {
  F: Flag.fin,
  S: Flag.syn,
  R: Flag.rst,
  P: Flag.psh,
  ".": Flag.ack,
  U: Flag.urg,
  E: Flag.ece,
  W: Flag.cwr,
};

/** A line of the log: what is read of it. */
interface Event {
  time: number;
  group_id: string;
  name: string;
  data: Record<string, unknown>;
}

/** A segment as the log shows it. */
interface SegmentData {
  seq: number;
  len: number;
  flags: string;
  ack?: number;
  window: number;
  sack?: [number, number][];
}

/** A connection whose events are being collected. */
class Collected implements RecordedConnection {
  readonly ends: readonly [string, string];
  readonly segments: RecordedSegment[] = [];
  readonly congestion: CongestionSample[] = [];
  #startedAt = 0;
  #latest: Omit<CongestionSample, "time"> = {
    congestionWindow: 0,
    slowStartThreshold: Infinity,
    bytesInFlight: 0,
    congestionState: "open",
  };

  constructor(local: string, remote: string) {
    this.ends = [local, remote];
  }

  add({ time, name, data }: Event, line: number): void {
    if (name === "tcp:segment_sent" || name === "tcp:segment_received") {
      if (this.segments.length === 0) this.#startedAt = time;
      this.segments.push(toSegment(data, time - this.#startedAt, name, line));
    } else if (name === "recovery:metrics_updated") {
      const { congestion_window, ssthresh, bytes_in_flight } = data;
      const latest = this.#latest;
      this.#note(time, {
        ...latest,
        congestionWindow: numberOr(congestion_window, latest.congestionWindow),
        slowStartThreshold: ssthresh === null ? Infinity : numberOr(ssthresh, latest.slowStartThreshold),
        bytesInFlight: numberOr(bytes_in_flight, latest.bytesInFlight),
      });
    } else if (name === "recovery:congestion_state_updated") {
      this.#note(time, { ...this.#latest, congestionState: String(data.new) });
    }
  }

  #note(time: number, latest: Omit<CongestionSample, "time">): void {
    this.#latest = latest;
    this.congestion.push({ time: this.segments.length === 0 ? 0 : time - this.#startedAt, ...latest });
  }
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}

function isSegment(data: Partial<SegmentData>): data is SegmentData {
  return typeof data.seq === "number" && typeof data.len === "number" && typeof data.flags === "string" &&
    typeof data.window === "number";
}

function toSegment(data: Partial<SegmentData>, time: number, name: string, line: number): RecordedSegment {
  if (!isSegment(data)) throw new TypeError(`Cannot read the connection log: line ${line} is no segment`);
  return {
    time,
    from: name === "tcp:segment_sent" ? 0 : 1,
    number: line,
    sequence: data.seq,
    length: data.len,
    flags: [...data.flags].reduce((bits, letter) => bits | (flagLetters[letter] ?? 0), 0),
    acknowledgement: data.ack ?? null,
    window: data.window,
    sack: data.sack ?? [],
  };
}

/** Whether a file begins as a connection log does. */
export function isConnectionLog(file: Uint8Array): boolean {
  return new TextDecoder().decode(file.subarray(0, 256)).startsWith('{"file_schema":"urn:ietf:params:qlog:');
}

/**
 * Reads a connection log.
 *
 * @returns The connections of which it shows segments, in the order in which they begin.
 * @throws {TypeError} If a line but the last, which may be cut off, is no event.
 */
export function readLoggedConnections(file: Uint8Array): RecordedConnection[] {
  const connections = new Map<string, Collected>();
  const lines = new TextDecoder().decode(file).split("\n");
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === "") continue;
    const event = parseEvent(line);
    if (event === null) {
      if (index === lines.length - 1) break;
      throw new TypeError(`Cannot read the connection log: line ${index + 1} is no event`);
    }
    if (event.name === "tcp:connection_started") {
      connections.set(event.group_id, new Collected(String(event.data.local), String(event.data.remote)));
    }
    connections.get(event.group_id)?.add(event, index + 1);
  }
  return [...connections.values()].filter(({ segments }) => segments.length > 0);
}

function parseEvent(line: string): Event | null {
  try {
    const event = JSON.parse(line) as Partial<Event> | null;
    const isEvent = typeof event?.time === "number" && typeof event.group_id === "string" &&
      typeof event.name === "string" && typeof event.data === "object" && event.data !== null;
    return isEvent ? event as Event : null;
  } catch {
    return null;
  }
}
