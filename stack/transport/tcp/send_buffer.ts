/**
 * The send buffer: the bytes that the peer has not acknowledged yet, by their sequence numbers.
 *
 * @module
 */

import { add, distance } from "../../sequence.ts";
import type { ByteBorrower, ByteRing, ByteTarget, RingStorage } from "./ring.ts";

/** The send buffer of one connection. */
export class SendBuffer {
  readonly #storage: RingStorage;
  /** Where the bytes are; null while there are none. */
  #ring: ByteRing | null = null;
  /** Sequence number of the first byte. */
  #start = 0;
  #queued = 0;

  /** An empty one. */
  constructor(storage: RingStorage) {
    this.#storage = storage;
  }

  /** Says which sequence number the first byte will have. To be called while there is none. */
  begin(start: number): void {
    this.#start = start;
  }

  /** How many bytes are in it. */
  get queued(): number {
    return this.#queued;
  }

  /** The sequence number behind the last byte. */
  get end(): number {
    return add(this.#start, this.#queued);
  }

  /** Takes bytes, as many as there is room for until there are `limit` in it, and returns how many. */
  append(source: Uint8Array, limit: number): number {
    const length = Math.min(source.length, Math.max(0, limit - this.#queued));
    if (length === 0) return 0;
    this.#ring ??= this.#storage.ring();
    this.#ring.writeArray(this.#queued, source, length, this.#queued);
    this.#queued += length;
    return length;
  }

  /** Copies `length` bytes from `sequence` on into `target` at `at`. */
  copy(sequence: number, target: ByteTarget, at: number, length: number): void {
    this.#ring?.read(distance(sequence, this.#start), target, at, length);
  }

  /** Lends `length` bytes from `sequence` on to `borrower`: they stay where they are until something is released. */
  lend(sequence: number, borrower: ByteBorrower, length: number): void {
    this.#ring?.lend(distance(sequence, this.#start), borrower, length);
  }

  /** Frees everything before `sequence`. */
  release(sequence: number): void {
    const bytes = Math.min(distance(sequence, this.#start), this.#queued);
    if (bytes <= 0) return;
    this.#ring!.consume(bytes);
    this.#start = add(this.#start, bytes);
    this.#queued -= bytes;
    if (this.#queued === 0) this.#ring = this.#storage.recycle(this.#ring);
  }

  /** Throws everything away. */
  clear(): void {
    this.#queued = 0;
    this.#ring = this.#storage.recycle(this.#ring);
  }
}
