/**
 * A link whose packets travel in the messages of a channel: a WebSocket, a MessagePort, whatever carries messages in
 * order.
 *
 * @module
 */

import type { MacAddress } from "../address.ts";
import { type Packet, PacketQueue } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import { readRecord, recordHeaderBytes, recordLength, writeRecord } from "./channel_frames.ts";
import type { Device, DeviceHost } from "./device.ts";
import { longestPacket, Offload } from "./segmentation.ts";

/** What carries the messages of a {@linkcode ChannelDevice}. */
export interface MessageChannel {
  /** Bytes that were handed over and have not left yet. */
  readonly bufferedBytes: number;
  /** Takes a message, which is the channel's from now on. Never throws. */
  send(message: Uint8Array<ArrayBuffer>): void;
}

/** Options of {@linkcode ChannelDevice}. */
export interface ChannelDeviceOptions {
  /** Name for people. Default `channel0`. */
  name?: string;
  /** The most bytes of a packet. Default 1400. */
  mtu?: number;
  /** Bytes in the channel from which on packets wait. Default 256 KiB. */
  bufferBytes?: number;
  /** Packets that wait for the channel at most. Default 256. */
  queuePackets?: number;
  /** Their bytes at most. Default 1 MiB. */
  queueBytes?: number;
}

/** What became of packets that did not get through. */
export interface ChannelDeviceCounters {
  /** Messages, or their rest, that hold no packet. */
  receiveMalformed: number;
  /** Packets that are longer than the MTU allows. */
  receiveOversized: number;
  /** Packets for which no memory was free. */
  receiveNoPacket: number;
  /** Packets that found too many others waiting to be received. */
  receiveQueueFull: number;
  /** Packets that found too many others waiting for the channel. */
  transmitQueueFull: number;
  /** Packets that are longer than the MTU allows. */
  transmitOversized: number;
  /** Packets that found no channel. */
  transmitDown: number;
}

/** What was handed to channels. */
export interface ChannelTraffic {
  /** Packets. */
  sentPackets: number;
  /** Their bytes. */
  sentBytes: number;
}

/** The longest packet, which may be a super-segment. */
const mostPacketBytes = 64 * 1024;

/** Packets that are put into one message while they come to no more than this together. */
const messageBytes = 64 * 1024;

/** Bytes that wait to be received at most. */
const receiveBytes = 4 * 1024 * 1024;

/**
 * One end of a link of bare IP packets over a channel. It outlives its channels: {@linkcode ChannelDevice.open} gives it
 * one, which may be lost and replaced while connections go on.
 *
 * Packets wait until {@linkcode Device.flush}, so that those of one batch share a message. A channel that is slow is not
 * waited for: what its queue has no room for is dropped and counted.
 */
export class ChannelDevice implements Device {
  /** Name for people. */
  readonly name: string;
  /** Packets have no link header. */
  readonly medium = "ip" as const;
  /** There are no hardware addresses. */
  readonly address: MacAddress | null = null;
  /** Nothing goes in front of a packet in its slot. */
  readonly headerBytes: number = 0;
  /** False: what arrives comes from elsewhere. */
  readonly loopback: boolean = false;
  /** The other end takes unfinished checksums and super-segments. */
  readonly offloads: number = Offload.checksum | Offload.tcp4 | Offload.tcp6 | Offload.ecn;
  /** What became of packets that did not get through. */
  readonly counters: ChannelDeviceCounters = {
    receiveMalformed: 0,
    receiveOversized: 0,
    receiveNoPacket: 0,
    receiveQueueFull: 0,
    transmitQueueFull: 0,
    transmitOversized: 0,
    transmitDown: 0,
  };
  /** What was handed to channels. */
  readonly traffic: ChannelTraffic = { sentPackets: 0, sentBytes: 0 };
  readonly #bufferBytes: number;
  readonly #queuePackets: number;
  readonly #queueBytes: number;
  readonly #waiting = new PacketQueue();
  readonly #inbox = new PacketQueue();
  #mtu: number;
  #channel: MessageChannel | null = null;
  #host: DeviceHost | null = null;

  /**
   * An end without a channel.
   *
   * @throws {RangeError} If the MTU is not 68 to 65535 bytes.
   */
  constructor(options: ChannelDeviceOptions = {}) {
    this.name = options.name ?? "channel0";
    this.#mtu = checkMtu(options.mtu ?? 1400);
    this.#bufferBytes = options.bufferBytes ?? 256 * 1024;
    this.#queuePackets = options.queuePackets ?? 256;
    this.#queueBytes = options.queueBytes ?? 1024 * 1024;
  }

  /** The most bytes of a packet. */
  get mtu(): number {
    return this.#mtu;
  }

