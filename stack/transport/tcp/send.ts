/**
 * The sending half of a connection: the send buffer, the peer's window, and the decision what to send next
 * (RFC 9293 sections 3.7.4, 3.8.6).
 *
 * @module
 */

import { add, after, before, distance, notAfter } from "../../sequence.ts";
import type { CongestionControl, CongestionControlFactory } from "./congestion/control.ts";
import { CongestionWindow, initialWindow } from "./congestion/control.ts";
import { Delivery } from "./delivery.ts";
import { Flag, minimumHeaderBytes } from "./header.ts";
import { Rack } from "./rack.ts";
import { LossRecovery, RecoveryState } from "./recovery.ts";
import { Pacer } from "./pacing.ts";
import { ByteRing, type RingStorage } from "./ring.ts";
import { RttEstimator } from "./rtt.ts";
import { type LossWatcher, Mark, Scoreboard } from "./scoreboard.ts";

/** Whoever turns a decision of the sender into a segment on the wire. */
export interface Transmitter extends LossWatcher {
  /**
   * Sends a segment with `length` bytes of the send buffer from `sequence` on; `fresh` says that they are sent for the
   * first time.
   */
  transmit(flags: number, sequence: number, length: number, fresh?: boolean): void;
  /** Whether enough was sent for now: the rest goes later, so that the program has its turn. */
  readonly pausing?: boolean;
}

/** Takes what the acknowledgement of a SYN says, which tells nothing of the data to come. */
const handshakeRack = new Rack(new RttEstimator());

/** The sending half of one connection. */
export class Sender {
  /** ISS. */
  readonly initialSequence: number;
  /** SND.UNA. */
  sndUna: number;
  /** SND.NXT. */
  sndNxt: number;
  /** SND.WND, in bytes. */
  sndWnd: number = 0;
  /** SND.WL1: the sequence number of the segment that last updated the window. */
  sndWl1: number = 0;
  /** SND.WL2: the acknowledgement number of the segment that last updated the window. */
  sndWl2: number = 0;
  /** MAX.SND.WND (RFC 5961 section 5): the largest window that the peer has announced, in bytes. */
  maxSndWnd: number = 0;
  /** Shift count of the windows that the peer announces. */
  windowScale: number = 0;
  /** Payload bytes of a full segment. */
  segmentBytes: number;
  /** Bytes of TCP header of a full segment, with the options that every segment has. */
  headerBytes: number = minimumHeaderBytes;
  /** Most payload bytes of a super-segment, which the device cuts into full segments; 0 where it does not do that. */
  superSegmentBytes: number = 0;
  /** Whether the application has closed its side: FIN follows the data. */
  finQueued: boolean = false;
  /** Whether FIN has been sent. */
  finSent: boolean = false;
  /** Nagle's algorithm off. */
  noDelay: boolean = false;
  /** Segments that are not full wait for more, for a while. */
  corked: boolean = false;
  /** Whether something waits for nothing but that. */
  heldByCork: boolean = false;
  /** Most bytes that wait in the buffer. */
  limit: number;
  /** Whether the congestion window, and nothing else, kept data back when something was last sent. */
  windowLimited: boolean = false;
  /** Whether a byte beyond the peer's closed window has been sent as a probe. */
  probed: boolean = false;
  /** When something was last sent, in milliseconds. */
  lastSentAt: number = 0;
  /** Payload bytes sent for the first time. */
  bytesSent: number = 0;
  /** Payload bytes sent again. */
  bytesRetransmitted: number = 0;
  /** Segments sent again. */
  segmentsRetransmitted: number = 0;

  /** What has been delivered; null before the first time. */
  delivery: Delivery | null = null;

  /** The round-trip estimator. */
  readonly rtt: RttEstimator = new RttEstimator();
  /** The segments in the network. */
  readonly scoreboard: Scoreboard = new Scoreboard();
  /** The congestion window. */
  readonly window: CongestionWindow;
  /** Whether what the congestion window allows is spread over the round trip. */
  paced: boolean = false;
  // These three are made when they are first needed: a connection that has sent no data does without.
  #control: CongestionControl | null = null;
  #recovery: LossRecovery | null = null;
  #pacer: Pacer | null = null;

  readonly #makeControl: CongestionControlFactory;
  readonly #transmitter: Transmitter;
  readonly #ring: ByteRing;
  /** Sequence number of the first byte in the buffer. */
  #dataStart: number;
  #queued = 0;
  /** End of the last segment that was sent short of a full one; Nagle's algorithm waits for its acknowledgement. */
  #smallEnd: number;
  /** Most bytes that were in the network in this round trip, and where it ends. */
  #roundFlight = 0;
  #roundEnd: number;

