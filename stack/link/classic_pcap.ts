/**
 * The classic capture file format (draft-ietf-opsawg-pcap), in both byte orders: a header, then a record a frame.
 *
 * @module
 */

import {
  type CapturedFrame,
  type CapturedInterface,
  type RecordFormat,
  requireSensible,
  type Stretch,
} from "./captured_frame.ts";
import { Direction } from "./pcapng.ts";

/** Bytes of the file's header. */
export const classicHeaderBytes = 24;
const recordHeaderBytes = 16;

/** Magic numbers, as read in the byte order of the file. */
const Magic = { microseconds: 0xa1b2c3d4, nanoseconds: 0xa1b23c4d } as const;

/** Offsets in the file's header. */
const HeaderOffset = { snapLength: 16, linkType: 20 } as const;
/** Offsets in a record. */
const RecordOffset = { seconds: 0, fraction: 4, capturedLength: 8, originalLength: 12 } as const;

/** Reads the records of a classic capture file. */
export class ClassicFormat implements RecordFormat {
  /** The interface of all frames. */
  readonly source: CapturedInterface;
  readonly #little: boolean;
  readonly #unitsPerMillisecond: number;

  private constructor(view: DataView, little: boolean, unitsPerMillisecond: number) {
    this.#little = little;
    this.#unitsPerMillisecond = unitsPerMillisecond;
    this.source = {
      name: "",
      // The upper bits say how long the frame check sequence is, if any.
      linkType: view.getUint32(HeaderOffset.linkType, little) & 0x0fff_ffff,
      snapLength: view.getUint32(HeaderOffset.snapLength, little),
    };
  }

  /** The format of a file that begins with these bytes, at least as many as its header has; null if it is another. */
  static detect(view: DataView): ClassicFormat | null {
    for (const little of [false, true]) {
      const magic = view.getUint32(0, little);
      if (magic === Magic.microseconds) return new ClassicFormat(view, little, 1000);
      if (magic === Magic.nanoseconds) return new ClassicFormat(view, little, 1_000_000);
    }
    return null;
  }

  /** As {@linkcode RecordFormat.recordBytes}. */
  recordBytes(stretch: Stretch, at: number): number {
    if (at + recordHeaderBytes > stretch.bytes.length) return recordHeaderBytes;
    const length = stretch.view.getUint32(at + RecordOffset.capturedLength, this.#little);
    requireSensible(stretch, at, "a frame", length);
    return recordHeaderBytes + length;
  }

  /** As {@linkcode RecordFormat.read}. */
  read({ bytes, view }: Stretch, at: number): CapturedFrame {
    const little = this.#little;
    const fraction = view.getUint32(at + RecordOffset.fraction, little) / this.#unitsPerMillisecond;
    const dataAt = at + recordHeaderBytes;
    return {
      interface: this.source,
      timestamp: view.getUint32(at + RecordOffset.seconds, little) * 1000 + fraction,
      direction: Direction.unknown,
      originalLength: view.getUint32(at + RecordOffset.originalLength, little),
      bytes: bytes.subarray(dataAt, dataAt + view.getUint32(at + RecordOffset.capturedLength, little)),
    };
  }
}
