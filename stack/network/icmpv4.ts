/**
 * The Internet Control Message Protocol for IPv4 (RFC 792, RFC 1122 section 3.2.2): answers echo requests, reports
 * errors, and passes reported errors on to the transport that they are about.
 *
 * @module
 */

import { checksum, update, verify } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import { ChecksumState, type Packet, type PacketPool } from "../packet.ts";
import { type ErrorEvent, ErrorKind, type TransportProtocol, Verdict } from "../protocol.ts";
import type { Timers } from "../timers.ts";
import type { Addresses } from "./addresses.ts";
import { codeOf, errorKindOf, typeOf } from "./icmpv4_errors.ts";
import {
  icmpCodeAt,
  icmpTypeAt,
  Icmpv4Field,
  icmpv4HeaderBytes,
  Icmpv4Type,
  isErrorType,
  nextHopMtuAt,
} from "./icmpv4_header.ts";
import type { ErrorReporter, Ipv4 } from "./ipv4.ts";
import {
  fragmentOffsetAt,
  headerBytesAt,
  Ipv4Field,
  ipv4HeaderBytes,
  isHostWord,
  protocolAt,
  sourceWordAt,
  versionAt,
} from "./ipv4_header.ts";
import type { Path } from "./path.ts";
import { TokenBucket } from "../token_bucket.ts";

/** ICMP's protocol number. */
const icmpNumber = 1;

/** The traffic class without the two bits of ECN (RFC 3168 section 5). */
const dscpMask = 0xfc;

/** Bytes of transport header that every error quotes at least (RFC 792). */
const quotedTransportBytes = 8;

/** The most bytes of a packet that an error quotes, so that it fits in 576 bytes (RFC 1812 section 4.3.2.3). */
const quotedBytes = 576 - ipv4HeaderBytes - icmpv4HeaderBytes;

/** Who sends echo requests and is told what became of them. */
export interface EchoListener {
  /**
   * An echo reply has come: `packet.transportAt` is the offset of its ICMP header, which has been verified. Only looks
   * at the packet. Returns whether somebody waits for it.
   */
  reply(packet: Packet): boolean;
  /** An error about an echo request of ours has come: `event.packet.transportAt` is the quoted ICMP header. */
  control(event: ErrorEvent): void;
}

/** What ICMPv4 counts. */
export interface Icmpv4Counters {
  /** Messages received. */
  received: number;
  /** Dropped: shorter than a header. */
  truncated: number;
  /** Dropped: the checksum is wrong. */
  badChecksum: number;
  /** Echo requests answered. */
  echoAnswered: number;
  /** Dropped: echo requests to many, which would make many answers (RFC 1122 section 3.2.2.6). */
  echoToMany: number;
  /** Dropped: echo requests that there is no way to answer. */
  noReplyPath: number;
  /** Echo replies received. */
  echoReplies: number;
  /** Dropped: echo replies that nobody waits for. */
  strayReplies: number;
  /** Errors received and passed on. */
  errorsReceived: number;
  /** Dropped: errors whose quoted packet is cut short or was not sent by us. */
  badQuote: number;
  /** Dropped: other messages. */
  unhandledType: number;
  /** Errors sent. */
  errorsSent: number;
  /** Errors not sent because the packet must not be answered (RFC 1122 section 3.2.2). */
  errorsSuppressed: number;
  /** Errors not sent because of the rate limit. */
  rateLimited: number;
  /** Errors not sent because the packet pool was exhausted. */
  noPacket: number;
}

/** What ICMPv4 is wired to. */
export interface Icmpv4Options {
  /** The protocol below. */
  network: Ipv4;
  /** Which addresses are ours. */
  addresses: Addresses;
  /** Who sends echo requests. Default: nobody. */
  echo?: EchoListener | null;
  /** Where packets for errors come from. */
  pool: PacketPool;
  /** The stack's timers and clock. */
  timers: Timers;
  /** Where to count. */
  counters: Counters;
  /** Bytes that the protocols below IPv4 may push in front of a packet. */
  headroom: number;
  /** Errors sent a second on average, and at once (RFC 1812 section 4.3.2.8). Default 1000 and 50. */
  rateLimit?: { perSecond: number; burst: number };
}

/**
 * ICMPv4. It makes itself the error reporter of the IPv4 that it is given; registering it as a transport protocol is
 * the caller's business.
 */
