/**
 * The transmission control block (RFC 9293 section 3.3.1): both halves of a connection, what its ends have agreed on,
 * and what the path between them carries.
 *
 * @module
 */

import type { Path } from "../../network/path.ts";
import { distance } from "../../sequence.ts";
import type { Endpoint } from "../endpoint.ts";
import { congestionControlFactory } from "./congestion/algorithms.ts";
import type { CongestionControlFactory } from "./congestion/control.ts";
import type { TcpContext } from "./context.ts";
import type { Ecn } from "./ecn.ts";
import { minimumHeaderBytes } from "./header.ts";
import { timestampsBytes } from "./options.ts";
import { Measure, newMeasures } from "./measures.ts";
import { PathMtuSearch } from "./path_mtu_search.ts";
import { Receiver } from "./receive.ts";
import { announcedSegmentBytes, largestSuperSegment } from "./segment_writer.ts";
import { Sender, type Transmitter } from "./send.ts";
import { checkSettings, smallestSegmentBytes } from "./settings.ts";
import type { ConnectionSettings } from "./user.ts";

/** Room for data when the peer says nothing of its maximum segment size, in bytes (RFC 9293 section 3.7.1). */
const defaultSegmentBytes = { 4: 536, 6: 1220 } as const;

/** What a connection knows; what it does is {@linkcode Connection}'s. */
export abstract class ControlBlock implements Transmitter {
  /** Our end. */
  readonly local: Endpoint;
  /** The peer's end. */
  readonly remote: Endpoint;
  /** The way to the peer. */
  readonly path: Path;
  /** What all connections of a stack share. */
  readonly context: TcpContext<never>;
  /** The sending half. */
  readonly sender: Sender;
  /** The receiving half. */
  readonly receiver: Receiver;
  /** Whether it began with the peer's SYN. */
  readonly passive: boolean;
  /** Whether timestamps are in use, or offered by our SYN. */
  timestamps: boolean;
  /** Whether selective acknowledgements are in use, or offered by our SYN. */
  selective: boolean;
  /** Whether windows are scaled, or the scale offered by our SYN. */
  windowScaling: boolean;
  /** Explicit congestion notification, or null when it is not in use. */
  ecn: Ecn | null = null;
  /** The maximum segment size that the peer announced, in bytes. */
  peerSegmentBytes: number = 0;
  /** Segments sent. */
  segmentsSent: number = 0;
  /** Segments received. */
  segmentsReceived: number = 0;
  /** Acknowledgements received that only repeat the last one. */
  duplicateAcks: number = 0;
  #settings: Readonly<ConnectionSettings>;
  #timestampOffset: number;
  readonly #measures: number[] = newMeasures();
  #pathMtuSearch: PathMtuSearch | null = null;

  /** That of a connection that has not begun. */
  constructor(
    context: TcpContext<never>,
    local: Endpoint,
    remote: Endpoint,
    path: Path,
    settings: Readonly<ConnectionSettings>,
    passive: boolean,
    initialSequence: number,
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
    this.#timestampOffset = context.initialSequence.timestampOffset(local, remote) | 0;
    const { receiveBufferBytes, initialReceiveWindow, quickAcknowledgements } = settings;
    this.receiver = new Receiver(context.spareBuffers, receiveBufferBytes, initialReceiveWindow, quickAcknowledgements);
    this.receiver.windowScale = Receiver.scaleFor(receiveBufferBytes);
    this.sender = new Sender(
      this,
      context.spareFlights,
      controlMaker(context, settings),
      initialSequence | 0,
      defaultSegmentBytes[local.address.family],
      settings.sendBufferBytes,
      this.#measures,
    );
    this.sender.rtt.begin(settings.initialTimeout, settings.minimumTimeout);
    // RFC 1191 section 3, RFC 9293 section 3.7.2: routers are to say what they do not carry.
    path.dontFragment = true;
    this.#spread(settings);
    this.lastReceivedAt = this.#measures[Measure.openedAt] = this.now;
  }

