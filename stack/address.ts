/**
 * Addresses that the stack keeps: small immutable values with their bytes, their family and their text. On the data
 * path packets are compared with them byte by byte, and nothing is made.
 *
 * @module
 */

/** The two families of IP. */
export type Family = 4 | 6;

/** An IPv4 or IPv6 address. */
export class IpAddress {
  /** 4 or 6. */
  readonly family: Family;
  /** Big-endian 32-bit words: one or four. */
  readonly words: readonly number[];
  // Made when they are asked for: on the data path, where many addresses live for one packet, nobody does.
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #text: string | undefined;

  /** What was parsed last, and from which text. */
  static #latestText: string | null = null;
  static #latest: IpAddress | null = null;

  private constructor(words: readonly number[]) {
    this.family = words.length === 1 ? 4 : 6;
    this.words = words;
  }

  /** 0.0.0.0 */
  static readonly unspecified4: IpAddress = new IpAddress([0]);
  /** 255.255.255.255 */
  static readonly broadcast4: IpAddress = new IpAddress([0xffff_ffff]);
  /** 127.0.0.1 */
  static readonly loopback4: IpAddress = new IpAddress([0x7f00_0001]);
  /** :: */
  static readonly unspecified6: IpAddress = new IpAddress([0, 0, 0, 0]);
  /** ::1 */
  static readonly loopback6: IpAddress = new IpAddress([0, 0, 0, 1]);

  /** The unspecified address of a family: 0.0.0.0 or ::. */
  static unspecified(family: Family): IpAddress {
    return family === 4 ? IpAddress.unspecified4 : IpAddress.unspecified6;
  }

  /** The address whose 4 or 16 bytes stand at `at`; they are copied. */
  static fromBytes(bytes: Uint8Array, at: number, family: Family): IpAddress {
    return new IpAddress(family === 4 ? [wordAt(bytes, at)] : [0, 4, 8, 12].map((word) => wordAt(bytes, at + word)));
  }

  /** The IPv4 address that is this 32-bit number in network order. */
  static fromUint32(value: number): IpAddress {
    return new IpAddress([value >>> 0]);
  }

  /**
   * The address that `text` says: dotted decimal for IPv4, RFC 4291 section 2.2 for IPv6.
   *
   * @throws {TypeError} If the text is no address.
   */
  static parse(text: string): IpAddress {
    const address = IpAddress.tryParse(text);
    if (address === null) throw new TypeError(`Cannot parse "${text}" as an IP address: write it like 192.0.2.1`);
    return address;
  }

