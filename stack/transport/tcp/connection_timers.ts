/**
 * The timers of a connection. One serves everything that waits for the peer's answer to what we sent: retransmission
 * (RFC 6298), reordering and tail loss (RFC 8985), closed windows (RFC 9293 section 3.8.6.1); of these only one is due
 * at a time, and none can be forgotten for another. One delays acknowledgements, one watches idle and ended
 * connections.
 *
 * @module
 */

import type { Timer, Timers } from "../../timers.ts";
import type { Connection } from "./connection.ts";
import { Flag } from "./header.ts";
import { AckNeed } from "./receive.ts";
import { add } from "../../sequence.ts";
import { maximumTimeout } from "./rtt.ts";
import { State } from "./state.ts";

/** How long an acknowledgement may be delayed, in milliseconds (RFC 9293 section 3.8.6.3 allows 500). */
export const acknowledgementDelay = 40;

/** How long a peer may delay acknowledgements, as tail loss probes allow for it, in milliseconds (RFC 8985: WCDelAckT). */
const peerAcknowledgementDelay = 200;

/** Retransmissions of one segment until the connection is given up: R2 of RFC 9293 section 3.8.3. */
const maximumRetransmissions = 15;

/** Retransmissions of our SYN until the connection is given up. */
const maximumSynRetransmissions = 6;

/** Retransmissions of our SYN and ACK until the embryonic connection is given up. */
const maximumSynAckRetransmissions = 5;

/** How long a connection that its user has closed waits for the peer's FIN, in milliseconds. */
const orphanTimeout = 60_000;

/** The timers of one connection. */
export class ConnectionTimers {
  readonly #connection: Connection;
  readonly #timers: Timers;
  #transmit: Timer | null = null;
  #acknowledge: Timer | null = null;
  #idle: Timer | null = null;

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

  /** Made by its connection. */
  constructor(connection: Connection, timers: Timers) {
    this.#connection = connection;
    this.#timers = timers;
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

  /** Sets the timers to what is due next. To be called after everything that may change it. */
  update(): void {
    this.#updateTransmit();
    this.#updateAcknowledge();
    this.#updateIdle();
  }

  /** Stops all timers for good. */
  dispose(): void {
    this.#transmit?.dispose();
    this.#acknowledge?.dispose();
    this.#idle?.dispose();
  }

  get #now(): number {
    return this.#timers.clock.now();
  }

  #updateTransmit(): void {
    const { sender, settings } = this.#connection;
    const now = this.#now;
    let deadline = Infinity;
    if (sender.scoreboard.count > 0) {
      this.#probeAt = Infinity;
      this.#probeBackoff = 0;
      if (this.#stalledSince < 0) this.#stalledSince = now;
      if (this.#retransmitAt === Infinity) this.#retransmitAt = now + sender.rtt.timeout;
      deadline = Math.min(this.#retransmitAt, sender.recovery.reorderingDeadline, this.#tailProbeAt);
    } else {
      this.#retransmitAt = Infinity;
      if (sender.blockedByPeer && this.#connection.state >= State.established) {
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
    if (settings.userTimeout > 0 && this.#stalledSince >= 0) {
      deadline = Math.min(deadline, this.#stalledSince + settings.userTimeout);
    }
    if (deadline !== Infinity) {
      this.#transmit ??= this.#timers.create(() => this.#transmitExpired());
      this.#transmit.startAt(deadline);
    } else this.#transmit?.stop();
  }

  /** When the tail is to be probed. */
  get #tailProbeAt(): number {
    const { sender, selective, state } = this.#connection;
    if (!selective || state < State.established) return Infinity;
    return Math.max(sender.lastSentAt, this.#lastProgress) + sender.recovery.tailProbeDelay(peerAcknowledgementDelay);
  }

  #transmitExpired(): void {
    const connection = this.#connection;
    const { sender, settings } = connection;
    const now = this.#now;
    if (
      settings.userTimeout > 0 && this.#stalledSince >= 0 && now >= this.#stalledSince + settings.userTimeout
    ) {
      return connection.giveUp("nothing was acknowledged within the user timeout");
    }
    if (sender.scoreboard.count === 0) {
      if (now >= this.#probeAt) this.#probeWindow(now);
    } else if (now >= this.#retransmitAt) {
      if (!this.#retransmit(now)) return;
    } else if (now >= sender.recovery.reorderingDeadline) {
      sender.recovery.reorderingTimedOut(connection.context.sampleFor(sender, 0, now));
      sender.output(now);
    } else if (now >= this.#tailProbeAt) {
      connection.context.counters.tailProbes++;
      sender.probeTail(now);
      this.#retransmitAt = now + sender.rtt.timeout;
    }
    this.update();
  }

  /** The retransmission timer expired. Returns false when the connection was given up. */
  #retransmit(now: number): boolean {
    const connection = this.#connection;
    const { sender, state } = connection;
    const limit = state === State.synSent
      ? maximumSynRetransmissions
      : state === State.synReceived
      ? maximumSynAckRetransmissions
      : maximumRetransmissions;
    connection.context.counters.timeouts++;
    if (this.#retransmissions >= limit) {
      connection.giveUp(`no answer after ${this.#retransmissions} retransmissions`);
      return false;
    }
    this.#retransmissions++;
    sender.rtt.backOff();
    if (state < State.established) {
      connection.sendSyn();
    } else {
      sender.recovery.retransmissionTimedOut(connection.context.sampleFor(sender, 0, now));
      sender.retransmitFirst(now);
    }
    this.#retransmitAt = now + sender.rtt.timeout;
    return true;
  }

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

  #updateAcknowledge(): void {
    if (this.#connection.receiver.ackNeed === AckNeed.none) {
      this.#acknowledge?.stop();
    } else if (!this.#acknowledge?.running) {
      this.#acknowledge ??= this.#timers.create(() => this.#acknowledgeExpired());
      this.#acknowledge.start(acknowledgementDelay);
    }
  }

  #acknowledgeExpired(): void {
    this.#connection.sendAck();
    this.update();
  }

  #updateIdle(): void {
    const connection = this.#connection;
    const { state, settings, abandoned } = connection;
    let deadline = Infinity;
    if (state === State.finWait2 && abandoned) {
      if (this.#orphanedAt < 0) this.#orphanedAt = this.#now;
      deadline = this.#orphanedAt + orphanTimeout;
    } else if (settings.keepAlive && state >= State.established && connection.sender.scoreboard.count === 0) {
      deadline = connection.lastReceivedAt + settings.keepAliveIdle +
        this.#keepAliveProbes * settings.keepAliveInterval;
    }
    if (deadline !== Infinity) {
      this.#idle ??= this.#timers.create(() => this.#idleExpired());
      if (this.#idle.deadline !== deadline) this.#idle.startAt(deadline);
    } else this.#idle?.stop();
  }

  #idleExpired(): void {
    const connection = this.#connection;
    if (connection.state === State.finWait2 && connection.abandoned) return connection.finish(null);
    if (this.#keepAliveProbes >= connection.settings.keepAliveCount) {
      return connection.giveUp(`no answer to ${this.#keepAliveProbes} keep-alive probes`);
    }
    this.#keepAliveProbes++;
    connection.context.counters.keepAliveProbes++;
    // RFC 9293 section 3.8.4: a number that has been acknowledged already, which must be answered.
    connection.transmit(Flag.ack, add(connection.sender.sndNxt, -1), 0);
    this.update();
  }
}
