/**
 * Mutants of real frames: some broken anywhere, some broken in one field and otherwise right, so that they get deep.
 *
 * @module
 */

import { below, fill, fraction, type Random } from "../../stack/random.ts";
import { fixChecksums } from "./checksums.ts";

/** The longest mutant: an Ethernet frame of ordinary MTU. */
const longestFrame = 1514;
const networkAt = 14;

/** Fields from the start of a header: [offset, bytes]. */
type Fields = readonly (readonly [number, number])[];

const arpFields: Fields = [[0, 2], [2, 2], [4, 1], [5, 1], [6, 2], [8, 6], [14, 4], [18, 6], [24, 4]];
const ipv4Fields: Fields = [[0, 1], [1, 1], [2, 2], [4, 2], [6, 2], [8, 1], [9, 1], [12, 4], [16, 4]];
const transportFields: Readonly<Record<number, Fields>> = {
  1: [[0, 1], [1, 1], [4, 2], [6, 2], [8, 1], [10, 2], [14, 2], [17, 1], [20, 4], [24, 4], [28, 2], [32, 4]],
  2: [[0, 1], [1, 1], [4, 4], [6, 2], [8, 1], [10, 2]],
  6: [[0, 2], [2, 2], [4, 4], [8, 4], [12, 1], [13, 1], [14, 2], [18, 2], [20, 4], [24, 4], [28, 4]],
  17: [[0, 2], [2, 2], [4, 2]],
};