  /** When the connection began, in milliseconds: no echo is older. */
  get openedAt(): number {
    return this.#measures[Measure.openedAt]!;
  }

  /** When the last segment arrived, in milliseconds. */
  get lastReceivedAt(): number {
    return this.#measures[Measure.receivedAt]!;
  }

  set lastReceivedAt(time: number) {
    this.#measures[Measure.receivedAt] = time;
  }

  /** As {@linkcode Transmitter.transmit}. */
  abstract transmit(flags: number, sequence: number, length: number, fresh?: boolean): void;

  /** As {@linkcode LossWatcher.lost}. */
  abstract lost(start: number, end: number): void;

  /** The time, in milliseconds. */
  get now(): number {
    return this.context.timers.clock.now();
  }

  /** Its settings. */
  get settings(): Readonly<ConnectionSettings> {
    return this.#settings;
  }

  /** Changes some of its settings. */
  configure(changes: Partial<ConnectionSettings>): void {
    checkSettings(changes);
    const settings = this.#settings = { ...this.#settings, ...changes };
    const { sender, receiver } = this;
    this.#spread(settings);
    sender.limit = settings.sendBufferBytes;
    sender.measures[Measure.leastTimeout] = settings.minimumTimeout;
    if (changes.receiveBufferBytes !== undefined) receiver.maximum = settings.receiveBufferBytes;
    if (changes.quickAcknowledgements !== undefined) receiver.acks.quick = settings.quickAcknowledgements;
    if (changes.congestionControl !== undefined) sender.useControl(controlMaker(this.context, settings)());
  }

  /** Hands on what settings mean to the parts, at any time alike. */
  #spread(settings: Readonly<ConnectionSettings>): void {
    const { sender, path } = this;
    sender.noDelay = settings.noDelay;
    sender.corked = settings.cork;
    sender.paced = settings.pacing;
    path.timeToLive = settings.timeToLive;
    path.trafficClass = settings.trafficClass;
  }

  /** Our clock as timestamps show it (RFC 7323 section 5.4: one tick a millisecond), with this connection's offset. */
  get timestampNow(): number {
    return (Math.floor(this.now) + this.#timestampOffset) | 0;
  }

  /** Goes on with the timestamps of an answer that was sent before there was a connection: with this offset. */
  continueTimestamps(offset: number): void {
    this.#timestampOffset = offset;
  }

  /** When the segment with this timestamp was sent, in milliseconds; -1 when that cannot be. */
  echoTime(echo: number): number {
    const age = distance(this.timestampNow, echo);
    const sentAt = Math.floor(this.now) - age;
    return age < 0 || sentAt < Math.floor(this.openedAt) ? -1 : sentAt;
  }

  /** The maximum segment size that our SYN announces, in bytes: what a packet carries besides the fixed headers. */
  get announcedSegmentBytes(): number {
    const byPath = announcedSegmentBytes(this.path);
    const { maximumSegmentBytes } = this.#settings;
    return maximumSegmentBytes > 0 ? Math.min(byPath, maximumSegmentBytes) : byPath;
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

  /** Goes on with the search for a larger segment size, if one is under way. */
  searchPathMtu(): void {
    this.#pathMtuSearch?.update(this.now);
  }

  /** Bytes that can be received now. */
  get receivable(): number {
    return this.receiver.queued;
  }

  /** Whether nothing more will come. */
  get ended(): boolean {
    return this.receiver.finReached && this.receiver.queued === 0;
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

  /** As {@linkcode Receiver.expect}. */
  expect(target: Uint8Array | null): void {
    this.receiver.expect(target);
  }
}

/** Makes the state of the algorithm that a connection with these settings uses. */
function controlMaker(
  context: TcpContext<never>,
  { congestionControl }: Readonly<ConnectionSettings>,
): CongestionControlFactory {
  return congestionControl === null ? context.congestionControl : congestionControlFactory(congestionControl);
}