  /** As {@linkcode IpAddress.parse}, but null where the text is no address. */
  static tryParse(text: string): IpAddress | null {
    // A program that connects to one server again and again says the same text each time.
    if (text === IpAddress.#latestText) return IpAddress.#latest;
    const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
    if (bytes === null) return null;
    IpAddress.#latestText = text;
    return IpAddress.#latest = IpAddress.fromBytes(bytes, 0, bytes.length === 4 ? 4 : 6);
  }

  /** 4 or 16 bytes in network order. Not to be changed. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes ??= bytesOf(this.words);
  }

  /** Whether both are the same address. */
  equals(other: IpAddress): boolean {
    if (this.family !== other.family) return false;
    for (let word = 0; word < this.words.length; word++) {
      if (this.words[word] !== other.words[word]) return false;
    }
    return true;
  }

  /** Whether the bytes at `at`, which are an address of the same family, are this address. */
  matches(view: DataView, at: number): boolean {
    const words = this.words;
    for (let word = 0; word < words.length; word++) {
      if (view.getUint32(at + 4 * word) !== words[word]) return false;
    }
    return true;
  }

  /** 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.family === 4 ? this.words[0] === 0 : this.equals(IpAddress.unspecified6);
  }

  /** 127.0.0.0/8 or ::1. */
  get isLoopback(): boolean {
    return this.family === 4 ? this.words[0]! >>> 24 === 127 : this.equals(IpAddress.loopback6);
  }

  /** 224.0.0.0/4 or ff00::/8. */
  get isMulticast(): boolean {
    return this.family === 4 ? this.words[0]! >>> 28 === 0xe : this.words[0]! >>> 24 === 0xff;
  }

  /** 255.255.255.255. */
  get isBroadcast(): boolean {
    return this.family === 4 && this.words[0] === 0xffff_ffff;
  }

  /** fe80::/10 or 169.254.0.0/16. */
  get isLinkLocal(): boolean {
    return this.family === 4 ? this.words[0]! >>> 16 === 0xa9fe : this.words[0]! >>> 22 === 0xfe80 >>> 6;
  }

  /** The address as people write it; IPv6 in the form of RFC 5952. */
  toString(): string {
    return this.#text ??= this.family === 4 ? this.bytes.join(".") : formatIpv6(this.bytes);
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

function bytesOf(words: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 * words.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = words[at >> 2]! >>> (24 - 8 * (at & 3));
  return bytes;
}

/** An address block: an address and how many of its leading bits count. */
export class IpPrefix {
  /** The address as it was given, host bits included. */
  readonly address: IpAddress;
  /** Leading bits that count: 0 to 32 or 128. */
  readonly length: number;
  readonly #masks: readonly number[];

  /**
   * Takes an address and a prefix length.
   *
   * @throws {RangeError} If the length does not fit the family.
   */
  constructor(address: IpAddress, length: number) {
    const bits = address.bytes.length * 8;
    if (!Number.isInteger(length) || length < 0 || length > bits) {
      throw new RangeError(`Cannot use ${length} as a prefix length for ${address}: it goes from 0 to ${bits}`);
    }
    this.address = address;
    this.length = length;
    this.#masks = address.words.map((_, word) => {
      const ones = Math.min(32, Math.max(0, length - 32 * word));
      return ones === 0 ? 0 : (0xffff_ffff << (32 - ones)) >>> 0;
    });
  }

  /**
   * The block that `text` says: `192.0.2.1/24`. Without a slash, the one address.
   *
   * @throws {TypeError} If the text is no address block.
   */
  static parse(text: string): IpPrefix {
    const slash = text.indexOf("/");
    const address = IpAddress.tryParse(slash < 0 ? text : text.slice(0, slash));
    const digits = slash < 0 ? undefined : text.slice(slash + 1);
    const bits = (address?.bytes.length ?? 0) * 8;
    const length = digits === undefined ? bits : /^\d{1,3}$/.test(digits) ? Number(digits) : -1;
    if (address === null || length < 0 || length > bits) {
      throw new TypeError(`Cannot parse "${text}" as an address block: write it like 192.0.2.1/24`);
    }
    return new IpPrefix(address, length);
  }

  /** Whether `address` lies in the block. */
  contains(address: IpAddress): boolean {
    if (address.family !== this.address.family) return false;
    for (let word = 0; word < this.#masks.length; word++) {
      if (((address.words[word]! ^ this.address.words[word]!) & this.#masks[word]!) !== 0) return false;
    }
    return true;
  }

  /** Whether the bytes at `at`, which are an address of the same family, lie in the block. */
  containsAt(view: DataView, at: number): boolean {
    for (let word = 0; word < this.#masks.length; word++) {
      if (((view.getUint32(at + 4 * word) ^ this.address.words[word]!) & this.#masks[word]!) !== 0) return false;
    }
    return true;
  }

  /** The address with the host bits cleared: 192.0.2.0 for 192.0.2.1/24. */
  get network(): IpAddress {
    return this.#withHostBits((word, mask) => word & mask);
  }

  /** The subnet's broadcast address (192.0.2.255 for 192.0.2.1/24), or null where there is none (IPv6, /31, /32). */
  get broadcast(): IpAddress | null {
    if (this.address.family === 6 || this.length > 30) return null;
    return this.#withHostBits((word, mask) => word | ~mask);
  }

  #withHostBits(change: (word: number, mask: number) => number): IpAddress {
    const bytes = new Uint8Array(this.address.bytes.length);
    const view = new DataView(bytes.buffer);
    this.#masks.forEach((mask, word) => view.setUint32(4 * word, change(this.address.words[word]!, mask)));
    return IpAddress.fromBytes(bytes, 0, this.address.family);
  }

  /** `192.0.2.1/24` */
  toString(): string {
    return `${this.address}/${this.length}`;
  }
}

/** An Ethernet address. */
export class MacAddress {
  /** 6 bytes. Not to be changed. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The first two bytes as a number. */
  readonly high16: number;
  /** The last four bytes as a number. */
  readonly low32: number;
  #text: string | undefined;

  private constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, 6);
    this.high16 = view.getUint16(0);
    this.low32 = view.getUint32(2);
  }

  /** ff:ff:ff:ff:ff:ff */
  static readonly broadcast: MacAddress = new MacAddress(new Uint8Array(6).fill(0xff));

  /** The address whose six bytes stand at `at`; they are copied. */
  static fromBytes(bytes: Uint8Array, at = 0): MacAddress {
    return new MacAddress(bytes.slice(at, at + 6) as Uint8Array<ArrayBuffer>);
  }

  /** A unicast, locally administered address from 46 bits of `bits` (the low 32) and `more`. */
  static local(bits: number, more: number): MacAddress {
    return new MacAddress(
      new Uint8Array([((more >>> 8) & 0xfc) | 0x02, more, bits >>> 24, bits >>> 16, bits >>> 8, bits]),
    );
  }

  /**
   * The address that `text` says: six pairs of hexadecimal digits with colons or dashes.
   *
   * @throws {TypeError} If the text is no such address.
   */
  static parse(text: string): MacAddress {
    if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) {
      throw new TypeError(`Cannot parse "${text}" as an Ethernet address: write it like 02:00:00:00:00:01`);
    }
    return new MacAddress(new Uint8Array(text.split(/[:-]/).map((pair) => parseInt(pair, 16))));
  }

  /** Whether both are the same address. */
  equals(other: MacAddress): boolean {
    return this.high16 === other.high16 && this.low32 === other.low32;
  }

  /** Whether the six bytes at `at` are this address. */
  matches(view: DataView, at: number): boolean {
    return view.getUint16(at) === this.high16 && view.getUint32(at + 2) === this.low32;
  }

  /** Whether it names a group (multicast or broadcast). */
  get isGroup(): boolean {
    return (this.bytes[0]! & 1) === 1;
  }

  /** `02:00:00:00:00:01` */
  toString(): string {
    return this.#text ??= Array.from(this.bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
  }
}

function parseIpv4(text: string): Uint8Array<ArrayBuffer> | null {
  const parts = text.split(".");
  // A leading zero would be octal to some readers and decimal to others: refused, as inet_pton does.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return new Uint8Array(parts.map(Number));
}

function parseIpv6(text: string): Uint8Array<ArrayBuffer> | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half, index) => parseGroups(half, index === halves.length - 1));
  const [front, back] = groups;
  if (front === null || front === undefined || back === null) return null;
  const missing = 8 - front.length - (back?.length ?? 0);
  if (back === undefined ? missing !== 0 : missing < 1) return null;
  const all = back === undefined ? front : [...front, ...new Array<number>(missing).fill(0), ...back];
  return new Uint8Array(all.flatMap((group) => [group >>> 8, group & 0xff]));
}

/** The 16-bit groups of a part of an IPv6 address, of which only the last may end in dotted decimal. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(parseInt(part, 16));
      continue;
    }
    const ipv4 = last && index === parts.length - 1 ? parseIpv4(part) : null;
    if (ipv4 === null) return null;
    groups.push((ipv4[0]! << 8) | ipv4[1]!, (ipv4[2]! << 8) | ipv4[3]!);
  }
  return groups;
}

/**
 * RFC 5952 section 4: lower case, no leading zeros, the first longest run of two or more zero groups as "::".
 * Section 5: an IPv4-mapped address ends in dotted decimal.
 */
function formatIpv6(bytes: Uint8Array): string {
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (isMapped) return `::ffff:${bytes.subarray(12).join(".")}`;
  const groups = Array.from({ length: 8 }, (_, group) => (bytes[2 * group]! << 8) | bytes[2 * group + 1]!);
  let runAt = -1;
  let runLength = 1;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > runLength) {
      runAt = at;
      runLength = end - at;
    }
    at = Math.max(at, end - 1);
  }
  const text = groups.map((group) => group.toString(16));
  if (runAt < 0) return text.join(":");
  return `${text.slice(0, runAt).join(":")}::${text.slice(runAt + runLength).join(":")}`;
}
