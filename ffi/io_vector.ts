/**
 * Lists of pieces of memory for writev(2): struct iovec[].
 *
 * @module
 */

/** 64-bit words of struct iovec: where a piece begins, and how long it is. */
const entryWords = 2;

/** Where the array buffers that were asked for lie. An address is an exact number: it has 48 bits. */
const addresses = new WeakMap<ArrayBuffer, number>();

/**
 * Pieces of array buffers, in order. The memory of an array buffer stays where it is for as long as it lives, so that its
 * address is looked up once; whoever adds a piece keeps its buffer alive until the call is over.
 */
export class IoVector {
  /** What the system call is given. */
  readonly entries: Uint32Array<ArrayBuffer>;
  /** How many pieces there are. */
  count: number = 0;

  /** An empty list with room for `capacity` pieces. */
  constructor(capacity: number) {
    this.entries = new Uint32Array(new ArrayBuffer(8 * entryWords * capacity));
  }

  /** Forgets all pieces. */
  clear(): void {
    this.count = 0;
  }

  /** Adds the `length` bytes of `bytes` from `at` on. */
  add(bytes: Uint8Array<ArrayBuffer>, at: number, length: number): void {
    const { entries } = this;
    const entry = 2 * entryWords * this.count++;
    const address = addressOf(bytes.buffer) + bytes.byteOffset + at;
    // The lower half first (little-endian): bits of a number beyond 32 are dropped by the shift.
    entries[entry] = address >>> 0;
    entries[entry + 1] = address / 0x1_0000_0000;
    entries[entry + 2] = length;
  }
}

function addressOf(buffer: ArrayBuffer): number {
  const known = addresses.get(buffer);
  if (known !== undefined) return known;
  const address = Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(buffer))));
  addresses.set(buffer, address);
  return address;
}
