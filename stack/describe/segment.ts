/**
 * TCP segments in words.
 *
 * @module
 */

import { distance, unsigned } from "../sequence.ts";
import {
  acknowledgementNumber,
  Flag,
  flags,
  headerBytes,
  minimumHeaderBytes,
  sequenceNumber,
  TcpField,
  urgentPointer,
  windowField,
} from "../transport/tcp/header.ts";
import { OptionKind } from "../transport/tcp/options.ts";

/** The sequence numbers at which a connection started: numbers are then shown counted from them. */
export interface InitialSequenceNumbers {
  /** That of the segment's sender. */
  sender: number;
  /** That of the segment's receiver. */
  receiver: number;
}

/** Options of {@linkcode describeSegment}. */
export interface SegmentOptions {
  /** Counts sequence numbers from these; without, they are shown as they stand. */
  relativeTo?: InitialSequenceNumbers;
  /** Shows the sequence number of a bare acknowledgement too, which tcpdump leaves out. */
  everySequence?: boolean;
  /** Where the bytes that were kept end, if that is before the segment's end. */
  available?: number;
}

/** The letters of the control bits, in the order in which they are shown. */
const flagLetters: readonly (readonly [number, string])[] = [
  [Flag.fin, "F"],
  [Flag.syn, "S"],
  [Flag.rst, "R"],
  [Flag.psh, "P"],
  [Flag.ack, "."],
  [Flag.urg, "U"],
  [Flag.ece, "E"],
  [Flag.cwr, "W"],
];

/** The control bits as tcpdump shows them: `S.` for SYN and ACK, `none` for none. */
export function describeFlags(controlBits: number): string {
  const letters = flagLetters.filter(([bit]) => (controlBits & bit) !== 0).map(([, letter]) => letter);
  return letters.join("") || "none";
}

/**
 * The TCP segment whose header is at `at` and which ends at `end`, as tcpdump shows it, without its ports. Never throws;
 * what it cannot read is marked `[truncated]` or `[malformed]`.
 *
 * @example
 * ```ts
 * import { describeSegment } from "./segment.ts";
 * import { Flag, writeHeader } from "../transport/tcp/header.ts";
 *
 * const view = new DataView(new ArrayBuffer(20));
 * writeHeader(view, 0, 1024, 80, 1000, 500, 20, Flag.syn | Flag.ack, 65535);
 * console.log(describeSegment(view, 0, 20, { relativeTo: { sender: 1000, receiver: 499 } }));
 * // Flags [S.], seq 0, ack 1, win 65535, length 0
 * ```
 */
export function describeSegment(view: DataView, at: number, end: number, options: SegmentOptions = {}): string {
  const available = Math.min(end, options.available ?? end, view.byteLength);
  if (at < 0 || available - at < minimumHeaderBytes) {
    const isCut = at >= 0 && end - at >= minimumHeaderBytes;
    const sequence = at >= 0 && available - at >= TcpField.acknowledgement ? `seq ${sequenceNumber(view, at)} ` : "";
    return `${sequence}${isCut ? "[truncated]" : "[malformed]"}`;
  }
  const length = headerBytes(view, at);
  if (length < minimumHeaderBytes || at + length > end) return `header of ${length} bytes [malformed]`;
  const { sender = 0, receiver = 0 } = options.relativeTo ?? {};
  const controlBits = flags(view, at);
  const payload = end - at - length;
  const parts = [`Flags [${describeFlags(controlBits)}]`];
  if (options.everySequence || payload > 0 || (controlBits & (Flag.syn | Flag.fin | Flag.rst)) !== 0) {
    const first = unsigned(sequenceNumber(view, at) - sender);
    parts.push(payload > 0 ? `seq ${first}:${unsigned(first + payload)}` : `seq ${first}`);
  }
  if ((controlBits & Flag.ack) !== 0) parts.push(`ack ${unsigned(acknowledgementNumber(view, at) - receiver)}`);
  parts.push(`win ${windowField(view, at)}`);
  if ((controlBits & Flag.urg) !== 0) parts.push(`urg ${urgentPointer(view, at)}`);
  if (length > minimumHeaderBytes) {
    const optionsEnd = Math.min(at + length, available);
    parts.push(`options [${describeTcpOptions(view, at + minimumHeaderBytes, optionsEnd, receiver).join(",")}]`);
  }
  parts.push(`length ${payload}`);
  return parts.join(", ") + (at + length > available ? " [truncated]" : "");
}

/** The options in `[at, end)`, of which selective acknowledgements are counted from `initial`. */
export function describeTcpOptions(view: DataView, at: number, end: number, initial = 0): string[] {
  const texts: string[] = [];
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === OptionKind.endOfOptions) return [...texts, "eol"];
    if (kind === OptionKind.noOperation) {
      texts.push("nop");
      at++;
      continue;
    }
    const length = at + 2 <= end ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > end) return [...texts, "[malformed]"];
    texts.push(describeOption(view, at, kind, length, initial));
    at += length;
  }
  return texts;
}

function describeOption(view: DataView, at: number, kind: number, length: number, initial: number): string {
  if (kind === OptionKind.maximumSegmentSize && length === 4) return `mss ${view.getUint16(at + 2)}`;
  if (kind === OptionKind.windowScale && length === 3) return `wscale ${view.getUint8(at + 2)}`;
  if (kind === OptionKind.sackPermitted && length === 2) return "sackOK";
  if (kind === OptionKind.timestamps && length === 10) {
    return `TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`;
  }
  if (kind === OptionKind.sack && length % 8 === 2) {
    const blocks = Array.from({ length: (length - 2) / 8 }, (_, block) => {
      const left = unsigned(view.getUint32(at + 2 + 8 * block) - initial);
      const right = unsigned(view.getUint32(at + 6 + 8 * block) - initial);
      return distance(right, left) < 0 ? `{${left}:${right}!}` : `{${left}:${right}}`;
    });
    return `sack ${blocks.length} ${blocks.join("")}`;
  }
  if (kind === OptionKind.fastOpen) {
    const cookie = Array.from({ length: length - 2 }, (_, byte) => view.getUint8(at + 2 + byte));
    if (cookie.length === 0) return "tfo cookiereq";
    return `tfo cookie ${cookie.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
  return `option ${kind} of ${length} bytes`;
}
