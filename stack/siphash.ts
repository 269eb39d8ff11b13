/**
 * SipHash (Aumasson and Bernstein, 2012): a short-input keyed hash that cannot be predicted without the key. With 2 rounds
 * a block and 4 in the end (SipHash-2-4) for what strangers see, with 1 and 3 (SipHash-1-3) for hash tables.
 *
 * 64-bit words are kept as two signed 32-bit halves, since BigInt would allocate, as do numbers beyond 31 bits in
 * variables that outlive a call: hence the one long function.
 *
 * @module
 */

/** Both halves of the latest result, the low one first. */
const latest = new Uint32Array(2);

/**
 * Hashes the first `length` 32-bit words of `message` under a key of four 32-bit words, and returns the low 32 bits of
 * the 64-bit result. Words count as little-endian byte sequences, as in the reference.
 */
export function sipHash(
  key: Uint32Array,
  message: Uint32Array,
  length: number,
): number {
  hash(key, message, length, 2, 4);
  return latest[0]!;
}

/**
 * As {@linkcode sipHash}, but SipHash-1-3: for hash tables, of whose hashes nobody sees more than how long a look-up
 * takes.
 */
export function tableHash(
  key: Uint32Array,
  message: Uint32Array,
  length: number,
): number {
  hash(key, message, length, 1, 3);
  return latest[0]!;
}

/** As {@linkcode sipHash}, but puts all 64 bits of the result into `result`: the low 32 bits first. */
export function sipHash64(
  key: Uint32Array,
  message: Uint32Array,
  length: number,
  result: Uint32Array,
): void {
  hash(key, message, length, 2, 4);
  result[0] = latest[0]!;
  result[1] = latest[1]!;
}

/** Leaves the result in {@linkcode latest}. */
function hash(key: Uint32Array, message: Uint32Array, length: number, blockRounds: number, lastRounds: number): void {
  let v0l = key[0]! ^ 0x70736575;
  let v0h = key[1]! ^ 0x736f6d65;
  let v1l = key[2]! ^ 0x6e646f6d;
  let v1h = key[3]! ^ 0x646f7261;
  let v2l = key[0]! ^ 0x6e657261;
  let v2h = key[1]! ^ 0x6c796765;
  let v3l = key[2]! ^ 0x79746573;
  let v3h = key[3]! ^ 0x74656462;
  const blocks = (length >>> 1) + 1;
  for (let block = 0; block <= blocks; block++) {
    // Two words, or one and the length, or the length; nothing in the end, which takes more rounds.
    let low = 0;
    let high = 0;
    if (block < blocks) {
      const word = 2 * block;
      if (word < length) low = message[word]! | 0;
      high = word + 1 < length ? message[word + 1]! | 0 : (4 * length) << 24;
      v3l ^= low;
      v3h ^= high;
    } else v2l ^= 0xff;

    for (let round = block < blocks ? blockRounds : lastRounds; round > 0; round--) {
      // The carry of a 64-bit addition comes from the upper bits of the low halves: comparing would mean a branch, which
      // no processor predicts.
      // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
      let half = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~half)) >>> 31)) | 0;
      v0l = half;
      half = (v1l << 13) | (v1h >>> 19);
      v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
      v1l = half ^ v0l;
      half = v0l;
      v0l = v0h;
      v0h = half;
      // v2 += v3; v3 = rotl(v3, 16) ^ v2
      half = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~half)) >>> 31)) | 0;
      v2l = half;
      half = (v3l << 16) | (v3h >>> 16);
      v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
      v3l = half ^ v2l;
      // v0 += v3; v3 = rotl(v3, 21) ^ v0
      half = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~half)) >>> 31)) | 0;
      v0l = half;
      half = (v3l << 21) | (v3h >>> 11);
      v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
      v3l = half ^ v0l;
      // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
      half = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~half)) >>> 31)) | 0;
      v2l = half;
      half = (v1l << 17) | (v1h >>> 15);
      v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
      v1l = half ^ v2l;
      half = v2l;
      v2l = v2h;
      v2h = half;
    }

    v0l ^= low;
    v0h ^= high;
  }
  latest[0] = v0l ^ v1l ^ v2l ^ v3l;
  latest[1] = v0h ^ v1h ^ v2h ^ v3h;
}
