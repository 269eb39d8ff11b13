/**
 * Reading capture files: pcapng (draft-ietf-opsawg-pcapng) and the classic format (draft-ietf-opsawg-pcap), each in
 * both byte orders.
 *
 * @module
 */

import { BlockType, byteOrderMagic, Direction, OptionCode, padded } from "./pcapng.ts";

/** An interface that frames were captured on. */
export interface CapturedInterface {
  /** Its name, or an empty string where the file does not say. */
  name: string;
  /** What its frames start with, as a number of the LINKTYPE_ registry: 1 for Ethernet, 101 for bare IP. */
  linkType: number;
  /** Most bytes that were kept of each frame; 0 for no limit. */
  snapLength: number;
}

/** A captured frame. */
export interface CapturedFrame {
  /** The interface. */
  interface: CapturedInterface;
  /** Milliseconds since 1970 UTC, with fractions. */
  timestamp: number;
  /** Which way it went; `unknown` where the file does not say. */
  direction: Direction;
  /** Bytes of the whole frame, which may be more than those captured. */
  originalLength: number;
  /** The captured bytes: a view of the file. */
  bytes: Uint8Array;
}

/** A capture file. */
export interface Capture {
  /** All interfaces, in the order of the file. */
  interfaces: CapturedInterface[];
  /** All frames, in the order of the file. */
  frames: CapturedFrame[];
  /** Whether the file ends in the middle of a record, as when its writer was killed. */
  truncated: boolean;
}

/** Magic numbers of the classic format, as read in the byte order of the file. */
const classicMicroseconds = 0xa1b2c3d4;
const classicNanoseconds = 0xa1b23c4d;
const classicHeaderBytes = 24;
const classicRecordBytes = 16;
/** Block type, length, and the length again. */
const smallestBlockBytes = 12;

/** Bytes of the body in front of the options or the data. */
const BodyBytes = { sectionHeader: 16, interfaceDescription: 8, simplePacket: 4, enhancedPacket: 20 } as const;

/** How an interface writes its timestamps. */
interface Timing {
  /** Timestamp units per millisecond. */
  unitsPerMillisecond: number;
  /** Seconds to be added. */
  offset: number;
}

/**
 * Reads a capture file.
 *
 * @throws {TypeError} If it is neither pcapng nor classic pcap, or damaged.
 */
export function readCapture(file: Uint8Array): Capture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length >= 12 && view.getUint32(0) === BlockType.sectionHeader) return new SectionReader(file, view).read();
  if (file.length >= classicHeaderBytes) {
    for (const little of [false, true]) {
      const magic = view.getUint32(0, little);
      if (magic === classicMicroseconds) return readClassic(file, view, little, 1000);
      if (magic === classicNanoseconds) return readClassic(file, view, little, 1_000_000);
    }
  }
  throw new TypeError("Cannot read the capture: it is neither a pcapng nor a pcap file");
}

function readClassic(file: Uint8Array, view: DataView, little: boolean, unitsPerMillisecond: number): Capture {
  const source: CapturedInterface = {
    name: "",
    // The upper bits say how long the frame check sequence is, if any.
    linkType: view.getUint32(20, little) & 0x0fff_ffff,
    snapLength: view.getUint32(16, little),
  };
  const capture: Capture = { interfaces: [source], frames: [], truncated: false };
  let at = classicHeaderBytes;
  while (at < file.length) {
    const dataAt = at + classicRecordBytes;
    const length = dataAt <= file.length ? view.getUint32(at + 8, little) : Infinity;
    if (dataAt + length > file.length) return { ...capture, truncated: true };
    capture.frames.push({
      interface: source,
      timestamp: view.getUint32(at, little) * 1000 + view.getUint32(at + 4, little) / unitsPerMillisecond,
      direction: Direction.unknown,
      originalLength: view.getUint32(at + 12, little),
      bytes: file.subarray(dataAt, dataAt + length),
    });
    at = dataAt + length;
  }
  return capture;
}

/** Reads the blocks of a pcapng file; each section may have its own byte order and interfaces. */
class SectionReader {
  readonly #file: Uint8Array;
  readonly #view: DataView;
  readonly #capture: Capture = { interfaces: [], frames: [], truncated: false };
  #little = true;
  /** The interfaces of the present section. */
  #sources: { source: CapturedInterface; timing: Timing }[] = [];

  constructor(file: Uint8Array, view: DataView) {
    this.#file = file;
    this.#view = view;
  }

