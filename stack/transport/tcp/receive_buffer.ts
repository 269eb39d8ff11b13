/**
 * The receive buffer: bytes in order that wait for the application, and bytes behind holes in their places.
 *
 * @module
 */

import { FreeList } from "../../free_list.ts";
import type { ByteRing, ByteSource, RingStorage } from "./ring.ts";

/** The receive buffers of the connections that have received nothing to be read, for those that do. */
export class SpareReceiveBuffers {
  readonly #storage: RingStorage;
  readonly #spare = new FreeList<ReceiveBuffer>();

  /** Buffers take their memory from `storage`. */
  constructor(storage: RingStorage) {
    this.#storage = storage;
  }

  /** An empty buffer. */
  take(): ReceiveBuffer {
    return this.#spare.take() ?? new ReceiveBuffer(this.#storage);
  }

  /** Takes an empty buffer back. Returns what is left to its user: nothing. */
  recycle(buffer: ReceiveBuffer): null {
    this.#spare.keep(buffer);
    return null;
  }
}

/** The receive buffer of one connection at a time. Positions count from the byte that is next in order. */
export class ReceiveBuffer {
  readonly #storage: RingStorage;
  /** Where the bytes are; null while there are none. */
  #ring: ByteRing | null = null;
  /** Bytes in order. */
  #queued = 0;
  /** How far it is filled, holes included. */
  #end = 0;
  /** The application's own buffer, where it waits for data with one; or null. */
  #expecting: Uint8Array | null = null;
  /** How many of the queued bytes, the first ones, lie there already and not in the ring. */
  #placed = 0;

  /** Starts empty. */
  constructor(storage: RingStorage) {
    this.#storage = storage;
  }

  /** Bytes in order that wait for the application. */
  get queued(): number {
    return this.#queued;
  }

  /** Whether there is nothing in it, and nothing is expected. */
  get unused(): boolean {
    return this.#end === 0 && this.#expecting === null;
  }

  /** Puts `length` bytes, from `from` on, to a position; {@linkcode ReceiveBuffer.advance} says when they are in order. */
  write(position: number, source: ByteSource, from: number, length: number): void {
    if (length === 0) return;
    const at = this.#queued + position;
    this.#ring ??= this.#storage.ring();
    this.#ring.write(at, source, from, length, this.#end);
    this.#end = Math.max(this.#end, at + length);
  }

  /** Puts bytes that are next in order where they are expected, or to position 0. */
  append(source: ByteSource, from: number, length: number): void {
    const placed = this.#expecting === null ? 0 : this.#place(source, from, length);
    this.write(placed, source, from + placed, length - placed);
  }

  /** The next `bytes` bytes are in order now. */
  advance(bytes: number): void {
    this.#queued += bytes;
  }

  /**
   * Has the next data in order go straight into `target`, where {@linkcode ReceiveBuffer.read} finds them in their
   * place: one copy less. Null takes that back.
   */
  expect(target: Uint8Array | null): void {
    if (this.#placed > 0) this.#takeBack();
    this.#expecting = target;
  }

  /** Moves bytes to the application and returns how many. */
  read(target: Uint8Array): number {
    if (target !== this.#expecting) this.expect(null);
    const placed = this.#placed;
    // Whoever gives the memory of a buffer away while it is expected gives away what was placed there.
    const length = Math.max(placed, Math.min(target.length, this.#queued));
    this.#placed = 0;
    this.#expecting = null;
    this.#ring?.readArray(placed, target, placed, length - placed);
    this.#consume(length);
    if (this.#end === 0) this.#ring = this.#storage.recycle(this.#ring);
    return length;
  }

  /** Copies bytes to the application, which can read them again, and returns how many. */
  peek(target: Uint8Array): number {
    this.expect(null);
    const length = Math.min(target.length, this.#queued);
    this.#ring?.readArray(0, target, 0, length);
    return length;
  }

  /** Forgets what is behind holes. */
  truncate(): void {
    this.#end = this.#queued;
    if (this.#queued === 0) this.#ring = this.#storage.recycle(this.#ring);
  }

  /** Throws everything away. */
  clear(): void {
    this.#queued = 0;
    this.#end = 0;
    this.#placed = 0;
    this.#expecting = null;
    this.#ring = this.#storage.recycle(this.#ring);
  }

  #consume(length: number): void {
    this.#ring?.consume(length);
    this.#queued -= length;
    this.#end -= length;
  }

  /** Puts as many of `length` bytes as there is room for into the buffer of who expects them. */
  #place(source: ByteSource, from: number, length: number): number {
    const target = this.#expecting!;
    const placed = this.#placed;
    // What lies in the ring comes first.
    if (placed < this.#queued) return 0;
    const count = Math.min(length, target.length - placed);
    if (count <= 0) return 0;
    target.set(source.part(from, count), placed);
    this.#placed = placed + count;
    this.#end = Math.max(this.#end, this.#placed);
    return count;
  }

  /** Moves what was placed into the ring, in front of what follows it there. */
  #takeBack(): void {
    const target = this.#expecting!;
    const placed = this.#placed;
    this.#placed = 0;
    // The buffer's memory may have been given away, and they with it.
    if (target.length >= placed) (this.#ring ??= this.#storage.ring()).writeArray(0, target, placed, this.#end);
    else this.#consume(placed);
  }
}
