/**
 * Segments for a listening port (RFC 9293 section 3.10.7.2), and for nobody (section 3.10.7.1): the beginning of a
 * handshake, its end where it was kept in a cookie, and the RST for everything else.
 *
 * @module
 */

import { IpAddress } from "../../address.ts";
import type { Networks, Path } from "../../network/path.ts";
import type { Packet } from "../../packet.ts";
import { Verdict } from "../../protocol.ts";
import { add, later } from "../../sequence.ts";
import type { Endpoint } from "../endpoint.ts";
import type { FlowTable } from "../flow_table.ts";
import { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { encodedSackPermitted, encodedWindowScale, encodeOptions, SynCookies } from "./cookies.ts";
import type { PendingFastOpens } from "./fast_open.ts";
import { sendSyn } from "./handshake.ts";
import { destinationPort, Flag, protocolNumber, sourcePort } from "./header.ts";
import type { Listener } from "./listener.ts";
import { Receiver } from "./receive.ts";
import type { Segment } from "./segment.ts";
import { segmentArrives, takeSyn } from "./segment_arrives.ts";
import { announcedSegmentBytes } from "./segment_writer.ts";
import { State } from "./state.ts";

/** Cookies are looked for in ACKs for this long after the last was sent, in milliseconds: longer than any lives. */
const cookieLifetime = 200_000;

/** Opens connections that peers ask for. */
export class PassiveOpen {
  readonly #context: TcpContext<Connection>;
  readonly #networks: Networks;
  readonly #flows: FlowTable<Connection>;
  readonly #cookies: SynCookies | null;
  #cookieSentAt = -Infinity;
  /** What an answer with a cookie offers. One object is filled again for each. */
  readonly #offer = {
    announcedSegmentBytes: 0,
    timestamps: false,
    selective: false,
    windowScaling: false,
    windowScale: 0,
    timestampNow: 0,
    fastOpenOption: null,
    recentTimestamp: 0,
  };
  /** Our end of the last connection. */
  #local: Endpoint = { address: IpAddress.unspecified4, port: 0 };

  /** Adds new connections to `flows`; with `synCookies`, goes on when the SYN queue of a listener is full. */
  constructor(
    context: TcpContext<Connection>,
    networks: Networks,
    flows: FlowTable<Connection>,
    synCookies: boolean,
  ) {
    this.#context = context;
    this.#networks = networks;
    this.#flows = flows;
    this.#cookies = synCookies ? new SynCookies(context.timers.clock, context.random) : null;
  }

  /**
   * Handles a segment for a listener. The initial sequence number of a new connection is `smallestSequence` or later,
   * unless that is null. The packet stays the caller's.
   */
  arrives(listener: Listener, segment: Segment, smallestSequence: number | null): Verdict {
    if (segment.syn && !segment.ack && !segment.rst) return this.#arrivesSyn(listener, segment, smallestSequence);
    if (segment.ack && !segment.syn && !segment.rst && this.#completesCookie(listener, segment)) return Verdict.done;
    if (segment.ack || segment.rst) return this.reset(segment);
    // RFC 9293 section 3.10.7.2, fourth: such segments are nobody's, and not answered.
    this.#context.counters.unexpected++;
    return Verdict.dropped;
  }

  /** Answers a segment that belongs to no connection with RST, unless it is one. The packet stays the caller's. */
  reset(segment: Segment): Verdict {
    const { counters, writer } = this.#context;
    const { packet } = segment;
    counters.noConnection++;
    const path = segment.rst ? null : this.#replyPath(packet);
    if (path === null) return Verdict.dropped;
    counters.resetsSent++;
    const localPort = destinationPort(packet.view, packet.transportAt);
    const remotePort = sourcePort(packet.view, packet.transportAt);
    if (segment.ack) {
      writer.writeReset(path, localPort, remotePort, Flag.rst, segment.acknowledgement, 0);
    } else {
      const end = add(segment.sequence, segment.sequenceLength);
      writer.writeReset(path, localPort, remotePort, Flag.rst | Flag.ack, 0, end);
    }
    return Verdict.dropped;
  }

  #arrivesSyn(listener: Listener, segment: Segment, smallestSequence: number | null): Verdict {
    const context = this.#context;
    if (context.options.dropSynFin && segment.fin) {
      context.counters.unexpected++;
      return Verdict.dropped;
    }
    if (listener.acceptQueueFull) {
      context.counters.synDropped++;
      return Verdict.dropped;
    }
    const reply = this.#replyPath(segment.packet);
    // A SYN from the listener itself would make it talk to itself (the "Land" attack).
    if (reply === null || isFromItself(segment.packet, reply)) {
      context.counters.badAddress++;
      return Verdict.dropped;
    }
    if (listener.synQueueFull) {
      if (this.#cookies !== null) return this.#sendCookie(this.#cookies, listener, segment, reply);
      context.counters.synDropped++;
      listener.giveUpOldest();
    }
    const path = this.#ownPath(reply);
    if (path === null) return Verdict.dropped;
    const { packet } = segment;
    const local = this.#localEnd(packet, path);
    const remote = remoteEnd(packet, path);
    const next = context.initialSequence.next(local, remote);
    const initialSequence = smallestSequence === null ? next : later(next, smallestSequence);
    const connection = new Connection(context, local, remote, path, listener.settings, true, initialSequence);
    if (listener.fastOpen !== null) this.#openFast(listener.fastOpen, connection, segment);
    this.#flows.add(connection);
    if (connection.fastOpen?.pending == null) listener.begin(connection);
    context.counters.passiveOpens++;
    context.trace?.segment?.(connection, "received", packet);
    connection.segmentsReceived++;
    takeSyn(connection, segment);
    connection.sender.setWindow(segment.sequence, connection.sender.initialSequence, segment.window);
    connection.setState(State.synReceived);
    if (connection.openedFast) takeSynData(connection, segment);
    sendSyn(connection);
    connection.updateTimers();
    if (connection.openedFast) listener.openFast(connection);
    return Verdict.done;
  }

  /** RFC 7413 section 4.2.2: what a SYN with the Fast Open option comes to. */
  #openFast(pending: PendingFastOpens, connection: Connection, segment: Segment): void {
    const { fastOpen, counters } = this.#context;
    const { handshake, refused, overflow } = fastOpen.arrives(pending, segment, connection.local, connection.remote);
    connection.fastOpen = handshake;
    if (refused) counters.fastOpenCookiesRefused++;
    if (overflow) counters.fastOpenOverflow++;
    if (handshake === null) return;
    if (handshake.option !== null) counters.fastOpenCookiesSent++;
    if (handshake.pending !== null) counters.fastOpenPassive++;
  }

  /** RFC 4987 section 3.6: answers a SYN and keeps nothing of it. */
  #sendCookie(cookies: SynCookies, listener: Listener, segment: Segment, path: Path): Verdict {
    const context = this.#context;
    const { options, packet } = segment;
    const local = this.#localEnd(packet, path);
    const remote = remoteEnd(packet, path);
    const now = context.timers.clock.now();
    const timestamps = context.options.timestamps && options.hasTimestamps;
    const { receiveBufferBytes } = listener.settings;
    // What does not fit into the sequence number travels in the timestamp; without one there is neither.
    const selective = timestamps && context.options.selectiveAcknowledgements && options.sackPermitted;
    const windowScaling = timestamps && context.options.windowScaling && options.windowScale >= 0;
    const cookie = cookies.make(local, remote, segment.sequence, options.maximumSegmentSize || 536);
    const clock = Math.floor(now) + cookies.timestampOffset;
    const offer = this.#offer;
    offer.announcedSegmentBytes = announcedSegmentBytes(path);
    offer.timestamps = timestamps;
    offer.selective = selective;
    offer.windowScaling = windowScaling;
    offer.windowScale = Receiver.scaleFor(receiveBufferBytes);
    offer.timestampNow = encodeOptions(clock, windowScaling ? options.windowScale : -1, selective);
    offer.recentTimestamp = options.timestampValue;
    this.#cookieSentAt = now;
    context.counters.synCookiesSent++;
    return context.writer.writeSynAcknowledgement(
      path,
      local.port,
      remote.port,
      cookie,
      add(segment.sequence, 1),
      Math.min(receiveBufferBytes, 65535),
      offer,
    );
  }

  /** Whether an ACK completes a handshake that was kept in a cookie; if so, the connection is there. */
  #completesCookie(listener: Listener, segment: Segment): boolean {
    const context = this.#context;
    if (this.#cookies === null || context.timers.clock.now() - this.#cookieSentAt > cookieLifetime) return false;
    const { options, packet } = segment;
    const reply = this.#replyPath(packet);
    const path = reply === null ? null : this.#ownPath(reply);
    if (path === null) return false;
    const local = this.#localEnd(packet, path);
    const remote = remoteEnd(packet, path);
    const peerSequence = add(segment.sequence, -1);
    const cookie = add(segment.acknowledgement, -1);
    const contents = this.#cookies.check(local, remote, peerSequence, cookie);
    if (contents === null) {
      context.counters.synCookiesRefused++;
      return false;
    }
    if (listener.acceptQueueFull) {
      context.counters.acceptQueueFull++;
      return true;
    }
    context.counters.synCookiesAccepted++;
    const { hasTimestamps, timestampValue, timestampEcho } = options;
    const connection = new Connection(context, local, remote, path, listener.settings, true, cookie);
    this.#flows.add(connection);
    listener.begin(connection);
    context.counters.passiveOpens++;
    connection.continueTimestamps(this.#cookies.timestampOffset);
    connection.receiver.start(peerSequence);
    connection.negotiate(
      contents.maximumSegmentSize,
      hasTimestamps ? encodedWindowScale(timestampEcho) : -1,
      hasTimestamps && encodedSackPermitted(timestampEcho),
      hasTimestamps ? timestampValue : null,
    );
    connection.setState(State.synReceived);
    connection.sender.synWasSent();
    context.trace?.segment?.(connection, "received", packet);
    segmentArrives(connection, segment);
    return true;
  }

  /** Our end, for a packet that came in: the same object for connections that come to it in a row. */
  #localEnd({ view, transportAt }: Packet, { source }: Path): Endpoint {
    const port = destinationPort(view, transportAt);
    if (this.#local.port !== port || !this.#local.address.equals(source)) this.#local = { address: source, port };
    return this.#local;
  }

  /** The way back, which may be shared. */
  #replyPath(packet: Packet): Path | null {
    return this.#networks.of(packet.family === 6 ? 6 : 4)?.replyPath(packet, protocolNumber) ?? null;
  }

  /** The same way, from the same address (RFC 9293 section 3.9.1.1), for a connection to keep and change. */
  #ownPath({ network, source, destination }: Path): Path | null {
    return network.findPath({ source, destination, protocol: protocolNumber });
  }
}

/** The peer's end, for a packet that came in. */
function remoteEnd({ view, transportAt }: Packet, { destination }: Path): Endpoint {
  return { address: destination, port: sourcePort(view, transportAt) };
}

/** Takes the data of a SYN whose cookie is right. A FIN comes again behind them. */
function takeSynData(connection: Connection, segment: Segment): void {
  const { receiver } = connection;
  if (segment.length === 0) return;
  segment.sequence = add(segment.sequence, 1);
  segment.flags &= ~Flag.fin;
  receiver.take(segment, segment.arrivedAt);
  receiver.takenFromSyn();
  connection.fastOpen!.succeeded = true;
}

/** Whether a packet says that it comes from where it goes to. */
function isFromItself({ view, transportAt }: Packet, reply: Path): boolean {
  return sourcePort(view, transportAt) === destinationPort(view, transportAt) &&
    reply.source.equals(reply.destination);
}
