/**
 * A connection: what it does with its control block when segments, timers and its user call.
 *
 * @module
 */

import type { Path } from "../../network/path.ts";
import type { ErrorName } from "../../errors.ts";
import { TokenBucket } from "../../token_bucket.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Flow } from "../flow_table.ts";
import type { PortReservation } from "../ports.ts";
import { AckNeed } from "./ack_policy.ts";
import { connectionInfo } from "./connection_info.ts";
import type { ConnectionTimers, TimedConnection } from "./connection_timers.ts";
import type { TcpContext } from "./context.ts";
import { ControlBlock } from "./control_block.ts";
import type { FastOpenHandshake, FastOpenOption } from "./fast_open.ts";
import { sendFirstSyn, synTimedOut } from "./handshake.ts";
import { Flag } from "./header.ts";
import { withNetworkError } from "./reports.ts";
import { Measure } from "./measures.ts";
import type { Segment } from "./segment.ts";
import type { SegmentSource } from "./segment_writer.ts";
import { State } from "./state.ts";
import type { TcpTrace } from "./trace.ts";
import type { ConnectionObserver, ConnectionSettings, Failure, TcpInfo, UserConnection } from "./user.ts";

/** Who is told that a connection that nobody owns yet has come to something: its listener. */
export interface ConnectionParent {
  /** Whether there is room for a connection whose handshake is about to be complete. */
  admits(connection: Connection): boolean;
  /** The handshake is complete. */
  established(connection: Connection): void;
  /** The connection is over before anybody accepted it. */
  ended(connection: Connection): void;
}

/** Acknowledgements of segments outside the window: this many at once, then this many a second. */
const strayAcknowledgementBurst = 8;

/** One connection. */
export class Connection extends ControlBlock implements UserConnection, Flow, TimedConnection, SegmentSource {
  /** What all connections of a stack share. */
  declare readonly context: TcpContext<Connection>;
  /** Managed by the flow table. */
  flowHash: number = 0;
  /** Who is told; null until someone takes the connection. */
  observer: ConnectionObserver | null = null;
  /** The listener that it came from, until it is accepted. */
  parent: ConnectionParent | null = null;
  /** What is reserved for it until it is over. */
  reservation: PortReservation | null = null;
  /** What Fast Open means to it (RFC 7413), or null when it is not used. */
  fastOpen: FastOpenHandshake | null = null;
  /** Whether its user has closed it and wants no more data. */
  abandoned: boolean = false;
  /** Whether a flush is due at the end of the present batch. Managed by the context. */
  flushQueued: boolean = false;

  #state: State = State.closed;
  #failure: Failure | null = null;
  #finished = false;
  #strayAcks: TokenBucket | null = null;
  /** Its timers; null while it waits for nothing. */
  #timers: ConnectionTimers | null = null;

  /** A connection that has not begun. */
  constructor(
    context: TcpContext<Connection>,
    local: Endpoint,
    remote: Endpoint,
    path: Path,
    settings: Readonly<ConnectionSettings>,
    passive: boolean,
    initialSequence: number = context.initialSequence.next(local, remote),
  ) {
    super(context, local, remote, path, settings, passive, initialSequence);
  }

  /** Where it stands. */
  get state(): State {
    return this.#state;
  }

  /** Who watches, if anybody. */
  get trace(): TcpTrace | null {
    return this.context.trace;
  }

  /** Changes the state and tells who watches. */
  setState(state: State): void {
    const before = this.#state;
    this.#state = state;
    if (before !== state) this.trace?.state?.(this, before, state);
  }

  /** Sends SYN: the active open. With `fastOpen` it may have to wait for the first data (RFC 7413 section 4.2.1). */
  open(fastOpen: boolean = false): void {
    this.setState(State.synSent);
    if (fastOpen) this.fastOpen = this.context.fastOpen.begin(this.remote, this.announcedSegmentBytes);
    if (!this.deferred) sendFirstSyn(this);
  }

  /** Whether the SYN waits for the first data. */
  get deferred(): boolean {
    return this.fastOpen !== null && this.fastOpen.deferred;
  }

