/**
 * The sending half of a connection: the decision what to send next (RFC 9293 sections 3.7.4, 3.8.6).
 *
 * @module
 */

import { add, after, before, distance } from "../../sequence.ts";
import { type CongestionControlFactory, initialWindow } from "./congestion/control.ts";
import { Flag } from "./header.ts";
import { RecoveryState } from "./recovery.ts";
import type { Flight, SpareFlights } from "./flight.ts";
import { type LossWatcher, Mark } from "./scoreboard.ts";
import { SendState } from "./send_state.ts";

/** Whoever turns a decision of the sender into a segment on the wire. */
export interface Transmitter extends LossWatcher {
  /**
   * Sends a segment with `length` bytes of the send buffer from `sequence` on; `fresh` says that they are sent for the
   * first time.
   */
  transmit(flags: number, sequence: number, length: number, fresh?: boolean): void;
  /** Whether the peer acknowledges selectively: only then can it say which part of a super-segment it has. */
  readonly selective?: boolean;
  /** Whether enough was sent for now: the rest goes later, so that the program has its turn. */
  readonly pausing?: boolean;
}

/** The sending half of one connection. */
export class Sender extends SendState {
  /** Nagle's algorithm off. */
  noDelay: boolean = false;
  /** Segments that are not full wait for more, for a while. */
  corked: boolean = false;
  /** Whether something waits for nothing but that. */
  heldByCork: boolean = false;
  /** Whether the congestion window, and nothing else, kept data back when something was last sent. */
  windowLimited: boolean = false;

  readonly #transmitter: Transmitter;

  /** Starts with an initial sequence number and nothing to send. */
  constructor(
    transmitter: Transmitter,
    spareFlights: SpareFlights,
    makeControl: CongestionControlFactory,
    initialSequence: number,
    segmentBytes: number,
    limit: number,
    measures?: number[],
  ) {
    super(spareFlights, makeControl, initialSequence, segmentBytes, limit, measures);
    this.#transmitter = transmitter;
  }

  /** As {@linkcode LossWatcher.lost}. */
  override lost(start: number, end: number): void {
    this.segmentsLost++;
    this.#transmitter.lost?.(start, end);
  }

  /** Everything before `sequence` has been acknowledged: frees the buffer. */
  release(sequence: number): void {
    this.sndUna = sequence;
    const { flight } = this;
    // Kept up to date, so that it is not taken for one ahead when the sequence space has come round half way.
    if (!after(flight.smallEnd, sequence)) flight.smallEnd = sequence;
    flight.buffer.release(sequence);
  }

  /** Sends SYN, or SYN and ACK, with `dataBytes` bytes of the buffer where it is the first time (RFC 7413). */
  sendSyn(flags: number, now: number, dataBytes: number = 0): void {
    this.#transmitter.transmit(flags, this.initialSequence, dataBytes);
    this.lastSentAt = now;
    if (this.scoreboard.count === 0 && this.sndNxt === this.initialSequence) {
      this.sndNxt = add(this.initialSequence, 1);
      this.flight.scoreboard.append(this.initialSequence, this.sndNxt, now, Mark.syn);
      if (dataBytes > 0) this.#noteSynData(dataBytes, now);
    } else {
      this.scoreboard.resentAsProbe(0, now);
      this.segmentsRetransmitted++;
    }
  }

