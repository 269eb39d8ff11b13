/**
 * The timers of a connection. One deadline serves everything that waits for the peer's answer to what we sent:
 * retransmission (RFC 6298), reordering and tail loss (RFC 8985), closed windows (RFC 9293 section 3.8.6.1); of these only
 * one is due at a time, and none can be forgotten for another. One delays acknowledgements, one watches idle and ended
 * connections, one ends a cork. All of them share one place in the heap of timers.
 *
 * A connection that waits for nothing has none of this: what it had goes to the next that does.
 *
 * @module
 */

import type { Timer, Timers } from "../../timers.ts";
import { AckNeed } from "./ack_policy.ts";
import type { AckSample } from "./congestion/control.ts";
import type { TcpCounters } from "./counters.ts";
import { Flag } from "./header.ts";
import { type ReportedConnection, reportRetransmissions } from "./reports.ts";
import { add } from "../../sequence.ts";
import { maximumTimeout } from "./rtt.ts";
import { Mark } from "./scoreboard.ts";
import type { Sender } from "./send.ts";
import { State } from "./state.ts";
import type { Failure } from "./user.ts";

/** How long an acknowledgement may be delayed, in milliseconds (RFC 9293 section 3.8.6.3 allows 500). */
export const acknowledgementDelay = 40;

/** How long a peer may delay acknowledgements, as tail loss probes allow for it, in milliseconds (RFC 8985: WCDelAckT). */
const peerAcknowledgementDelay = 200;

/** Retransmissions of one segment until the connection is given up: R2 of RFC 9293 section 3.8.3 (SHLD-11: 100 s). */
const maximumRetransmissions = 15;

/**
 * Retransmissions of one segment after which the network layer and the user are told: R1 of RFC 9293 section 3.8.3
 * (SHLD-10: at least three).
 */
const reportedRetransmissions = 3;

/** Retransmissions of our SYN and ACK until the embryonic connection is given up. */
const maximumSynAckRetransmissions = 5;

/** How long data are held back until a connection is uncorked, in milliseconds: as on Linux. */
const corkTime = 200;

/** Time-outs of a full segment in a row after which its size may be the reason (RFC 4821 section 7.7). */
const blackHoleThreshold = 3;

/** How long a connection that its user has closed waits for the peer's FIN, in milliseconds. */
const orphanTimeout = 60_000;

/**
 * How long a connection that its user has closed goes on without progress, in milliseconds: a peer that answers probes
 * but never opens its window must not keep it for ever.
 */
const abandonedStallTimeout = 300_000;

/** A connection, as far as its timers know it. */
export interface TimedConnection extends ReportedConnection {
  /** What all connections share. */
  readonly context: {
    /** The counters. */
    readonly counters: TcpCounters;
    /** The shared sample object, filled with where `sender` stands. */
    sampleFor(sender: Sender, bytes: number, now: number): AckSample;
  };
  /** The sending half. */
  readonly sender: Sender;
  /** Whether selective acknowledgements are in use. */
  readonly selective: boolean;
  /** Whether its user has closed it and wants no more data. */
  readonly abandoned: boolean;
  /** Whether it is over. */
  readonly finished: boolean;
  /** Sets the timers to what is due next. To be called after everything that may change it. */
  updateTimers(): void;
  /** Sends an empty segment that acknowledges what has been received. */
  sendAck(): void;
  /** Sends RST that the peer must believe. */
  sendReset(): void;
  /** Sends the SYN, or the SYN and ACK, again, which was not answered in time. */
  synTimedOut(): void;
  /** Sends a segment with `length` bytes of the send buffer from `sequence` on. */
  transmit(flags: number, sequence: number, length: number): void;
  /** Tells who watches that what expired has been dealt with. */
  noteUpdate(): void;
  /** Full segments time out again and again: the path may not carry them. */
  fullSegmentsVanish(): void;
  /** Gives the connection up because the peer does not answer. */
  giveUp(why: string): void;
  /** Ends the connection. */
  finish(failure: Failure | null): void;
  /** Ends the connection at once and tells the peer by RST. */
  abort(failure?: Failure | null): void;
}

