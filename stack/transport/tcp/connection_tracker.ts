/**
 * Following a TCP connection of others by its segments, as a router, a firewall or whoever reads a capture sees them.
 *
 * @module
 */

import { after, before, later, notAfter } from "../../sequence.ts";
import { Flag } from "./header.ts";

/** What a {@linkcode ConnectionTracker} knows of a connection. */
export type TrackedState =
  /** The handshake is under way. */
  | "connecting"
  /** Both SYNs have been acknowledged. */
  | "established"
  /** The server has answered the SYN by a reset. */
  | "refused"
  /** The client has reset it. */
  | "reset by client"
  /** The server has reset it. */
  | "reset by server"
  /** Both sides have ended and the ends have been acknowledged; the client ended first. */
  | "closed by client"
  /** The same; the server ended first. */
  | "closed by server";

/** What a {@linkcode ConnectionTracker} looks at. */
export interface TrackedSegment {
  /** SEG.SEQ. */
  readonly sequence: number;
  /** SEG.ACK, whether or not the ACK bit makes it count. */
  readonly acknowledgement: number;
  /** The control bits, as they stand in the header. */
  readonly flags: number;
  /** Bytes of payload. */
  readonly length: number;
  /** The window field, not scaled. */
  readonly window: number;
  /** Shift count of the windows, or -1 where the segment has no such option. */
  readonly windowScale: number;
}

/** One side: what it has sent, and how far the other one has come with it. */
class Half {
  /** The initial sequence number; null before the SYN was seen. */
  initial: number | null = null;
  /** Behind the last sequence number that was sent. */
  next = 0;
  /** What the other side has acknowledged: the least sequence number that it has not. */
  acknowledged = 0;
  /** The right edge of the window that the other side has announced, and the largest window that it was. */
  edge = 0;
  largestWindow = 0;
  /** Shift count that its SYN offers, or -1. */
  scale = -1;
  /** Behind its FIN, once that was seen. */
  end: number | null = null;
  /** Bytes of payload that have been acknowledged. */
  bytes = 0;

  /** Whether everything up to its end has been acknowledged. */
  get isOver(): boolean {
    return this.end !== null && this.acknowledged === this.end;
  }
}

/**
 * Follows one connection from its SYN. A segment that does not belong to it, by the rules of RFC 9293 section 3.10.7.4
 * as far as an onlooker can apply them, changes nothing.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ConnectionTracker } from "./connection_tracker.ts";
 * import { Flag } from "./header.ts";
 *
 * const syn = { sequence: 7, acknowledgement: 0, flags: Flag.syn, length: 0, window: 1000, windowScale: -1 };
 * const tracker = ConnectionTracker.begin(syn)!;
 * tracker.see(false, { ...syn, sequence: 0, acknowledgement: 8, flags: Flag.rst | Flag.ack });
 * assertEquals(tracker.state, "refused");
 * ```
 */
export class ConnectionTracker {
  readonly #client = new Half();
  readonly #server = new Half();
  #state: TrackedState = "connecting";
  #clientEndedFirst = false;

  private constructor() {}

  /** Begins with the client's SYN; null if the segment is no such. */
  static begin(segment: TrackedSegment): ConnectionTracker | null {
    if ((segment.flags & (Flag.syn | Flag.ack | Flag.rst | Flag.fin)) !== Flag.syn) return null;
    const tracker = new ConnectionTracker();
    tracker.#open(tracker.#client, segment);
    return tracker;
  }

  /** What the connection is doing, or how it has ended. */
  get state(): TrackedState {
    return this.#state;
  }

  /** Whether it has ended. What comes between its ends later is none of it. */
  get isOver(): boolean {
    return this.#state !== "connecting" && this.#state !== "established";
  }

  /** Bytes of the client's payload that the server has acknowledged. */
  get clientBytes(): number {
    return this.#client.bytes;
  }

  /** Bytes of the server's payload that the client has acknowledged. */
  get serverBytes(): number {
    return this.#server.bytes;
  }

