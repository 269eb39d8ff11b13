/**
 * A connection: the transmission control block (RFC 9293 section 3.3.1) that holds both halves together, its timers,
 * and the calls of its user.
 *
 * @module
 */

import type { Path } from "../../network/path.ts";
import type { ErrorName } from "../../errors.ts";
import { distance } from "../../sequence.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Flow } from "../flow_table.ts";
import type { TcpContext } from "./context.ts";
import { type Ecn, ecnSetup } from "./ecn.ts";
import type { FastOpenHandshake, FastOpenOption } from "./fast_open.ts";
import { Flag, minimumHeaderBytes } from "./header.ts";
import { timestampsBytes } from "./options.ts";
import { PathMtuSearch } from "./path_mtu_search.ts";
import { AckNeed, Receiver } from "./receive.ts";
import { Sender, type Transmitter } from "./send.ts";
import type { Segment } from "./segment.ts";
import { announcedSegmentBytes, largestSuperSegment, type SegmentSource } from "./segment_writer.ts";
import { checkSettings, smallestSegmentBytes } from "./settings.ts";
import { State } from "./state.ts";
import { connectionInfo } from "./connection_info.ts";
import { congestionControlFactory } from "./congestion/algorithms.ts";
import type { CongestionControlFactory } from "./congestion/control.ts";
import { ConnectionTimers, type TimedConnection } from "./connection_timers.ts";
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

/** Room for data when the peer says nothing of its maximum segment size, in bytes (RFC 9293 section 3.7.1). */
const defaultSegmentBytes = { 4: 536, 6: 1220 } as const;

/** Acknowledgements of segments outside the window: this many at once, then this many a second. */
const strayAcknowledgementBurst = 8;

/** One connection. */
export class Connection implements UserConnection, Flow<Connection>, Transmitter, TimedConnection, SegmentSource {
  /** Our end. */
  readonly local: Endpoint;
  /** The peer's end. */
  readonly remote: Endpoint;
  /** The way to the peer. */
  readonly path: Path;
  /** What all connections of a stack share. */
  readonly context: TcpContext<Connection>;
  /** The sending half. */
  readonly sender: Sender;
  /** The receiving half. */
  readonly receiver: Receiver;
  /** Its timers. */
  readonly timers: ConnectionTimers;
  /** Managed by the flow table. */
  nextFlow: Connection | null = null;
  /** Managed by the flow table. */
  flowHash: number = 0;
  /** Who is told; null until someone takes the connection. */
  observer: ConnectionObserver | null = null;
  /** The listener that it came from, until it is accepted. */
  parent: ConnectionParent | null = null;
  /** Called once when the connection is over, to give back what was reserved for it. */
  onFinish: (() => void) | null = null;
  /** Whether timestamps are in use, or offered by our SYN. */
  timestamps: boolean = true;
  /** Whether selective acknowledgements are in use, or offered by our SYN. */
  selective: boolean = true;
  /** Whether windows are scaled, or the scale offered by our SYN. */
  windowScaling: boolean = true;
  /** Explicit congestion notification, or null when it is not in use. */
  ecn: Ecn | null = null;
  /** What Fast Open means to it (RFC 7413), or null when it is not used. */
  fastOpen: FastOpenHandshake | null = null;
  /** Whether it began with the peer's SYN. */
  readonly passive: boolean;
  /** Whether its user has closed it and wants no more data. */
  abandoned: boolean = false;
  /** Whether a flush is due at the end of the present batch. Managed by the context. */
  flushQueued: boolean = false;
  /** Segments sent. */
  segmentsSent: number = 0;
  /** Segments received. */
  segmentsReceived: number = 0;
  /** Acknowledgements received that only repeat the last one. */
  duplicateAcks: number = 0;
  /** When the last segment arrived, in milliseconds. */
  lastReceivedAt: number = 0;
  /** When the connection began, in milliseconds: no echo is older. */
  readonly openedAt: number;

