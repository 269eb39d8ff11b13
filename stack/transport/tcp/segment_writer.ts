/**
 * Turns a connection's decision to send into a segment: options, header, payload, checksum.
 *
 * @module
 */

import { Offload } from "../../link/segmentation.ts";
import type { PacketPool } from "../../packet.ts";
import { Verdict } from "../../protocol.ts";
import { add } from "../../sequence.ts";
import type { Path } from "../../network/path.ts";
import { finishChecksum } from "../outgoing_checksum.ts";
import { Codepoint, type Ecn } from "./ecn.ts";
import type { FastOpenOption } from "./fast_open.ts";
import { Flag, maximumHeaderBytes, minimumHeaderBytes, TcpField, writeHeader } from "./header.ts";
import {
  fastOpenOptionBytes,
  maximumSackBlocks,
  sackBytes,
  timestampsBytes,
  writeFastOpen,
  writeMaximumSegmentSize,
  writePaddedTimestamps,
  writePadding,
  writeSack,
  writeSackPermitted,
  writeTimestamps,
  writeWindowScale,
} from "./options.ts";
import type { Receiver } from "./receive.ts";
import type { Sender } from "./send.ts";
import type { TcpTrace } from "./trace.ts";
import type { UserConnection } from "./user.ts";

/** The longest IP packet, in bytes: what a length field of 16 bits can say. */
const largestPacket = 65535;

/** So many bytes at least are sent from the send buffer without a copy, where the device can: fewer are copied faster. */
const smallestLoan = 4096;

/** What a SYN offers. */
export interface SynOffer {
  /** Whether timestamps are in use, or offered by our SYN. */
  readonly timestamps: boolean;
  /** Whether selective acknowledgements are in use, or offered by our SYN. */
  readonly selective: boolean;
  /** Whether windows are scaled, or the scale offered by our SYN. */
  readonly windowScaling: boolean;
  /** The maximum segment size that our SYN announces, in bytes. */
  readonly announcedSegmentBytes: number;
  /** Our clock as timestamps show it. */
  readonly timestampNow: number;
  /** The Fast Open option, or null for none. */
  readonly fastOpenOption: FastOpenOption | null;
}

/** A connection, as far as its segments show it. */
export interface SegmentSource extends UserConnection, SynOffer {
  /** The way to the peer. */
  readonly path: Path;
  /** The sending half. */
  readonly sender: Sender;
  /** The receiving half. */
  readonly receiver: Receiver;
  /** Explicit congestion notification, or null when it is not in use. */
  readonly ecn: Ecn | null;
  /** Who watches, if anybody. */
  readonly trace: TcpTrace | null;
  /** Segments sent. */
  segmentsSent: number;
}

/** Writes the segments of all connections. */
export class SegmentWriter {
  readonly #pool: PacketPool;
  readonly #headroom: number;
  readonly #sackEdges = new Int32Array(2 * maximumSackBlocks);

  /** Takes packets from `pool`, with `headroom` bytes in front of the payload for the headers of all layers. */
  constructor(pool: PacketPool, headroom: number) {
    this.#pool = pool;
    this.#headroom = headroom;
  }

