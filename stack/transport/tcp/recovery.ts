/**
 * Loss recovery: the states that a connection goes through when segments are missing, how much may be sent meanwhile
 * (proportional rate reduction, RFC 6937 and its successor), probes of the tail (RFC 8985 section 7), and taking all
 * of it back when the loss was none (Eifel, RFC 3522 and 4015; DSACK, RFC 3708; F-RTO, RFC 5682).
 *
 * @module
 */

import { add, after, before, notBefore } from "../../sequence.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import { type AckSample, Congestion, type CongestionControl, type CongestionWindow } from "./congestion/control.ts";
import { Finding, ForwardRto, mostNewSegments } from "./forward_rto.ts";
import { duplicateThreshold, Rack } from "./rack.ts";
import type { RttEstimator } from "./rtt.ts";
import { Mark, type Scoreboard } from "./scoreboard.ts";

/** Where loss recovery stands. */
export const RecoveryState = {
  /** All is in order. */
  open: 0,
  /** Something is out of order; it may be reordering or loss. */
  disorder: 1,
  /** Lost segments are being repaired, in time to keep the ACKs flowing. */
  recovery: 2,
  /** The retransmission timer expired: start again from one segment. */
  loss: 3,
} as const;

/** One of the values of {@linkcode RecoveryState}. */
export type RecoveryState = (typeof RecoveryState)[keyof typeof RecoveryState];

/** Names of the states for people, by value. */
export const recoveryStateNames = ["open", "disorder", "recovery", "loss"] as const;

/** When the tail is probed while the round-trip time is unknown, in milliseconds (RFC 8985 section 7.2). */
const tailProbeDelayUnmeasured = 1000;

/** What is allowed for the peer's and our own timers when its ACK need not be delayed, in milliseconds. */
const tailProbeSlack = 2;

/** A sending half, as far as its losses are repaired. */
export interface RepairedSender {
  /** The round-trip estimator. */
  readonly rtt: RttEstimator;
  /** The congestion window. */
  readonly window: CongestionWindow;
  /** The congestion control algorithm. */
  readonly control: CongestionControl;
}

/** Loss recovery of one connection. Sizes are in bytes, times in milliseconds. */
export class LossRecovery {
  /** See {@linkcode RecoveryState}. */
  state: RecoveryState = RecoveryState.open;
  /** RACK's part. */
  readonly rack: Rack;
  /** Finds out whether a time-out was spurious. */
  readonly forward: ForwardRto = new ForwardRto();
  /** What became of the one segment that was larger than the path is known to carry (RFC 4821 section 7.3). */
  sizeProbe: "none" | "sent" | "lost" = "none";
  #sizeProbeEnd = 0;
  /** When RACK wants to look again, in milliseconds of the clock; Infinity when it need not. */
  reorderingDeadline: number = Infinity;
  /** Whether a tail loss probe is in the network, unanswered. */
  tailProbeOutstanding: boolean = false;

  readonly #scoreboard: Scoreboard;
  #sender: RepairedSender;
  #rtt: RttEstimator;
  #window: CongestionWindow;
  /** SND.NXT when recovery began: it ends when everything before is acknowledged. */
  #point = 0;
  /** Whether nothing behind the point has been acknowledged: duplicate ACKs may come from the recovery itself. */
  #guarded = false;

  #prrDelivered = 0;
  #prrOut = 0;
  #prrFlight = 0;

  /** Whether a congestion mark has been answered, and SND.NXT at that time. */
  #marked = false;
  #markedUntil = 0;

  #tailProbeEnd = 0;
  #tailProbeRetransmitted = false;

  #undoPossible = false;
  #undoWindow = 0;
  #undoThreshold = 0;
  /** When the first segment was sent again in this recovery; -1 before that. */
  #firstRetransmissionAt = -1;
  /** Retransmissions of this recovery that the peer has not reported as duplicates. */
  #undoRetransmissions = 0;
  /** After the recovery: the sequence number whose acknowledgement ends a round trip; and how many are to end still. */
  #undoUntil = 0;
  #undoRounds = 0;

  /** Works on what `sender` has in the network. */
  constructor(scoreboard: Scoreboard, sender: RepairedSender) {
    this.#scoreboard = scoreboard;
    this.#sender = sender;
    this.#rtt = sender.rtt;
    this.#window = sender.window;
    this.rack = new Rack(sender.rtt);
  }