  /** Starts with an initial sequence number and nothing to send. */
  constructor(
    transmitter: Transmitter,
    storage: RingStorage,
    makeControl: CongestionControlFactory,
    initialSequence: number,
    segmentBytes: number,
    limit: number,
  ) {
    this.#makeControl = makeControl;
    this.#transmitter = transmitter;
    this.#ring = new ByteRing(storage);
    this.initialSequence = initialSequence;
    this.sndUna =
      this.sndNxt =
      this.#smallEnd =
      this.#roundEnd =
        initialSequence;
    this.#dataStart = add(initialSequence, 1);
    this.segmentBytes = segmentBytes;
    this.limit = limit;
    this.window = new CongestionWindow(segmentBytes);
    this.scoreboard.watcher = transmitter;
  }

  /** The congestion control algorithm. */
  get control(): CongestionControl {
    return this.#control ??= this.#makeControl();
  }

  /** Loss recovery. */
  get recovery(): LossRecovery {
    return this.#recovery ??= new LossRecovery(this.scoreboard, this.rtt, this.window, this.control);
  }

  /** RACK's part of loss recovery; that of nobody before data have been sent. */
  get rack(): Rack {
    return this.#recovery?.rack ?? handshakeRack;
  }

  /** Whether lost segments are being repaired. */
  get recovering(): boolean {
    return this.#recovery !== null && this.#recovery.recovering;
  }

  /** Whether an acknowledgement matters to loss recovery even when it brings nothing new. */
  get awaitsRepair(): boolean {
    return this.#recovery !== null && (this.#recovery.recovering || this.#recovery.tailProbeOutstanding);
  }

  /** When loss recovery wants to look again, in milliseconds of the clock; Infinity when it need not. */
  get reorderingDeadline(): number {
    return this.#recovery === null ? Infinity : this.#recovery.reorderingDeadline;
  }

  /** When to probe the tail, in milliseconds from now; Infinity when it is not to be probed. */
  tailProbeDelay(maximumAckDelay: number): number {
    return this.#recovery === null ? Infinity : this.#recovery.tailProbeDelay(maximumAckDelay);
  }

  /** The pace at which the window is used. */
  get pacer(): Pacer {
    const pacer = this.#pacer ??= new Pacer(this.window, this.rtt);
    pacer.enabled = this.paced;
    return pacer;
  }

  /** When what the pace holds back may go; Infinity while nothing is held back. */
  get releaseAt(): number {
    return this.#pacer === null ? Infinity : this.#pacer.releaseAt;
  }

  /** Bytes in the buffer, sent or not, that are not acknowledged. */
  get queued(): number {
    return this.#queued;
  }

