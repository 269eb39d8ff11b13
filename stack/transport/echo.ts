/**
 * ICMP echo as a transport (RFC 792, RFC 4443 section 4): sockets that send echo requests and are told of the replies,
 * and of errors about the requests. Answering the requests of others is ICMP's own business.
 *
 * @module
 */

import { type Family, IpAddress } from "../address.ts";
import { addUint16, checksum } from "../checksum.ts";
import type { Counters } from "../counters.ts";
import { makeError } from "../errors.ts";
import type { Networks, Path } from "../network/path.ts";
import type { Packet, PacketPool } from "../packet.ts";
import { type ErrorEvent, ErrorKind, Verdict } from "../protocol.ts";
import { below, type Random } from "../random.ts";

/** Bytes of an echo message's header, which are the same in both families. */
export const echoHeaderBytes = 8;

/** Where the fields of an echo message stand. */
export const EchoOffset = {
  type: 0,
  code: 1,
  checksum: 2,
  identifier: 4,
  sequence: 6,
} as const;

/** What differs between the families. */
interface EchoFormat {
  /** The number of the family's ICMP. */
  readonly protocol: number;
  /** The type of an echo request. */
  readonly request: number;
  /** Whether the checksum covers a pseudo-header (RFC 4443 section 2.3). */
  readonly pseudoHeader: boolean;
  /** Where the TTL or hop limit stands in the network header. */
  readonly timeToLiveAt: number;
  /** Where the source address stands in the network header. */
  readonly sourceAt: number;
}

const formats: Readonly<Record<Family, EchoFormat>> = {
  4: { protocol: 1, request: 8, pseudoHeader: false, timeToLiveAt: 8, sourceAt: 12 },
  6: { protocol: 58, request: 128, pseudoHeader: true, timeToLiveAt: 7, sourceAt: 8 },
};

/** A reply to an echo request. */
export interface EchoReply {
  /** The sequence number of the request. */
  readonly sequence: number;
  /** Who replied. */
  readonly source: IpAddress;
  /** Bytes of the ICMP message, header included. */
  readonly bytes: number;
  /** TTL or hop limit that was left. */
  readonly timeToLive: number;
  /** When it arrived, in milliseconds of the stack's clock. */
  readonly arrivedAt: number;
}

/** An error about an echo request. */
export interface EchoError {
  /** The sequence number of the request. */
  readonly sequence: number;
  /** Who reported the error; one of our own addresses when the stack itself did. */
  readonly source: IpAddress;
  /** What went wrong. */
  readonly kind: ErrorKind;
  /** The ICMP type as it arrived; -1 when the error was raised locally. */
  readonly type: number;
  /** The ICMP code as it arrived; -1 when the error was raised locally. */
  readonly code: number;
  /** Next-hop MTU in bytes for "packet too big", otherwise 0. */
  readonly mtu: number;
}

/** Who is told what comes back. Calls come in the middle of packet handling: note it and return. */
export interface EchoObserver {
  /** A reply has come. */
  replied(reply: EchoReply): void;
  /** An error about a request has come. */
  failed(error: EchoError): void;
}

/** What echo counts. */
export interface EchoCounters {
  /** Requests handed to the network. */
  requests: number;
  /** Replies that a socket was told of. */
  replies: number;
  /** Replies that no socket waits for. */
  strayReplies: number;
  /** Errors about our requests. */
  errors: number;
  /** Requests not sent because the packet pool was exhausted. */
  noPacket: number;
}

/** What echo is built on. */
export interface EchoOptions {
  /** The network protocols below. */
  readonly networks: Networks;
  /** Where packets to send come from. */
  readonly pool: PacketPool;
  /** Chooses identifiers. */
  readonly random: Random;
  /** Where the counters are registered, under `echo`. */
  readonly counters: Counters;
  /** Bytes in front of a payload that the headers of all layers need. */
  readonly headroom: number;
}

