/**
 * What an acknowledgement says about the segments in the network: cumulative acknowledgement, SACK blocks (RFC 2018),
 * duplicate SACK (RFC 2883) and, without SACK, the count of duplicate ACKs. It updates the scoreboard and gathers what
 * loss detection, round-trip estimation and congestion control want to know.
 *
 * @module
 */

import { after, before, distance, notAfter, notBefore } from "../../sequence.ts";
import type { TcpOptions } from "./options.ts";
import type { Rack } from "./rack.ts";
import { Mark, type Scoreboard } from "./scoreboard.ts";

/** Digests acknowledgements. One object serves all connections: what it found stands in its fields until the next. */
export class Acknowledgement {
  /** Sequence space that the peer now has and did not have before, in bytes. */
  delivered: number = 0;
  /** Sequence space by which SND.UNA advances, in bytes. */
  advanced: number = 0;
  /** When the first newly acknowledged segment that was sent only once was sent, in milliseconds; -1 for none. */
  firstSentAt: number = -1;
  /** When the newly acknowledged segment that was sent last was sent, in milliseconds; -1 for none. */
  lastSentAt: number = -1;
  /** Whether a segment that was sent more than once has been acknowledged. */
  ambiguous: boolean = false;
  /** Whether a segment that had been sent more than once was acknowledged cumulatively. */
  retransmissionAcked: boolean = false;
  /** Whether a SACK block brought something new. */
  sackedMore: boolean = false;
  /** Whether it says nothing new: it acknowledges again what was acknowledged before. */
  repeated: boolean = false;
  /** Whether the first SACK block reports a duplicate (RFC 2883 section 4). */
  duplicateReported: boolean = false;
  /** The duplicate's edges, when one is reported. */
  duplicateStart: number = 0;
  /** The sequence number behind the duplicate. */
  duplicateEnd: number = 0;

  /**
   * Takes the acknowledgement of everything before `acknowledgement` in. The number lies within `sndUna` and `sndNxt`.
   * `echo` is the time at which the segment that the ACK answers was sent, as its timestamp says, or -1.
   */
  digest(
    scoreboard: Scoreboard,
    rack: Rack,
    acknowledgement: number,
    sndUna: number,
    sndNxt: number,
    options: TcpOptions | null,
    echo: number,
    now: number,
  ): void {
    this.delivered = this.advanced = 0;
    this.firstSentAt = this.lastSentAt = -1;
    this.ambiguous =
      this.retransmissionAcked =
      this.sackedMore =
      this.duplicateReported =
        false;
    if (options !== null) this.#takeBlocks(scoreboard, rack, options, acknowledgement, sndUna, sndNxt, echo, now);
    this.#takeCumulative(scoreboard, rack, acknowledgement, echo, now);
    rack.digested();
    this.repeated = acknowledgement === sndUna;
  }

  /**
   * Without SACK: a duplicate ACK says that one more segment behind the first has arrived. It is written down as if
   * the first that is not marked yet had been sacked, which keeps the count of what is in the network right.
   */
  countDuplicate(scoreboard: Scoreboard): void {
    const index = scoreboard.nextUnsacked(1);
    if (index >= scoreboard.count) return;
    this.delivered += scoreboard.size(index);
    this.sackedMore = true;
    scoreboard.mark(index, Mark.sacked, Mark.lost | Mark.retransmitted);
  }

  /**
   * Without SACK: after a partial ACK the oldest segment is the next hole, so if it was marked by counting, the mark
   * belongs further back.
   */
  moveCountedMarks(scoreboard: Scoreboard): void {
    if (scoreboard.count === 0 || !scoreboard.has(0, Mark.sacked)) return;
    scoreboard.mark(0, 0, Mark.sacked);
    const index = scoreboard.nextUnsacked(1);
    if (index < scoreboard.count) scoreboard.mark(index, Mark.sacked, Mark.lost | Mark.retransmitted);
  }

