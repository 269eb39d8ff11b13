/**
 * TCP options: maximum segment size (RFC 9293 section 3.7.1), window scale and timestamps (RFC 7323), selective
 * acknowledgement (RFC 2018), Fast Open (RFC 7413).
 *
 * @module
 */

/** Option kinds (IANA "TCP Option Kind Numbers"). */
export const OptionKind = {
  endOfOptions: 0,
  noOperation: 1,
  maximumSegmentSize: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
  fastOpen: 34,
  /** Shared by experiments, which tell themselves apart by the 16 bits that follow (RFC 6994). */
  experiment: 254,
} as const;

/** The 16 bits by which Fast Open's experimental option is known (RFC 7413 section 7). */
export const fastOpenExperiment = 0xf989;

/** The longest cookie of TCP Fast Open, in bytes (RFC 7413 section 4.1.1). */
export const longestFastOpenCookie = 16;

/** Bytes of the timestamps option with the two paddings in front of it. */
export const timestampsBytes = 12;

/** The most SACK blocks that one segment can carry. */
export const maximumSackBlocks = 4;

/** Largest shift count that is honoured (RFC 7323 section 2.3). */
const maximumWindowScale = 14;

/** What the options of one segment say. One object is made and filled again for each segment. */
export class TcpOptions {
  /** Maximum segment size in bytes, or 0 when the option is absent. */
  maximumSegmentSize: number = 0;
  /** Shift count, 0 to 14, or -1 when the option is absent. */
  windowScale: number = -1;
  /** Whether SACK-permitted is there. */
  sackPermitted: boolean = false;
  /** Whether timestamps are there. */
  hasTimestamps: boolean = false;
  /** The sender's clock, TSval. */
  timestampValue: number = 0;
  /** The clock value that is echoed, TSecr. */
  timestampEcho: number = 0;
  /** How many SACK blocks are there. */
  sackBlocks: number = 0;
  /** Left and right edge of each SACK block, alternating. */
  readonly sackEdges: Int32Array = new Int32Array(2 * maximumSackBlocks);
  /** Bytes of the Fast Open cookie: 0 when the option asks for one, -1 when it is absent or broken. */
  fastOpenBytes: number = -1;
  /** Whether there was a Fast Open option with a cookie of a length that none has. */
  fastOpenBroken: boolean = false;
  /** The Fast Open cookie. */
  readonly fastOpenCookie: Uint8Array = new Uint8Array(longestFastOpenCookie);
  /** Whether the Fast Open option has the experimental kind. */
  fastOpenExperimental: boolean = false;

  /**
   * Reads the options in `[at, end)`. Malformed options end the reading and those before them stand; options whose
   * length does not fit their kind are skipped, like unknown ones (RFC 9293 section 3.1). Never throws.
   */
  parse(view: DataView, at: number, end: number): void {
    this.maximumSegmentSize = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.sackBlocks = 0;
    this.fastOpenBytes = -1;
    this.fastOpenBroken = false;
    while (at < end) {
      const kind = view.getUint8(at);
      if (kind === OptionKind.endOfOptions) return;
      if (kind === OptionKind.noOperation) {
        at++;
        continue;
      }
      if (at + 2 > end) return;
      const length = view.getUint8(at + 1);
      if (length < 2 || at + length > end) return;
      this.#parseOne(view, at, kind, length);
      at += length;
    }
  }

  #parseOne(view: DataView, at: number, kind: number, length: number): void {
    switch (kind) {
      case OptionKind.maximumSegmentSize:
        if (length === 4) this.maximumSegmentSize = view.getUint16(at + 2);
        break;
      case OptionKind.windowScale:
        // RFC 7323 section 2.3: a larger shift count is taken as 14.
        if (length === 3) this.windowScale = Math.min(view.getUint8(at + 2), maximumWindowScale);
        break;
      case OptionKind.sackPermitted:
        if (length === 2) this.sackPermitted = true;
        break;
      case OptionKind.timestamps:
        if (length === 10) {
          this.hasTimestamps = true;
          this.timestampValue = view.getInt32(at + 2);
          this.timestampEcho = view.getInt32(at + 6);
        }
        break;
      case OptionKind.sack:
        if ((length - 2) % 8 === 0) {
          this.sackBlocks = Math.min((length - 2) / 8, maximumSackBlocks);
          for (let edge = 0; edge < 2 * this.sackBlocks; edge++) {
            this.sackEdges[edge] = view.getInt32(at + 2 + 4 * edge);
          }
        }
        break;
      case OptionKind.fastOpen:
        this.#parseFastOpen(view, at + 2, length - 2, false);
        break;
      case OptionKind.experiment:
        if (length >= 4 && view.getUint16(at + 2) === fastOpenExperiment) {
          this.#parseFastOpen(view, at + 4, length - 4, true);
        }
        break;
    }
  }

  /** RFC 7413 section 4.1.1: a cookie has 4 to 16 bytes, an even number; none asks for one. */
  #parseFastOpen(view: DataView, at: number, length: number, experimental: boolean): void {
    if (length !== 0 && (length < 4 || length > longestFastOpenCookie || length % 2 !== 0)) {
      this.fastOpenBroken = true;
      return;
    }
    this.fastOpenBytes = length;
    this.fastOpenExperimental = experimental;
    for (let index = 0; index < length; index++) this.fastOpenCookie[index] = view.getUint8(at + index);
  }
}