/** Settings of an echo socket. */
export interface EchoSocketOptions {
  /** Our address; null to let the network choose. */
  readonly source?: IpAddress | null;
  /** TTL or hop limit of the requests. Default 64. */
  readonly timeToLive?: number;
  /** Bytes of data in each request, 0 to 65,507. Default 56. */
  readonly dataBytes?: number;
  /** What the data repeats. Default the bytes 0, 1, 2, ... */
  readonly pattern?: Uint8Array;
  /** Forbid routers to fragment. Default false. */
  readonly dontFragment?: boolean;
}

/** An echo socket: one identifier and one destination. Made by {@linkcode Echo.open}. */
export class EchoSocket {
  /** Tells this socket's messages from those of others. */
  readonly identifier: number;
  /** Who is told. */
  readonly observer: EchoObserver;
  readonly #path: Path;
  readonly #data: Uint8Array;
  readonly #send: (socket: EchoSocket, path: Path, data: Uint8Array, sequence: number) => Verdict;
  readonly #forget: (socket: EchoSocket) => void;

  /** Made by {@linkcode Echo.open} only. */
  constructor(
    identifier: number,
    observer: EchoObserver,
    path: Path,
    data: Uint8Array,
    send: (socket: EchoSocket, path: Path, data: Uint8Array, sequence: number) => Verdict,
    forget: (socket: EchoSocket) => void,
  ) {
    this.identifier = identifier;
    this.observer = observer;
    this.#path = path;
    this.#data = data;
    this.#send = send;
    this.#forget = forget;
  }

  /** Where the requests go. */
  get destination(): IpAddress {
    return this.#path.destination;
  }

  /** Where the requests come from. */
  get source(): IpAddress {
    return this.#path.source;
  }

  /** Sends a request with a sequence number from 0 to 65535. */
  send(sequence: number): Verdict {
    return this.#send(this, this.#path, this.#data, sequence);
  }

  /** A request was too big for a link of `mtu` bytes (RFC 1191): the next ones are cut, or refused. */
  tooBig(mtu: number): void {
    this.#path.network.lowerMtu(this.#path, mtu);
  }

  /** Stops listening. Does nothing the second time. */
  close(): void {
    this.#forget(this);
  }
}

/**
 * The echo sockets of a stack. The ICMP of each family hands it the echo replies that arrive and the errors that quote
 * an echo request.
 */
export class Echo {
  /** `echo` */
  readonly name = "echo";
  /** 8 */
  readonly headerBytes: number = echoHeaderBytes;
  /** What it counted. */
  readonly counters: EchoCounters;

  readonly #networks: Networks;
  readonly #pool: PacketPool;
  readonly #random: Random;
  readonly #headroom: number;
  readonly #sockets: Readonly<Record<Family, Map<number, EchoSocket>>> = { 4: new Map(), 6: new Map() };

  /** Makes the module; telling ICMP of it is the caller's business. */
  constructor(options: EchoOptions) {
    this.#networks = options.networks;
    this.#pool = options.pool;
    this.#random = options.random;
    this.#headroom = options.headroom;
    this.counters = options.counters.register<EchoCounters>("echo", {
      requests: 0,
      replies: 0,
      strayReplies: 0,
      errors: 0,
      noPacket: 0,
    });
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#sockets[4].size + this.#sockets[6].size;
  }

  /**
   * Opens a socket for echo requests to `destination`.
   *
   * @throws {Error} `NetworkUnreachable` without a route, `AddrInUse` when all 65,536 identifiers are taken.
   */
  open(destination: IpAddress, observer: EchoObserver, options: EchoSocketOptions = {}): EchoSocket {
    const { family } = destination;
    const { source = null, timeToLive = 64, dataBytes = 56, pattern, dontFragment = false } = options;
    const path = this.#networks.of(family)?.findPath({ destination, source, protocol: formats[family].protocol });
    if (path == null) {
      throw makeError("NetworkUnreachable", `Cannot send echo requests to ${destination}: there is no route to it`);
    }
    path.timeToLive = timeToLive;
    path.dontFragment = dontFragment;
    const identifier = this.#chooseIdentifier(family);
    const socket = new EchoSocket(
      identifier,
      observer,
      path,
      Uint8Array.from({ length: dataBytes }, (_, at) => pattern?.length ? pattern[at % pattern.length]! : at),
      (...request) => this.#send(...request),
      ({ identifier, destination }) => this.#sockets[destination.family].delete(identifier),
    );
    this.#sockets[family].set(identifier, socket);
    return socket;
  }

