/**
 * What capture files hold.
 *
 * @module
 */

import type { Direction } from "./pcapng.ts";

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
  /** The captured bytes: a view of what was read. */
  bytes: Uint8Array;
}

/** A stretch of a capture file. */
export interface Stretch {
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
  /** Where in the file it begins. */
  readonly offset: number;
}

/** How the records of a format are read. */
export interface RecordFormat {
  /**
   * The bytes of the record that begins at `at`: more than the stretch has left where it is not complete. It may then be
   * less than the record turns out to have.
   *
   * @throws {TypeError} If the file is damaged there.
   */
  recordBytes(stretch: Stretch, at: number): number;
  /**
   * The frame of the complete record that begins at `at`, or null where it holds none.
   *
   * @throws {TypeError} If the file is damaged there.
   */
  read(stretch: Stretch, at: number): CapturedFrame | null;
}

/** The most bytes that a record may have: far more than any program writes, and little enough to be kept. */
const mostRecordBytes = 16_777_216;

/** What is wrong at a place of a file. */
export function damaged(stretch: Stretch, at: number, what: string): TypeError {
  return new TypeError(`Cannot read the capture: at byte ${stretch.offset + at} there is ${what}`);
}

/**
 * Refuses a record whose length can only be damage, and would have a reader wait for bytes without end.
 *
 * @throws {TypeError} If it is longer than 16 MiB.
 */
export function requireSensible(stretch: Stretch, at: number, what: string, length: number): void {
  if (length > mostRecordBytes) throw damaged(stretch, at, `${what} of ${length} bytes`);
}
