/**
 * Reading the blocks of pcapng files (draft-ietf-opsawg-pcapng), in both byte orders.
 *
 * @module
 */

import {
  type CapturedFrame,
  type CapturedInterface,
  damaged,
  type RecordFormat,
  requireSensible,
  type Stretch,
} from "./captured_frame.ts";
import { BlockType, byteOrderMagic, Direction, OptionCode, padded } from "./pcapng.ts";

/** Block type, length, and the length again: the fewest bytes of a block, and what the first one is known by. */
export const smallestBlockBytes = 12;

/** Bytes of the body in front of the options or the data. */
const BodyBytes = { interfaceDescription: 8, simplePacket: 4, enhancedPacket: 20 } as const;

/** How an interface writes its timestamps. */
interface Timing {
  /** Timestamp units per millisecond. */
  unitsPerMillisecond: number;
  /** Seconds to be added. */
  offset: number;
}

/** Reads the blocks of a pcapng file; each section may have its own byte order and interfaces. */
export class PcapngFormat implements RecordFormat {
  readonly #found: CapturedInterface[];
  #little = true;
  /** The interfaces of the present section. */
  #sources: { source: CapturedInterface; timing: Timing }[] = [];

  private constructor(found: CapturedInterface[]) {
    this.#found = found;
  }

  /**
   * The format of a file that begins with these bytes, at least as many as the smallest block has; null if it is
   * another. The interfaces that blocks describe are appended to `found`.
   */
  static detect(view: DataView, found: CapturedInterface[]): PcapngFormat | null {
    return view.getUint32(0) === BlockType.sectionHeader ? new PcapngFormat(found) : null;
  }

  /** As {@linkcode RecordFormat.recordBytes}. */
  recordBytes(stretch: Stretch, at: number): number {
    const { bytes, view } = stretch;
    if (at + smallestBlockBytes > bytes.length) return smallestBlockBytes;
    // The section header's type reads the same in both byte orders.
    if (view.getUint32(at) === BlockType.sectionHeader) this.#beginSection(stretch, at);
    const length = view.getUint32(at + 4, this.#little);
    if (length < smallestBlockBytes || length % 4 !== 0) throw damaged(stretch, at, `a block of ${length} bytes`);
    requireSensible(stretch, at, "a block", length);
    return length;
  }

  /** As {@linkcode RecordFormat.read}; other blocks than these may stand in any file. */
  read(stretch: Stretch, at: number): CapturedFrame | null {
    const { view } = stretch;
    const length = view.getUint32(at + 4, this.#little);
    const [body, end] = [at + 8, at + length - 4];
    if (view.getUint32(end, this.#little) !== length) throw damaged(stretch, at, "a block with two lengths");
    const type = view.getUint32(at, this.#little);
    if (type === BlockType.interfaceDescription) this.#readInterface(stretch, body, end);
    else if (type === BlockType.enhancedPacket) return this.#readEnhancedPacket(stretch, body, end);
    else if (type === BlockType.simplePacket) return this.#readSimplePacket(stretch, body, end);
    return null;
  }

  #beginSection(stretch: Stretch, at: number): void {
    const little = stretch.view.getUint32(at + 8, true) === byteOrderMagic;
    if (!little && stretch.view.getUint32(at + 8) !== byteOrderMagic) {
      throw damaged(stretch, at, "a section without byte order");
    }
    this.#little = little;
    this.#sources = [];
  }

  #readInterface(stretch: Stretch, body: number, end: number): void {
    const { bytes, view } = stretch;
    requireRoom(stretch, body, BodyBytes.interfaceDescription, end);
    const source: CapturedInterface = {
      name: "",
      linkType: view.getUint16(body, this.#little),
      snapLength: view.getUint32(body + 4, this.#little),
    };
    const timing: Timing = { unitsPerMillisecond: 1000, offset: 0 };
    this.#eachOption(stretch, body + BodyBytes.interfaceDescription, end, (code, at, length) => {
      if (code === OptionCode.interfaceName) {
        source.name = new TextDecoder().decode(bytes.subarray(at, at + length));
      } else if (code === OptionCode.timestampResolution && length === 1) {
        const value = view.getUint8(at);
        timing.unitsPerMillisecond = ((value & 0x80) === 0 ? 10 ** value : 2 ** (value & 0x7f)) / 1000;
      } else if (code === OptionCode.timestampOffset && length === 8) {
        timing.offset = Number(view.getBigInt64(at, this.#little));
      }
    });
    this.#sources.push({ source, timing });
    this.#found.push(source);
  }

  #readEnhancedPacket(stretch: Stretch, body: number, end: number): CapturedFrame {
    requireRoom(stretch, body, BodyBytes.enhancedPacket, end);
    const { bytes, view } = stretch;
    const little = this.#little;
    const index = view.getUint32(body, little);
    const entry = this.#sources[index];
    if (entry === undefined) {
      throw damaged(stretch, body - 8, `a packet of interface ${index}, which is not described`);
    }
    const length = view.getUint32(body + 12, little);
    requireRoom(stretch, body + BodyBytes.enhancedPacket, length, end);
    const dataAt = body + BodyBytes.enhancedPacket;
    const units = view.getUint32(body + 4, little) * 0x1_0000_0000 + view.getUint32(body + 8, little);
    let direction: Direction = Direction.unknown;
    this.#eachOption(stretch, dataAt + padded(length), end, (code, at, optionLength) => {
      if (code !== OptionCode.packetFlags || optionLength !== 4) return;
      const bits = view.getUint32(at, little) & 3;
      if (bits === Direction.inbound || bits === Direction.outbound) direction = bits;
    });
    return {
      interface: entry.source,
      timestamp: entry.timing.offset * 1000 + units / entry.timing.unitsPerMillisecond,
      direction,
      originalLength: view.getUint32(body + 16, little),
      bytes: bytes.subarray(dataAt, dataAt + length),
    };
  }

  #readSimplePacket(stretch: Stretch, body: number, end: number): CapturedFrame {
    requireRoom(stretch, body, BodyBytes.simplePacket, end);
    const source = this.#sources[0]?.source;
    if (source === undefined) throw damaged(stretch, body - 8, "a packet of interface 0, which is not described");
    const originalLength = stretch.view.getUint32(body, this.#little);
    const dataAt = body + BodyBytes.simplePacket;
    const kept = source.snapLength === 0 ? originalLength : Math.min(originalLength, source.snapLength);
    requireRoom(stretch, dataAt, kept, end);
    return {
      interface: source,
      timestamp: 0,
      direction: Direction.unknown,
      originalLength,
      bytes: stretch.bytes.subarray(dataAt, dataAt + kept),
    };
  }

  #eachOption(
    stretch: Stretch,
    at: number,
    end: number,
    take: (code: number, at: number, length: number) => void,
  ): void {
    while (at + 4 <= end) {
      const code = stretch.view.getUint16(at, this.#little);
      const length = stretch.view.getUint16(at + 2, this.#little);
      if (code === OptionCode.end) return;
      requireRoom(stretch, at + 4, length, end);
      take(code, at + 4, length);
      at += 4 + padded(length);
    }
  }
}

function requireRoom(stretch: Stretch, at: number, length: number, end: number): void {
  if (at + length > end) throw damaged(stretch, at, `${length} bytes in a block that has ${end - at} left`);
}
