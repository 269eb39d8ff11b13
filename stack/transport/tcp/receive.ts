/**
 * The receiving half of a connection: where the data of segments go, and what acknowledgements say about them.
 *
 * @module
 */

import { add, after, before, distance, earlier, later, notAfter, notBefore } from "../../sequence.ts";
import { AckNeed, AckPolicy } from "./ack_policy.ts";
import { maximumSackBlocks } from "./options.ts";
import { maximumRanges, Ranges } from "./ranges.ts";
import type { ReceiveBuffer, SpareReceiveBuffers } from "./receive_buffer.ts";
import { ReceiveWindow } from "./receive_window.ts";
import type { ByteSource } from "./ring.ts";
import type { Segment } from "./segment.ts";
import { defaultSettings } from "./settings.ts";
import { WindowGrowth } from "./window_growth.ts";

/** RFC 7323 section 5.5: after this long without a segment, in seconds, TS.Recent is no longer believed. */
const timestampLifetime = 24 * 24 * 3600;

/** The receiving half of one connection. */
export class Receiver extends ReceiveWindow {
  /** Sequence number of the peer's FIN; meaningful when `finKnown`. */
  finSequence: number = 0;
  /** Whether the peer's FIN has been seen, in order or not. */
  finKnown: boolean = false;
  /** Whether the peer's FIN has been reached: nothing more will come. */
  finReached: boolean = false;
  /** Whether timestamps are in use. */
  timestamps: boolean = false;
  /** TS.Recent (RFC 7323 section 4.3). */
  recentTimestamp: number = 0;
  /** Last.ACK.sent: what the last segment that we sent acknowledged. */
  lastAckSent: number = 0;
  /** Payload bytes received in order. */
  bytesReceived: number = 0;
  /** Segments received behind a hole. */
  outOfOrderSegments: number = 0;
  /** Whether SACK blocks may be sent. */
  selective: boolean = false;
  /** When to acknowledge what arrives. */
  readonly acks: AckPolicy;
  /** Data that arrived behind a hole. */
  outOfOrder: Ranges = Ranges.none;

  readonly #spareBuffers: SpareReceiveBuffers;
  /** What can be read, and what is behind holes; null while there is nothing and nothing is expected. */
  #buffer: ReceiveBuffer | null = null;
  /** When TS.Recent was taken, in whole seconds. */
  #recentTimestampAt = 0;
  #duplicateStart = 0;
  #duplicateEnd = 0;

  #growth: WindowGrowth | null = null;

  /**
   * Starts empty; at most `maximum` bytes will wait for the application. The window that is offered at first is
   * `window` and grows with what the application reads; the first `quick` segments are acknowledged at once.
   */
  constructor(
    spareBuffers: SpareReceiveBuffers,
    maximum: number,
    window: number = defaultSettings.initialReceiveWindow,
    quick: number = defaultSettings.quickAcknowledgements,
  ) {
    super(maximum, window);
    this.#spareBuffers = spareBuffers;
    this.acks = new AckPolicy(quick);
  }

  /** In-order bytes that wait for the application. */
  override get queued(): number {
    return this.#buffer === null ? 0 : this.#buffer.queued;
  }

