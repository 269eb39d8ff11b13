/**
 * Loss recovery: the states that a connection goes through when segments are missing, and what the window is meanwhile.
 *
 * @module
 */

import { add, after, before, notBefore } from "../../sequence.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import { type AckSample, Congestion, type CongestionControl, type CongestionWindow } from "./congestion/control.ts";
import { Finding, ForwardRto, mostNewSegments } from "./forward_rto.ts";
import { duplicateThreshold, Rack } from "./rack.ts";
import { RateReduction } from "./rate_reduction.ts";
import type { RttEstimator } from "./rtt.ts";
import { Mark, type Scoreboard } from "./scoreboard.ts";
import { TailProbe, tailProbeDelay } from "./tail_probe.ts";
import { Undo, Verification } from "./undo.ts";

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
  /** Asks for an acknowledgement of the last data. */
  readonly tailProbe: TailProbe = new TailProbe();
  /** What became of the one segment that was larger than the path is known to carry (RFC 4821 section 7.3). */
  sizeProbe: "none" | "sent" | "lost" = "none";
  #sizeProbeEnd = 0;
  /** When RACK wants to look again, in milliseconds of the clock; Infinity when it need not. */
  reorderingDeadline: number = Infinity;

  readonly #scoreboard: Scoreboard;
  #sender: RepairedSender;
  #rtt: RttEstimator;
  #window: CongestionWindow;
  /** SND.NXT when recovery began: it ends when everything before is acknowledged. */
  #point = 0;
  /** Whether nothing behind the point has been acknowledged: duplicate ACKs may come from the recovery itself. */
  #guarded = false;

  readonly #reduction = new RateReduction();
  readonly #undo = new Undo();

  /** Whether a congestion mark has been answered, and SND.NXT at that time. */
  #marked = false;
  #markedUntil = 0;

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
    return this.state === RecoveryState.open && this.sizeProbe === "none" && !this.tailProbe.outstanding &&
      !this.#guarded && !this.#undo.possible && this.rack.atRest;
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
    if (this.tailProbe.answered(ack, sndUna)) this.#tailProbeRepaired(sample);
    if (this.recovering) this.#verify(ack, echo, sndUna);
    if (this.state === RecoveryState.loss && this.#undo.possible) this.#askForward(ack, sndUna);
    else this.forward.stop();
    if (this.recovering && notBefore(sndUna, this.#point)) this.#leave(sndNxt);
    if (!this.recovering) {
      if (this.#guarded && after(sndUna, this.#point)) this.#guarded = false;
      this.#undo.age(sndUna, sndNxt);
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
      this.#undo.remember(this.#window);
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
    this.tailProbe.forget();
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
    this.#undo.possible = false;
    this.forward.stop();
    this.reorderingDeadline = Infinity;
    this.tailProbe.forget();
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
    if (this.state === RecoveryState.recovery) this.#reduction.sent(bytes);
    if (again && this.recovering) this.#undo.retransmitted(now);
  }

  /** When to probe the tail, in milliseconds from now; Infinity when it is not to be probed (RFC 8985 section 7.2). */
  tailProbeDelay(maximumAckDelay: number): number {
    if (this.recovering || this.tailProbe.outstanding || this.#scoreboard.sacked > 0) return Infinity;
    return tailProbeDelay(this.#rtt, this.#scoreboard.count === 1, maximumAckDelay);
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
    this.#undo.remember(this.#window);
    const { outstanding, sacked } = this.#scoreboard;
    this.#reduceThreshold(outstanding + advanced, sample.now);
    this.#repairUntil(sample.sndNxt);
    // What was delivered before does not count as delivered in this recovery (the successor of RFC 6937 says so).
    this.#reduction.begin(outstanding - sacked + delivered);
    this.tailProbe.forget();
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

  #reduceProportionally(delivered: number, advanced: boolean, lostMore: boolean, selective: boolean): void {
    const window = this.#window;
    const { segmentBytes, slowStartThreshold } = window;
    const { inFlight } = this.#scoreboard;
    const safe = advanced && !lostMore;
    const allowance = this.#reduction.allowance(delivered, inFlight, slowStartThreshold, segmentBytes, safe);
    // The first retransmission is sent at once, and without SACK the next with each partial ACK (RFC 6582).
    const least = this.#reduction.untouched || (!selective && advanced) ? segmentBytes : 0;
    window.size = inFlight + Math.max(allowance, least);
  }

  #leave(sndNxt: number): void {
    if (this.state === RecoveryState.recovery) {
      const { size, slowStartThreshold } = this.#window;
      this.#window.size = slowStartThreshold === Infinity ? size : slowStartThreshold;
    }
    this.state = RecoveryState.open;
    this.rack.recovered();
    this.#undo.repaired(sndNxt);
  }

  #verify(ack: Acknowledgement, echo: number, sndUna: number): void {
    const verification = this.#undo.verify(ack, echo);
    if (verification === Verification.spurious) this.#takeBack(sndUna);
    else if (verification === Verification.needed) {
      this.#undo.possible = this.#undo.reportsAwaited && this.state === RecoveryState.recovery;
    }
  }

  #askForward(ack: Acknowledgement, sndUna: number): void {
    const finding = this.forward.acknowledged(ack, sndUna, this.#point);
    if (finding === Finding.spurious) {
      this.rack.misled();
      this.#takeBack(sndUna);
    } else if (finding === Finding.genuine) {
      // RFC 5682 section 2.1, step 3a: room for the new segments that are out, and for one that was lost.
      this.#window.size = (mostNewSegments + 1) * this.#window.segmentBytes;
    }
  }

  #duplicateReported(ack: Acknowledgement, sndUna: number, sndNxt: number): void {
    this.rack.duplicateReported(sndUna, sndNxt);
    if (!after(ack.duplicateEnd, this.#point) && this.#undo.duplicateReported()) this.#takeBack(sndUna);
  }

  /** The loss was none. */
  #takeBack(sndUna: number): void {
    const scoreboard = this.#scoreboard;
    this.#undo.restore(this.#window);
    this.#control.undone();
    for (let index = 0; index < scoreboard.count; index++) {
      if (scoreboard.has(index, Mark.lost)) scoreboard.mark(index, 0, Mark.lost | Mark.retransmitted);
    }
    if (this.recovering) this.#point = sndUna;
    this.state = scoreboard.sacked > 0 ? RecoveryState.disorder : RecoveryState.open;
  }

  /** The tail probe repaired a loss, which is congestion like any other. */
  #tailProbeRepaired(sample: AckSample): void {
    if (this.recovering) return;
    this.#reduceThreshold(this.#window.size, sample.now);
    this.#window.size = Math.min(this.#window.size, this.#window.slowStartThreshold);
  }
}