  /** Bytes in the buffer that have not been sent. */
  get unsent(): number {
    return this.finSent ? 0 : Math.max(0, distance(add(this.#dataStart, this.#queued), this.sndNxt));
  }

  /** Whether data or FIN wait to be sent. */
  get hasUnsent(): boolean {
    return this.unsent > 0 || (this.finQueued && !this.finSent);
  }

  /** Whether everything that was handed in, FIN included, has been acknowledged. */
  get finAcknowledged(): boolean {
    return this.finSent && this.sndUna === this.sndNxt;
  }

  /** How many bytes {@linkcode Sender.append} would take. */
  get room(): number {
    return this.finQueued ? 0 : Math.max(0, this.limit - this.#queued);
  }

  /** Takes bytes into the buffer and returns how many. */
  append(source: Uint8Array): number {
    const length = Math.min(source.length, this.room);
    this.#ring.write(this.#queued, source, 0, length, this.#queued);
    this.#queued += length;
    return length;
  }

  /** Copies `length` bytes from `sequence` on into `target` at `at`. */
  copy(sequence: number, target: Uint8Array, at: number, length: number): void {
    this.#ring.read(distance(sequence, this.#dataStart), target, at, length);
  }

  /** Takes a new size of full segments over, from the peer's SYN or a path MTU. */
  resize(segmentBytes: number): void {
    const fresh = this.sndUna === this.initialSequence;
    this.segmentBytes = segmentBytes;
    if (fresh) this.window.restart(segmentBytes);
    else this.window.segmentBytes = segmentBytes;
  }

  /** Everything before `sequence` has been acknowledged: frees the buffer. */
  release(sequence: number): void {
    this.sndUna = sequence;
    // Kept up to date, so that it is not taken for one ahead when the sequence space has come round half way.
    if (!after(this.#smallEnd, sequence)) this.#smallEnd = sequence;
    const bytes = Math.min(distance(sequence, this.#dataStart), this.#queued);
    if (bytes <= 0) return;
    this.#ring.consume(bytes);
    this.#dataStart = add(this.#dataStart, bytes);
    this.#queued -= bytes;
    if (this.#queued === 0) this.#ring.clear();
  }

  /** An acknowledgement has said that `bytes` more have arrived. */
  noteDelivery(bytes: number, now: number): void {
    if (bytes > 0) (this.delivery ??= new Delivery()).acknowledged(bytes, this.sndUna, this.sndNxt, now);
  }

  /** Takes the window of an acceptable segment over (RFC 9293 section 3.10.7.4) and returns whether it is a new one. */
  updateWindow(sequence: number, acknowledgement: number, window: number): boolean {
    if (before(acknowledgement, this.sndUna)) return false;
    const newer = before(this.sndWl1, sequence) ||
      (this.sndWl1 === sequence && notAfter(this.sndWl2, acknowledgement));
    if (!newer) return false;
    const changed = this.sndWnd !== window;
    this.setWindow(sequence, acknowledgement, window);
    return changed;
  }

  /** Takes a window over without asking whether it is newer: the first one. */
  setWindow(sequence: number, acknowledgement: number, window: number): void {
    this.sndWnd = window;
    this.sndWl1 = sequence;
    this.sndWl2 = acknowledgement;
    if (window > this.maxSndWnd) this.maxSndWnd = window;
  }

  /** Sends SYN, or SYN and ACK, with `dataBytes` bytes of the buffer where it is the first time (RFC 7413). */
  sendSyn(flags: number, now: number, dataBytes: number = 0): void {
    this.#transmitter.transmit(flags, this.initialSequence, dataBytes);
    this.lastSentAt = now;
    if (this.scoreboard.count === 0 && this.sndNxt === this.initialSequence) {
      this.sndNxt = add(this.initialSequence, 1);
      this.scoreboard.append(this.initialSequence, this.sndNxt, now, Mark.syn);
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
    this.scoreboard.append(start, this.sndNxt, now, 0);
    this.bytesSent += bytes;
  }

  /** Our SYN was sent without keeping anything: a cookie. Nothing is in the network. */
  synWasSent(): void {
    this.sndNxt = add(this.initialSequence, 1);
  }

  /** Our SYN has been acknowledged; `resent` says whether it had to be sent again. */
  handshakeAcknowledged(resent: boolean): void {
    if (!resent) return;
    // RFC 6298 section 5.7 and RFC 5681 section 3.1: the path has shown loss before the first byte.
    this.rtt.synWasLost();
    this.window.size = this.segmentBytes;
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

  /** Goes on with another congestion control algorithm, and the present window. */
  useControl(control: CongestionControl): void {
    this.#control = control;
    this.#recovery?.useControl(control);
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
    const length = Math.min(this.unsent, this.segmentBytes, this.#windowLeft);
    if (length > 0) {
      this.#sendNew(length, now);
      this.recovery.tailProbeSent(this.sndNxt, false);
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
    this.recovery.tailProbeSent(this.sndNxt, true);
  }

  /**
   * Sends one segment with `length` bytes, which is more than a full one, to see whether it gets through (RFC 4821
   * section 7.4). Returns false when it has to wait: for data, for the windows, for the end of a repair.
   */
  probeSize(length: number, now: number): boolean {
    const { inFlight, lost, sacked } = this.scoreboard;
    const waits = lost + sacked > 0 || this.recovering || this.recovery.sizeProbe === "sent";
    if (waits || this.unsent < length || this.#windowLeft < length || inFlight + length > this.window.size) {
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
    const length = Math.min(this.unsent, this.segmentBytes, this.#windowLeft);
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

  /** Whether an acknowledgement number is for something that was sent: SND.UNA =< SEG.ACK =< SND.NXT, or the probe. */
  covers(acknowledgement: number): boolean {
    if (!after(acknowledgement, this.sndNxt)) return true;
    return this.probed && acknowledgement === add(this.sndNxt, 1);
  }

  /** The peer has taken the byte that was sent as a probe of its window. */
  probeAccepted(): void {
    this.probed = false;
    this.sndNxt = add(this.sndNxt, 1);
    this.bytesSent++;
  }

  /** Forgets everything and frees the buffer. */
  clear(): void {
    this.#queued = 0;
    this.#ring.clear();
    this.scoreboard.clear();
  }

  /** How much more the peer's window allows, in bytes; negative when the peer has shrunk it. */
  get #windowLeft(): number {
    return distance(add(this.sndUna, this.sndWnd), this.sndNxt);
  }

  /** What takes room of the congestion window, in bytes: a SYN is none of the data that it counts (RFC 5681 section 2). */
  get #inFlight(): number {
    const { scoreboard } = this;
    return scoreboard.inFlight - (scoreboard.count > 0 && scoreboard.has(0, Mark.syn) ? 1 : 0);
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

  /** Sends the next lost segment again and returns whether it could; null when none is lost. */
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

  /** Sends the next new segment and returns whether it could. */
  #sendNextNew(now: number): boolean {
    const unsent = this.unsent;
    if (unsent === 0 && !(this.finQueued && !this.finSent)) return false;
    const windowLeft = this.#windowLeft;
    // FIN takes a byte of the window; one that goes without data is sent into a closed window too.
    if (unsent === 0 && windowLeft < 0) return false;
    const length = Math.min(unsent, this.segmentBytes, windowLeft);
    if (unsent > 0 && length <= 0) return false;
    const inFlight = this.#inFlight;
    if (inFlight > 0 && inFlight + length > this.window.size) {
      this.windowLimited = true;
      return false;
    }
    if (length < this.segmentBytes && !this.#smallAllowed(length, unsent)) return false;
    if (!this.pacer.allows()) return false;
    this.#sendNew(length === this.segmentBytes ? this.#fullSegments(unsent, windowLeft) : length, now);
    return true;
  }

  /** As many full segments, of which the first is known to fit, as both windows allow in one super-segment, in bytes. */
  #fullSegments(unsent: number, windowLeft: number): number {
    const { segmentBytes } = this;
    const congestionLeft = this.window.size - this.#inFlight;
    const room = Math.min(unsent, windowLeft, congestionLeft, this.superSegmentBytes, this.pacer.room);
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
      return !after(this.#smallEnd, this.sndUna);
    }
    return length >= this.maxSndWnd / 2;
  }

  #sendNew(length: number, now: number): void {
    const sequence = this.sndNxt;
    const last = length === this.unsent;
    const fin = last && this.finQueued && !this.finSent && (length === 0 || this.#windowLeft > length);
    let flags: number = Flag.ack;
    if (last && length > 0) flags |= Flag.psh;
    if (fin) flags |= Flag.fin;
    this.sndNxt = add(sequence, length + (fin ? 1 : 0));
    this.finSent = this.finSent || fin;
    this.#record(sequence, length, fin, now);
    if (length < this.segmentBytes) this.#smallEnd = this.sndNxt;
    this.bytesSent += length;
    this.probed = false;
    this.lastSentAt = now;
    this.recovery.sent(length, false, now);
    this.pacer.sent(length);
    this.#noteFlight();
    this.#transmitter.transmit(flags, sequence, length, length > 0);
  }

  /** Notes what is now in the network, segment by segment: that is how it arrives or gets lost. */
  #record(sequence: number, length: number, fin: boolean, now: number): void {
    const { scoreboard, segmentBytes } = this;
    let start = sequence;
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
    const sequence = scoreboard.start(index);
    const fin = scoreboard.has(index, Mark.fin);
    const length = scoreboard.size(index) - (fin ? 1 : 0);
    const atEnd = add(sequence, length) === add(this.#dataStart, this.#queued);
    let flags: number = Flag.ack;
    if (atEnd && length > 0) flags |= Flag.psh;
    if (fin) flags |= Flag.fin;
    // A probe of the tail is a second copy of something that is not lost: it does not count as in flight twice.
    if (scoreboard.has(index, Mark.lost)) scoreboard.resent(index, now);
    else scoreboard.resentAsProbe(index, now);
    this.bytesRetransmitted += length;
    this.segmentsRetransmitted++;
    this.lastSentAt = now;
    this.recovery.sent(length, true, now);
    this.pacer.sent(length);
    this.#transmitter.transmit(flags, sequence, length);
  }

  /** Keeps the most that was in the network in a round trip, which says whether the congestion window was used. */
  #noteFlight(): void {
    if (!before(this.sndUna, this.#roundEnd)) {
      this.#roundEnd = this.sndNxt;
      this.#roundFlight = 0;
    }
    this.#roundFlight = Math.max(this.#roundFlight, this.scoreboard.inFlight);
  }

  /**
   * Whether the congestion window may grow: it was in the way, or, in slow start, at least half of it was used
   * (RFC 9293 section 3.8.2; RFC 7661 section 4.3 on why).
   */
  get usesWindow(): boolean {
    return this.windowLimited || (this.window.inSlowStart && this.window.size < 2 * this.#roundFlight);
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
