/**
 * Explicit congestion notification (RFC 3168): routers mark packets where they would have dropped them, the receiver
 * echoes the marks, and the sender answers an echo as it answers a loss. RFC 8311 leaves room for other answers.
 *
 * @module
 */

import type { Packet } from "../../packet.ts";
import { Flag } from "./header.ts";
import type { Segment } from "./segment.ts";

/** The codepoints of the two lowest bits of the traffic class (RFC 3168 section 5). */
export const Codepoint = {
  notCapable: 0,
  capable1: 1,
  capable0: 2,
  congestionExperienced: 3,
} as const;

/** Both bits with which a SYN asks for it, and of which its answer keeps one (RFC 3168 section 6.1.1). */
export const ecnSetup: number = Flag.ece | Flag.cwr;

/** Whether a SYN asks for explicit congestion notification. */
export function asksForEcn(flags: number): boolean {
  return (flags & ecnSetup) === ecnSetup;
}

/** Whether the answer to a SYN that asked for it agrees. */
export function agreesToEcn(flags: number): boolean {
  return (flags & ecnSetup) === Flag.ece;
}

/** The codepoint of a packet that a network protocol has handed up. */
export function codepointOf(packet: Packet): number {
  return packet.trafficClass & 3;
}

/** What a connection that uses explicit congestion notification must remember. */
export class Ecn {
  /** Whether acknowledgements echo that a mark has come, until the peer says that it has slowed down. */
  echoing: boolean = false;
  /** Whether the next new data say that we have slowed down. */
  reduced: boolean = false;

  /** Takes the mark of an acceptable segment, and what it says of ours (RFC 3168 section 6.1.3). */
  arrived(segment: Segment): void {
    if ((segment.flags & Flag.cwr) !== 0) this.echoing = false;
    if (segment.length > 0 && codepointOf(segment.packet) === Codepoint.congestionExperienced) this.echoing = true;
  }

  /** The bits that go with a segment; `fresh` says that it carries data for the first time. */
  flagsFor(fresh: boolean): number {
    let flags = this.echoing ? Flag.ece : 0;
    if (fresh && this.reduced) {
      this.reduced = false;
      flags |= Flag.cwr;
    }
    return flags;
  }
}
