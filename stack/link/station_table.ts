/**
 * Where stations are: the memory of a bridge (IEEE 802.1D section 7.8, where it is the filtering database).
 *
 * @module
 */

/** Stations whose hash is the same that the table can tell apart. */
const ways = 4;

/**
 * A table of bounded size from Ethernet addresses to ports, whose entries age. Where there is no room, the station that
 * was heard of longest ago makes it. Nothing is allocated per look-up.
 */
export class StationTable {
  readonly #sets: number;
  readonly #key: number;
  readonly #high: Uint16Array<ArrayBuffer>;
  readonly #low: Uint32Array<ArrayBuffer>;
  readonly #ports: Int32Array<ArrayBuffer>;
  readonly #heardAt: Float64Array<ArrayBuffer>;
  readonly #maximumAge: number;

  /**
   * Room for at least `capacity` stations, forgotten `maximumAge` milliseconds after they were last heard of. `key` is a
   * random number of 32 bits, without which strangers could choose addresses that crowd each other out.
   */
  constructor(capacity: number, maximumAge: number, key: number) {
    this.#sets = 2 ** Math.max(0, Math.ceil(Math.log2(capacity / ways)));
    const places = this.#sets * ways;
    this.#key = key | 1;
    this.#high = new Uint16Array(places);
    this.#low = new Uint32Array(places);
    this.#ports = new Int32Array(places).fill(-1);
    this.#heardAt = new Float64Array(places).fill(-Infinity);
    this.#maximumAge = maximumAge;
  }

  /** Takes note that the station whose address stands at `at` was heard of on a port. */
  learn(view: DataView, at: number, port: number, now: number): void {
    const place = this.#placeOf(view, at);
    if (place >= 0) {
      this.#ports[place] = port;
      this.#heardAt[place] = now;
      return;
    }
    const first = this.#firstOf(view, at);
    let oldest = first;
    for (let candidate = first + 1; candidate < first + ways; candidate++) {
      if (this.#heardAt[candidate]! < this.#heardAt[oldest]!) oldest = candidate;
    }
    this.#high[oldest] = view.getUint16(at);
    this.#low[oldest] = view.getUint32(at + 2);
    this.#ports[oldest] = port;
    this.#heardAt[oldest] = now;
  }

  /** The port of the station whose address stands at `at`, or -1 where it is not known. */
  find(view: DataView, at: number, now: number): number {
    const place = this.#placeOf(view, at);
    return place >= 0 && now - this.#heardAt[place]! < this.#maximumAge ? this.#ports[place]! : -1;
  }

  /** Forgets the stations of a port. */
  forget(port: number): void {
    for (let place = 0; place < this.#ports.length; place++) {
      if (this.#ports[place] !== port) continue;
      this.#ports[place] = -1;
      this.#heardAt[place] = -Infinity;
    }
  }

  /** The stations that are known: the 48 bits of the address, the port, and milliseconds since they were heard of. */
  list(now: number): { address: number; port: number; age: number }[] {
    const all = [];
    for (let place = 0; place < this.#ports.length; place++) {
      const age = now - this.#heardAt[place]!;
      if (age >= this.#maximumAge) continue;
      all.push({ address: this.#high[place]! * 2 ** 32 + this.#low[place]!, port: this.#ports[place]!, age });
    }
    return all;
  }

  #placeOf(view: DataView, at: number): number {
    const high = view.getUint16(at);
    const low = view.getUint32(at + 2);
    const first = this.#firstOf(view, at);
    for (let place = first; place < first + ways; place++) {
      if (this.#low[place] === low && this.#high[place] === high && this.#ports[place]! >= 0) return place;
    }
    return -1;
  }

  #firstOf(view: DataView, at: number): number {
    let hash = Math.imul(view.getUint32(at + 2) ^ this.#key, 0x9e37_79b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ view.getUint16(at), this.#key);
    return ((hash ^ (hash >>> 13)) & (this.#sets - 1)) * ways;
  }
}