export class Icmpv4 implements TransportProtocol, ErrorReporter {
  /** `icmpv4` */
  readonly name: string = "icmpv4";
  /** 1 */
  readonly protocolNumber: number = icmpNumber;
  /** What it counts. */
  readonly counters: Icmpv4Counters;
  readonly #network: Ipv4;
  readonly #addresses: Addresses;
  readonly #echo: EchoListener | null;
  readonly #pool: PacketPool;
  readonly #headroom: number;
  readonly #bucket: TokenBucket;
  /** The error that is being passed on; nothing is allocated per message. */
  #event: ErrorEvent | null = null;

  /** Takes its wiring. */
  constructor(options: Icmpv4Options) {
    const { perSecond, burst } = options.rateLimit ?? { perSecond: 1000, burst: 50 };
    this.#network = options.network;
    this.#addresses = options.addresses;
    this.#echo = options.echo ?? null;
    this.#pool = options.pool;
    this.#headroom = options.headroom;
    this.#bucket = new TokenBucket(options.timers.clock, perSecond, burst);
    this.counters = options.counters.register("icmpv4", {
      received: 0,
      truncated: 0,
      badChecksum: 0,
      echoAnswered: 0,
      echoToMany: 0,
      noReplyPath: 0,
      echoReplies: 0,
      strayReplies: 0,
      errorsReceived: 0,
      badQuote: 0,
      unhandledType: 0,
      errorsSent: 0,
      errorsSuppressed: 0,
      rateLimited: 0,
      noPacket: 0,
    });
    options.network.reporter = this;
  }

  /** Checks a message, and answers it or passes it on. */
  pop(packet: Packet): Verdict {
    const { view, head: at, length } = packet;
    this.counters.received++;
    if (length < icmpv4HeaderBytes) {
      this.counters.truncated++;
      return drop(packet);
    }
    if (!packet.looped && packet.checksum !== ChecksumState.verified && !verify(view, at, length)) {
      this.counters.badChecksum++;
      return drop(packet);
    }
    packet.transportAt = at;
    const type = icmpTypeAt(view, at);
    const code = icmpCodeAt(view, at);
    if (type === Icmpv4Type.echoRequest && code === 0) return this.#answerEcho(packet, at);
    if (type === Icmpv4Type.echoReply && code === 0) return this.#passReply(packet);
    const kind = errorKindOf(type, code);
    if (kind !== null) return this.#passError(packet, kind);
    this.counters.unhandledType++;
    return drop(packet);
  }

  /** Takes note of an error about a message that we sent: only echo requests have a sender who wants to know. */
  control(event: ErrorEvent): void {
    const { view, transportAt } = event.packet;
    if (icmpTypeAt(view, transportAt) === Icmpv4Type.echoRequest) this.#echo?.control(event);
  }

  /** As {@linkcode ErrorReporter.report}. */
  report(packet: Packet, kind: ErrorKind, detail: number): Verdict {
    if (!mayBeAnswered(packet)) {
      this.counters.errorsSuppressed++;
      return drop(packet);
    }
    if (!this.#bucket.take()) {
      this.counters.rateLimited++;
      return drop(packet);
    }
    const path = this.#errorPath(packet);
    if (path === null) {
      this.counters.errorsSuppressed++;
      return drop(packet);
    }
    const quoted = Math.min(packet.tail - packet.networkAt, quotedBytes);
    const error = this.#pool.allocate(this.#headroom + ipv4HeaderBytes + icmpv4HeaderBytes, quoted);
    if (error === null) {
      this.counters.noPacket++;
      return drop(packet);
    }
    error.bytes.set(packet.bytes.subarray(packet.networkAt, packet.networkAt + quoted), error.head);
    error.tail = error.head + quoted;
    packet.release();
    const at = error.push(icmpv4HeaderBytes);
    const { view } = error;
    view.setUint8(at + Icmpv4Field.type, typeOf(kind));
    view.setUint8(at + Icmpv4Field.code, codeOf(kind, detail));
    view.setUint16(at + Icmpv4Field.checksum, 0);
    view.setUint32(at + Icmpv4Field.identifier, 0);
    if (kind === ErrorKind.packetTooBig) view.setUint16(at + Icmpv4Field.mtu, detail);
    view.setUint16(at + Icmpv4Field.checksum, checksum(view, at, error.length));
    this.counters.errorsSent++;
    return this.#network.push(error, path);
  }

