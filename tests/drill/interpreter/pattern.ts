/**
 * The bytes that scripts do not spell out. Each position of a stream has its own value, so that data that are lost,
 * doubled or put in the wrong place are noticed.
 *
 * @module
 */

/** The byte at a position of a stream. */
export function patternByte(position: number): number {
  return (position * 31 + (position >>> 8) * 17 + (position >>> 16) * 7 + 11) & 255;
}

/** `length` bytes from `position` on. */
export function pattern(position: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = patternByte(position + index);
  return bytes;
}

/** Everything that was written to a stream. */
export class WrittenStream {
  readonly #literals: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  /** Bytes written. */
  length: number = 0;

  /** `length` bytes of the pattern as the next part; they count when they are {@linkcode WrittenStream.append}ed. */
  next(length: number): Uint8Array {
    return pattern(this.length, length);
  }

  /** Bytes have been taken by the stack. */
  append(bytes: Uint8Array): void {
    if (bytes.some((byte, index) => byte !== patternByte(this.length + index))) {
      this.#literals.push({ at: this.length, bytes: bytes.slice() });
    }
    this.length += bytes.length;
  }

  /** The first position at which `bytes` differ from what was written from `position` on; -1 when they do not. */
  firstDifference(position: number, bytes: Uint8Array): number {
    for (let index = 0; index < bytes.length; index++) {
      if (bytes[index] !== this.#byteAt(position + index)) return position + index;
    }
    return -1;
  }

  #byteAt(position: number): number {
    for (const { at, bytes } of this.#literals) {
      if (position >= at && position < at + bytes.length) return bytes[position - at]!;
    }
    return patternByte(position);
  }
}