  /**
   * Sends a segment of a connection with `length` bytes of its send buffer from `sequence` on; `fresh` says that they are
   * sent for the first time.
   */
  write(connection: SegmentSource, flags: number, sequence: number, length: number, fresh: boolean): Verdict {
    const { sender, receiver, path, ecn } = connection;
    const packet = this.#pool.allocate(this.#headroom, length);
    if (packet === null) return Verdict.dropped;
    const syn = (flags & Flag.syn) !== 0;
    const ack = (flags & Flag.ack) !== 0;
    // What a SYN carries (RFC 7413) begins behind it.
    const from = syn ? add(sequence, 1) : sequence;
    // Who watches may want to see all of it.
    if (length >= smallestLoan && path.nic.device.gathers === true && connection.trace === null) {
      sender.buffer.lend(from, packet, length);
    } else {
      sender.buffer.copy(from, packet, packet.head, length);
      packet.tail = packet.head + length;
    }
    let blocks = 0;
    if (ack && !syn && receiver.sackBlocks > 0) {
      const room = sender.segmentBytes - length - sackBytes(0) - 4;
      if (room >= 8) blocks = Math.min(receiver.writeSackBlocks(this.#sackEdges), Math.floor(room / 8));
    }
    const timestamps = connection.timestamps && (flags & Flag.rst) === 0 || connection.timestamps && ack;
    const header = minimumHeaderBytes + (syn ? synOptionBytes(connection) : timestamps ? timestampsBytes : 0) +
      sackBytes(blocks);
    const at = packet.push(header);
    const window = (flags & Flag.rst) !== 0 ? 0 : syn ? receiver.synWindow : receiver.announce(true);
    writeHeader(
      packet.view,
      at,
      connection.local.port,
      connection.remote.port,
      sequence,
      ack ? receiver.rcvNxt : 0,
      header,
      flags,
      window,
    );
    let optionAt = at + TcpField.options;
    if (syn) writeSynOptions(packet.view, optionAt, connection, receiver.windowScale, receiver.recentTimestamp);
    else if (timestamps) {
      optionAt = writePaddedTimestamps(packet.view, optionAt, connection.timestampNow, receiver.recentTimestamp);
    }
    if (blocks > 0) writeSack(packet.view, optionAt, this.#sackEdges, blocks);
    if (ack) receiver.acknowledged();
    if (ecn !== null && !syn) packet.view.setUint8(at + TcpField.flags, flags | ecn.flagsFor(fresh));
    packet.transportAt = at;
    if (length > sender.segmentBytes && !syn) {
      packet.segmentBytes = sender.segmentBytes;
      connection.segmentsSent += Math.ceil(length / sender.segmentBytes);
    } else connection.segmentsSent++;
    finishChecksum(packet, TcpField.checksum, path);
    connection.trace?.segment?.(connection, "sent", packet);
    if (ecn === null || !fresh) return path.network.push(packet, path);
    // RFC 3168 section 6.1: new data only, neither what is sent again nor acknowledgements.
    const { trafficClass } = path;
    path.trafficClass = (trafficClass & ~3) | Codepoint.capable0;
    const verdict = path.network.push(packet, path);
    path.trafficClass = trafficClass;
    return verdict;
  }

  /**
   * Answers a received segment that belongs to no connection with RST (RFC 9293 section 3.10.7.1), along `path`.
   */
  writeReset(
    path: Path,
    localPort: number,
    remotePort: number,
    flags: number,
    sequence: number,
    acknowledgement: number,
  ): Verdict {
    const packet = this.#pool.allocate(this.#headroom, 0);
    if (packet === null) return Verdict.dropped;
    const at = packet.push(minimumHeaderBytes);
    writeHeader(packet.view, at, localPort, remotePort, sequence, acknowledgement, minimumHeaderBytes, flags, 0);
    packet.transportAt = at;
    finishChecksum(packet, TcpField.checksum, path);
    return path.network.push(packet, path);
  }

  /** Sends SYN and ACK without a connection's help: a cookie. `offer` says the shift count and the echo, too. */
  writeSynAcknowledgement(
    path: Path,
    localPort: number,
    remotePort: number,
    sequence: number,
    acknowledgement: number,
    window: number,
    offer: SynOffer & { readonly windowScale: number; readonly recentTimestamp: number },
  ): Verdict {
    const packet = this.#pool.allocate(this.#headroom, 0);
    if (packet === null) return Verdict.dropped;
    const header = minimumHeaderBytes + synOptionBytes(offer);
    const at = packet.push(header);
    const flags = Flag.syn | Flag.ack;
    writeHeader(packet.view, at, localPort, remotePort, sequence, acknowledgement, header, flags, window);
    writeSynOptions(packet.view, at + TcpField.options, offer, offer.windowScale, offer.recentTimestamp);
    packet.transportAt = at;
    finishChecksum(packet, TcpField.checksum, path);
    return path.network.push(packet, path);
  }

  /** Sends an acknowledgement without a connection's help: what TIME-WAIT answers with. */
  writeAcknowledgement(
    path: Path,
    localPort: number,
    remotePort: number,
    sequence: number,
    acknowledgement: number,
    window: number,
    timestampValue: number,
    timestampEcho: number,
    timestamps: boolean,
  ): Verdict {
    const packet = this.#pool.allocate(this.#headroom, 0);
    if (packet === null) return Verdict.dropped;
    const header = minimumHeaderBytes + (timestamps ? timestampsBytes : 0);
    const at = packet.push(header);
    writeHeader(packet.view, at, localPort, remotePort, sequence, acknowledgement, header, Flag.ack, window);
    if (timestamps) {
      writePaddedTimestamps(packet.view, at + TcpField.options, timestampValue, timestampEcho);
    }
    packet.transportAt = at;
    finishChecksum(packet, TcpField.checksum, path);
    return path.network.push(packet, path);
  }
}

/**
 * The maximum segment size that our SYN announces along a path: what a packet carries besides the fixed headers
 * (RFC 9293 section 3.7.1).
 */
export function announcedSegmentBytes(path: Path): number {
  return Math.min(65535, path.nic.mtu - path.network.fixedHeaderBytes - minimumHeaderBytes);
}

/** Most payload bytes of a super-segment along a path, or 0 where its device cuts none. */
export function largestSuperSegment(path: Path): number {
  const offload = path.network.family === 6 ? Offload.tcp6 : Offload.tcp4;
  if ((path.nic.offloads & offload) === 0) return 0;
  return largestPacket - path.network.fixedHeaderBytes - maximumHeaderBytes;
}

/** Bytes of the options of a SYN: maximum segment size, SACK-permitted with timestamps, window scale. */
function synOptionBytes(offer: SynOffer): number {
  const pair = offer.timestamps ? timestampsBytes : offer.selective ? 4 : 0;
  const { fastOpenOption: fastOpen } = offer;
  const cookie = fastOpen === null ? 0 : fastOpenOptionBytes(fastOpen.cookie?.length ?? 0, fastOpen.experimental);
  return 4 + pair + (offer.windowScaling ? 4 : 0) + cookie;
}

function writeSynOptions(
  view: DataView,
  at: number,
  offer: SynOffer,
  windowScale: number,
  recentTimestamp: number,
): void {
  at = writeMaximumSegmentSize(view, at, offer.announcedSegmentBytes);
  if (offer.timestamps && offer.selective) {
    at = writeTimestamps(view, writeSackPermitted(view, at), offer.timestampNow, recentTimestamp);
  } else if (offer.timestamps) {
    at = writePaddedTimestamps(view, at, offer.timestampNow, recentTimestamp);
  } else if (offer.selective) {
    at = writeSackPermitted(view, writePadding(view, at, 2));
  }
  if (offer.windowScaling) at = writeWindowScale(view, at, windowScale);
  const { fastOpenOption: fastOpen } = offer;
  if (fastOpen !== null) writeFastOpen(view, at, fastOpen.cookie, fastOpen.experimental);
}