  /** Sends the SYN that waits for the first data, with what there is of them. */
  proceed(): void {
    if (!this.deferred || this.#state !== State.synSent) return;
    sendFirstSyn(this);
  }

  /** The Fast Open option of the SYN under way, or null for none. */
  get fastOpenOption(): FastOpenOption | null {
    return this.fastOpen === null ? null : this.fastOpen.option;
  }

  /** Whether data flow already although the handshake is not complete: we took those of the peer's SYN (RFC 7413). */
  get openedFast(): boolean {
    return this.#state === State.synReceived && this.fastOpen !== null && this.fastOpen.pending !== null;
  }

  /** As {@linkcode TimedConnection.synTimedOut}. */
  synTimedOut(): void {
    synTimedOut(this);
  }

  /** The handshake is complete. */
  established(): void {
    this.setState(State.established);
    this.fastOpen?.settle();
    this.updateTimers();
    this.parent?.established(this);
    this.observer?.established();
    if (this.fastOpen?.shutdownWaits) this.shutdown();
  }

  /** The peer has sent something that is certainly its own. */
  heardFrom(segment: Segment): void {
    this.lastReceivedAt = segment.arrivedAt;
    this.#timers?.heard();
  }

  /** How often the oldest segment has been sent again on a time-out. */
  get retransmissions(): number {
    return this.#timers?.retransmissions ?? 0;
  }

  /** The peer has acknowledged something new. */
  progressed(): void {
    this.#timers?.progressed();
  }

  /** Whether anything may be due later. */
  get #waits(): boolean {
    return this.sender.flying || this.receiver.acks.need !== AckNeed.none || this.abandoned || this.settings.keepAlive;
  }