  /**
   * Tells the socket whose request it answers of an echo reply: `packet.transportAt` is the offset of the ICMP header,
   * whose checksum has been verified. Returns whether there is such a socket. Only looks: the packet stays the caller's.
   */
  reply(packet: Packet): boolean {
    const { view, transportAt: at } = packet;
    const family = packet.family as Family;
    const socket = this.#sockets[family].get(view.getUint16(at + EchoOffset.identifier));
    if (socket === undefined) {
      this.counters.strayReplies++;
      return false;
    }
    this.counters.replies++;
    socket.observer.replied({
      sequence: view.getUint16(at + EchoOffset.sequence),
      source: IpAddress.fromBytes(packet.bytes, packet.sourceAt, family),
      bytes: packet.tail - at,
      timeToLive: view.getUint8(packet.networkAt + formats[family].timeToLiveAt),
      arrivedAt: packet.arrivedAt,
    });
    return true;
  }

  /** Tells the socket whose request an error quotes. */
  control(event: ErrorEvent): void {
    const { packet } = event;
    const { view, transportAt: at } = packet;
    const family = packet.family as Family;
    const format = formats[family];
    if (view.getUint8(at + EchoOffset.type) !== format.request) return;
    const socket = this.#sockets[family].get(view.getUint16(at + EchoOffset.identifier));
    // The identifier alone could be guessed: the quoted packet must have gone where this socket sends.
    if (!socket?.destination.matches(view, packet.destinationAt)) return;
    this.counters.errors++;
    if (event.kind === ErrorKind.packetTooBig) socket.tooBig(event.mtu);
    const local = event.type < 0;
    socket.observer.failed({
      sequence: view.getUint16(at + EchoOffset.sequence),
      source: local ? socket.source : IpAddress.fromBytes(packet.bytes, packet.networkAt + format.sourceAt, family),
      kind: event.kind,
      type: event.type,
      code: event.code,
      mtu: event.mtu,
    });
  }

  #send(socket: EchoSocket, path: Path, data: Uint8Array, sequence: number): Verdict {
    const packet = this.#pool.allocate(this.#headroom, data.length);
    if (packet === null) {
      this.counters.noPacket++;
      return Verdict.dropped;
    }
    packet.bytes.set(data, packet.head);
    packet.tail = packet.head + data.length;
    const at = packet.push(echoHeaderBytes);
    const { view, length } = packet;
    const format = formats[path.network.family];
    view.setUint8(at + EchoOffset.type, format.request);
    view.setUint8(at + EchoOffset.code, 0);
    view.setUint16(at + EchoOffset.checksum, 0);
    view.setUint16(at + EchoOffset.identifier, socket.identifier);
    view.setUint16(at + EchoOffset.sequence, sequence);
    const seed = format.pseudoHeader ? addUint16(length, path.pseudoSum) : 0;
    view.setUint16(at + EchoOffset.checksum, checksum(view, at, length, seed));
    packet.transportAt = at;
    this.counters.requests++;
    return path.network.push(packet, path);
  }

  #chooseIdentifier(family: Family): number {
    const sockets = this.#sockets[family];
    const start = below(this.#random, 0x1_0000);
    for (let tried = 0; tried < 0x1_0000; tried++) {
      const identifier = (start + tried) & 0xffff;
      if (!sockets.has(identifier)) return identifier;
    }
    throw makeError("AddrInUse", "Cannot open an echo socket: all 65,536 identifiers are taken");
  }
}
