/**
 * Byte rings: the send and receive buffers of a connection. Storage is allocated on first use, grows by doubling,
 * and is given back when the ring is empty, so that an idle connection holds none.
 *
 * @module
 */

/** The smallest storage, in bytes. */
const smallestBytes = 4096;

/** So much storage is kept for the next rings when it is given back, in bytes, all pieces together. */
const mostKeptBytes = 16 * 1024 * 1024;

/** Recycles the storage of rings, which spares the allocator and its zeroing where connections come and go. */
export class RingStorage {
  /** By the number of leading zeros of their size. */
  readonly #free: Uint8Array<ArrayBuffer>[][] = [];
  #kept = 0;
  /** Bytes that rings hold at present. */
  inUse: number = 0;

  /** Storage of `bytes` bytes, which is a power of two. Its contents are arbitrary. */
  allocate(bytes: number): Uint8Array<ArrayBuffer> {
    this.inUse += bytes;
    const kept = this.#free[Math.clz32(bytes)]?.pop();
    if (kept === undefined) return new Uint8Array(bytes);
    this.#kept -= bytes;
    return kept;
  }

  /** Takes storage back. */
  release(storage: Uint8Array<ArrayBuffer>): void {
    this.inUse -= storage.length;
    if (this.#kept + storage.length > mostKeptBytes) return;
    this.#kept += storage.length;
    (this.#free[Math.clz32(storage.length)] ??= []).push(storage);
  }
}

/**
 * A ring of bytes. Positions are counted from its first byte; bytes may be written at any position ahead of what is
 * there, which is how out-of-order data find their place at once.
 */
export class ByteRing {
  readonly #storage: RingStorage;
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #start = 0;

  /** An empty ring that takes its storage from `storage`. */
  constructor(storage: RingStorage) {
    this.#storage = storage;
  }

  /** Bytes of storage held. */
  get capacity(): number {
    return this.#bytes?.length ?? 0;
  }

  /**
   * Copies `length` bytes of `source` from `sourceAt` to position `at`. Bytes between the ring's contents and `at` are
   * left as they are. `keep` bytes from position 0 are preserved when the storage has to grow: the caller's business,
   * since the ring does not know which positions are filled.
   */
  write(at: number, source: Uint8Array, sourceAt: number, length: number, keep: number): void {
    if (length === 0) return;
    const bytes = this.#reserve(at + length, keep);
    const mask = bytes.length - 1;
    const begin = (this.#start + at) & mask;
    const first = Math.min(length, bytes.length - begin);
    copyBytes(source, sourceAt, bytes, begin, first);
    if (first < length) copyBytes(source, sourceAt + first, bytes, 0, length - first);
  }

  /** Copies `length` bytes from position `at` into `target` at `targetAt`. */
  read(at: number, target: Uint8Array, targetAt: number, length: number): void {
    const bytes = this.#bytes;
    if (bytes === null || length === 0) return;
    const begin = (this.#start + at) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - begin);
    copyBytes(bytes, begin, target, targetAt, first);
    if (first < length) copyBytes(bytes, 0, target, targetAt + first, length - first);
  }

  /** Drops the first `length` bytes: position 0 is now what was position `length`. */
  consume(length: number): void {
    if (this.#bytes !== null) this.#start = (this.#start + length) & (this.#bytes.length - 1);
  }

  /** Gives the storage back. The ring can be used again. */
  clear(): void {
    if (this.#bytes !== null) this.#storage.release(this.#bytes);
    this.#bytes = null;
    this.#start = 0;
  }

  /** Storage for at least `needed` bytes, with the first `keep` bytes preserved. */
  #reserve(needed: number, keep: number): Uint8Array<ArrayBuffer> {
    const old = this.#bytes;
    if (old !== null && old.length >= needed) return old;
    let size = Math.max(smallestBytes, old?.length ?? 0);
    while (size < needed) size *= 2;
    const grown = this.#storage.allocate(size);
    if (old !== null) {
      this.read(0, grown, 0, Math.min(keep, old.length));
      this.#storage.release(old);
    }
    this.#bytes = grown;
    this.#start = 0;
    return grown;
  }
}

/** Copies between arrays: a loop for short pieces, where making two views would cost more than the copy. */
export function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, length: number): void {
  if (length <= 64) {
    for (let index = 0; index < length; index++) to[toAt + index] = from[fromAt + index]!;
  } else {
    to.set(from.subarray(fromAt, fromAt + length), toAt);
  }
}