/** Writes a maximum segment size option (RFC 9293 section 3.7.1) and returns the offset behind it. */
export function writeMaximumSegmentSize(view: DataView, at: number, bytes: number): number {
  view.setUint8(at, OptionKind.maximumSegmentSize);
  view.setUint8(at + 1, 4);
  view.setUint16(at + 2, bytes);
  return at + 4;
}

/** Writes padding and a window scale option and returns the offset behind it: four bytes. */
export function writeWindowScale(view: DataView, at: number, shift: number): number {
  view.setUint8(at, OptionKind.noOperation);
  view.setUint8(at + 1, OptionKind.windowScale);
  view.setUint8(at + 2, 3);
  view.setUint8(at + 3, shift);
  return at + 4;
}

/** Writes SACK-permitted in place of the two paddings in front of a timestamps option that stands at `at`. */
export function writeSackPermitted(view: DataView, at: number): number {
  view.setUint8(at, OptionKind.sackPermitted);
  view.setUint8(at + 1, 2);
  return at + 2;
}

/** Writes `count` paddings and returns the offset behind them. */
export function writePadding(view: DataView, at: number, count: number): number {
  for (; count > 0; count--) view.setUint8(at++, OptionKind.noOperation);
  return at;
}

/** Writes a timestamps option without padding and returns the offset behind it: ten bytes. */
export function writeTimestamps(view: DataView, at: number, value: number, echo: number): number {
  view.setUint8(at, OptionKind.timestamps);
  view.setUint8(at + 1, 10);
  view.setUint32(at + 2, value);
  view.setUint32(at + 6, echo);
  return at + 10;
}

/** Two paddings and the kind and length of a timestamps option, as RFC 7323 appendix A puts them, in one word. */
const paddedTimestamps = (OptionKind.noOperation << 24) | (OptionKind.noOperation << 16) |
  (OptionKind.timestamps << 8) | 10;

/** Writes two paddings and a timestamps option, word by word, and returns the offset behind them: twelve bytes. */
export function writePaddedTimestamps(view: DataView, at: number, value: number, echo: number): number {
  view.setInt32(at, paddedTimestamps);
  view.setInt32(at + 4, value);
  view.setInt32(at + 8, echo);
  return at + 12;
}

/** Bytes of a SACK option with `blocks` blocks and the two paddings in front of it; 0 without blocks. */
export function sackBytes(blocks: number): number {
  return blocks === 0 ? 0 : 4 + 8 * blocks;
}

/** Writes padding and a SACK option with the first `blocks` blocks of `edges`, and returns the offset behind it. */
export function writeSack(view: DataView, at: number, edges: Int32Array, blocks: number): number {
  at = writePadding(view, at, 2);
  view.setUint8(at, OptionKind.sack);
  view.setUint8(at + 1, 2 + 8 * blocks);
  at += 2;
  for (let edge = 0; edge < 2 * blocks; edge++, at += 4) view.setUint32(at, edges[edge]!);
  return at;
}

/** Bytes of a Fast Open option with a cookie of `cookieBytes` bytes, padding included. */
export function fastOpenOptionBytes(cookieBytes: number, experimental: boolean): number {
  return (2 + (experimental ? 2 : 0) + cookieBytes + 3) & ~3;
}

/** Writes a Fast Open option, without a cookie to ask for one, and padding, and returns the offset behind it. */
export function writeFastOpen(view: DataView, at: number, cookie: Uint8Array | null, experimental: boolean): number {
  const cookieBytes = cookie?.length ?? 0;
  const end = at + fastOpenOptionBytes(cookieBytes, experimental);
  view.setUint8(at, experimental ? OptionKind.experiment : OptionKind.fastOpen);
  view.setUint8(at + 1, 2 + (experimental ? 2 : 0) + cookieBytes);
  at += 2;
  if (experimental) {
    view.setUint16(at, fastOpenExperiment);
    at += 2;
  }
  for (let index = 0; index < cookieBytes; index++) view.setUint8(at++, cookie![index]!);
  return writePadding(view, at, end - at);
}
