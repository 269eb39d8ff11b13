/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a short-input keyed hash that cannot be predicted without the key.
 *
 * 64-bit words are kept as two 32-bit halves, since BigInt would allocate.
 *
 * @module
 */

let v0l = 0, v0h = 0, v1l = 0, v1h = 0, v2l = 0, v2h = 0, v3l = 0, v3h = 0;

/**
 * Hashes the first `length` 32-bit words of `message` under a key of four 32-bit words, and returns the low 32 bits of
 * the 64-bit result. Words count as little-endian byte sequences, as in the reference.
 */
export function sipHash(key: Uint32Array, message: Uint32Array, length: number): number {
  absorb(key, message, length);
  return (v0l ^ v1l ^ v2l ^ v3l) >>> 0;
}

/** As {@linkcode sipHash}, but puts all 64 bits of the result into `result`: the low 32 bits first. */
export function sipHash64(key: Uint32Array, message: Uint32Array, length: number, result: Uint32Array): void {
  absorb(key, message, length);
  result[0] = v0l ^ v1l ^ v2l ^ v3l;
  result[1] = v0h ^ v1h ^ v2h ^ v3h;
}

/** Leaves the state from which the result is read. */
function absorb(key: Uint32Array, message: Uint32Array, length: number): void {
  const [k0l, k0h, k1l, k1h] = key as unknown as [number, number, number, number];
  v0l = k0l ^ 0x70736575;
  v0h = k0h ^ 0x736f6d65;
  v1l = k1l ^ 0x6e646f6d;
  v1h = k1h ^ 0x646f7261;
  v2l = k0l ^ 0x6e657261;
  v2h = k0h ^ 0x6c796765;
  v3l = k1l ^ 0x79746573;
  v3h = k1h ^ 0x74656462;
  let word = 0;
  for (; word + 1 < length; word += 2) compress(message[word]!, message[word + 1]!);
  compress(word < length ? message[word]! : 0, (length * 4) << 24);
  v2l ^= 0xff;
  for (let round = 0; round < 4; round++) sipRound();
}

function compress(low: number, high: number): void {
  v3l ^= low;
  v3h ^= high;
  sipRound();
  sipRound();
  v0l ^= low;
  v0h ^= high;
}

/** One SipRound. The carry of a 64-bit addition is what makes the low half smaller than its addend. */
function sipRound(): void {
  let low: number;
  // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
  low = (v0l + v1l) >>> 0;
  v0h = (v0h + v1h + (low < (v1l >>> 0) ? 1 : 0)) | 0;
  v0l = low;
  low = (v1l << 13) | (v1h >>> 19);
  v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
  v1l = low ^ v0l;
  low = v0l;
  v0l = v0h;
  v0h = low;
  // v2 += v3; v3 = rotl(v3, 16) ^ v2
  low = (v2l + v3l) >>> 0;
  v2h = (v2h + v3h + (low < (v3l >>> 0) ? 1 : 0)) | 0;
  v2l = low;
  low = (v3l << 16) | (v3h >>> 16);
  v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
  v3l = low ^ v2l;
  // v0 += v3; v3 = rotl(v3, 21) ^ v0
  low = (v0l + v3l) >>> 0;
  v0h = (v0h + v3h + (low < (v3l >>> 0) ? 1 : 0)) | 0;
  v0l = low;
  low = (v3l << 21) | (v3h >>> 11);
  v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
  v3l = low ^ v0l;
  // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
  low = (v2l + v1l) >>> 0;
  v2h = (v2h + v1h + (low < (v1l >>> 0) ? 1 : 0)) | 0;
  v2l = low;
  low = (v1l << 17) | (v1h >>> 15);
  v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
  v1l = low ^ v2l;
  low = v2l;
  v2l = v2h;
  v2h = low;
}