/** Whom timers serve that are not in use. */
const nobody = null as unknown as TimedConnection;

/** The timers of one connection at a time. */
export class ConnectionTimers {
  static readonly #onExpiry = (timers: ConnectionTimers): void => timers.#expired();

  readonly #timers: Timers;
  readonly #timer: Timer;
  #connection: TimedConnection = nobody;

  /** What comes first of what waits for the peer's answer; Infinity for nothing, as with those that follow. */
  #transmitAt = Infinity;
  /** When an acknowledgement can be delayed no longer. */
  #acknowledgeAt = Infinity;
  /** When the connection has been idle, or on its way to its end, for long enough. */
  #idleAt = Infinity;
  /** When what is corked goes all the same. */
  #corkAt = Infinity;
  /** When the retransmission timer expires; Infinity while nothing is in the network. */
  #retransmitAt = Infinity;
  /** When the peer's closed window is probed; Infinity while it is open or nothing waits. */
  #probeAt = Infinity;
  #probeBackoff = 0;
  #unansweredProbes = 0;
  #retransmissions = 0;
  /** Since when data have waited without progress; -1 when none wait. */
  #stalledSince = -1;
  #lastProgress = 0;
  #keepAliveProbes = 0;
  #orphanedAt = -1;
  /** Since when its user has waited for the end of a connection that was closed; -1 before that. */
  #lingersSince = -1;

  /** Made by `SpareTimers`. */
  constructor(timers: Timers) {
    this.#timers = timers;
    this.#timer = timers.createFor(this, ConnectionTimers.#onExpiry);
  }

  /** Begins to serve a connection. */
  begin(connection: TimedConnection): void {
    this.#connection = connection;
    this.#transmitAt =
      this.#acknowledgeAt =
      this.#idleAt =
      this.#corkAt =
      this.#retransmitAt =
      this.#probeAt =
        Infinity;
    this.#probeBackoff =
      this.#unansweredProbes =
      this.#retransmissions =
      this.#lastProgress =
      this.#keepAliveProbes =
        0;
    this.#stalledSince = this.#orphanedAt = this.#lingersSince = -1;
  }

  /** Stops everything. `again` says that another connection is going to be served. */
  end(again: boolean): void {
    this.#connection = nobody;
    if (again) this.#timer.stop();
    else this.#timer.dispose();
  }

  /** How often the oldest segment has been sent again on a time-out. */
  get retransmissions(): number {
    return this.#retransmissions;
  }

  /** New data have been acknowledged: the retransmission timer starts anew (RFC 6298 section 5.3). */
  progressed(): void {
    this.#retransmitAt = Infinity;
    this.#retransmissions = 0;
    this.#stalledSince = -1;
    this.#lastProgress = this.#now;
  }

  /** The peer has sent something: it is alive. */
  heard(): void {
    this.#unansweredProbes = 0;
    this.#keepAliveProbes = 0;
  }