  /** Without SACK: progress outside a recovery ends the count of duplicates (RFC 5681 section 3.2). */
  forgetCountedMarks(scoreboard: Scoreboard): void {
    for (let index = 0; scoreboard.sackedCount > 0 && index < scoreboard.count; index++) {
      if (scoreboard.has(index, Mark.sacked)) scoreboard.mark(index, 0, Mark.sacked);
    }
  }

  #takeCumulative(scoreboard: Scoreboard, rack: Rack, acknowledgement: number, echo: number, now: number): void {
    while (scoreboard.count > 0 && notAfter(scoreboard.end(0), acknowledgement)) {
      this.advanced += scoreboard.size(0);
      if (scoreboard.has(0, Mark.ambiguous)) this.retransmissionAcked = true;
      if (!scoreboard.has(0, Mark.sacked)) {
        this.#take(scoreboard, rack, 0, scoreboard.size(0), scoreboard.end(0), echo, now);
      }
      scoreboard.shift();
    }
    if (scoreboard.count > 0 && before(scoreboard.start(0), acknowledgement)) {
      const acknowledged = distance(acknowledgement, scoreboard.start(0));
      this.advanced += acknowledged;
      // The rest of a super-segment is still under way.
      if (!scoreboard.has(0, Mark.sacked)) this.#take(scoreboard, rack, 0, acknowledged, acknowledgement, echo, now);
      scoreboard.trim(acknowledgement);
    }
  }

  #takeBlocks(
    scoreboard: Scoreboard,
    rack: Rack,
    options: TcpOptions,
    acknowledgement: number,
    sndUna: number,
    sndNxt: number,
    echo: number,
    now: number,
  ): void {
    const edges = options.sackEdges;
    for (let block = 0; block < options.sackBlocks; block++) {
      const left = edges[2 * block]!;
      const right = edges[2 * block + 1]!;
      if (!before(left, right) || after(right, sndNxt)) continue;
      // RFC 2883 section 4: only the first block can report a duplicate, which lies below the acknowledgement or
      // inside the second block.
      if (block === 0 && this.#isDuplicate(options, left, right, acknowledgement)) {
        this.duplicateReported = true;
        this.duplicateStart = left;
        this.duplicateEnd = right;
        continue;
      }
      if (before(left, sndUna)) continue;
      this.#takeBlock(scoreboard, rack, left, right, echo, now);
    }
  }

  #isDuplicate(options: TcpOptions, left: number, right: number, acknowledgement: number): boolean {
    if (before(left, acknowledgement)) return true;
    return options.sackBlocks > 1 && notBefore(left, options.sackEdges[2]!) && notAfter(right, options.sackEdges[3]!);
  }

  #takeBlock(scoreboard: Scoreboard, rack: Rack, left: number, right: number, echo: number, now: number): void {
    let index = scoreboard.nextUnsacked(scoreboard.firstEndingAfter(left));
    for (; index < scoreboard.count; index = scoreboard.nextUnsacked(index + 1)) {
      if (notBefore(scoreboard.start(index), right)) return;
      if (before(scoreboard.start(index), left)) {
        if (scoreboard.splittable) scoreboard.split(index, left);
        continue;
      }
      if (after(scoreboard.end(index), right)) {
        if (!scoreboard.splittable) return;
        scoreboard.split(index, right);
      }
      this.sackedMore = true;
      this.#take(scoreboard, rack, index, scoreboard.size(index), scoreboard.end(index), echo, now);
      scoreboard.mark(index, Mark.sacked, Mark.lost | Mark.retransmitted);
    }
  }

  /** The peer has so many bytes of a record, up to `end`: count them, and note what its times say. */
  #take(
    scoreboard: Scoreboard,
    rack: Rack,
    index: number,
    bytes: number,
    end: number,
    echo: number,
    now: number,
  ): void {
    this.delivered += bytes;
    const ambiguous = scoreboard.has(index, Mark.ambiguous);
    const sentAt = scoreboard.sentAt(index);
    this.lastSentAt = Math.max(this.lastSentAt, sentAt);
    if (ambiguous) this.ambiguous = true;
    else if (this.firstSentAt < 0 || sentAt < this.firstSentAt) this.firstSentAt = sentAt;
    rack.delivered(sentAt, end, ambiguous, echo, now);
  }
}