  /** Begins anew with a connection that has nothing in the network. */
  begin(sender: RepairedSender): void {
    this.#sender = sender;
    this.#rtt = sender.rtt;
    this.#window = sender.window;
    this.rack.begin(sender.rtt);
    this.forward.stop();
    this.reorderingDeadline = Infinity;
    this.#marked = false;
  }

  /** Whether nothing is known that would matter once nothing is in the network. */
  get atRest(): boolean {
    return this.state === RecoveryState.open && this.sizeProbe === "none" && !this.tailProbeOutstanding &&
      !this.#guarded && !this.#undoPossible && this.rack.atRest;
  }

  get #control(): CongestionControl {
    return this.#sender.control;
  }

  /** Whether lost segments are being repaired. */
  get recovering(): boolean {
    return this.state >= RecoveryState.recovery;
  }

  /**
   * Draws the conclusions from an acknowledgement that has been digested: marks losses, changes the state, and sets
   * the congestion window. `sample.bytes` is what was delivered; `windowLimited` says that the congestion window was
   * what kept the sender from sending more; `echo` is when the answered segment was sent, or -1.
   */
  acknowledged(
    ack: Acknowledgement,
    sample: AckSample,
    selective: boolean,
    windowLimited: boolean,
    echo: number,
  ): void {
    const { now, sndUna, sndNxt } = sample;
    const scoreboard = this.#scoreboard;
    if (ack.duplicateReported) this.#duplicateReported(ack, sndUna, sndNxt);
    if (this.tailProbeOutstanding) this.#tailProbeAnswered(ack, sample);
    this.#detectUndo(ack, echo, sndUna);
    if (this.state === RecoveryState.loss && this.#undoPossible) this.#askForward(ack, sndUna);
    else this.forward.stop();
    if (this.recovering && notBefore(sndUna, this.#point)) this.#leave(sndNxt);
    if (!this.recovering) {
      if (this.#guarded && after(sndUna, this.#point)) this.#guarded = false;
      if (this.#undoPossible && after(sndUna, this.#undoUntil)) {
        this.#undoPossible = --this.#undoRounds > 0;
        this.#undoUntil = sndNxt;
      }
    }

    const toRepair = scoreboard.lost - scoreboard.retransmitted;
    if (selective) this.#detectByRack(now);
    else this.#detectByCount(ack);

    const lostMore = scoreboard.lost - scoreboard.retransmitted > toRepair;
    if (this.state < RecoveryState.recovery) {
      if (this.sizeProbe === "sent" && this.#onlySizeProbeLost()) this.#repairSizeProbe();
      else if (scoreboard.lost > 0) this.#enterRecovery(sample, ack.delivered, ack.advanced);
      else this.state = scoreboard.sacked > 0 ? RecoveryState.disorder : RecoveryState.open;
    }
    if (this.state === RecoveryState.recovery) {
      this.#reduceProportionally(ack.delivered, ack.advanced > 0, lostMore, selective);
    } else if (ack.advanced > 0 && windowLimited) {
      // RFC 5681 section 3.1: the window grows by what is acknowledged cumulatively; while a time-out is repaired,
      // that may be much that arrived long ago.
      if (this.state !== RecoveryState.loss) sample.bytes = ack.advanced;
      if (sample.bytes > 0) this.#control.acknowledged(this.#window, sample);
    }
  }

  /** The reordering timer expired: marks what must be lost by now. */
  reorderingTimedOut(sample: AckSample): void {
    this.#detectByRack(sample.now);
    if (this.sizeProbe === "sent" && this.#onlySizeProbeLost()) return this.#repairSizeProbe();
    if (this.#scoreboard.lost > 0 && this.state < RecoveryState.recovery) this.#enterRecovery(sample, 0, 0);
    if (this.state === RecoveryState.recovery) this.#reduceProportionally(0, false, true, true);
  }

  /**
   * The peer has received a packet that a router had marked: slow down as after a loss, once a round trip (RFC 3168
   * section 6.1.2), or a little less if `sign` says that it is no loss (RFC 8511). Returns whether the window was reduced.
   */
  congestionReported(sample: AckSample, sign: Congestion): boolean {
    if (this.recovering || (this.#marked && before(sample.sndUna, this.#markedUntil))) return false;
    this.#marked = true;
    this.#markedUntil = sample.sndNxt;
    const window = this.#window;
    window.slowStartThreshold = this.#control.threshold(window, this.#scoreboard.outstanding, sample.now, sign);
    window.size = Math.min(window.size, window.slowStartThreshold);
    return true;
  }

  /**
   * The retransmission timer expired: what the peer is not known to have is lost (RFC 5681 section 3.1), with SACK
   * except for what was sent lately (RFC 8985 section 6.3).
   */
  retransmissionTimedOut(sample: AckSample, selective: boolean): void {
    const scoreboard = this.#scoreboard;
    if (this.sizeProbe === "sent") this.sizeProbe = "lost";
    // A peer that has the oldest segment would have acknowledged it: it has thrown away what it had selectively
    // acknowledged (RFC 2018 section 8).
    const reneged = scoreboard.count > 0 && scoreboard.has(0, Mark.sacked);
    if (this.state < RecoveryState.recovery || notBefore(sample.sndUna, this.#point)) {
      // RFC 5682 section 2.1, step 1: nothing else has been sent again.
      if (this.state < RecoveryState.recovery) this.forward.begin();
      else this.forward.stop();
      this.#rememberForUndo();
      this.#reduceThreshold(scoreboard.outstanding, sample.now);
    } else this.forward.interrupted();
    this.#control.timedOut(this.#window, sample.now);
    this.#window.afterTimeout = true;
    if (selective && !reneged) this.rack.timedOut(scoreboard, sample.now);
    else {
      // Without SACK, what was counted as delivered was a guess.
      for (let index = 0; index < scoreboard.count; index++) {
        scoreboard.mark(index, Mark.lost, Mark.sacked | Mark.retransmitted);
      }
    }
    this.#window.size = this.#window.segmentBytes;
    this.#repairUntil(sample.sndNxt);
    this.state = RecoveryState.loss;
    this.reorderingDeadline = Infinity;
    this.tailProbeOutstanding = false;
  }

  /**
   * What is in the network in segments of more than `largest` bytes is to be sent again in smaller ones: not congestion,
   * so the window stays as it is (RFC 1191 section 6.5).
   */
  segmentsTooBig(largest: number): void {
    const scoreboard = this.#scoreboard;
    let some = false;
    for (let index = 0; index < scoreboard.count; index++) {
      const bytes = scoreboard.largestSegment(index) - (scoreboard.has(index, Mark.fin) ? 1 : 0);
      if (bytes <= largest || scoreboard.has(index, Mark.sacked | Mark.syn)) continue;
      scoreboard.mark(index, Mark.lost, Mark.retransmitted);
      some = true;
    }
    if (!some) return;
    this.#repairUntil(scoreboard.end(scoreboard.count - 1));
    this.state = RecoveryState.loss;
    this.#undoPossible = false;
    this.forward.stop();
    this.reorderingDeadline = Infinity;
    this.tailProbeOutstanding = false;
  }

  /** The segment before `sndNxt` is larger than the path is known to carry. */
  sizeProbeSent(sndNxt: number): void {
    this.sizeProbe = "sent";
    this.#sizeProbeEnd = sndNxt;
  }

  #onlySizeProbeLost(): boolean {
    const scoreboard = this.#scoreboard;
    const index = scoreboard.firstEndingAfter(add(this.#sizeProbeEnd, -1));
    if (index >= scoreboard.count || !scoreboard.has(index, Mark.lost)) return false;
    return scoreboard.end(index) === this.#sizeProbeEnd && scoreboard.lost === scoreboard.size(index);
  }

  /** RFC 4821 section 7.3: the loss of a probe alone is no congestion. */
  #repairSizeProbe(): void {
    this.sizeProbe = "lost";
    this.segmentsTooBig(this.#window.segmentBytes);
  }

  /** Bytes have been sent, for the first time or again. */
  sent(bytes: number, again: boolean, now: number): void {
    if (this.state === RecoveryState.recovery) this.#prrOut += bytes;
    if (!again || !this.recovering) return;
    if (this.#firstRetransmissionAt < 0) this.#firstRetransmissionAt = now;
    this.#undoRetransmissions++;
  }

  /** When to probe the tail, in milliseconds from now; Infinity when it is not to be probed (RFC 8985 section 7.2). */
  tailProbeDelay(maximumAckDelay: number): number {
    if (this.recovering || this.tailProbeOutstanding || this.#scoreboard.sacked > 0) return Infinity;
    if (!this.#rtt.measured) return tailProbeDelayUnmeasured;
    const delay = 2 * this.#rtt.smoothed;
    const single = this.#scoreboard.count === 1;
    return delay + (single ? maximumAckDelay : tailProbeSlack);
  }

  /** A tail loss probe has been sent: a new segment, or the last one again. */
  tailProbeSent(sndNxt: number, again: boolean): void {
    this.tailProbeOutstanding = true;
    this.#tailProbeEnd = sndNxt;
    this.#tailProbeRetransmitted = again;
  }

  #detectByRack(now: number): void {
    const wait = this.rack.detectLoss(this.#scoreboard, this.recovering, now);
    this.reorderingDeadline = wait > 0 ? now + wait : Infinity;
  }

  /** Without SACK: three duplicates mean that the first is lost (RFC 5681), each partial ACK the next (RFC 6582). */
  #detectByCount(ack: Acknowledgement): void {
    const scoreboard = this.#scoreboard;
    if (scoreboard.count === 0) return;
    if (this.recovering) {
      if (ack.advanced > 0) {
        ack.moveCountedMarks(scoreboard);
        if (!scoreboard.has(0, Mark.lost)) scoreboard.mark(0, Mark.lost);
      }
    } else if (ack.advanced > 0) {
      ack.forgetCountedMarks(scoreboard);
    } else if (scoreboard.sackedCount >= duplicateThreshold && !this.#guarded) {
      scoreboard.mark(0, Mark.lost);
    }
  }

  /**
   * `delivered` is what the acknowledgement that shows the loss brought, in bytes, and `advanced` the part of it that
   * is no longer among what is out: it was in the network when the loss happened.
   */
  #enterRecovery(sample: AckSample, delivered: number, advanced: number): void {
    this.#rememberForUndo();
    const { outstanding, sacked } = this.#scoreboard;
    this.#reduceThreshold(outstanding + advanced, sample.now);
    this.#repairUntil(sample.sndNxt);
    this.#prrDelivered = this.#prrOut = 0;
    // What was delivered before does not count as delivered in this recovery (the successor of RFC 6937 says so).
    this.#prrFlight = Math.max(outstanding - sacked + delivered, 1);
    this.tailProbeOutstanding = false;
    this.state = RecoveryState.recovery;
  }

  /** Packets were lost while so much was in the network. */
  #reduceThreshold(inFlight: number, now: number): void {
    this.#window.slowStartThreshold = this.#control.threshold(this.#window, inFlight, now, Congestion.loss);
    this.#window.afterTimeout = false;
  }

  #repairUntil(sequence: number): void {
    this.#point = sequence;
    this.#guarded = true;
  }

  /** RFC 6937 section 3: what leaves the network decides what may enter it, until the threshold is reached. */
  #reduceProportionally(delivered: number, advanced: boolean, lostMore: boolean, selective: boolean): void {
    const window = this.#window;
    const segment = window.segmentBytes;
    const inFlight = this.#scoreboard.inFlight;
    const threshold = window.slowStartThreshold;
    this.#prrDelivered += delivered;
    let allowance: number;
    if (inFlight > threshold) {
      allowance = Math.ceil(this.#prrDelivered * threshold / this.#prrFlight) - this.#prrOut;
    } else {
      allowance = Math.max(this.#prrDelivered - this.#prrOut, delivered);
      // A slow start is safe only while the repair makes progress and nothing else is found lost.
      if (advanced && !lostMore) allowance += segment;
      allowance = Math.min(allowance, threshold - inFlight);
    }
    // The first retransmission is sent at once, and without SACK the next with each partial ACK (RFC 6582).
    if (this.#prrOut === 0 || (!selective && advanced)) allowance = Math.max(allowance, segment);
    window.size = inFlight + Math.max(allowance, 0);
  }

  #leave(sndNxt: number): void {
    if (this.state === RecoveryState.recovery) {
      const { size, slowStartThreshold } = this.#window;
      this.#window.size = slowStartThreshold === Infinity ? size : slowStartThreshold;
    }
    this.state = RecoveryState.open;
    this.rack.recovered();
    // The report that the last retransmissions were duplicates takes a round trip longer than the recovery, and another
    // acknowledgement may overtake it.
    this.#undoUntil = sndNxt;
    this.#undoRounds = 2;
  }

  #rememberForUndo(): void {
    this.#undoPossible = true;
    this.#undoWindow = this.#window.size;
    this.#undoThreshold = this.#window.slowStartThreshold;
    this.#firstRetransmissionAt = -1;
    this.#undoRetransmissions = 0;
  }

  /**
   * Eifel detection (RFC 3522): the first acknowledgement of progress answers a segment that was sent before the first
   * retransmission, so the original had arrived.
   */
  #detectUndo(ack: Acknowledgement, echo: number, sndUna: number): void {
    if (!this.recovering || !this.#undoPossible || ack.advanced === 0) return;
    if (echo >= 0 && this.#firstRetransmissionAt >= 0 && ack.retransmissionAcked) {
      // Timestamps are whole milliseconds.
      if (echo < Math.floor(this.#firstRetransmissionAt)) this.#undo(sndUna);
      else this.#undoPossible = this.#undoRetransmissions > 0 && this.state === RecoveryState.recovery;
    }
  }

  #askForward(ack: Acknowledgement, sndUna: number): void {
    const finding = this.forward.acknowledged(ack, sndUna, this.#point);
    if (finding === Finding.spurious) {
      this.rack.misled();
      this.#undo(sndUna);
    } else if (finding === Finding.genuine) {
      // RFC 5682 section 2.1, step 3a: room for the new segments that are out, and for one that was lost.
      this.#window.size = (mostNewSegments + 1) * this.#window.segmentBytes;
    }
  }

  #duplicateReported(ack: Acknowledgement, sndUna: number, sndNxt: number): void {
    this.rack.duplicateReported(sndUna, sndNxt);
    // RFC 3708: when every retransmission turned out to be a duplicate, none had been needed.
    if (!this.#undoPossible || this.#undoRetransmissions === 0) return;
    if (after(ack.duplicateEnd, this.#point)) return;
    if (--this.#undoRetransmissions === 0) this.#undo(sndUna);
  }

  /** RFC 4015 section 3: restores the window, without a burst: it is sent into as ACKs come. */
  #undo(sndUna: number): void {
    const scoreboard = this.#scoreboard;
    this.#window.size = Math.max(this.#window.size, this.#undoWindow);
    this.#window.slowStartThreshold = Math.max(this.#window.slowStartThreshold, this.#undoThreshold);
    this.#window.afterTimeout = false;
    this.#control.undone();
    for (let index = 0; index < scoreboard.count; index++) {
      if (scoreboard.has(index, Mark.lost)) scoreboard.mark(index, 0, Mark.lost | Mark.retransmitted);
    }
    this.#undoPossible = false;
    if (this.recovering) this.#point = sndUna;
    this.state = scoreboard.sacked > 0 ? RecoveryState.disorder : RecoveryState.open;
  }

  /**
   * RFC 8985 section 7.4.2: whether the probe repaired a loss, which is congestion like any other. That all has
   * arrived says nothing yet: the original may have been on its way. A report of the duplicate, or another plain ACK
   * for it, says that it was; progress beyond says that there was none.
   */
  #tailProbeAnswered(ack: Acknowledgement, sample: AckSample): void {
    if (before(sample.sndUna, this.#tailProbeEnd)) return;
    if (!this.#tailProbeRetransmitted) this.tailProbeOutstanding = false;
    else if (ack.duplicateReported && ack.duplicateEnd === this.#tailProbeEnd) this.tailProbeOutstanding = false;
    else if (after(sample.sndUna, this.#tailProbeEnd)) this.#tailProbeRepaired(sample);
    else if (ack.advanced === 0 && !ack.sackedMore) this.tailProbeOutstanding = false;
  }

  #tailProbeRepaired(sample: AckSample): void {
    this.tailProbeOutstanding = false;
    if (this.recovering) return;
    this.#reduceThreshold(this.#window.size, sample.now);
    this.#window.size = Math.min(this.#window.size, this.#window.slowStartThreshold);
  }
}
