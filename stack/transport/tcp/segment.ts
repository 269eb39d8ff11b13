/**
 * A received segment, as the modules of TCP look at it.
 *
 * @module
 */

import type { Packet } from "../../packet.ts";
import { add } from "../../sequence.ts";
import {
  acknowledgementNumber,
  Flag,
  flags,
  headerBytes,
  sequenceNumber,
  urgentPointer,
  windowField,
} from "./header.ts";
import { TcpOptions } from "./options.ts";

/** The fields of the segment under treatment. One object is made and filled again for each segment. */
export class Segment {
  /** The packet that carries it. Owned by whoever handles the segment. */
  packet!: Packet;
  /** SEG.SEQ: the sequence number of the first byte of data, or of SYN. */
  sequence: number = 0;
  /** SEG.ACK; counts only when `ack` is set. */
  acknowledgement: number = 0;
  /** The window field, not scaled. */
  window: number = 0;
  /** All control bits; see `Flag`. */
  flags: number = 0;
  /** Offset of the data in the packet. */
  dataAt: number = 0;
  /** Bytes of data. */
  length: number = 0;
  /** When it arrived, in milliseconds. */
  arrivedAt: number = 0;
  /** What the options say. */
  readonly options: TcpOptions = new TcpOptions();

  /**
   * Reads the header at `packet.transportAt`, whose lengths have been checked, with its options: any segment may have
   * some (RFC 9293 section 3.1).
   */
  load(packet: Packet): void {
    const { view, transportAt } = packet;
    const header = headerBytes(view, transportAt);
    this.packet = packet;
    this.sequence = sequenceNumber(view, transportAt) | 0;
    this.acknowledgement = acknowledgementNumber(view, transportAt) | 0;
    this.window = windowField(view, transportAt);
    this.flags = flags(view, transportAt);
    this.dataAt = transportAt + header;
    this.length = packet.tail - this.dataAt;
    this.arrivedAt = packet.arrivedAt;
    this.options.parse(view, transportAt + 20, this.dataAt);
  }

  /** Whether SYN is set. */
  get syn(): boolean {
    return (this.flags & Flag.syn) !== 0;
  }

  /** Whether ACK is set. */
  get ack(): boolean {
    return (this.flags & Flag.ack) !== 0;
  }

  /** Whether FIN is set. */
  get fin(): boolean {
    return (this.flags & Flag.fin) !== 0;
  }

  /** Whether RST is set. */
  get rst(): boolean {
    return (this.flags & Flag.rst) !== 0;
  }

  /** Whether URG is set. */
  get urg(): boolean {
    return (this.flags & Flag.urg) !== 0;
  }

  /** How far behind its first byte urgent data end; counts only when `urg` is set. */
  get urgentPointer(): number {
    return urgentPointer(this.packet.view, this.packet.transportAt);
  }

  /** SEG.LEN: data, SYN and FIN. */
  get sequenceLength(): number {
    return this.length + (this.syn ? 1 : 0) + (this.fin ? 1 : 0);
  }

  /** The sequence number behind data and FIN, for a segment without SYN. */
  get end(): number {
    return add(this.sequence, this.length + (this.fin ? 1 : 0));
  }
}
