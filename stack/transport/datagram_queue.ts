/**
 * The receive queue of a datagram socket: bytes and senders in two rings, so that nothing is allocated per datagram.
 *
 * @module
 */

import type { Family, IpAddress } from "../address.ts";
import type { Packet } from "../packet.ts";
import type { AddressCache } from "./address_cache.ts";

/** Where the parts of a record stand. */
const RecordOffset = { length: 0, port: 4, family: 6, address: 8 } as const;

/** What a datagram costs besides its payload. It counts towards the limit: empty datagrams cannot wait without end. */
const recordBytes = 24;

/** Datagrams that wait, oldest first. Memory is taken on first use and grows up to the limit. */
export class DatagramQueue {
  /** Most bytes that may wait, senders included. */
  limitBytes: number;
  #payload = new Uint8Array(0);
  /** Where the oldest payload byte stands. */
  #payloadAt = 0;
  #payloadBytes = 0;
  #records = new DataView(new ArrayBuffer(0));
  /** Where the oldest record stands. */
  #recordAt = 0;
  #length = 0;

  /** An empty queue. */
  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** Datagrams that wait. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that count towards the limit. */
  get usedBytes(): number {
    return this.#payloadBytes + this.#length * recordBytes;
  }

  /** Payload bytes of the oldest datagram. The queue must not be empty, here and in what follows. */
  get nextLength(): number {
    return this.#records.getUint32(this.#recordAt + RecordOffset.length);
  }

  /** Port of the oldest datagram's sender. */
  get nextPort(): number {
    return this.#records.getUint16(this.#recordAt + RecordOffset.port);
  }

  /** Address of the oldest datagram's sender. */
  nextAddress(cache: AddressCache): IpAddress {
    const family = this.#records.getUint8(this.#recordAt + RecordOffset.family) as Family;
    return cache.at(this.#records, this.#recordAt + RecordOffset.address, family);
  }

  /**
   * Copies the `length` bytes at `at` of a packet, whose addresses have been located, as a datagram from `port`.
   * Returns false when the limit does not allow it.
   */
  enqueue(packet: Packet, at: number, length: number, port: number): boolean {
    if (this.usedBytes + length + recordBytes > this.limitBytes) return false;
    if ((this.#length + 1) * recordBytes > this.#records.byteLength) this.#growRecords();
    const record = (this.#recordAt + this.#length * recordBytes) % this.#records.byteLength;
    this.#records.setUint32(record + RecordOffset.length, length);
    this.#records.setUint16(record + RecordOffset.port, port);
    this.#records.setUint8(record + RecordOffset.family, packet.family);
    for (let byte = 0; byte < (packet.family === 4 ? 4 : 16); byte += 4) {
      this.#records.setUint32(record + RecordOffset.address + byte, packet.view.getUint32(packet.sourceAt + byte));
    }
    if (length > 0) this.#append(packet.bytes, at, length);
    this.#length++;
    return true;
  }

  /**
   * Removes the oldest datagram, of which as much as fits is copied into `target`; the rest is lost. Returns how many
   * bytes were copied.
   */
  dequeue(target: Uint8Array): number {
    const length = this.nextLength;
    const copied = Math.min(length, target.length);
    const untilEnd = Math.min(copied, this.#payload.length - this.#payloadAt);
    target.set(this.#payload.subarray(this.#payloadAt, this.#payloadAt + untilEnd));
    if (untilEnd < copied) target.set(this.#payload.subarray(0, copied - untilEnd), untilEnd);
    this.#payloadBytes -= length;
    // From the start again when empty: payloads then seldom wrap.
    this.#payloadAt = this.#payloadBytes === 0 ? 0 : (this.#payloadAt + length) % this.#payload.length;
    this.#recordAt = (this.#recordAt + recordBytes) % this.#records.byteLength;
    this.#length--;
    return copied;
  }

  /** Forgets all datagrams and gives the memory back. */
  clear(): void {
    this.#payload = new Uint8Array(0);
    this.#records = new DataView(new ArrayBuffer(0));
    this.#payloadAt =
      this.#payloadBytes =
      this.#recordAt =
      this.#length =
        0;
  }

  #append(bytes: Uint8Array, at: number, length: number): void {
    if (this.#payloadBytes + length > this.#payload.length) this.#growPayload(this.#payloadBytes + length);
    const to = (this.#payloadAt + this.#payloadBytes) % this.#payload.length;
    const untilEnd = Math.min(length, this.#payload.length - to);
    this.#payload.set(bytes.subarray(at, at + untilEnd), to);
    if (untilEnd < length) this.#payload.set(bytes.subarray(at + untilEnd, at + length));
    this.#payloadBytes += length;
  }

  #growPayload(needed: number): void {
    let size = Math.max(this.#payload.length, 2048);
    while (size < needed) size *= 2;
    const grown = new Uint8Array(size);
    const untilEnd = Math.min(this.#payloadBytes, this.#payload.length - this.#payloadAt);
    grown.set(this.#payload.subarray(this.#payloadAt, this.#payloadAt + untilEnd));
    grown.set(this.#payload.subarray(0, this.#payloadBytes - untilEnd), untilEnd);
    this.#payload = grown;
    this.#payloadAt = 0;
  }

  #growRecords(): void {
    const records = new Uint8Array(this.#records.buffer);
    const grown = new Uint8Array(Math.max(records.length * 2, 16 * recordBytes));
    grown.set(records.subarray(this.#recordAt));
    grown.set(records.subarray(0, this.#recordAt), records.length - this.#recordAt);
    this.#records = new DataView(grown.buffer);
    this.#recordAt = 0;
  }
}
