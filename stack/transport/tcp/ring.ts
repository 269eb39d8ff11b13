/**
 * Byte rings: the send and receive buffers of a connection. Storage is allocated on first use, grows by doubling,
 * and is given back when the ring is empty, so that an idle connection holds none.
 *
 * @module
 */

import { FreeList } from "../../free_list.ts";

/** The smallest storage, in bytes. */
const smallestBytes = 4096;

/** Up to this many bytes are copied word by word. */
const mostCopiedByWords = 2048;

/** So much storage is kept for the next rings when it is given back, in bytes, all pieces together. */
const mostKeptBytes = 16 * 1024 * 1024;

/** Where bytes are copied from: a packet. */
export interface ByteSource {
  /** A view of some of its bytes. */
  part(at: number, length: number): Uint8Array;
}

/** Where bytes are copied to: a packet. */
export interface ByteTarget {
  /** All of it. */
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
}

/** Who can do with bytes of a ring without a copy: a packet. */
export interface ByteBorrower {
  /** Takes the `length` bytes of `ring` from `at` on, and from its start where they go on beyond its end. */
  borrow(ring: Uint8Array<ArrayBuffer>, at: number, length: number): void;
}

/** A piece of storage. */
export class StoragePiece implements ByteTarget {
  /** All of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** All of it, too. */
  readonly view: DataView<ArrayBuffer>;

  /** Allocates `length` bytes. */
  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
  }

  /** How many bytes it has. */
  get length(): number {
    return this.bytes.length;
  }
}

/** Recycles the storage of rings, which spares the allocator and its zeroing where connections come and go. */
export class RingStorage {
  /** By the number of leading zeros of their size. */
  readonly #free: StoragePiece[][] = [];
  readonly #rings = new FreeList<ByteRing>();
  #kept = 0;
  /** Bytes that rings hold at present. */
  inUse: number = 0;

  /** Storage of `bytes` bytes, which is a power of two. Its contents are arbitrary. */
  allocate(bytes: number): StoragePiece {
    this.inUse += bytes;
    const kept = this.#free[Math.clz32(bytes)]?.pop();
    if (kept === undefined) return new StoragePiece(bytes);
    this.#kept -= bytes;
    return kept;
  }