  /** Takes the next segment, from the client or the server. Returns whether it belongs to the connection. */
  see(fromClient: boolean, segment: TrackedSegment): boolean {
    if (this.isOver) return false;
    const [sender, receiver] = fromClient ? [this.#client, this.#server] : [this.#server, this.#client];
    const isOpening = sender.initial === null;
    if (!this.#isAcceptable(sender, receiver, segment)) return false;
    if ((segment.flags & Flag.rst) !== 0) {
      this.#state = isOpening ? "refused" : fromClient ? "reset by client" : "reset by server";
      return true;
    }
    if (isOpening) this.#open(sender, segment);
    this.#sent(sender, receiver, segment);
    if ((segment.flags & Flag.ack) !== 0) this.#acknowledged(sender, receiver, segment);
    this.#proceed();
    return true;
  }

  #open(half: Half, { sequence, windowScale }: TrackedSegment): void {
    half.initial = half.acknowledged = sequence | 0;
    half.next = (sequence + 1) | 0;
    half.scale = windowScale;
    half.edge = half.next;
  }

  #isAcceptable(sender: Half, receiver: Half, segment: TrackedSegment): boolean {
    const { flags, acknowledgement } = segment;
    const hasAck = (flags & Flag.ack) !== 0;
    // Nobody acknowledges what was not sent.
    if (hasAck && (receiver.initial === null || after(acknowledgement, receiver.next))) return false;
    if (sender.initial === null) {
      // The answer to a SYN: a SYN, of a simultaneous open without ACK, or a reset that acknowledges it.
      if (hasAck && !after(acknowledgement, receiver.initial!)) return false;
      return (flags & Flag.syn) !== 0 || (hasAck && (flags & Flag.rst) !== 0);
    }
    const { sequence } = segment;
    if ((flags & Flag.syn) !== 0) return (sequence | 0) === sender.initial;
    if (!hasAck && (flags & Flag.rst) === 0) return false;
    // Before the other side has said how much it takes, the handshake alone can go on.
    if (after(sequence, later(sender.edge, sender.next))) return false;
    const leftEdge = sender.acknowledged - Math.max(sender.largestWindow, 1);
    if ((flags & Flag.rst) !== 0) return !before(sequence, sender.acknowledged);
    return !before(endOf(segment), leftEdge);
  }

  #sent(sender: Half, receiver: Half, segment: TrackedSegment): void {
    const end = endOf(segment);
    sender.next = later(sender.next, end);
    if ((segment.flags & Flag.fin) === 0 || sender.end !== null) return;
    sender.end = end;
    if (receiver.end === null) this.#clientEndedFirst = sender === this.#client;
  }

  #acknowledged(sender: Half, receiver: Half, { acknowledgement, window, flags }: TrackedSegment): void {
    if (!before(acknowledgement, receiver.acknowledged)) {
      // SYN and FIN take a number each and are no payload.
      const first = later(receiver.acknowledged, (receiver.initial! + 1) | 0);
      const isEnd = receiver.end !== null && (acknowledgement | 0) === receiver.end && !receiver.isOver;
      receiver.bytes += Math.max(0, ((acknowledgement - first) | 0) - (isEnd ? 1 : 0));
      receiver.acknowledged = acknowledgement | 0;
    }
    // RFC 7323 section 2.2: both SYNs have the option or none counts, and the window of a SYN is never scaled.
    const isScaled = (flags & Flag.syn) === 0 && sender.scale >= 0 && receiver.scale >= 0;
    const bytes = isScaled ? window * 2 ** sender.scale : window;
    receiver.largestWindow = Math.max(receiver.largestWindow, bytes);
    receiver.edge = later(receiver.edge, (acknowledgement + bytes) | 0);
  }

  #proceed(): void {
    const [client, server] = [this.#client, this.#server];
    if (this.#state === "connecting") {
      const isOpen = (half: Half) => half.initial !== null && notAfter(half.initial + 1, half.acknowledged);
      if (isOpen(client) && isOpen(server)) this.#state = "established";
    }
    if (client.isOver && server.isOver) this.#state = this.#clientEndedFirst ? "closed by client" : "closed by server";
  }
}

/** Behind the last sequence number of a segment. */
function endOf({ sequence, length, flags }: TrackedSegment): number {
  return (sequence + length + ((flags & Flag.syn) !== 0 ? 1 : 0) + ((flags & Flag.fin) !== 0 ? 1 : 0)) | 0;
}