  /** As {@linkcode TimedConnection.updateTimers}. */
  updateTimers(now: number = this.now): void {
    if (this.#finished || (this.#timers === null && !this.#waits)) return;
    const { spareTimers } = this.context;
    const timers = this.#timers ??= spareTimers.take(this);
    if (!timers.update(now)) this.#timers = spareTimers.recycle(timers);
  }

  /** Both sides have closed: waits for stray segments (RFC 9293 section 3.6.1), without keeping all this alive. */
  enterTimeWait(): void {
    this.setState(State.timeWait);
    if (this.receiver.acks.need !== AckNeed.none) this.sendAck();
    this.context.enterTimeWait(this);
  }

  /** The waiting is over. */
  timeWaitEnded(): void {
    this.setState(State.closed);
  }

  /** As {@linkcode Transmitter.transmit}. */
  transmit(flags: number, sequence: number, length: number, fresh: boolean = false): void {
    this.context.allowance -= length;
    this.context.writer.write(this, flags, sequence, length, fresh);
    if ((flags & Flag.fin) !== 0) this.#enterFinStates();
  }

  /** As {@linkcode Transmitter.pausing}. */
  get pausing(): boolean {
    return this.context.allowance <= 0;
  }

  /** As {@linkcode LossWatcher.lost}. */
  lost(start: number, end: number): void {
    this.trace?.lost?.(this, start, end);
  }

  /** Sends an empty segment that acknowledges what has been received. */
  sendAck(): void {
    this.transmit(Flag.ack, this.sender.sndNxt, 0);
  }

  /**
   * Acknowledges a segment that lies outside the window. Limited for each connection, so that two ends that disagree
   * about where they are do not acknowledge each other for ever.
   */
  sendStrayAck(): void {
    if (this.context.challenges.unlimited) return this.sendAck();
    this.#strayAcks ??= new TokenBucket(
      this.context.timers.clock,
      strayAcknowledgementBurst,
      strayAcknowledgementBurst,
    );
    if (this.#strayAcks.take()) this.sendAck();
    else this.context.counters.strayAcksSuppressed++;
  }

  /** Answers something suspicious with an acknowledgement, from the budget of all connections (RFC 5961 section 7). */
  sendChallengeAck(): void {
    if (!this.context.challenges.take(this.now)) {
      this.context.counters.challengeAcksSuppressed++;
      return;
    }
    this.context.counters.challengeAcks++;
    this.sendAck();
  }

  /** Sends RST that the peer must believe. */
  sendReset(): void {
    this.transmit(Flag.rst | Flag.ack, this.sender.sndNxt, 0);
  }

  /** Marks the connection for {@linkcode Connection.flush} at the end of the batch. */
  queueFlush(): void {
    this.context.queueFlush(this);
  }

  /** Sends what is due: data, acknowledgements; and sets the timers. */
  flush(): void {
    if (this.#finished || this.#state < State.synReceived) return;
    const { now } = this;
    if (this.#state !== State.synReceived || this.openedFast) {
      this.searchPathMtu();
      if (!this.pausing) this.sender.output(now);
      if (this.pausing) this.queueFlush();
    }
    if (this.receiver.acks.need === AckNeed.now) this.sendAck();
    this.sender.rest(now);
    this.updateTimers(now);
    this.noteUpdate();
  }

  /** Tells who watches that what arrived or expired has been dealt with. */
  noteUpdate(): void {
    this.trace?.updated?.(this);
  }

  /** FIN has gone out, by whichever way: the state says so. */
  #enterFinStates(): void {
    if (this.#state === State.established) this.setState(State.finWait1);
    else if (this.#state === State.closeWait) this.setState(State.lastAck);
  }

  /** Why the connection is over. */
  get failure(): Failure | null {
    return this.#failure;
  }

  /** Tells the user that there are data, or their end. */
  becameReadable(): void {
    const { observer } = this;
    if (observer?.awaitsData && !this.receiver.finReached) this.context.answerExpected = true;
    observer?.readable();
  }

  /** Copies received bytes into `target` and returns how many. */
  receive(target: Uint8Array): number {
    this.context.userCalls++;
    const length = this.receiver.read(target, this.now, this.sender.measures[Measure.smoothedRtt]!);
    if (length > 0 && !this.#finished && this.#receiving && this.receiver.windowUpdateDue) this.sendAck();
    return length;
  }

  get #receiving(): boolean {
    return this.#state === State.established || this.#state === State.finWait1 || this.#state === State.finWait2;
  }

  /** Takes bytes for sending and returns how many. */
  send(source: Uint8Array): number {
    if (this.#finished || this.#state === State.timeWait) return 0;
    const length = this.fastOpen?.shutdownWaits ? 0 : this.sender.append(source);
    if (this.deferred) this.proceed();
    else if (length > 0) this.#output();
    return length;
  }

  /** Sends FIN behind what was taken for sending. */
  shutdown(): void {
    if (this.#finished || this.sender.finQueued) return;
    this.proceed();
    // FIN would lead out of SYN-RECEIVED while the SYN and ACK may still have to be sent again.
    if (this.openedFast) {
      this.fastOpen!.shutdownWaits = true;
      return;
    }
    this.sender.finQueued = true;
    this.#output();
  }

  #output(): void {
    if (this.#state === State.established || this.#state === State.closeWait || this.openedFast) {
      this.receiver.acks.answered(this.receiver.bytesReceived);
      this.context.userCalls++;
      this.context.answerExpected = false;
      // What does not fill a segment goes together with what the program says next: the rest of an answer, or FIN.
      if (this.context.flushFollows && this.sender.unsent < this.sender.segmentBytes) this.context.queueAnswer(this);
      else this.context.flushNow(this);
    }
  }

  /** Gives the connection up in good order. */
  close(): void {
    if (this.abandoned) return;
    this.abandoned = true;
    if (this.#finished) return this.receiver.discard();
    if (this.settings.linger === 0) return this.abort();
    // Data that wait for the end of the handshake are delivered in the background, as later ones would be.
    if (this.#state === State.synSent && this.sender.queued === 0) return this.finish(null);
    // RFC 2525 section 2.17: data that nobody will read are a failure that the peer should hear of.
    if (this.receiver.queued > 0 && this.#state >= State.synReceived) {
      if (this.flushQueued) this.flush();
      if (this.#state !== State.timeWait) this.sendReset();
      return this.finish(null);
    }
    this.shutdown();
    this.updateTimers();
  }

  /** Ends the connection at once and tells the peer by RST; its user is told of `failure`. */
  abort(failure: Failure | null = null): void {
    this.abandoned = true;
    if (this.#finished) return this.receiver.discard();
    if (this.#state >= State.synReceived && this.#state !== State.timeWait) this.sendReset();
    this.finish(failure);
  }

  /** Ends the connection because of a failure. */
  fail(name: ErrorName, message: string): void {
    this.finish({ name, message });
  }

  /** Gives the connection up because the peer does not answer. */
  giveUp(why: string): void {
    this.fail("TimedOut", `The peer does not answer: ${withNetworkError(this, why)}`);
  }

  /** Ends the connection: gives everything back and tells its user. What has been received can still be read. */
  finish(failure: Failure | null): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#failure = failure;
    this.#timers = this.context.spareTimers.recycle(this.#timers);
    this.fastOpen?.settle();
    this.sender.clear();
    if (this.abandoned) this.receiver.discard();
    else this.receiver.stop();
    this.context.forget(this);
    if (this.#state !== State.timeWait) this.setState(State.closed);
    this.reservation?.release();
    this.reservation = null;
    this.parent?.ended(this);
    this.parent = null;
    this.observer?.closed(failure);
  }

  /** Whether it is over. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Changes some of its settings. */
  override configure(changes: Partial<ConnectionSettings>): void {
    super.configure(changes);
    if (this.#finished) return;
    if (changes.maximumSegmentBytes !== undefined && this.#state >= State.established) this.fitSegments();
    // What waits goes at once when waiting is switched off, even if more is to be held back later.
    if (changes.noDelay && this.settings.cork) this.sender.sendCorked(this.now);
    else if (changes.noDelay || changes.cork === false) this.#output();
    this.updateTimers();
  }

  /** What is known of it. */
  info(): TcpInfo {
    return connectionInfo(this);
  }
}