  /** Takes storage back. */
  release(storage: StoragePiece): void {
    this.inUse -= storage.length;
    if (this.#kept + storage.length > mostKeptBytes) return;
    this.#kept += storage.length;
    (this.#free[Math.clz32(storage.length)] ??= []).push(storage);
  }

  /** An empty ring. */
  ring(): ByteRing {
    return this.#rings.take() ?? new ByteRing(this);
  }

  /** Takes a ring back, and its storage. Returns what is left to its user: nothing. */
  recycle(ring: ByteRing | null): null {
    if (ring !== null) {
      ring.clear();
      this.#rings.keep(ring);
    }
    return null;
  }
}

/**
 * A ring of bytes. Positions are counted from its first byte; bytes may be written at any position ahead of what is
 * there, which is how out-of-order data find their place at once.
 */
export class ByteRing {
  readonly #storage: RingStorage;
  #piece: StoragePiece | null = null;
  #start = 0;

  /** An empty ring that takes its storage from `storage`. */
  constructor(storage: RingStorage) {
    this.#storage = storage;
  }

  /** Bytes of storage held. */
  get capacity(): number {
    return this.#piece?.length ?? 0;
  }

  /**
   * Copies `length` bytes of `source` from `sourceAt` to position `at`. Bytes between the ring's contents and `at` are
   * left as they are. `keep` bytes from position 0 are preserved when the storage has to grow: the caller's business,
   * since the ring does not know which positions are filled.
   */
  write(at: number, source: ByteSource, sourceAt: number, length: number, keep: number): void {
    if (length === 0) return;
    const { bytes } = this.#reserve(at + length, keep);
    const begin = (this.#start + at) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - begin);
    bytes.set(source.part(sourceAt, first), begin);
    if (first < length) bytes.set(source.part(sourceAt + first, length - first), 0);
  }

  /** Copies the first `length` bytes of `source` to position `at`, as {@linkcode ByteRing.write} does. */
  writeArray(at: number, source: Uint8Array, length: number, keep: number): void {
    if (length === 0) return;
    const { bytes } = this.#reserve(at + length, keep);
    const begin = (this.#start + at) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - begin);
    bytes.set(first === source.length ? source : source.subarray(0, first), begin);
    if (first < length) bytes.set(source.subarray(first, length), 0);
  }

  /** Copies `length` bytes from position `at` into `target` at `targetAt`. */
  read(at: number, target: ByteTarget, targetAt: number, length: number): void {
    const piece = this.#piece;
    if (piece === null || length === 0) return;
    const begin = (this.#start + at) & (piece.length - 1);
    const first = Math.min(length, piece.length - begin);
    copyBytes(piece, begin, target, targetAt, first);
    if (first < length) copyBytes(piece, 0, target, targetAt + first, length - first);
  }

  /** Lends `length` bytes from position `at` to `borrower`, instead of copying them as {@linkcode ByteRing.read} does. */
  lend(at: number, borrower: ByteBorrower, length: number): void {
    const piece = this.#piece;
    if (piece !== null) borrower.borrow(piece.bytes, (this.#start + at) & (piece.length - 1), length);
  }

  /** As {@linkcode ByteRing.read}, into an array. */
  readArray(at: number, target: Uint8Array, targetAt: number, length: number): void {
    if (this.#piece === null || length === 0) return;
    const { bytes } = this.#piece;
    const begin = (this.#start + at) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - begin);
    target.set(bytes.subarray(begin, begin + first), targetAt);
    if (first < length) target.set(bytes.subarray(0, length - first), targetAt + first);
  }

  /** Drops the first `length` bytes: position 0 is now what was position `length`. */
  consume(length: number): void {
    if (this.#piece !== null) this.#start = (this.#start + length) & (this.#piece.length - 1);
  }

  /** Gives the storage back. The ring can be used again. */
  clear(): void {
    if (this.#piece !== null) this.#storage.release(this.#piece);
    this.#piece = null;
    this.#start = 0;
  }

  /** Storage for at least `needed` bytes, with the first `keep` bytes preserved. */
  #reserve(needed: number, keep: number): StoragePiece {
    const old = this.#piece;
    if (old !== null && old.length >= needed) return old;
    let size = Math.max(smallestBytes, old?.length ?? 0);
    while (size < needed) size *= 2;
    const grown = this.#storage.allocate(size);
    if (old !== null) {
      this.read(0, grown, 0, Math.min(keep, old.length));
      this.#storage.release(old);
    }
    this.#piece = grown;
    this.#start = 0;
    return grown;
  }
}

/** Copies between arrays. */
function copyBytes(from: ByteTarget, fromAt: number, to: ByteTarget, toAt: number, length: number): void {
  if (length <= mostCopiedByWords) copyWords(from.view, fromAt, to.view, toAt, length);
  else to.bytes.set(from.bytes.subarray(fromAt, fromAt + length), toAt);
}

/**
 * Copies by words of 64 bits, which V8 keeps in registers, four in each round. `Uint8Array.set` needs a view of what is
 * copied, which is an object for each segment, and is faster only where there are more than
 * {@linkcode mostCopiedByWords} bytes.
 */
function copyWords(from: DataView, fromAt: number, to: DataView, toAt: number, length: number): void {
  const end = fromAt + length;
  for (; fromAt + 32 <= end; fromAt += 32, toAt += 32) {
    to.setBigUint64(toAt, from.getBigUint64(fromAt, true), true);
    to.setBigUint64(toAt + 8, from.getBigUint64(fromAt + 8, true), true);
    to.setBigUint64(toAt + 16, from.getBigUint64(fromAt + 16, true), true);
    to.setBigUint64(toAt + 24, from.getBigUint64(fromAt + 24, true), true);
  }
  for (; fromAt + 8 <= end; fromAt += 8, toAt += 8) to.setBigUint64(toAt, from.getBigUint64(fromAt, true), true);
  for (; fromAt < end; fromAt++, toAt++) to.setUint8(toAt, from.getUint8(fromAt));
}