  /** The data of our SYN are in the network too. */
  #noteSynData(bytes: number, now: number): void {
    const start = this.sndNxt;
    this.sndNxt = add(start, bytes);
    this.flight.scoreboard.append(start, this.sndNxt, now, 0);
    this.bytesSent += bytes;
  }

  /** Sends what may be sent now: lost segments first, then new data, then FIN. */
  output(now: number): void {
    this.#restartAfterIdle(now);
    const { windowLimited } = this;
    this.windowLimited = false;
    this.heldByCork = false;
    if (this.scoreboard.count === 0 && !this.hasUnsent) return;
    this.pacer.refill(now);
    while (this.#sendNext(now) && !this.#transmitter.pausing);
    // What the pace keeps back, the window has let go: that does not say that the window is large enough.
    if (this.releaseAt !== Infinity || this.#transmitter.pausing) this.windowLimited = windowLimited;
  }

  /** Sends what is held back until the connection is uncorked: it has waited long enough. */
  sendCorked(now: number): void {
    const { corked, noDelay } = this;
    this.corked = false;
    this.noDelay = true;
    this.output(now);
    this.corked = corked;
    this.noDelay = noDelay;
  }

  /** Sends the oldest segment again, whatever the windows say: the retransmission timer expired. */
  retransmitFirst(now: number): void {
    if (this.scoreboard.count > 0) this.#retransmit(0, now);
  }

  /**
   * Probes the tail (RFC 8985 section 7.3): with new data when there are any and the peer's window allows, otherwise
   * with the last segment once more.
   */
  probeTail(now: number): void {
    const length = Math.min(this.unsent, this.segmentBytes, this.windowLeft);
    if (length > 0) {
      this.#sendNew(length, now);
      this.recovery.tailProbe.sent(this.sndNxt, false);
      return;
    }
    let last = this.scoreboard.count - 1;
    if (last < 0) return;
    if (this.scoreboard.size(last) > this.segmentBytes) {
      const end = this.scoreboard.end(last);
      this.scoreboard.split(
        last,
        add(end, -Math.min(this.segmentBytes, distance(end, this.scoreboard.start(last)) - 1)),
      );
      last++;
    }
    this.#retransmit(last, now);
    this.recovery.tailProbe.sent(this.sndNxt, true);
  }

  /**
   * Sends one segment with `length` bytes, which is more than a full one, to see whether it gets through (RFC 4821
   * section 7.4). Returns false when it has to wait: for data, for the windows, for the end of a repair.
   */
  probeSize(length: number, now: number): boolean {
    const { inFlight, lost, sacked } = this.scoreboard;
    const waits = lost + sacked > 0 || this.recovering || this.recovery.sizeProbe === "sent";
    if (waits || this.unsent < length || this.windowLeft < length || inFlight + length > this.window.size) {
      return false;
    }
    const { segmentBytes } = this;
    // For as long as it is written, it is a full segment and no super-segment.
    this.segmentBytes = length;
    this.#sendNew(length, now);
    this.segmentBytes = segmentBytes;
    this.recovery.sizeProbeSent(this.sndNxt);
    return true;
  }

  /** Whether data or FIN wait, nothing is in the network, and only the peer's window keeps them back. */
  get blockedByPeer(): boolean {
    return this.scoreboard.count === 0 && this.hasUnsent && !this.heldByCork;
  }

  /**
   * Probes the peer's window (RFC 9293 section 3.8.6.1): sends what fits the window however little it is (the override
   * of section 3.8.6.2.1), or one byte beyond it.
   */
  probeWindow(now: number): void {
    this.lastSentAt = now;
    const length = Math.min(this.unsent, this.segmentBytes, this.windowLeft);
    if (length > 0) {
      this.#sendNew(length, now);
    } else if (this.unsent > 0) {
      this.probed = true;
      this.#transmitter.transmit(Flag.ack | Flag.psh, this.sndNxt, 1);
    } else {
      // Only FIN waits. What the peer has acknowledged already makes it answer with its window.
      this.#transmitter.transmit(Flag.ack, add(this.sndNxt, -1), 0);
    }
  }

  #sendNext(now: number): boolean {
    const { forward } = this.recovery;
    if (!forward.wantsNew) return this.#retransmitNext(now) ?? this.#sendNextNew(now);
    if (!forward.admits) return false;
    if (this.#sendNextNew(now)) {
      forward.sentNew();
      return true;
    }
    // What the pace holds back is still going to be sent.
    if (this.pacer.releaseAt !== Infinity) return false;
    forward.noneToSend();
    return !forward.wantsNew;
  }

  /**
   * Sends the next lost segment again and returns whether it could; null when none is lost. A window that has shrunk
   * does not hold it back (RFC 9293 section 3.8.6), unless it is closed.
   */
  #retransmitNext(now: number): boolean | null {
    const scoreboard = this.scoreboard;
    const lost = scoreboard.firstToRetransmit();
    if (lost < 0) return null;
    if (scoreboard.size(lost) > this.segmentBytes && !scoreboard.has(lost, Mark.syn)) {
      scoreboard.split(lost, add(scoreboard.start(lost), this.segmentBytes));
    }
    const fits = scoreboard.inFlight + scoreboard.size(lost) <= this.window.size;
    if (!fits && scoreboard.inFlight > 0) {
      this.windowLimited = true;
      return false;
    }
    // A window that the peer has shrunk below what is lost: the probe timer's business.
    if (this.sndWnd === 0 && this.recovery.state !== RecoveryState.loss) return false;
    if (!this.pacer.allows()) return false;
    this.#retransmit(lost, now);
    return true;
  }

  /**
   * Sends the next new segment and returns whether it could: as large a one as possible (RFC 9293 section 3.9.1.2), and
   * none beyond the window that there is now (section 3.8.6).
   */
  #sendNextNew(now: number): boolean {
    const unsent = this.unsent;
    if (unsent === 0 && !(this.finQueued && !this.finSent)) return false;
    const windowLeft = this.windowLeft;
    // A FIN without data takes a byte of the window, but is sent into a closed one too. Of a window that has shrunk below
    // what is in the network less than nothing is left, which no small segment may use.
    const length = Math.min(unsent, this.segmentBytes, windowLeft);
    if (unsent > 0 && length <= 0) return false;
    const { flight } = this;
    const inFlight = this.flightSize;
    if (inFlight > 0 && inFlight + length > flight.window.size) {
      this.windowLimited = true;
      return false;
    }
    if (length < this.segmentBytes && !this.#smallAllowed(length, unsent)) return false;
    if (!flight.pacer.allows()) return false;
    this.#sendNew(length === this.segmentBytes ? this.#fullSegments(unsent, windowLeft) : length, now);
    return true;
  }

  /** As many full segments, of which the first is known to fit, as both windows allow in one super-segment, in bytes. */
  #fullSegments(unsent: number, windowLeft: number): number {
    const { flight, segmentBytes } = this;
    const congestionLeft = flight.window.size - this.flightSize;
    const room = Math.min(unsent, windowLeft, congestionLeft, this.superSegmentBytes, flight.pacer.room);
    return Math.max(segmentBytes, room - room % segmentBytes);
  }

  /**
   * Whether a segment that is not full may go now: Nagle's algorithm, in Minshall's form that waits only for the last
   * small segment, and the sender's side of silly window avoidance (RFC 9293 section 3.8.6.2.1).
   */
  #smallAllowed(length: number, unsent: number): boolean {
    if (length === unsent) {
      if (this.finQueued) return true;
      this.heldByCork = this.corked;
      if (this.corked) return false;
      if (this.noDelay) return true;
      return !after(this.flight.smallEnd, this.sndUna);
    }
    return length >= this.maxSndWnd / 2;
  }

  #sendNew(length: number, now: number): void {
    const { flight } = this;
    const sequence = this.sndNxt;
    const last = length === this.unsent;
    const fin = last && this.finQueued && !this.finSent && (length === 0 || this.windowLeft > length);
    let flags: number = Flag.ack;
    // RFC 9293 section 3.9.1.2: where SEND knows no PUSH, the last segment says PSH (MUST-61), and no other (SHLD-27).
    if (last && length > 0) flags |= Flag.psh;
    if (fin) flags |= Flag.fin;
    this.sndNxt = add(sequence, length + (fin ? 1 : 0));
    this.finSent = this.finSent || fin;
    this.#record(sequence, length, fin, now);
    if (length < this.segmentBytes) flight.smallEnd = this.sndNxt;
    this.bytesSent += length;
    this.probed = false;
    this.lastSentAt = now;
    this.recovery.sent(length, false, now);
    flight.pacer.sent(length);
    this.#noteFlight(flight);
    this.#transmitter.transmit(flags, sequence, length, length > 0);
  }

  /**
   * Notes what is now in the network. A super-segment is one record, which is cut where the peer acknowledges a part of
   * it; but segment by segment where the peer can only be counted on to acknowledge so many.
   */
  #record(sequence: number, length: number, fin: boolean, now: number): void {
    const { flight: { scoreboard }, segmentBytes } = this;
    let start = sequence;
    if (length > segmentBytes && this.#transmitter.selective === true) {
      scoreboard.append(start, this.sndNxt, now, fin ? Mark.fin : 0, segmentBytes);
      return;
    }
    for (let left = length; left > segmentBytes; left -= segmentBytes) {
      const end = add(start, segmentBytes);
      scoreboard.append(start, end, now, 0);
      start = end;
    }
    scoreboard.append(start, this.sndNxt, now, fin ? Mark.fin : 0);
  }

  #retransmit(index: number, now: number): void {
    const scoreboard = this.scoreboard;
    if (scoreboard.has(index, Mark.syn)) return;
    if (scoreboard.size(index) > this.segmentBytes) {
      scoreboard.split(index, add(scoreboard.start(index), this.segmentBytes));
    }
    // RFC 9293 section 3.8.1: what was sent in small pieces need not be sent again in as many.
    while (scoreboard.joinableSize(index) <= this.segmentBytes) scoreboard.joinNext(index);
    // Nor are the ends of segments that have become too big worth segments of their own.
    const room = this.segmentBytes - scoreboard.size(index);
    const next = scoreboard.joinableSize(index) - scoreboard.size(index);
    if (room > 0 && next > this.segmentBytes + 1 && next !== Infinity) scoreboard.takeFromNext(index, room);
    const sequence = scoreboard.start(index);
    const fin = scoreboard.has(index, Mark.fin);
    const length = scoreboard.size(index) - (fin ? 1 : 0);
    const atEnd = add(sequence, length) === this.buffer.end;
    let flags: number = Flag.ack;
    if (atEnd && length > 0) flags |= Flag.psh;
    if (fin) flags |= Flag.fin;
    // A probe of the tail is a second copy of something that is not lost: it does not count as in flight twice.
    const resentAt = this.rack.resendingTime(now);
    if (scoreboard.has(index, Mark.lost)) scoreboard.resent(index, resentAt);
    else scoreboard.resentAsProbe(index, resentAt);
    this.bytesRetransmitted += length;
    this.segmentsRetransmitted++;
    this.lastSentAt = now;
    this.recovery.sent(length, true, now);
    this.pacer.sent(length);
    this.#transmitter.transmit(flags, sequence, length);
  }

  /** Keeps the most that was in the network in a round trip, which says whether the congestion window was used. */
  #noteFlight(flight: Flight): void {
    if (!before(this.sndUna, flight.roundEnd)) {
      flight.roundEnd = this.sndNxt;
      flight.roundFlight = 0;
    }
    flight.roundFlight = Math.max(flight.roundFlight, flight.scoreboard.inFlight);
  }

  /**
   * Whether the congestion window may grow: it was in the way, or, in slow start, at least half of it was used
   * (RFC 9293 section 3.8.2; RFC 7661 section 4.3 on why).
   */
  get usesWindow(): boolean {
    if (!this.flying) return false;
    return this.windowLimited || (this.window.inSlowStart && this.window.size < 2 * this.roundFlight);
  }

  /** RFC 5681 section 4.1: after an idle time-out the window that was learnt is not to be believed. */
  #restartAfterIdle(now: number): void {
    if (this.scoreboard.count > 0 || !this.hasUnsent) return;
    const idle = now - this.lastSentAt;
    if (idle <= this.rtt.timeout || this.bytesSent === 0) return;
    this.window.size = Math.min(this.window.size, initialWindow(this.segmentBytes));
    this.control.idled(idle);
  }
}