  get #ownBuffer(): ReceiveBuffer {
    return this.#buffer ??= this.#spareBuffers.take();
  }

  #giveBufferBack(): void {
    if (this.#buffer !== null && this.#buffer.unused) this.#buffer = this.#spareBuffers.recycle(this.#buffer);
  }

  /** Starts with the peer's initial sequence number: its SYN has been received. */
  start(initialSequence: number): void {
    this.startWindow(initialSequence);
    this.lastAckSent = this.rcvNxt;
  }

  /**
   * Keeps the data of the SYN of a peer that opens when we do, until the handshake is complete (RFC 9293
   * section 3.10.7.3). They are not acknowledged before. A FIN comes again.
   */
  hold({ length, dataAt, packet }: Segment): void {
    const end = earlier(add(this.rcvNxt, length), this.rightEdge);
    if (length === 0 || !before(this.rcvNxt, end) || !this.#ownRanges().add(this.rcvNxt, end)) return;
    this.#ownBuffer.write(0, packet, dataAt, distance(end, this.rcvNxt));
  }

  /** The handshake is complete: takes what was held, and returns whether that was anything. */
  takeHeld(now: number): boolean {
    const ranges = this.outOfOrder;
    if (ranges.count === 0 || ranges.firstStart !== this.rcvNxt) return false;
    this.#advance(ranges.firstEnd, false, now);
    return true;
  }

  /** Whether a timestamp is older than the most recent one: PAWS (RFC 7323 section 5). */
  isOldTimestamp(value: number, now: number): boolean {
    return before(value, this.recentTimestamp) && !this.#timestampExpired(now);
  }

  /** Takes the timestamp of an acceptable segment over, where RFC 7323 section 4.3 says so. */
  noteTimestamp(value: number, sequence: number, now: number): void {
    if (notBefore(value, this.recentTimestamp) || this.#timestampExpired(now)) {
      if (notAfter(sequence, this.lastAckSent)) this.setTimestamp(value, now);
    }
  }

  /** Takes a timestamp over. */
  setTimestamp(value: number, now: number): void {
    this.recentTimestamp = value;
    this.#recentTimestampAt = Math.floor(now / 1000);
  }

  #timestampExpired(now: number): boolean {
    return now / 1000 - this.#recentTimestampAt > timestampLifetime;
  }

  /**
   * Takes the data and FIN of an acceptable segment. Returns whether something became readable: data in order, or the
   * end.
   */
  take(segment: Segment, now: number): boolean {
    const { sequence, length, dataAt, packet } = segment;
    let end = add(sequence, length);
    let fin = segment.fin;
    if (after(segment.end, this.rightEdge) && (length > 0 || sequence !== this.rcvNxt)) {
      // RFC 9293 section 3.10.7.4: what lies outside the window is cut off, a FIN first. A bare FIN needs no buffer.
      end = earlier(end, this.rightEdge);
      fin = false;
      this.acks.need = AckNeed.now;
    }
    if (this.finKnown && after(end, this.finSequence)) end = this.finSequence;
    // A FIN in front of data that are here already is none of this stream's.
    const believable = this.outOfOrder.count === 0 || notAfter(this.outOfOrder.lastEnd, end);
    if (fin && !this.finKnown && believable) {
      this.finKnown = true;
      this.finSequence = end;
    }
    const start = later(sequence, this.rcvNxt);
    if (length > 0) {
      if (before(sequence, this.rcvNxt)) this.#noteDuplicate(sequence, earlier(end, this.rcvNxt));
      else if (this.outOfOrder.count > 0) this.#noteOverlap(start, end);
      if (before(start, end)) {
        this.#noteSegmentBytes(packet.segmentBytes > 0 ? packet.segmentBytes : distance(end, start));
        this.#store(start, end, packet, dataAt + distance(start, sequence), now);
      }
    }
    if (this.finKnown && !this.finReached && this.rcvNxt === this.finSequence) {
      this.finReached = true;
      this.rcvNxt = add(this.rcvNxt, 1);
      // The FIN takes a number but no room.
      this.rightEdge = add(this.rightEdge, 1);
      this.acks.need = AckNeed.now;
      return true;
    }
    if (fin && !this.finReached) this.acks.need = AckNeed.now;
    return this.queued > 0;
  }

  /** As {@linkcode ReceiveBuffer.expect}. */
  expect(target: Uint8Array | null): void {
    if (target !== null) return this.#ownBuffer.expect(target);
    this.#buffer?.expect(null);
    this.#giveBufferBack();
  }

  /** Moves bytes to the application and returns how many. */
  read(target: Uint8Array, now: number, rtt: number): number {
    const length = this.#buffer === null ? 0 : this.#buffer.read(target);
    this.#giveBufferBack();
    const wanted = this.#growth?.read(length, now, rtt) ?? 0;
    this.growWindow(wanted);
    return length;
  }

  /** As {@linkcode WindowGrowth.sample}. */
  sampleRoundTrip(elapsed: number): void {
    this.#growth?.sample(elapsed);
  }

  /** Copies bytes to the application, which can read them again, and returns how many. */
  peek(target: Uint8Array): number {
    return this.#buffer === null ? 0 : this.#buffer.peek(target);
  }

  /** A segment goes out that acknowledges everything up to RCV.NXT. */
  acknowledged(): void {
    this.acks.acknowledged();
    this.lastAckSent = this.rcvNxt;
  }

  /**
   * Remembers that a segment that was not acceptable had been received before, to be reported by the next ACK
   * (RFC 2883).
   */
  noteDuplicateSegment(sequence: number, length: number): void {
    const end = earlier(add(sequence, length), this.rcvNxt);
    if (before(sequence, end)) this.#noteDuplicate(sequence, end);
  }

  /** How many SACK blocks the next segment should carry. */
  get sackBlocks(): number {
    if (!this.selective) return 0;
    const limit = this.timestamps ? maximumSackBlocks - 1 : maximumSackBlocks;
    return Math.min(limit, this.outOfOrder.count + (this.#duplicateStart !== this.#duplicateEnd ? 1 : 0));
  }

  /** Writes the SACK blocks for the next segment: a duplicate first, then the ranges, the latest first. */
  writeSackBlocks(edges: Int32Array): number {
    let block = 0;
    if (this.#duplicateStart !== this.#duplicateEnd) {
      edges[0] = this.#duplicateStart;
      edges[1] = this.#duplicateEnd;
      this.#duplicateStart = this.#duplicateEnd;
      block = 1;
    }
    return this.outOfOrder.blocks(edges, block, this.timestamps ? maximumSackBlocks - 1 : maximumSackBlocks);
  }

  /** Forgets what is behind holes; what is in order can still be read. */
  stop(): void {
    this.outOfOrder.clear();
    this.#buffer?.truncate();
    this.#giveBufferBack();
  }

  /** Throws everything away. */
  discard(): void {
    this.outOfOrder.clear();
    this.#buffer?.clear();
    this.#giveBufferBack();
  }

  /** Puts data into their place: at RCV.NXT, or behind a hole. */
  #store(start: number, end: number, packet: ByteSource, at: number, now: number): void {
    const ranges = this.outOfOrder;
    if (start !== this.rcvNxt) {
      // RFC 5681 section 4.2: out of order, so at once.
      this.acks.need = AckNeed.now;
      // RFC 2883 section 4: the block behind the duplicate's is the one that it lies in.
      if (ranges.covers(start, end)) ranges.touch(start);
      else if (this.#ownRanges().add(start, end, maximumRanges(this.window))) {
        this.outOfOrderSegments++;
        this.#ownBuffer.write(distance(start, this.rcvNxt), packet, at, distance(end, start));
      }
      return;
    }
    const hole = ranges.count > 0;
    this.#ownBuffer.append(packet, at, distance(end, start));
    this.#advance(end, hole, now);
  }

  /** The ranges, to be added to. */
  #ownRanges(): Ranges {
    if (this.outOfOrder === Ranges.none) this.outOfOrder = new Ranges();
    return this.outOfOrder;
  }

  /** Moves RCV.NXT to `end`, and over what is there already behind it; `hole` says whether this may close one. */
  #advance(end: number, hole: boolean, now: number): void {
    const ranges = this.outOfOrder;
    let next = end;
    while (ranges.count > 0 && notAfter(ranges.firstStart, next)) {
      next = later(next, ranges.firstEnd);
      ranges.dropBefore(next);
    }
    const arrived = distance(next, this.rcvNxt);
    this.rcvNxt = next;
    this.#ownBuffer.advance(arrived);
    this.bytesReceived += arrived;
    this.acks.arrived(arrived, this.segmentBytes, hole);
    this.#growth ??= new WindowGrowth(now);
  }

  /** A super-segment stands for many: what counts is what each of them carries. */
  #noteSegmentBytes(length: number): void {
    if (length > this.segmentBytes) this.segmentBytes = Math.min(length, 65535);
  }

  /** Notes what of `[start, end)` is here already: the first part of it, where there are several (RFC 2883 section 4). */
  #noteOverlap(start: number, end: number): void {
    const ranges = this.outOfOrder;
    const index = ranges.firstOverlap(start, end);
    if (index >= 0) this.#noteDuplicate(later(start, ranges.start(index)), earlier(end, ranges.end(index)));
  }

  #noteDuplicate(start: number, end: number): void {
    this.acks.need = AckNeed.now;
    this.#duplicateStart = start;
    this.#duplicateEnd = end;
  }
}