  read(): Capture {
    const view = this.#view;
    let at = 0;
    while (at < this.#file.length) {
      if (at + smallestBlockBytes > this.#file.length) return { ...this.#capture, truncated: true };
      // The section header's type reads the same in both byte orders.
      if (view.getUint32(at) === BlockType.sectionHeader) this.#beginSection(at);
      const length = view.getUint32(at + 4, this.#little);
      if (length < smallestBlockBytes || length % 4 !== 0) throw damaged(at, `a block of ${length} bytes`);
      if (at + length > this.#file.length) return { ...this.#capture, truncated: true };
      if (view.getUint32(at + length - 4, this.#little) !== length) throw damaged(at, "a block with two lengths");
      this.#readBlock(view.getUint32(at, this.#little), at, at + length - 4);
      at += length;
    }
    return this.#capture;
  }

  #beginSection(at: number): void {
    const little = this.#view.getUint32(at + 8, true) === byteOrderMagic;
    if (!little && this.#view.getUint32(at + 8) !== byteOrderMagic) throw damaged(at, "a section without byte order");
    this.#little = little;
    this.#sources = [];
  }

  /** Reads the block from `at` whose body ends at `end`; other types than these may stand in any file. */
  #readBlock(type: number, at: number, end: number): void {
    const body = at + 8;
    if (type === BlockType.interfaceDescription) this.#readInterface(body, end);
    else if (type === BlockType.enhancedPacket) this.#readEnhancedPacket(body, end);
    else if (type === BlockType.simplePacket) this.#readSimplePacket(body, end);
  }

  #readInterface(body: number, end: number): void {
    this.#requireRoom(body, BodyBytes.interfaceDescription, end);
    const source: CapturedInterface = {
      name: "",
      linkType: this.#view.getUint16(body, this.#little),
      snapLength: this.#view.getUint32(body + 4, this.#little),
    };
    const timing: Timing = { unitsPerMillisecond: 1000, offset: 0 };
    this.#eachOption(body + BodyBytes.interfaceDescription, end, (code, at, length) => {
      if (code === OptionCode.interfaceName) {
        source.name = new TextDecoder().decode(this.#file.subarray(at, at + length));
      } else if (code === OptionCode.timestampResolution && length === 1) {
        const value = this.#view.getUint8(at);
        timing.unitsPerMillisecond = ((value & 0x80) === 0 ? 10 ** value : 2 ** (value & 0x7f)) / 1000;
      } else if (code === OptionCode.timestampOffset && length === 8) {
        timing.offset = Number(this.#view.getBigInt64(at, this.#little));
      }
    });
    this.#sources.push({ source, timing });
    this.#capture.interfaces.push(source);
  }

  #readEnhancedPacket(body: number, end: number): void {
    this.#requireRoom(body, BodyBytes.enhancedPacket, end);
    const [view, little] = [this.#view, this.#little];
    const index = view.getUint32(body, little);
    const entry = this.#sources[index];
    if (entry === undefined) throw damaged(body - 8, `a packet of interface ${index}, which is not described`);
    const length = view.getUint32(body + 12, little);
    this.#requireRoom(body + BodyBytes.enhancedPacket, length, end);
    const dataAt = body + BodyBytes.enhancedPacket;
    const units = view.getUint32(body + 4, little) * 0x1_0000_0000 + view.getUint32(body + 8, little);
    let direction: Direction = Direction.unknown;
    this.#eachOption(dataAt + padded(length), end, (code, at, optionLength) => {
      if (code !== OptionCode.packetFlags || optionLength !== 4) return;
      const bits = view.getUint32(at, little) & 3;
      if (bits === Direction.inbound || bits === Direction.outbound) direction = bits;
    });
    this.#capture.frames.push({
      interface: entry.source,
      timestamp: entry.timing.offset * 1000 + units / entry.timing.unitsPerMillisecond,
      direction,
      originalLength: view.getUint32(body + 16, little),
      bytes: this.#file.subarray(dataAt, dataAt + length),
    });
  }

  #readSimplePacket(body: number, end: number): void {
    this.#requireRoom(body, BodyBytes.simplePacket, end);
    const source = this.#sources[0]?.source;
    if (source === undefined) throw damaged(body - 8, "a packet of interface 0, which is not described");
    const originalLength = this.#view.getUint32(body, this.#little);
    const dataAt = body + BodyBytes.simplePacket;
    const kept = source.snapLength === 0 ? originalLength : Math.min(originalLength, source.snapLength);
    this.#requireRoom(dataAt, kept, end);
    this.#capture.frames.push({
      interface: source,
      timestamp: 0,
      direction: Direction.unknown,
      originalLength,
      bytes: this.#file.subarray(dataAt, dataAt + kept),
    });
  }

  #eachOption(at: number, end: number, take: (code: number, at: number, length: number) => void): void {
    while (at + 4 <= end) {
      const code = this.#view.getUint16(at, this.#little);
      const length = this.#view.getUint16(at + 2, this.#little);
      if (code === OptionCode.end) return;
      this.#requireRoom(at + 4, length, end);
      take(code, at + 4, length);
      at += 4 + padded(length);
    }
  }

  #requireRoom(at: number, length: number, end: number): void {
    if (at + length > end) throw damaged(at, `${length} bytes in a block that has ${end - at} left`);
  }
}

function damaged(at: number, what: string): TypeError {
  return new TypeError(`Cannot read the capture: at byte ${at} there is ${what}`);
}
