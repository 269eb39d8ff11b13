/**
 * TIME-WAIT: what is left of a connection that both sides have closed, for as long as segments of it may still be
 * under way (RFC 9293 section 3.6.1). Each is small, their number is bounded, and one timer serves all.
 *
 * @module
 */

import { add, after, before, notBefore } from "../../sequence.ts";
import type { Timer } from "../../timers.ts";
import type { Path } from "../../network/path.ts";
import type { Endpoint } from "../endpoint.ts";
import { type Flow, FlowTable } from "../flow_table.ts";
import type { PortReservation } from "../ports.ts";
import type { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import type { TcpCounters } from "./counters.ts";
import { Flag } from "./header.ts";
import type { Segment } from "./segment.ts";

/** Most connections in TIME-WAIT; when there are more, the oldest is forgotten. */
export const maximumTimeWait = 16_384;

/** What is left of one connection. */
export class TimeWait implements Flow {
  /** Our end. */
  readonly local: Endpoint;
  /** The peer's end. */
  readonly remote: Endpoint;
  /** The way to the peer. */
  readonly path: Path;
  /** SND.NXT. */
  readonly sndNxt: number;
  /** RCV.NXT. */
  readonly rcvNxt: number;
  /** The window field that is announced, as it goes into the header. */
  readonly window: number;
  /** Its shift count. */
  readonly windowScale: number;
  /** Whether timestamps are in use. */
  readonly timestamps: boolean;
  /** TS.Recent. */
  recentTimestamp: number;
  /** What is added to the clock for our timestamps. */
  readonly timestampOffset: number;
  /** When it is over, in milliseconds. */
  deadline: number = 0;
  /** Gives back what is still reserved. */
  readonly reservation: PortReservation | null;
  /** The connection itself, while somebody watches. */
  readonly connection: Connection | null;
  /** Managed by the flow table. */
  flowHash: number = 0;

  /** Keeps what is needed of a connection. */
  constructor(connection: Connection, reservation: PortReservation | null) {
    this.local = connection.local;
    this.remote = connection.remote;
    this.path = connection.path;
    this.sndNxt = connection.sender.sndNxt;
    this.rcvNxt = connection.receiver.rcvNxt;
    this.windowScale = connection.receiver.windowScale;
    this.window = Math.min(65535, Math.floor(connection.receiver.window / 2 ** this.windowScale));
    this.timestamps = connection.timestamps;
    this.recentTimestamp = connection.receiver.recentTimestamp;
    this.timestampOffset = (connection.timestampNow - Math.floor(connection.now)) | 0;
    this.reservation = reservation;
    this.connection = connection.trace === null ? null : connection;
  }
}

/** All connections in TIME-WAIT. */
export class TimeWaitTable {
  readonly #context: TcpContext<Connection>;
  readonly #timer: Timer;
  readonly #counters: TcpCounters;
  readonly #flows: FlowTable<TimeWait>;
  /** In order of their deadlines: all wait equally long. */
  readonly #order = new Set<TimeWait>();
  /** Twice the maximum segment lifetime, in milliseconds. */
  duration: number;

  /** An empty table; each connection stays for `duration` milliseconds. */
  constructor(context: TcpContext<Connection>, duration: number) {
    this.#context = context;
    this.#timer = context.timers.create(() => this.#expire());
    this.#counters = context.counters;
    this.#flows = new FlowTable(context.random);
    this.duration = duration;
  }

  get #now(): number {
    return this.#context.timers.clock.now();
  }

  /** How many there are. */
  get size(): number {
    return this.#order.size;
  }

  /** All of them, the oldest first. */
  values(): IterableIterator<TimeWait> {
    return this.#order.values();
  }

  /** Whether a pair of ends is waiting. */
  has(local: Endpoint, remote: Endpoint): boolean {
    return this.#flows.has(local, remote);
  }

  /** As {@linkcode FlowTable.find}. */
  find(
    view: DataView,
    family: 4 | 6,
    localAt: number,
    localPort: number,
    remoteAt: number,
    remotePort: number,
  ): TimeWait | null {
    return this.#flows.find(view, family, localAt, localPort, remoteAt, remotePort);
  }

  /** Adds one, which starts to wait now. */
  add(entry: TimeWait): void {
    if (this.#order.size >= maximumTimeWait) {
      const [oldest] = this.#order;
      this.#counters.timeWaitOverflow++;
      this.remove(oldest!);
    }
    this.#flows.add(entry);
    this.#restart(entry);
  }

  /** Ends one early. */
  remove(entry: TimeWait): void {
    if (!this.#order.delete(entry)) return;
    this.#flows.remove(entry);
    entry.reservation?.release();
    entry.connection?.timeWaitEnded();
    if (this.#order.size === 0) this.#timer.dispose();
  }

  /** Ends all of them. */
  clear(): void {
    for (const entry of [...this.#order]) this.remove(entry);
  }

  /**
   * Handles a segment for one of them; `listening` says whether its port has a listener. Returns true when it is a SYN
   * that may begin a new connection (RFC 9293 section 3.6.1, RFC 6191): the entry is gone then, and the segment is the
   * listener's.
   */
  segmentArrives(entry: TimeWait, segment: Segment, listening: boolean): boolean {
    // RFC 1337 section 3: a reset must not cut the waiting short.
    if (segment.rst) return false;
    if (segment.syn && this.#context.options.trustSyns && inWindow(entry, segment)) {
      const { writer } = this.#context;
      writer.writeReset(
        entry.path,
        entry.local.port,
        entry.remote.port,
        Flag.rst | Flag.ack,
        entry.sndNxt,
        entry.rcvNxt,
      );
      this.remove(entry);
      return false;
    }
    if (segment.syn && !segment.ack && !segment.fin && listening && this.#mayBegin(entry, segment)) {
      this.#counters.timeWaitReused++;
      this.remove(entry);
      return true;
    }
    // Fifth check of RFC 9293 section 3.10.7.4. No TCP sends such a segment, so nobody misses an answer.
    if (!segment.ack && !segment.syn) {
      this.#counters.unexpected++;
      return false;
    }
    if (segment.fin && segment.end === entry.rcvNxt) this.#arrivesFin(entry, segment);
    else if (!this.#acceptable(entry, segment)) this.#challenge(entry);
    return false;
  }

  /**
   * First check of RFC 9293 section 3.10.7.4, with that of RFC 7323 section 5.3. The peer has nothing more to send, so an
   * empty segment behind its FIN is all that is acceptable.
   */
  #acceptable(entry: TimeWait, { sequence, sequenceLength, options }: Segment): boolean {
    if (sequence !== entry.rcvNxt || sequenceLength > 0) return false;
    return !entry.timestamps || !options.hasTimestamps || !before(options.timestampValue, entry.recentTimestamp);
  }

  /** The peer's FIN again: our last ACK was lost, so the waiting starts anew. */
  #arrivesFin(entry: TimeWait, { options }: Segment): void {
    // RFC 7323 section 4.3. From other segments it is not taken: anybody can send one that looks old.
    if (entry.timestamps && options.hasTimestamps && after(options.timestampValue, entry.recentTimestamp)) {
      entry.recentTimestamp = options.timestampValue;
    }
    this.#restart(entry);
    this.#acknowledge(entry);
  }

  /** Answers what is not acceptable, within the limit: two ends that disagree must not answer each other for ever. */
  #challenge(entry: TimeWait): void {
    if (!this.#context.challenges.take(this.#now)) {
      this.#counters.challengeAcksSuppressed++;
      return;
    }
    this.#counters.challengeAcks++;
    this.#acknowledge(entry);
  }

  /** Whether a SYN is certainly newer than all that the old connection may still have under way (RFC 6191 section 2). */
  #mayBegin(entry: TimeWait, segment: Segment): boolean {
    const { hasTimestamps, timestampValue } = segment.options;
    const higher = after(segment.sequence, entry.rcvNxt);
    if (!hasTimestamps) return higher;
    if (!entry.timestamps) return true;
    return after(timestampValue, entry.recentTimestamp) || (timestampValue === entry.recentTimestamp && higher);
  }

  #acknowledge(entry: TimeWait): void {
    const now = Math.floor(this.#now);
    this.#context.writer.writeAcknowledgement(
      entry.path,
      entry.local.port,
      entry.remote.port,
      entry.sndNxt,
      entry.rcvNxt,
      entry.window,
      (now + entry.timestampOffset) | 0,
      entry.recentTimestamp,
      entry.timestamps,
    );
  }

  #restart(entry: TimeWait): void {
    this.#order.delete(entry);
    entry.deadline = this.#now + this.duration;
    this.#order.add(entry);
    if (!this.#timer.running) this.#timer.startAt(entry.deadline);
  }

  #expire(): void {
    const now = this.#now;
    for (const entry of this.#order) {
      if (entry.deadline > now) {
        this.#timer.startAt(entry.deadline);
        return;
      }
      this.remove(entry);
    }
  }
}

/** Whether a segment begins in the window that was announced. */
function inWindow({ rcvNxt, window, windowScale }: TimeWait, { sequence }: Segment): boolean {
  return notBefore(sequence, rcvNxt) && before(sequence, add(rcvNxt, window << windowScale));
}