  #settings: Readonly<ConnectionSettings>;
  #state: State = State.closed;
  #failure: Failure | null = null;
  #finished = false;
  #pathMtuSearch: PathMtuSearch | null = null;
  readonly #timestampOffset: number;
  #strayTokens = strayAcknowledgementBurst;
  #strayAt = 0;

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
    this.context = context;
    this.local = local;
    this.remote = remote;
    this.path = path;
    this.passive = passive;
    this.#settings = settings;
    this.timestamps = context.options.timestamps;
    this.selective = context.options.selectiveAcknowledgements;
    this.windowScaling = context.options.windowScaling;
    this.#timestampOffset = context.initialSequence.timestampOffset(local, remote);
    const { receiveBufferBytes, initialReceiveWindow, quickAcknowledgements } = settings;
    this.receiver = new Receiver(context.storage, receiveBufferBytes, initialReceiveWindow, quickAcknowledgements);
    this.receiver.windowScale = Receiver.scaleFor(receiveBufferBytes);
    this.sender = new Sender(
      this,
      context.storage,
      controlMaker(context, settings),
      initialSequence,
      defaultSegmentBytes[local.address.family],
      this.settings.sendBufferBytes,
    );
    this.sender.noDelay = settings.noDelay;
    this.sender.corked = settings.cork;
    this.sender.paced = settings.pacing;
    this.sender.rtt.begin(settings.initialTimeout, settings.minimumTimeout);
    // RFC 1191 section 3, RFC 9293 section 3.7.2: routers are to say what they do not carry.
    path.dontFragment = true;
    path.timeToLive = settings.timeToLive;
    path.trafficClass = settings.trafficClass;
    this.timers = new ConnectionTimers(this, context.timers);
    this.lastReceivedAt = this.openedAt = this.now;
  }

  /** The time, in milliseconds. */
  get now(): number {
    return this.context.timers.clock.now();
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

  /** The maximum segment size that our SYN announces, in bytes: what a packet carries besides the fixed headers. */
  get announcedSegmentBytes(): number {
    const byPath = announcedSegmentBytes(this.path);
    const { maximumSegmentBytes } = this.#settings;
    return maximumSegmentBytes > 0 ? Math.min(byPath, maximumSegmentBytes) : byPath;
  }

  /** Our clock as timestamps show it (RFC 7323 section 5.4: one tick a millisecond), with this connection's offset. */
  get timestampNow(): number {
    return (Math.floor(this.now) + this.#timestampOffset) >>> 0;
  }

  /** When the segment with this timestamp was sent, in milliseconds; -1 when that cannot be. */
  echoTime(echo: number): number {
    const age = distance(this.timestampNow, echo);
    const sentAt = Math.floor(this.now) - age;
    return age < 0 || sentAt < Math.floor(this.openedAt) ? -1 : sentAt;
  }

  /** Sends SYN: the active open. With `fastOpen` it may have to wait for the first data (RFC 7413 section 4.2.1). */
  open(fastOpen: boolean = false): void {
    this.setState(State.synSent);
    if (fastOpen) this.fastOpen = this.context.fastOpen.begin(this.remote, this.announcedSegmentBytes);
    if (!this.deferred) this.#sendFirstSyn();
  }

  /** Whether the SYN waits for the first data. */
  get deferred(): boolean {
    return this.fastOpen !== null && this.fastOpen.deferred;
  }

  /** Sends the SYN that waits for the first data, with what there is of them. */
  proceed(): void {
    if (!this.deferred || this.#state !== State.synSent) return;
    this.#sendFirstSyn();
  }

  #sendFirstSyn(): void {
    const { fastOpen } = this;
    const dataBytes = fastOpen === null ? 0 : Math.min(this.sender.queued, fastOpen.room);
    if (fastOpen !== null) fastOpen.deferred = false;
    const flags = this.context.options.ecn === "request" ? Flag.syn | ecnSetup : Flag.syn;
    this.sender.sendSyn(flags, this.now, dataBytes);
    if (fastOpen !== null) fastOpen.option = null;
    this.timers.update();
  }

  /** The Fast Open option of the SYN under way, or null for none. */
  get fastOpenOption(): FastOpenOption | null {
    return this.fastOpen === null ? null : this.fastOpen.option;
  }

  /** Whether data flow already although the handshake is not complete: we took those of the peer's SYN (RFC 7413). */
  get openedFast(): boolean {
    return this.#state === State.synReceived && this.fastOpen !== null && this.fastOpen.pending !== null;
  }

  /** Sends the SYN, or the SYN and ACK, again or for the first time. */
  sendSyn(): void {
    const { fastOpen } = this;
    if (fastOpen !== null) fastOpen.deferred = false;
    this.#sendSyn();
    if (fastOpen !== null) fastOpen.option = null;
  }

  /** Our SYN was not answered in time. */
  synTimedOut(): void {
    const { fastOpen } = this;
    if (fastOpen !== null && !fastOpen.lost && this.#state === State.synSent) {
      fastOpen.lost = true;
      this.context.fastOpen.cache.lost(this.remote.address);
    }
    this.sendSyn();
  }

  #sendSyn(): void {
    // A SYN that asked for explicit congestion notification may have been dropped for that: it is asked once.
    if (this.state === State.synSent) return this.sender.sendSyn(Flag.syn, this.now);
    this.sender.sendSyn(Flag.syn | Flag.ack | (this.ecn === null ? 0 : Flag.ece), this.now);
  }

  /** Takes the peer's options over, as its SYN says them. */
  negotiate(maximumSegmentSize: number, windowScale: number, sackPermitted: boolean, timestamp: number | null): void {
    this.timestamps = this.timestamps && timestamp !== null;
    this.selective = this.selective && sackPermitted;
    this.windowScaling = this.windowScaling && windowScale >= 0;
    this.sender.windowScale = this.windowScaling ? windowScale : 0;
    if (!this.windowScaling) this.receiver.windowScale = 0;
    this.receiver.timestamps = this.timestamps;
    this.receiver.selective = this.selective;
    if (this.timestamps) this.receiver.setTimestamp(timestamp!, this.now);
    this.peerSegmentBytes = maximumSegmentSize || defaultSegmentBytes[this.local.address.family];
    this.fitSegments();
  }

  /** The maximum segment size that the peer announced, in bytes. */
  peerSegmentBytes: number = 0;

  /** Sets the size of full segments from what the peer takes and what the path carries (RFC 9293 section 3.7.1). */
  fitSegments(): void {
    const byPath = this.path.mtu - this.path.network.fixedHeaderBytes - 20;
    const bySettings = this.#settings.maximumSegmentBytes || Infinity;
    const options = this.timestamps ? timestampsBytes : 0;
    this.sender.headerBytes = minimumHeaderBytes + options;
    const most = Math.min(this.peerSegmentBytes, byPath, bySettings);
    // Peers and settings do not bring segments down to nothing; a link that is that small does.
    this.sender.resize(Math.max(Math.min(smallestSegmentBytes, byPath), most) - options);
    this.sender.superSegmentBytes = largestSuperSegment(this.path);
  }

  /** Full segments time out again and again: the path may not carry them, and no router says so. */
  fullSegmentsVanish(): void {
    if (this.#settings.pathMtuProbing) (this.#pathMtuSearch ??= new PathMtuSearch(this)).lower();
  }

  /** The handshake is complete. */
  established(): void {
    this.setState(State.established);
    this.fastOpen?.settle();
    this.timers.update();
    this.parent?.established(this);
    this.observer?.established();
    if (this.fastOpen?.shutdownWaits) this.shutdown();
  }

  /** The peer has sent something that is certainly its own. */
  heardFrom(segment: Segment): void {
    this.lastReceivedAt = segment.arrivedAt;
    this.timers.heard();
  }

  /** Both sides have closed: waits for stray segments (RFC 9293 section 3.6.1), without keeping all this alive. */
  enterTimeWait(): void {
    this.setState(State.timeWait);
    if (this.receiver.ackNeed !== AckNeed.none) this.sendAck();
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
    const now = this.now;
    this.#strayTokens = Math.min(
      strayAcknowledgementBurst,
      this.#strayTokens + (now - this.#strayAt) * strayAcknowledgementBurst / 1000,
    );
    this.#strayAt = now;
    if (this.#strayTokens < 1) {
      this.context.counters.strayAcksSuppressed++;
      return;
    }
    this.#strayTokens--;
    this.sendAck();
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
    if (this.#state !== State.synReceived || this.openedFast) {
      this.#pathMtuSearch?.update(this.now);
      if (!this.pausing) this.sender.output(this.now);
      if (this.pausing) this.queueFlush();
    }
    if (this.receiver.ackNeed === AckNeed.now) this.sendAck();
    this.timers.update();
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

  /** Bytes that can be received now. */
  get receivable(): number {
    return this.receiver.queued;
  }

  /** Whether nothing more will come. */
  get ended(): boolean {
    return this.receiver.finReached && this.receiver.queued === 0;
  }

  /** Why the connection is over. */
  get failure(): Failure | null {
    return this.#failure;
  }

  /** Bytes taken for sending that are not acknowledged. */
  get unacknowledged(): number {
    return this.sender.queued;
  }

  /** Bytes taken for sending that have not been sent once. */
  get unsent(): number {
    return this.sender.unsent;
  }

  /** Copies received bytes into `target`, where they stay receivable, and returns how many. */
  peek(target: Uint8Array): number {
    return this.receiver.peek(target);
  }

  /** Copies received bytes into `target` and returns how many. */
  receive(target: Uint8Array): number {
    const length = this.receiver.read(target, this.now, this.sender.rtt.smoothed);
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
      this.receiver.interactive();
      this.flush();
    }
  }

  /** Gives the connection up in good order. */
  close(): void {
    if (this.abandoned) return;
    this.abandoned = true;
    if (this.#finished) return this.receiver.discard();
    if (this.#settings.linger === 0) return this.abort();
    // Data that wait for the end of the handshake are delivered in the background, as later ones would be.
    if (this.#state === State.synSent && this.sender.queued === 0) return this.finish(null);
    // RFC 2525 section 2.17: data that nobody will read are a failure that the peer should hear of.
    if (this.receiver.queued > 0 && this.#state >= State.synReceived) {
      if (this.#state !== State.timeWait) this.sendReset();
      return this.finish(null);
    }
    this.shutdown();
    this.timers.update();
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

  /** The peer gives up a handshake that it began, by RST or by a new SYN. */
  handshakeReset(): void {
    const { openedFast } = this;
    if (this.fastOpen !== null) this.fastOpen.reset = true;
    if (openedFast) this.fail("ConnectionReset", "The peer reset the connection");
    else this.finish(null);
  }

  /** Gives the connection up because the peer does not answer. */
  giveUp(why: string): void {
    this.fail("TimedOut", `The peer does not answer: ${why}`);
  }

  /** Ends the connection: gives everything back and tells its user. What has been received can still be read. */
  finish(failure: Failure | null): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#failure = failure;
    this.timers.dispose();
    this.fastOpen?.settle();
    this.sender.clear();
    if (this.abandoned) this.receiver.discard();
    else this.receiver.stop();
    this.context.forget(this);
    if (this.#state !== State.timeWait) this.setState(State.closed);
    this.onFinish?.();
    this.onFinish = null;
    this.parent?.ended(this);
    this.parent = null;
    this.observer?.closed(failure);
  }

  /** Whether it is over. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Its settings. */
  get settings(): Readonly<ConnectionSettings> {
    return this.#settings;
  }

  /** Changes some of its settings. */
  configure(changes: Partial<ConnectionSettings>): void {
    checkSettings(changes);
    const settings = this.#settings = { ...this.#settings, ...changes };
    this.sender.limit = settings.sendBufferBytes;
    this.sender.noDelay = settings.noDelay;
    this.sender.paced = settings.pacing;
    if (changes.receiveBufferBytes !== undefined) this.receiver.maximum = settings.receiveBufferBytes;
    if (changes.quickAcknowledgements !== undefined) {
      this.receiver.quickAcknowledgements = settings.quickAcknowledgements;
    }
    this.sender.corked = settings.cork;
    if (changes.congestionControl !== undefined) this.sender.useControl(controlMaker(this.context, settings)());
    this.sender.rtt.least = settings.minimumTimeout;
    this.path.timeToLive = settings.timeToLive;
    this.path.trafficClass = settings.trafficClass;
    if (this.#finished) return;
    if (changes.maximumSegmentBytes !== undefined && this.#state >= State.established) this.fitSegments();
    if (changes.noDelay || changes.cork === false) this.#output();
    this.timers.update();
  }

  /** What is known of it. */
  info(): TcpInfo {
    return connectionInfo(this);
  }
}

/** Makes the state of the algorithm that a connection with these settings uses. */
function controlMaker(
  context: TcpContext<Connection>,
  { congestionControl }: Readonly<ConnectionSettings>,
): CongestionControlFactory {
  return congestionControl === null ? context.congestionControl : congestionControlFactory(congestionControl);
}