  set mtu(mtu: number) {
    if (checkMtu(mtu) === this.#mtu) return;
    this.#mtu = mtu;
    this.#host?.linkChanged();
  }

  /** Whether packets wait that the channel would take. */
  get wantsWrite(): boolean {
    return this.#waiting.length > 0 && this.#hasRoom;
  }

  /** Packets that wait for the channel. */
  get queueLength(): number {
    return this.#waiting.length;
  }

  /** Whether a packet of any length would be taken now. */
  get accepts(): boolean {
    const { length, bytes } = this.#waiting;
    return length < this.#queuePackets && bytes + mostPacketBytes <= this.#queueBytes;
  }

  get #hasRoom(): boolean {
    return this.#channel !== null && this.#channel.bufferedBytes < this.#bufferBytes;
  }

  /** As {@linkcode Device.attach}. */
  attach(host: DeviceHost): void {
    this.#host = host;
  }

  /** Gives it a channel, in place of the one it has. Packets that wait go that way. */
  open(channel: MessageChannel): void {
    this.#channel = channel;
    if (this.#waiting.length > 0) this.#host?.wake();
  }

  /** Takes the channel away: until there is another one, what is to be sent is dropped. */
  shut(): void {
    this.#channel = null;
    this.counters.transmitDown += this.#waiting.length;
    this.#waiting.clear();
  }

  /** To be called when the channel has sent something: there may be room again. */
  drained(): void {
    if (this.wantsWrite) this.#host?.wake();
  }

  /** To be called with every message from the other end. What is no packet is dropped and counted. */
  deliver(message: Uint8Array): void {
    const host = this.#host;
    if (host === null) return;
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const wasEmpty = this.#inbox.length === 0;
    for (let at = 0; at < message.length;) {
      const length = recordLength(view, at);
      if (length < 0) {
        this.counters.receiveMalformed++;
        break;
      }
      this.#receiveRecord(host, message, view, at, length);
      at += recordHeaderBytes + length;
    }
    if (wasEmpty && this.#inbox.length > 0) host.wake();
  }

  #receiveRecord(host: DeviceHost, message: Uint8Array, view: DataView, at: number, length: number): void {
    const { counters } = this;
    if (this.#inbox.bytes + length > receiveBytes) {
      counters.receiveQueueFull++;
      return;
    }
    const packet = host.pool.allocate(host.headroom, length);
    if (packet === null) {
      counters.receiveNoPacket++;
      return;
    }
    const from = at + recordHeaderBytes;
    packet.bytes.set(message.subarray(from, from + length), packet.head);
    packet.tail = packet.head + length;
    const isRight = readRecord(packet, view, at);
    if (isRight && longestPacket(packet, packet.head) <= this.#mtu) {
      this.#inbox.enqueue(packet);
      return;
    }
    if (isRight) counters.receiveOversized++;
    else counters.receiveMalformed++;
    packet.release();
  }

  /** As {@linkcode Device.receive}. */
  receive(): Packet | null {
    return this.#inbox.dequeue();
  }

  /** As {@linkcode Device.transmit}. */
  transmit(packet: Packet): Verdict {
    const { counters } = this;
    const waiting = this.#waiting;
    if (this.#channel === null) counters.transmitDown++;
    else if (longestPacket(packet, packet.head) > this.#mtu) counters.transmitOversized++;
    else if (waiting.length >= this.#queuePackets || waiting.bytes + packet.length > this.#queueBytes) {
      counters.transmitQueueFull++;
    } else {
      waiting.enqueue(packet);
      if (waiting.length === 1 && this.#hasRoom) this.#host?.wake();
      return Verdict.queued;
    }
    packet.release();
    return Verdict.dropped;
  }

  /** As {@linkcode Device.flush}: packets share messages. */
  flush(): void {
    while (this.wantsWrite) this.#channel!.send(this.#takeMessage());
  }

  /** The packets that wait longest, as many as one message is to hold. */
  #takeMessage(): Uint8Array<ArrayBuffer> {
    const waiting = this.#waiting;
    let packets = 0;
    let bytes = 0;
    for (let packet = waiting.first; packet !== null; packet = packet.next) {
      const more = recordHeaderBytes + packet.length;
      if (packets > 0 && bytes + more > messageBytes) break;
      packets++;
      bytes += more;
    }
    const message = new Uint8Array(bytes);
    const view = new DataView(message.buffer);
    for (let at = 0; packets > 0; packets--) {
      const packet = waiting.dequeue()!;
      this.traffic.sentPackets++;
      this.traffic.sentBytes += packet.length;
      at = writeRecord(packet, message, view, at);
      packet.release();
    }
    return message;
  }

  /** As {@linkcode Device.close}. The channel is whose who gave it. */
  close(): void {
    this.#channel = null;
    this.#host = null;
    this.#waiting.clear();
    this.#inbox.clear();
  }
}

function checkMtu(mtu: number): number {
  if (Number.isInteger(mtu) && mtu >= 68 && mtu <= 65535) return mtu;
  throw new RangeError(`Cannot carry packets of up to ${mtu} bytes: the MTU goes from 68 to 65535`);
}
