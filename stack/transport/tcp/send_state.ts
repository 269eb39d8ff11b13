/**
 * What the sending half of a connection knows: the send sequence variables (RFC 9293 section 3.3.1), the buffer, the
 * windows, and what is in the network.
 *
 * @module
 */

import { add, after, before, distance, notAfter } from "../../sequence.ts";
import type { CongestionControl, CongestionControlFactory } from "./congestion/control.ts";
import { type CongestionWindow, initialWindow } from "./congestion/control.ts";
import { minimumHeaderBytes } from "./header.ts";
import { Measure, newMeasures } from "./measures.ts";
import type { Flight, FlyingSender, SpareFlights } from "./flight.ts";
import { paceOf, type Pacer } from "./pacing.ts";
import { Rack } from "./rack.ts";
import { type LossRecovery, RecoveryState } from "./recovery.ts";
import { initialTimeout, minimumTimeout, RttEstimator } from "./rtt.ts";
import { Mark, Scoreboard } from "./scoreboard.ts";
import type { SendBuffer } from "./send_buffer.ts";

/** So many bytes the send buffer takes however little is in the network, if it is allowed as many. */
const leastBufferLimit = 512 * 1024;

/** Sequence numbers that are farther apart than this many bytes cannot be told from their opposite. */
const largestDistance = 2 ** 31 - 1;

/** Takes what the acknowledgement of a SYN says, which tells nothing of the data to come. */
const handshakeRack = new Rack(new RttEstimator());

/** What a sending half knows; what it does is {@linkcode Sender}'s. */
export abstract class SendState implements FlyingSender {
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
  /** Whether a byte beyond the peer's closed window has been sent as a probe. */
  probed: boolean = false;
  /** Payload bytes sent for the first time. */
  bytesSent: number = 0;
  /** Payload bytes sent again. */
  bytesRetransmitted: number = 0;
  /** Segments sent again. */
  segmentsRetransmitted: number = 0;
  /** How often a segment was found lost. */
  segmentsLost: number = 0;
  /** Most bytes that are taken for sending and not acknowledged. */
  limit: number;

  /** Its numbers that are no whole numbers. */
  readonly measures: number[];
  /** Whether what the congestion window allows is spread over the round trip. */
  paced: boolean = false;
  /** What is known while something is in the network or waits; null while nothing does. */
  #flight: Flight | null = null;
  readonly #spareFlights: SpareFlights;
  /** Made when it is first needed: a connection that has sent no data does without. */
  #control: CongestionControl | null = null;
  readonly #makeControl: CongestionControlFactory;

  /** Starts with an initial sequence number and nothing to send. */
  constructor(
    spareFlights: SpareFlights,
    makeControl: CongestionControlFactory,
    initialSequence: number,
    segmentBytes: number,
    limit: number,
    measures: number[] = newMeasures(),
  ) {
    this.measures = measures;
    this.#spareFlights = spareFlights;
    this.#makeControl = makeControl;
    this.limit = limit;
    this.initialSequence = this.sndUna = this.sndNxt = initialSequence;
    this.segmentBytes = segmentBytes;
    this.rtt.begin(initialTimeout, minimumTimeout);
    this.window.restart(segmentBytes);
  }

  /** The congestion control algorithm. */
  get control(): CongestionControl {
    return this.#control ??= this.#makeControl();
  }

  /** What is known while something is in the network or waits: from now on, if nothing did. */
  protected get flight(): Flight {
    return this.#flight ??= this.#spareFlights.take(this, this.sndUna, this.#firstByte);
  }

  /** Whether anything is in the network or waits. */
  get flying(): boolean {
    return this.#flight !== null;
  }

  /** The round-trip estimator. */
  get rtt(): RttEstimator {
    return this.flight.rtt;
  }

  /** The congestion window. */
  get window(): CongestionWindow {
    return this.flight.window;
  }

