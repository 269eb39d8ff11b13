/**
 * The connection that the packets of a script belong to: it translates between the script's sequence numbers,
 * timestamps and ports and those on the wire.
 *
 * @module
 */

import { add, distance } from "../../../stack/sequence.ts";
import type { TcpOption, TcpSpec } from "./ast.ts";
import type { LiveTcp } from "./live_packet.ts";

/** The SYN bit. */
const syn = 2;

/** The RST bit. */
const rst = 4;

/** The ACK bit. */
const ack = 16;

/** A segment with the numbers of a script. */
export interface ScriptSegment {
  /** The nine flag bits. */
  readonly flags: number;
  /** Sequence number of the first byte. */
  readonly sequence: number;
  /** Bytes of payload. */
  readonly length: number;
  /** Acknowledgement number. */
  readonly acknowledgement: number;
  /** Window field. */
  readonly window: number;
  /** Urgent pointer. */
  readonly urgent: number;
  /** The options in their order. */
  readonly options: readonly TcpOption[];
}

/**
 * One connection. Segments with SYN carry the numbers of the script's own SYNs; all others count from the initial
 * sequence number of their side.
 */
export class Flow {
  /** The stack's port. */
  readonly localPort: number;
  /** The peer's port. */
  readonly remotePort: number;
  /** Initial sequence number of the stack's side on the wire; 0 until it is known. */
  localInitial: number = 0;
  /** What the script calls it. */
  #localScript = 0;
  #localKnown = false;
  /** Initial sequence number of the peer, in the script and on the wire; 0 until a packet has said it. */
  #remoteInitial = 0;
  #remoteKnown = false;
  /** Whether that was a SYN. */
  #synKnown = false;
  /** Sequence number and acknowledgement of the latest SYN that arrived, to tell the answer to a new one. */
  #latestSyn = 0;
  /** Whether the peer has reset the connection since its latest SYN: the next one begins another. */
  #reset = false;
  /** Timestamps on the wire less those in the script; null until the stack has sent one. */
  #timestampOffset: number | null = null;
  /** Timestamps on the wire, by what the script calls them. */
  readonly #timestamps = new Map<number, number>();
  /** The latest timestamp on the wire: what the peer echoes as long as the script does not show any of ours. */
  #latestTimestamp: number | null = null;

  /** A connection of which nothing is known but the ports. */
  constructor(localPort: number, remotePort: number) {
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  /** The sequence number, on the wire, of what a script calls `sequence` in an ICMP error about our segment. */
  quotedSequence(sequence: number): number {
    return add(this.localInitial, sequence);
  }

  /** Position in the peer's stream of the first byte of a segment from the peer. */
  inboundPosition(spec: TcpSpec): number {
    const sequence = spec.sequence ?? 0;
    return (spec.flags & syn) !== 0 ? distance(sequence, this.#remoteInitial) : distance(sequence, 1);
  }

  /** Position in our stream of the first byte of a segment that the stack has sent. */
  outboundPosition(live: LiveTcp): number {
    return distance(live.sequence, this.localInitial) - ((live.flags & syn) !== 0 ? 0 : 1);
  }

  /** Sequence number, acknowledgement and options, on the wire, of a segment from the peer. */
  toWire(spec: TcpSpec): { sequence: number; acknowledgement: number; options: TcpOption[] } {
    const isSyn = (spec.flags & syn) !== 0;
    const sequence = spec.sequence ?? 0;
    // A number in front of the peer's first SYN counts until that tells better.
    if (!this.#remoteKnown || (isSyn && !this.#synKnown)) {
      this.#remoteKnown = true;
      this.#remoteInitial = sequence;
    }
    if (isSyn) {
      this.#synKnown = true;
      this.#latestSyn = sequence;
      if (this.#reset) this.#localKnown = false;
    }
    this.#reset = (spec.flags & rst) !== 0 || (this.#reset && !isSyn);
    const ours = isSyn ? distance(this.localInitial, this.#localScript) : this.localInitial;
    return {
      sequence: add(sequence, isSyn || spec.absolute ? 0 : this.#remoteInitial),
      acknowledgement: add(spec.acknowledgement ?? 0, ours),
      options: (spec.options ?? []).map((option) => this.#optionToWire(option, spec)),
    };
  }

  #optionToWire(option: TcpOption, spec: TcpSpec): TcpOption {
    if (option.kind === "sack") {
      return {
        kind: "sack",
        blocks: option.blocks.map(([left, right]) => [add(left, this.localInitial), add(right, this.localInitial)]),
      };
    }
    // The first SYN has nothing to echo.
    if (option.kind !== "TS" || (spec.flags & (syn | ack)) === syn) return option;
    const offset = this.#timestampOffset;
    const echo = this.#timestamps.get(option.echo) ??
      (offset === null ? this.#latestTimestamp ?? option.echo : add(option.echo, offset));
    return { ...option, echo };
  }

  /**
   * Takes over what an outbound segment says of our side, when `expected` is the script's idea of it: the initial
   * sequence number of a SYN, or of whatever the script says `...` of; and the first timestamp.
   */
  learn(expected: TcpSpec, live: LiveTcp): void {
    const isSyn = (live.flags & syn) !== 0;
    if (expected.sequence === null) {
      this.#localKnown = true;
      this.localInitial = live.sequence;
      this.#localScript = 0;
    } else if (isSyn && (expected.flags & syn) !== 0 && (!this.#localKnown || this.#answersNewSyn(live))) {
      this.#localKnown = true;
      this.localInitial = live.sequence;
      this.#localScript = expected.sequence;
    }
    const theirs = expected.options?.find((option) => option.kind === "TS");
    const ours = live.options.find((option) => option.kind === "TS");
    if (ours === undefined) return;
    this.#latestTimestamp = ours.value;
    if (theirs === undefined) return;
    this.#timestamps.set(theirs.value, ours.value);
    this.#timestampOffset ??= distance(ours.value, theirs.value);
  }

  /** Whether it answers a SYN other than the first: a new connection between the same ports. */
  #answersNewSyn(live: LiveTcp): boolean {
    return (live.flags & ack) !== 0 && this.#latestSyn !== this.#remoteInitial &&
      live.acknowledgement === add(this.#latestSyn, 1);
  }

  /** A segment that the stack has sent, with the numbers of the script. */
  toScript(live: LiveTcp): ScriptSegment {
    const isSyn = (live.flags & syn) !== 0;
    const ours = isSyn ? distance(this.localInitial, this.#localScript) : this.localInitial;
    const theirs = isSyn ? 0 : this.#remoteInitial;
    return {
      flags: live.flags,
      sequence: distance(live.sequence, ours) >>> 0,
      length: live.payload.length,
      acknowledgement: distance(live.acknowledgement, theirs) >>> 0,
      window: live.window,
      urgent: live.urgent,
      options: live.options.map((option) => this.#optionToScript(option, theirs)),
    };
  }

  #optionToScript(option: TcpOption, theirs: number): TcpOption {
    if (option.kind === "sack") {
      return {
        kind: "sack",
        blocks: option.blocks.map(([left, right]) => [distance(left, theirs) >>> 0, distance(right, theirs) >>> 0]),
      };
    }
    if (option.kind === "TS" && this.#timestampOffset !== null) {
      return { ...option, value: distance(option.value, this.#timestampOffset) >>> 0 };
    }
    return option;
  }
}
