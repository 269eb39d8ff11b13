/**
 * Reading capture files: pcapng (draft-ietf-opsawg-pcapng) and the classic format (draft-ietf-opsawg-pcap), each in
 * both byte orders, whole or piece by piece.
 *
 * @module
 */

import type { CapturedFrame, CapturedInterface, RecordFormat, Stretch } from "./captured_frame.ts";
import { ClassicFormat, classicHeaderBytes } from "./classic_pcap.ts";
import { PcapngFormat, smallestBlockBytes } from "./pcapng_reader.ts";

export type { CapturedFrame, CapturedInterface } from "./captured_frame.ts";

/** A capture file. */
export interface Capture {
  /** All interfaces, in the order of the file. */
  interfaces: CapturedInterface[];
  /** All frames, in the order of the file. */
  frames: CapturedFrame[];
  /** Whether the file ends in the middle of a record, as when its writer was killed. */
  truncated: boolean;
}

/** Reads a capture file piece by piece, and keeps no more of it than the record that is not complete yet. */
export class CaptureReader {
  /** The interfaces so far, in the order of the file. */
  readonly interfaces: CapturedInterface[] = [];
  #format: RecordFormat | null = null;
  /** What is left of the pieces so far, and its bytes. */
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** Bytes without which nothing more can be read. */
  #wanted = smallestBlockBytes;
  /** Where in the file the pieces begin. */
  #offset = 0;

  /**
   * Takes the next piece and yields the frames that it completes. Their bytes are views of the pieces, and to be read
   * to the last before the next piece comes.
   *
   * @throws {TypeError} If the file is neither pcapng nor classic pcap, or damaged.
   */
  *push(piece: Uint8Array): Generator<CapturedFrame, undefined, undefined> {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length < this.#wanted) return;
    const bytes = this.#joined();
    const stretch = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: this.#offset };
    let at = this.#format === null ? this.#detect(stretch) : 0;
    const format = this.#format;
    if (format === null) return;
    for (;;) {
      this.#wanted = format.recordBytes(stretch, at);
      if (at + this.#wanted > bytes.length) break;
      const frame = format.read(stretch, at);
      at += this.#wanted;
      if (frame !== null) yield frame;
    }
    this.#pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#length = bytes.length - at;
    this.#offset += at;
  }

  /**
   * Says, after the last piece, whether the file ended in the middle of a record, as when its writer was killed.
   *
   * @throws {TypeError} If it was too short for either format.
   */
  end(): boolean {
    if (this.#format === null) throw unknownFormat();
    return this.#length > 0;
  }

  #joined(): Uint8Array {
    if (this.#pieces.length === 1) return this.#pieces[0]!;
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [bytes];
    return bytes;
  }

  /** Finds the format out, where enough has come for that, and returns where the first record begins. */
  #detect({ view }: Stretch): number {
    this.#format = PcapngFormat.detect(view, this.interfaces);
    if (this.#format !== null) return 0;
    this.#wanted = classicHeaderBytes;
    if (view.byteLength < classicHeaderBytes) return 0;
    const classic = ClassicFormat.detect(view);
    if (classic === null) throw unknownFormat();
    this.#format = classic;
    this.interfaces.push(classic.source);
    return classicHeaderBytes;
  }
}

/**
 * Reads a whole capture file.
 *
 * @throws {TypeError} If it is neither pcapng nor classic pcap, or damaged.
 */
export function readCapture(file: Uint8Array): Capture {
  const reader = new CaptureReader();
  const frames = [...reader.push(file)];
  return { interfaces: reader.interfaces, frames, truncated: reader.end() };
}

function unknownFormat(): TypeError {
  return new TypeError("Cannot read the capture: it is neither a pcapng nor a pcap file");
}
