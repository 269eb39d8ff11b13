/**
 * The TCP connections behind captured frames.
 *
 * @module
 */

import { ConnectionTracker } from "../../mod.ts";
import type { CapturedFrame } from "../../stack/link/pcap_reader.ts";
import { type CapturedSegment, SegmentParser } from "../plot/captured_segment.ts";

/** The most connections that are followed at a time: beyond them, the oldest is forgotten. */
const mostConnections = 65_536;

/** A connection that has come to something. */
export interface ConnectionEvent {
  /** The end that opened it. */
  readonly client: string;
  /** The other end. */
  readonly server: string;
  /** What it has come to: `established`, `closed by client`, ... */
  readonly state: string;
  /** Bytes of payload from the client, as acknowledged by the server. */
  readonly clientBytes: number;
  /** Bytes of payload from the server, as acknowledged by the client. */
  readonly serverBytes: number;
  /** Seconds since its SYN. */
  readonly seconds: number;
}

/** A connection that is being followed. */
interface Followed {
  readonly client: string;
  readonly server: string;
  readonly since: number;
  readonly tracker: ConnectionTracker;
}

/** Follows the connections of a capture from their SYNs. */
export class ConnectionTable {
  readonly #parser = new SegmentParser();
  readonly #followed = new Map<string, Followed>();
  #frames = 0;

  /** Takes the next frame, and returns what it has brought a connection to, if anything. */
  see(frame: CapturedFrame): ConnectionEvent | null {
    const segment = this.#parser.parse(frame, ++this.#frames);
    if (segment === null) return null;
    const { source, destination } = segment;
    const key = source < destination ? `${source} ${destination}` : `${destination} ${source}`;
    const connection = this.#followed.get(key);
    if (connection === undefined) {
      this.#begin(key, segment);
      return null;
    }
    const { tracker, client, server, since } = connection;
    const before = tracker.state;
    // A SYN that is none of this connection's begins another.
    if (!tracker.see(source === client, segment)) this.#begin(key, segment);
    if (tracker.state === before) return null;
    if (tracker.isOver) this.#followed.delete(key);
    const seconds = (segment.time - since) / 1000;
    return {
      client,
      server,
      state: tracker.state,
      clientBytes: tracker.clientBytes,
      serverBytes: tracker.serverBytes,
      seconds,
    };
  }

  #begin(key: string, segment: CapturedSegment): void {
    const tracker = ConnectionTracker.begin(segment);
    if (tracker === null) return;
    this.#followed.delete(key);
    this.#followed.set(key, { client: segment.source, server: segment.destination, since: segment.time, tracker });
    if (this.#followed.size <= mostConnections) return;
    const [oldest] = this.#followed.keys();
    this.#followed.delete(oldest!);
  }
}

/** An event as one line of text. */
export function connectionText({ client, server, state, clientBytes, serverBytes, seconds }: ConnectionEvent): string {
  const line = `TCP ${client} > ${server} ${state}`;
  if (state === "established") return line;
  return `${line} after ${seconds.toFixed(3)} s, ${clientBytes} bytes out and ${serverBytes} back`;
}