  /** The sequence number of the next byte that is taken for sending, while none waits. */
  get #firstByte(): number {
    return this.sndNxt === this.initialSequence && this.bytesSent === 0 ? add(this.sndNxt, 1) : this.sndNxt;
  }

  /** As {@linkcode LossWatcher.lost}. */
  abstract lost(start: number, end: number): void;

  /** Gives back what is known only while something is in the network or waits, if nothing does. */
  rest(now: number): void {
    if (this.#flight !== null && this.#flight.atRest(now)) this.#flight = this.#spareFlights.recycle(this.#flight);
  }

  /** Forgets what is in the network and what waits. */
  clear(): void {
    if (this.#flight === null) return;
    this.#flight.clear();
    this.#flight = this.#spareFlights.recycle(this.#flight);
  }

  /** The segments in the network. */
  get scoreboard(): Scoreboard {
    return this.#flight === null ? Scoreboard.none : this.#flight.scoreboard;
  }

  /** Written and not acknowledged yet. */
  get buffer(): SendBuffer {
    return this.#flight === null ? this.#spareFlights.noBuffer : this.#flight.buffer;
  }

  /** Most bytes that were in the network in this round trip. */
  protected get roundFlight(): number {
    return this.#flight === null ? 0 : this.#flight.roundFlight;
  }

  /** Loss recovery: from now on, if there was none. */
  get recovery(): LossRecovery {
    const { flight } = this;
    flight.repairable = true;
    return flight.recovery;
  }

  /** RACK's part of loss recovery; that of nobody before data have been sent. */
  get rack(): Rack {
    return this.#flight !== null && this.#flight.repairable ? this.#flight.recovery.rack : handshakeRack;
  }

  /** Where loss recovery stands. */
  get recoveryState(): RecoveryState {
    return this.#flight === null ? RecoveryState.open : this.#flight.recovery.state;
  }

  /** Whether lost segments are being repaired. */
  get recovering(): boolean {
    return this.#flight !== null && this.#flight.recovery.recovering;
  }

  /** Whether an acknowledgement matters to loss recovery even when it brings nothing new. */
  get awaitsRepair(): boolean {
    return this.#flight !== null && (this.#flight.recovery.recovering || this.#flight.recovery.tailProbe.outstanding);
  }

  /** Whether what was sent has arrived in another order. */
  get reorderingSeen(): boolean {
    return this.#flight !== null && this.#flight.recovery.rack.reorderingSeen;
  }

  /** When loss recovery wants to look again, in milliseconds of the clock; Infinity when it need not. */
  get reorderingDeadline(): number {
    return this.#flight === null ? Infinity : this.#flight.recovery.reorderingDeadline;
  }

  /** When to probe the tail, in milliseconds from now; Infinity when it is not to be probed. */
  tailProbeDelay(maximumAckDelay: number): number {
    if (this.#flight === null || !this.#flight.repairable) return Infinity;
    return this.#flight.recovery.tailProbeDelay(maximumAckDelay);
  }

  /** The pace at which the window is used. */
  protected get pacer(): Pacer {
    const { pacer } = this.flight;
    pacer.enabled = this.paced;
    return pacer;
  }

  /** The pace at which the window is used, in bytes per millisecond; Infinity when there is none. */
  get pace(): number {
    if (!this.paced) return Infinity;
    const { measures } = this;
    return paceOf(measures[Measure.smoothedRtt]!, measures[Measure.window]!, measures[Measure.slowStartThreshold]!);
  }

  /** When what the pace holds back may go; Infinity while nothing is held back. */
  get releaseAt(): number {
    return this.#flight === null ? Infinity : this.#flight.pacer.releaseAt;
  }

  /** Goes on with another congestion control algorithm, and the present window. */
  useControl(control: CongestionControl): void {
    this.#control = control;
  }

  /** When something was last sent, in milliseconds. */
  get lastSentAt(): number {
    return this.measures[Measure.sentAt]!;
  }

  set lastSentAt(time: number) {
    this.measures[Measure.sentAt] = time;
  }

  /** Bytes in the buffer, sent or not, that are not acknowledged. */
  get queued(): number {
    return this.buffer.queued;
  }

  /** Bytes in the buffer that have not been sent. */
  get unsent(): number {
    return this.#flight === null || this.finSent ? 0 : Math.max(0, distance(this.#flight.buffer.end, this.sndNxt));
  }

  /** Whether data or FIN wait to be sent. */
  get hasUnsent(): boolean {
    return this.unsent > 0 || (this.finQueued && !this.finSent);
  }

  /** Whether everything that was handed in, FIN included, has been acknowledged. */
  get finAcknowledged(): boolean {
    return this.finSent && this.sndUna === this.sndNxt;
  }

  /**
   * Bytes up to which the buffer takes more: those in the network, and as many again to follow them. More would wait for
   * nothing, outside of the processor's cache; a congestion window says little of that on a path without delay.
   */
  get bufferLimit(): number {
    return Math.min(this.limit, Math.max(leastBufferLimit, 2 * this.flight.scoreboard.outstanding));
  }

  /** Takes bytes into the buffer and returns how many. */
  append(source: Uint8Array): number {
    return this.finQueued ? 0 : this.flight.buffer.append(source, this.bufferLimit);
  }

  /** Takes a new size of full segments over, from the peer's SYN or a path MTU. */
  resize(segmentBytes: number): void {
    const fresh = this.sndUna === this.initialSequence;
    this.segmentBytes = segmentBytes;
    if (fresh) return this.window.restart(segmentBytes);
    // RFC 5681 section 3.1: as many smaller segments as there were large ones, and no burst of more; but an initial
    // window is none.
    const { window } = this;
    const ratio = segmentBytes / window.segmentBytes;
    if (ratio < 1) {
      window.size = Math.min(window.size, Math.max(Math.floor(ratio * window.size), initialWindow(segmentBytes)));
    }
    window.segmentBytes = segmentBytes;
  }

  /** An acknowledgement has said that `bytes` more have arrived. */
  noteDelivery(bytes: number, now: number): void {
    if (bytes > 0) this.flight.delivery.acknowledged(bytes, this.sndUna, this.sndNxt, now);
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

  /** How much more the peer's window allows, in bytes; negative when the peer has shrunk it. */
  get windowLeft(): number {
    // What a SYN announces is room for data, of which the answer to it is none.
    return distance(add(this.sndUna, this.sndWnd + this.#synBytes), this.sndNxt);
  }

  /** FlightSize, in bytes: what takes room of the congestion window. A SYN is none of the data (RFC 5681 section 2). */
  get flightSize(): number {
    return this.scoreboard.inFlight - this.#synBytes;
  }

  /** The sequence space of our SYN while it is not acknowledged. */
  get #synBytes(): number {
    if (this.sndUna !== this.initialSequence) return 0;
    const { scoreboard } = this;
    return scoreboard.count > 0 && scoreboard.has(0, Mark.syn) ? 1 : 0;
  }

  /** Whether an acknowledgement number is for something that was sent: SND.UNA =< SEG.ACK =< SND.NXT, or the probe. */
  covers(acknowledgement: number): boolean {
    if (!after(acknowledgement, this.sndNxt)) return true;
    return this.probed && acknowledgement === add(this.sndNxt, 1);
  }

  /**
   * How far behind SND.UNA an acknowledgement may lie, in bytes: as far as the peer's largest window (RFC 5961 section
   * 5.2), but not in front of the first byte. What was never sent, only somebody who guesses acknowledges.
   */
  get believedLag(): number {
    const window = Math.max(this.maxSndWnd, 1);
    if (this.bytesSent > largestDistance) return window;
    return Math.min(window, distance(this.sndUna, add(this.initialSequence, 1)));
  }

  /** The peer has taken the byte that was sent as a probe of its window. */
  probeAccepted(): void {
    this.probed = false;
    this.sndNxt = add(this.sndNxt, 1);
    this.bytesSent++;
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
}
