/**
 * Netlink messages (RFC 3549 section 2.3; netlink(7)): a 16-byte header, a fixed structure, and attributes.
 *
 * Netlink speaks the host's byte order, which on x86-64 and arm64 is little-endian.
 *
 * @module
 */

/** Bytes of a message header (`struct nlmsghdr`). */
export const netlinkHeaderBytes = 16;

/** Offsets in a message header. */
const Offset = { length: 0, type: 4, flags: 6, sequence: 8, portId: 12 } as const;

/** Message types that every netlink family has. */
export const NetlinkType = {
  noop: 1,
  error: 2,
  done: 3,
} as const;

/** Message flags. */
export const NetlinkFlag = {
  request: 0x001,
  multi: 0x002,
  acknowledge: 0x004,
  /** The dump was disturbed by a change: it has to be asked for again. */
  dumpInterrupted: 0x010,
  /** In answers to a request: the kernel quotes only the request's header. */
  capped: 0x100,
  /** In answers to a request: attributes follow the quotation. */
  acknowledgeAttributes: 0x200,
  dump: 0x300,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

/** The attribute of an error message that holds the kernel's own words (`NLMSGERR_ATTR_MSG`). */
const errorTextAttribute = 1;

/** Bytes in front of an attribute's value: its length and its type. */
const attributeHeaderBytes = 4;

/** Of an attribute's type: it holds attributes. */
const nestedFlag = 0x8000;

/** The upper bits of an attribute's type say "nested" and "network byte order". */
const attributeTypeMask = 0x3fff;

/** A message as it was received. */
export interface NetlinkMessage {
  /** One of {@linkcode NetlinkType}, or the family's own. */
  readonly type: number;
  /** See {@linkcode NetlinkFlag}. */
  readonly flags: number;
  /** The number that the request carried. */
  readonly sequence: number;
  /** What follows the header. */
  readonly payload: Uint8Array;
}

/** What an error message says; an errno of 0 is an acknowledgement. */
export interface NetlinkError {
  /** A positive errno, or 0. */
  readonly errno: number;
  /** The kernel's own words, where it has any. */
  readonly text: string | undefined;
}

/** Builds one request. */
export class NetlinkRequest {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  #view: DataView<ArrayBuffer> = new DataView(this.#bytes.buffer);
  #length = netlinkHeaderBytes;

  /** Starts a request with `flags` beside {@linkcode NetlinkFlag}`.request`. */
  constructor(type: number, flags: number) {
    this.#view.setUint16(Offset.type, type, true);
    this.#view.setUint16(Offset.flags, flags | NetlinkFlag.request, true);
  }

  /** Appends the family's fixed structure. */
  structure(bytes: ArrayLike<number>): this {
    this.#bytes.set(bytes, this.#grow(bytes.length));
    return this;
  }

  /** Appends an attribute: length, type and value, padded to a multiple of four bytes. */
  attribute(type: number, value: ArrayLike<number>): this {
    const at = this.#grow(4 + value.length);
    this.#view.setUint16(at, 4 + value.length, true);
    this.#view.setUint16(at + 2, type, true);
    this.#bytes.set(value, at + 4);
    return this;
  }

  /** Appends an attribute that is a 32-bit number. */
  attributeUint32(type: number, value: number): this {
    return this.attribute(type, uint32Bytes(value));
  }

  /** Appends an attribute that holds others. */
  nested(type: number, fill: (request: this) => void): this {
    const at = this.#grow(attributeHeaderBytes);
    fill(this);
    this.#view.setUint16(at, this.#length - at, true);
    this.#view.setUint16(at + 2, type | nestedFlag, true);
    return this;
  }

  /** The finished message with this sequence number. */
  finish(sequence: number): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(Offset.length, this.#length, true);
    this.#view.setUint32(Offset.sequence, sequence, true);
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room for `length` bytes, padded, and returns where they go. */
  #grow(length: number): number {
    const at = this.#length;
    this.#length = at + align(length);
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** A 32-bit number in netlink's byte order. */
export function uint32Bytes(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array([value, value >>> 8, value >>> 16, value >>> 24]);
}

/** The 32-bit number in netlink's byte order that stands at `at`, or 0 where the bytes end before. */
export function readUint32(bytes: Uint8Array | undefined, at = 0): number {
  if (bytes === undefined || at + 4 > bytes.length) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);
}

/** The 16-bit number in netlink's byte order that stands at `at`, or 0 where the bytes end before. */
export function readUint16(bytes: Uint8Array | undefined, at = 0): number {
  if (bytes === undefined || at + 2 > bytes.length) return 0;
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/**
 * The messages that one datagram from the kernel holds.
 *
 * @throws {RangeError} If a message's length does not fit the datagram.
 */
export function parseNetlinkMessages(datagram: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + netlinkHeaderBytes <= datagram.length;) {
    const length = readUint32(datagram, at + Offset.length);
    if (length < netlinkHeaderBytes || at + length > datagram.length) {
      throw new RangeError(
        `Cannot read the netlink message: its length is ${length}, ${datagram.length - at} are there`,
      );
    }
    messages.push({
      type: readUint16(datagram, at + Offset.type),
      flags: readUint16(datagram, at + Offset.flags),
      sequence: readUint32(datagram, at + Offset.sequence),
      payload: datagram.subarray(at + netlinkHeaderBytes, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The attributes that follow a fixed structure of `from` bytes, by type. Reading ends at one that does not fit. */
export function parseAttributes(payload: Uint8Array, from: number): Map<number, Uint8Array> {
  return new Map(parseAttributeList(payload, from));
}

/** As {@linkcode parseAttributes}, with those that come several times, in their order. */
export function parseAttributeList(payload: Uint8Array, from: number): [type: number, value: Uint8Array][] {
  const attributes: [type: number, value: Uint8Array][] = [];
  for (let at = align(from); at + 4 <= payload.length;) {
    const length = readUint16(payload, at);
    if (length < 4 || at + length > payload.length) break;
    attributes.push([readUint16(payload, at + 2) & attributeTypeMask, payload.subarray(at + 4, at + length)]);
    at += align(length);
  }
  return attributes;
}

/** What an error message ({@linkcode NetlinkType}`.error`, or `.done` at the end of a dump) says. */
export function parseNetlinkError(message: NetlinkMessage): NetlinkError {
  const errno = -(readUint32(message.payload) | 0);
  if ((message.flags & NetlinkFlag.acknowledgeAttributes) === 0) return { errno, text: undefined };
  // Behind the errno, an error message quotes the request, or its header alone; the end of a dump quotes nothing.
  const quoted = message.type !== NetlinkType.error
    ? 0
    : message.flags & NetlinkFlag.capped
    ? netlinkHeaderBytes
    : readUint32(message.payload, 4);
  const text = parseAttributes(message.payload, 4 + quoted).get(errorTextAttribute);
  return { errno, text: text === undefined ? undefined : decodeCString(text) };
}

/** The text of an attribute that ends in a zero byte. */
export function decodeCString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function align(length: number): number {
  return (length + 3) & ~3;
}