  /** Turns a request into its reply where it stands. */
  #answerEcho(packet: Packet, at: number): Verdict {
    if (packet.multicast) {
      this.counters.echoToMany++;
      return drop(packet);
    }
    const path = this.#network.replyPath(packet, icmpNumber);
    if (path === null) {
      this.counters.noReplyPath++;
      return drop(packet);
    }
    const { view } = packet;
    const before = view.getUint16(at + Icmpv4Field.checksum);
    view.setUint8(at + Icmpv4Field.type, Icmpv4Type.echoReply);
    const after = update(before, Icmpv4Type.echoRequest << 8, Icmpv4Type.echoReply << 8);
    // Of a reply that is zero throughout, RFC 1624's sum comes out as the wrong one of two zeros; 0xffff fits any reply.
    view.setUint16(at + Icmpv4Field.checksum, after || 0xffff);
    this.counters.echoAnswered++;
    // RFC 1349 section 5.1: a reply has the request's type of service. The path is shared with the errors, which do not.
    path.trafficClass = packet.trafficClass & dscpMask;
    const verdict = this.#network.push(packet, path);
    path.trafficClass = 0;
    return verdict;
  }

  #passReply(packet: Packet): Verdict {
    const awaited = this.#echo?.reply(packet) ?? false;
    packet.release();
    if (awaited) this.counters.echoReplies++;
    else this.counters.strayReplies++;
    return awaited ? Verdict.done : Verdict.dropped;
  }

  /** Tells the transport whose packet is quoted. */
  #passError(packet: Packet, kind: ErrorKind): Verdict {
    const { view, transportAt: at } = packet;
    const type = icmpTypeAt(view, at);
    const code = icmpCodeAt(view, at);
    const mtu = kind === ErrorKind.packetTooBig ? nextHopMtuAt(view, at) : 0;
    const quotedAt = at + Icmpv4Field.payload;
    if (packet.multicast || !this.#isOurs(packet, quotedAt)) {
      this.counters.badQuote++;
      return drop(packet);
    }
    packet.sourceAt = quotedAt + Ipv4Field.source;
    packet.destinationAt = quotedAt + Ipv4Field.destination;
    packet.protocol = protocolAt(view, quotedAt);
    packet.transportAt = quotedAt + headerBytesAt(view, quotedAt);
    this.counters.errorsReceived++;
    const event = this.#event ??= { kind, type, code, mtu, packet };
    event.kind = kind;
    event.type = type;
    event.code = code;
    event.mtu = mtu;
    event.packet = packet;
    this.#network.transport(packet.protocol)?.control(event);
    packet.release();
    return Verdict.done;
  }

  /** Whether the packet quoted at `at` is whole enough to be recognised, and can have been sent by us. */
  #isOurs(packet: Packet, at: number): boolean {
    const { view, tail } = packet;
    if (tail - at < ipv4HeaderBytes + quotedTransportBytes || versionAt(view, at) !== 4) return false;
    const header = headerBytesAt(view, at);
    if (header < ipv4HeaderBytes || tail - at < header + quotedTransportBytes) return false;
    // Another fragment than the first does not say which connection it belongs to.
    return fragmentOffsetAt(view, at) === 0 && this.#network.sendsFrom(packet, at + Ipv4Field.source);
  }

  /** The way back to the sender of a packet: from the address it was sent to where that is ours. */
  #errorPath(packet: Packet): Path | null {
    const { view, destinationAt } = packet;
    if (this.#addresses.isOwnAt(4, view, destinationAt) || this.#network.forward === null) {
      return this.#network.replyPath(packet, icmpNumber);
    }
    // RFC 1812 section 4.3.2.4: a router reports errors from an address of its own.
    return this.#network.forwarderPath(packet, icmpNumber);
  }
}

/** RFC 1122 section 3.2.2: errors are never reported about these. */
function mayBeAnswered(packet: Packet): boolean {
  const { view, networkAt: at, tail } = packet;
  if (packet.multicast || fragmentOffsetAt(view, at) !== 0 || !isHostWord(sourceWordAt(view, at))) return false;
  if (protocolAt(view, at) !== icmpNumber) return true;
  const type = at + headerBytesAt(view, at);
  return type < tail && !isErrorType(icmpTypeAt(view, type));
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