/** Values at which code that counts goes wrong. */
const edges = [0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 21, 0x7f, 0x80, 0xff, 0x100, 0x5dc, 0x7fff, 0x8000, 0xfff8, 0xffff];
const wideEdges = [0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/** Well-formed and malformed TCP options, without padding. */
const optionSeeds: readonly (readonly number[])[] = [
  [],
  [0],
  [1, 1, 1, 0],
  [2, 4, 0, 0],
  [2, 4, 0, 1],
  [2, 4, 0xff, 0xff],
  [2, 0],
  [2, 1],
  [2, 40],
  [3, 3, 0],
  [3, 3, 255],
  [3, 2],
  [4, 2],
  [5, 2],
  [5, 9, 0, 0, 0, 0, 0, 0, 0],
  [5, 10, 0, 0, 0, 1, 0, 0, 0, 0],
  [5, 34, ...new Array<number>(32).fill(0xff)],
  [8, 10, 0, 0, 0, 0, 0, 0, 0, 0],
  [8, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [8, 3, 0],
  [254, 4, 0xf9, 0x89],
  [19, 18, ...new Array<number>(16).fill(7)],
];

/** Makes mutants from a corpus. The same random source makes the same mutants. */
export class Mutator {
  readonly #corpus: readonly Uint8Array[];
  readonly #random: Random;

  constructor(corpus: readonly Uint8Array[], random: Random) {
    this.#corpus = corpus;
    this.#random = random;
  }

  /** A mutant of `frame`, or of any frame of the corpus. The frame itself is left alone. */
  mutate(frame: Uint8Array = this.#pick(this.#corpus)): Uint8Array {
    let mutant: Uint8Array = frame.slice();
    const rounds = 1 + below(this.#random, 3);
    for (let round = 0; round < rounds; round++) mutant = this.#mutateOnce(mutant);
    // Most mutants have right checksums: the others never get past the first module that checks one.
    if (fraction(this.#random) < 0.9) fixChecksums(mutant);
    return mutant;
  }

  #mutateOnce(frame: Uint8Array): Uint8Array {
    switch (below(this.#random, 10)) {
      case 0:
        return this.#flipBits(frame);
      case 1:
        return frame.slice(0, below(this.#random, frame.length + 1));
      case 2:
        return this.#extend(frame);
      case 3:
        return this.#splice(frame);
      case 4:
        return this.#setByte(frame);
      case 5:
        return this.#changeLength(frame);
      case 6:
        return this.#changeOptions(frame);
      default:
        return this.#changeField(frame);
    }
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[below(this.#random, items.length)]!;
  }

  /** A place in the frame, more often in its headers. */
  #place(frame: Uint8Array): number {
    return below(this.#random, below(this.#random, 4) > 0 ? Math.min(frame.length, 80) : frame.length);
  }

  #flipBits(frame: Uint8Array): Uint8Array {
    for (let flips = 1 + below(this.#random, 8); flips > 0 && frame.length > 0; flips--) {
      frame[this.#place(frame)]! ^= 1 << below(this.#random, 8);
    }
    return frame;
  }

  #setByte(frame: Uint8Array): Uint8Array {
    if (frame.length > 0) frame[this.#place(frame)] = this.#pick(edges);
    return frame;
  }

  #extend(frame: Uint8Array): Uint8Array {
    const room = Math.max(0, longestFrame - frame.length);
    const longer = new Uint8Array(frame.length + below(this.#random, Math.min(room, 100) + 1));
    fill(this.#random, longer);
    longer.set(frame);
    return longer;
  }

  #splice(frame: Uint8Array): Uint8Array {
    const other = this.#pick(this.#corpus);
    const front = this.#place(frame);
    const back = this.#place(other);
    const spliced = new Uint8Array(Math.min(longestFrame, front + other.length - back));
    spliced.set(frame.subarray(0, front));
    spliced.set(other.subarray(back, back + spliced.length - front), front);
    return spliced;
  }

  /** Makes the total length of the IPv4 packet wrong, or the frame as long as it says. */
  #changeLength(frame: Uint8Array): Uint8Array {
    if (!isIpv4(frame)) return frame;
    const view = viewOf(frame);
    const length = frame.length - networkAt;
    const change = below(this.#random, 5) - 2;
    const total = below(this.#random, 2) === 0 ? length + change : below(this.#random, length + 1);
    view.setUint16(networkAt + 2, total);
    return below(this.#random, 2) === 0
      ? frame
      : frame.slice(0, networkAt + Math.min(length, view.getUint16(networkAt + 2)));
  }

  #changeField(frame: Uint8Array): Uint8Array {
    const view = viewOf(frame);
    if (frame.length < networkAt) return frame;
    if (below(this.#random, 20) === 0) {
      view.setUint16(12, this.#pick([0x0800, 0x0806, 0x86dd, 0x8100, 0, 1500, 0xffff]));
    }
    if (view.getUint16(12) === 0x0806) return this.#setField(frame, networkAt, this.#pick(arpFields));
    if (!isIpv4(frame)) return this.#setByte(frame);
    const transport = transportFields[view.getUint8(networkAt + 9)];
    if (transport === undefined || below(this.#random, 3) === 0) {
      return this.#setField(frame, networkAt, this.#pick(ipv4Fields));
    }
    return this.#setField(frame, networkAt + (view.getUint8(networkAt) & 15) * 4, this.#pick(transport));
  }

  /** Sets a field to a random value, to one at which counting goes wrong, or to one near the present value. */
  #setField(frame: Uint8Array, headerAt: number, [offset, bytes]: readonly [number, number]): Uint8Array {
    const at = headerAt + offset;
    if (at + bytes > frame.length) return frame;
    const view = viewOf(frame);
    const choice = below(this.#random, 3);
    const present = bytes === 1 ? view.getUint8(at) : bytes === 2 ? view.getUint16(at) : view.getUint32(at);
    const value = choice === 0
      ? this.#random.uint32()
      : choice === 1
      ? this.#pick(bytes >= 4 ? [...edges, ...wideEdges] : edges)
      : present + below(this.#random, 3) * this.#pick([1, 1, 8, 1448, 65536]) * this.#pick([1, -1]);
    if (bytes === 1) view.setUint8(at, value);
    else if (bytes === 2) view.setUint16(at, value);
    else view.setUint32(at, value);
    return frame;
  }

  /** Gives a TCP segment other options, with a data offset that fits. */
  #changeOptions(frame: Uint8Array): Uint8Array {
    if (!isIpv4(frame) || frame[networkAt + 9] !== 6) return this.#flipBits(frame);
    const transportAt = networkAt + (frame[networkAt]! & 15) * 4;
    if (frame.length < transportAt + 20) return frame;
    const options: number[] = [];
    for (let count = 1 + below(this.#random, 4); count > 0; count--) options.push(...this.#pick(optionSeeds));
    const optionBytes = Math.min(40, (options.length + 3) & ~3);
    const payload = frame.subarray(Math.min(frame.length, transportAt + (frame[transportAt + 12]! >>> 4) * 4));
    const kept = payload.subarray(0, Math.max(0, longestFrame - transportAt - 20 - optionBytes));
    const changed = new Uint8Array(transportAt + 20 + optionBytes + kept.length);
    changed.set(frame.subarray(0, transportAt + 20));
    changed.set(options.slice(0, optionBytes), transportAt + 20);
    changed.set(kept, transportAt + 20 + optionBytes);
    changed[transportAt + 12] = ((20 + optionBytes) / 4) << 4;
    viewOf(changed).setUint16(networkAt + 2, changed.length - networkAt);
    return changed;
  }
}

function viewOf(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.length);
}

function isIpv4(frame: Uint8Array): boolean {
  return frame.length >= networkAt + 20 && frame[12] === 8 && frame[13] === 0 && frame[networkAt]! >>> 4 === 4;
}