  /** Sets the timers to what is due next. Returns false when they are needed no longer. */
  update(now: number): boolean {
    this.#transmitAt = this.#nextTransmission(now);
    this.#acknowledgeAt = this.#nextAcknowledgement(now);
    this.#idleAt = this.#nextIdle(now);
    this.#corkAt = this.#nextUncorking(now);
    const deadline = Math.min(this.#transmitAt, this.#acknowledgeAt, this.#idleAt, this.#corkAt);
    if (deadline !== this.#timer.deadline) this.#timer.startAt(deadline);
    return deadline !== Infinity || this.#unansweredProbes + this.#keepAliveProbes + this.#retransmissions > 0;
  }

  /** One thing is due: the one that was due first. If there are others, the timer expires again at once. */
  #expired(): void {
    const first = Math.min(this.#transmitAt, this.#acknowledgeAt, this.#idleAt, this.#corkAt);
    if (first === this.#transmitAt) this.#transmitExpired();
    else if (first === this.#acknowledgeAt) this.#acknowledgeExpired();
    else if (first === this.#idleAt) this.#idleExpired();
    else this.#corkExpired();
  }

  get #now(): number {
    return this.#timers.clock.now();
  }

  #nextTransmission(now: number): number {
    const { sender } = this.#connection;
    let deadline = Infinity;
    if (sender.scoreboard.count > 0) {
      // A window that opens is progress too.
      if (this.#stalledSince < 0 || this.#probeAt !== Infinity) this.#stalledSince = now;
      this.#probeAt = Infinity;
      this.#probeBackoff = 0;
      if (this.#retransmitAt === Infinity) this.#retransmitAt = now + sender.rtt.timeout;
      // The oldest segment has been sent again without a time-out, as SYN and ACK are when the peer's SYN comes again: its
      // answer takes a round trip from then on.
      if (sender.scoreboard.has(0, Mark.retransmitted | Mark.syn)) {
        this.#retransmitAt = Math.max(this.#retransmitAt, sender.scoreboard.sentAt(0) + sender.rtt.timeout);
      }
      deadline = Math.min(
        this.#retransmitAt,
        sender.reorderingDeadline,
        this.#tailProbeAt,
        sender.releaseAt,
      );
    } else {
      this.#retransmitAt = Infinity;
      if (sender.releaseAt !== Infinity) {
        deadline = sender.releaseAt;
      } else if (sender.blockedByPeer && this.#connection.state >= State.established) {
        if (this.#stalledSince < 0) this.#stalledSince = now;
        if (this.#probeAt === Infinity) {
          this.#probeAt = now + Math.min(maximumTimeout, sender.rtt.baseTimeout * 2 ** this.#probeBackoff);
        }
        deadline = this.#probeAt;
      } else {
        this.#probeAt = Infinity;
        this.#probeBackoff = 0;
        this.#stalledSince = -1;
      }
    }
    return this.#stalledSince >= 0 ? Math.min(deadline, this.#stalledSince + this.#patience) : deadline;
  }

  /** When the tail is to be probed. */
  get #tailProbeAt(): number {
    const { sender, selective, state } = this.#connection;
    if (!selective || state < State.established) return Infinity;
    const delay = sender.tailProbeDelay(peerAcknowledgementDelay);
    if (delay === Infinity) return Infinity;
    // RFC 8985 section 7.2: not later than the time-out, in whose place the probe then goes.
    return Math.min(Math.max(sender.lastSentAt, this.#lastProgress) + delay, this.#retransmitAt);
  }

  #transmitExpired(): void {
    const connection = this.#connection;
    const { sender } = connection;
    const now = this.#now;
    if (this.#stalledSince >= 0 && now >= this.#stalledSince + this.#patience) {
      return connection.giveUp(`nothing was acknowledged within ${this.#patience} ms`);
    }
    if (now >= sender.releaseAt) sender.output(now);
    if (sender.scoreboard.count === 0) {
      if (now >= this.#probeAt) this.#probeWindow(now);
    } else if (now >= this.#tailProbeAt) {
      connection.context.counters.tailProbes++;
      sender.probeTail(now);
      this.#retransmitAt = now + sender.rtt.timeout;
    } else if (now >= this.#retransmitAt) {
      this.#retransmit(now);
    } else if (now >= sender.reorderingDeadline) {
      sender.recovery.reorderingTimedOut(connection.context.sampleFor(sender, 0, now));
      sender.output(now);
    }
    connection.updateTimers();
    connection.noteUpdate();
  }

  /** How long data may wait without progress before the connection is given up, in milliseconds. */
  get #patience(): number {
    const { settings, abandoned } = this.#connection;
    if (settings.userTimeout > 0) return settings.userTimeout;
    return abandoned ? abandonedStallTimeout : Infinity;
  }

  /** The retransmission timer expired. */
  #retransmit(now: number): void {
    const connection = this.#connection;
    const { sender, state, settings } = connection;
    const limit = state === State.synSent
      ? settings.synRetransmissions
      : state === State.synReceived
      ? maximumSynAckRetransmissions
      : maximumRetransmissions;
    connection.context.counters.timeouts++;
    // A peer that closed its window behind what was sent, and says so, is alive (RFC 9293 section 3.8.6).
    const refused = state >= State.established && sender.sndWnd === 0;
    const unanswered = refused ? this.#unansweredProbes++ : this.#retransmissions++;
    if (unanswered >= limit) return connection.giveUp(`no answer after ${unanswered} retransmissions`);
    if (unanswered === reportedRetransmissions) reportRetransmissions(connection, unanswered);
    sender.rtt.backOff();
    if (state < State.established) {
      connection.synTimedOut();
    } else {
      if (unanswered + 1 >= blackHoleThreshold && !refused && sender.scoreboard.size(0) >= sender.segmentBytes) {
        connection.fullSegmentsVanish();
      }
      sender.recovery.retransmissionTimedOut(connection.context.sampleFor(sender, 0, now), connection.selective);
      sender.retransmitFirst(now);
    }
    this.#retransmitAt = now + sender.rtt.timeout;
  }

  /** RFC 9293 section 3.8.6.1: a closed window is probed for as long as the peer answers. */
  #probeWindow(now: number): void {
    const connection = this.#connection;
    if (this.#unansweredProbes >= maximumRetransmissions) {
      return connection.giveUp(`no answer to ${this.#unansweredProbes} probes of a closed window`);
    }
    connection.context.counters.windowProbes++;
    this.#unansweredProbes++;
    this.#probeBackoff++;
    this.#probeAt = Infinity;
    connection.sender.probeWindow(now);
  }

  #nextAcknowledgement(now: number): number {
    if (this.#connection.receiver.acks.need === AckNeed.none) return Infinity;
    return this.#acknowledgeAt === Infinity ? now + acknowledgementDelay : this.#acknowledgeAt;
  }

  #acknowledgeExpired(): void {
    const connection = this.#connection;
    const { receiver } = connection;
    this.#acknowledgeAt = Infinity;
    receiver.acks.delayedInVain(receiver.segmentBytes);
    connection.sendAck();
    connection.updateTimers();
  }

  #nextIdle(now: number): number {
    const connection = this.#connection;
    const { state, settings, abandoned } = connection;
    if (abandoned && settings.linger !== null) {
      if (this.#lingersSince < 0) this.#lingersSince = now;
      return this.#lingersSince + settings.linger * 1000;
    }
    if (state === State.finWait2 && abandoned) {
      if (this.#orphanedAt < 0) this.#orphanedAt = now;
      return this.#orphanedAt + orphanTimeout;
    }
    if (settings.keepAlive && state >= State.established && connection.sender.scoreboard.count === 0) {
      return connection.lastReceivedAt + settings.keepAliveIdle + this.#keepAliveProbes * settings.keepAliveInterval;
    }
    return Infinity;
  }

  #idleExpired(): void {
    const connection = this.#connection;
    if (connection.state === State.finWait2 && connection.abandoned) return connection.finish(null);
    if (connection.abandoned && connection.settings.linger !== null) {
      const message = `The peer has not acknowledged everything within ${connection.settings.linger} s after the close`;
      return connection.abort({ name: "TimedOut", message });
    }
    if (this.#keepAliveProbes >= connection.settings.keepAliveCount) {
      // Should the peer be there still, and only its answers get lost, it need not keep the connection either.
      connection.sendReset();
      return connection.giveUp(`no answer to ${this.#keepAliveProbes} keep-alive probes`);
    }
    this.#keepAliveProbes++;
    connection.context.counters.keepAliveProbes++;
    // RFC 9293 section 3.8.4: a number that has been acknowledged already, which must be answered.
    connection.transmit(Flag.ack, add(connection.sender.sndNxt, -1), 0);
    connection.updateTimers();
  }

  #nextUncorking(now: number): number {
    if (!this.#connection.sender.heldByCork) return Infinity;
    return this.#corkAt === Infinity ? now + corkTime : this.#corkAt;
  }

  #corkExpired(): void {
    const connection = this.#connection;
    this.#corkAt = Infinity;
    connection.sender.sendCorked(this.#now);
    connection.updateTimers();
  }
}
