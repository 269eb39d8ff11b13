/**
 * A log of what TCP connections do, for programs to read: one JSON object a line, in the manner of qlog
 * (draft-ietf-quic-qlog-main-schema).
 *
 * The first line describes the file: `file_schema`, `serialization_format`, `title` and `trace`, as in qlog's
 * sequential files; `trace.common_fields.reference_time.wall_clock_time` says when the clock stood at 0, if that is
 * known. Every other line is an event with
 *
 * - `time`: milliseconds of the stack's clock, to the microsecond,
 * - `group_id`: which connection, `"1"` for the first of the log,
 * - `name` and `data`:
 *
 * | name                               | data                                                                        |
 * | ---------------------------------- | --------------------------------------------------------------------------- |
 * | `tcp:connection_started`           | `local`, `remote`, `congestion_control`                                     |
 * | `tcp:segment_sent`                 | see below                                                                   |
 * | `tcp:segment_received`             | see below                                                                   |
 * | `tcp:state_updated`                | `old`, `new`: states by the names of RFC 9293                               |
 * | `recovery:metrics_updated`         | those members of {@linkcode ConnectionMetrics} that have changed            |
 * | `recovery:congestion_state_updated`| `old`, `new`: `open`, `disorder`, `recovery` or `loss`                      |
 * | `recovery:packet_lost`             | `seq`, `len`: what is believed lost, in sequence numbers; a FIN counts as 1 |
 * | `tcp:connection_reported`          | `report`: what has happened without ending it, as one sentence              |
 * | `tcp:connection_closed`            | `failure`: the reason, absent after a regular close                         |
 *
 * A segment has `seq`, `len` (bytes of payload), `flags` (as tcpdump writes them: `S.`, `P.`, `F.`), `ack` (absent
 * without the ACK bit), `window` (bytes, scaled), `sack` (a list of `[left, right]`; absent when empty),
 * `retransmission` (true where a part of it was sent before; absent otherwise) and `probe` (true where it probes a
 * closed window; absent otherwise). Sequence and acknowledgement numbers count from the SYN, which is 0, and never wrap.
 *
 * What an arriving segment changes is written at the connection's next event, or when
 * {@linkcode ConnectionLog.update} is called.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { describeFlags } from "./describe/segment.ts";
import type { Packet } from "./packet.ts";
import { RelativeSequence } from "./relative_sequence.ts";
import { add, distance, notBefore } from "./sequence.ts";
import { formatEndpoint } from "./transport/endpoint.ts";
import {
  acknowledgementNumber,
  Flag,
  flags,
  headerBytes,
  minimumHeaderBytes,
  sequenceNumber,
  windowField,
} from "./transport/tcp/header.ts";
import { TcpOptions } from "./transport/tcp/options.ts";
import { State, stateName } from "./transport/tcp/state.ts";
import type { TcpTrace } from "./transport/tcp/trace.ts";
import type { TcpInfo, UserConnection } from "./transport/tcp/user.ts";

/** Takes the next line of the log, without a line feed. Buffering and writing are its business. */
export type LineSink = (line: string) => void;

/** Options of {@linkcode ConnectionLog}. */
export interface ConnectionLogOptions {
  /**
   * Milliseconds since 1970 UTC at which the clock stood at 0, so that the log can be laid beside a capture. For the
   * platform's clock it is `performance.timeOrigin`. Default: the log does not say.
   */
  epoch?: number;
  /** Which connections to log; asked once for each. Default: all. */
  select?: (connection: UserConnection) => boolean;
}

/** The state of a connection, as `recovery:metrics_updated` shows it. Sizes are in bytes, times in milliseconds. */
export interface ConnectionMetrics {
  /** Congestion window. */
  congestion_window?: number;
  /** Slow-start threshold; null while there is none. */
  ssthresh?: number | null;
  /** Bytes that are believed to be in the network. */
  bytes_in_flight?: number;
  /** Smoothed round-trip time; 0 before the first sample. */
  smoothed_rtt?: number;
  /** Round-trip time variation. */
  rtt_variance?: number;
  /** Smallest round-trip time; null before the first sample. */
  min_rtt?: number | null;
  /** Retransmission time-out, without back-off. */
  rto?: number;
  /** How often the time-out has been doubled in a row. */
  backoff?: number;
  /** Payload of a full segment. */
  send_mss?: number;
  /** The peer's window. */
  send_window?: number;
  /** SND.UNA. */
  snd_una?: number;
  /** SND.NXT. */
  snd_nxt?: number;
  /** Bytes that wait in the send buffer, sent or not. */
  send_queued?: number;
  /** RCV.NXT; absent before the peer's SYN. */
  rcv_nxt?: number;
  /** The window that is announced. */
  receive_window?: number;
  /** Bytes that wait to be read. */
  receive_queued?: number;
  /** Bytes that wait behind a hole. */
  receive_out_of_order?: number;
  /** Segments sent again. */
  segments_retransmitted?: number;
  /** Payload bytes sent again. */
  bytes_retransmitted?: number;
}

type MetricName = keyof ConnectionMetrics;

/** The metrics that are members of {@linkcode TcpInfo} under another name. */
const infoMembers = {
  congestion_window: "congestionWindow",
  ssthresh: "slowStartThreshold",
  bytes_in_flight: "bytesInFlight",
  smoothed_rtt: "rtt",
  rtt_variance: "rttVariance",
  min_rtt: "rttMin",
  rto: "rto",
  backoff: "backoff",
  send_mss: "sendMss",
  send_window: "sendWindow",
  send_queued: "sendQueued",
  receive_window: "receiveWindow",
  receive_queued: "receiveQueued",
  receive_out_of_order: "receiveOutOfOrder",
  segments_retransmitted: "segmentsRetransmitted",
  bytes_retransmitted: "bytesRetransmitted",
} as const satisfies Partial<Record<MetricName, keyof TcpInfo>>;

const infoNames = Object.keys(infoMembers) as (keyof typeof infoMembers)[];

/** What `tcp:segment_sent` and `tcp:segment_received` show. */
interface SegmentData {
  seq: number;
  len: number;
  flags: string;
  ack?: number;
  window: number;
  sack?: [number, number][];
  retransmission?: true;
  probe?: true;
}

/** What the log remembers of a connection. */
interface LoggedConnection {
  readonly id: string;
  /** The numbers of the bytes that we send. */
  readonly sent: RelativeSequence;
  /** The numbers of the bytes that the peer sends; null before its SYN. */
  received: RelativeSequence | null;
  /** Behind the last byte that was sent. */
  sentEnd: number;
  /** The metrics that the log shows so far. */
  readonly metrics: Record<string, number | null>;
  congestionState: string;
}

/**
 * Writes the log. It keeps a small record of each connection that is alive and nothing else.
 *
 * @example
 * ```ts
 * import { ConnectionLog } from "./connection_log.ts";
 * import { Stack } from "./stack.ts";
 *
 * await using stack = new Stack();
 * const lines: string[] = [];
 * stack.trace = new ConnectionLog(stack.timers.clock, (line) => lines.push(line), { epoch: performance.timeOrigin });
 * ```
 */
export class ConnectionLog implements TcpTrace {
  readonly #clock: Clock;
  readonly #sink: LineSink;
  readonly #select: (connection: UserConnection) => boolean;
  /** Null for those that are not, or no more, logged. */
  readonly #connections = new WeakMap<UserConnection, LoggedConnection | null>();
  readonly #options = new TcpOptions();
  #count = 0;

  /** Writes the first line to `sink`. `clock` is that of the stack that is watched. */
  constructor(clock: Clock, sink: LineSink, options: ConnectionLogOptions = {}) {
    this.#clock = clock;
    this.#sink = sink;
    this.#select = options.select ?? (() => true);
    const { epoch } = options;
    const reference = { clock_type: "monotonic", epoch: "unknown" };
    sink(JSON.stringify({
      file_schema: "urn:ietf:params:qlog:file:sequential",
      serialization_format: "application/jsonl",
      title: "tapstack connection log",
      trace: {
        event_schemas: ["urn:tapstack:qlog:events:tcp"],
        common_fields: {
          time_format: "relative_to_epoch",
          reference_time: epoch === undefined
            ? reference
            : { ...reference, wall_clock_time: new Date(epoch).toISOString() },
        },
      },
    }));
  }

  /** As {@linkcode TcpTrace.segment}: logs the segment, and what has changed before it. */
  segment(connection: UserConnection, direction: "sent" | "received", packet: Packet): void {
    const logged = this.#find(connection);
    if (logged === null) return;
    const { view, transportAt } = packet;
    if (direction === "received" && (flags(view, transportAt) & Flag.syn) !== 0) {
      logged.received ??= new RelativeSequence(sequenceNumber(view, transportAt));
    }
    const info = connection.info();
    this.#writeChanges(logged, connection, info);
    const data = direction === "sent" ? this.#sent(logged, info, packet) : this.#received(logged, info, packet);
    this.#write(logged, `tcp:segment_${direction}`, data);
  }

  /** As {@linkcode TcpTrace.state}: logs the change, and the end of the connection where it is that. */
  state(connection: UserConnection, from: State, to: State): void {
    const logged = this.#find(connection);
    if (logged === null) return;
    this.#writeChanges(logged, connection, connection.info());
    this.#write(logged, "tcp:state_updated", { old: stateName(from), new: stateName(to) });
    if (to !== State.closed) return;
    const failure = connection.failure?.message;
    this.#write(logged, "tcp:connection_closed", failure === undefined ? {} : { failure });
    this.#connections.set(connection, null);
  }

  /** As {@linkcode TcpTrace.lost}: logs what is believed lost. */
  lost(connection: UserConnection, start: number, end: number): void {
    const logged = this.#find(connection);
    if (logged === null) return;
    this.#write(logged, "recovery:packet_lost", { seq: logged.sent.of(start), len: distance(end, start) });
  }

  /** As {@linkcode TcpTrace.report}: logs the report. */
  report(connection: UserConnection, report: string): void {
    const logged = this.#find(connection);
    if (logged !== null) this.#write(logged, "tcp:connection_reported", { report });
  }

  /** As {@linkcode TcpTrace.updated}: logs what has changed since the connection's last event. */
  updated(connection: UserConnection): void {
    const logged = this.#find(connection);
    if (logged !== null) this.#writeChanges(logged, connection, connection.info());
  }

  /** The record of a connection, which begins with its first event; null if it is not logged. */
  #find(connection: UserConnection): LoggedConnection | null {
    const known = this.#connections.get(connection);
    if (known !== undefined) return known;
    const logged = this.#select(connection) ? this.#begin(connection) : null;
    this.#connections.set(connection, logged);
    return logged;
  }

  #begin(connection: UserConnection): LoggedConnection {
    const info = connection.info();
    const isSynchronized = connection.state >= State.established;
    // Where the SYN was not seen, what has been sent and received since says where it was.
    const initial = add(info.sndUna, isSynchronized ? -1 - info.bytesAcknowledged : 0);
    const sent = new RelativeSequence(initial);
    const logged: LoggedConnection = {
      id: String(++this.#count),
      sent,
      received: isSynchronized ? new RelativeSequence(add(info.rcvNxt, -1 - info.bytesReceived)) : null,
      sentEnd: sent.of(info.sndNxt),
      metrics: {},
      congestionState: info.congestionState,
    };
    this.#write(logged, "tcp:connection_started", {
      local: formatEndpoint(connection.local),
      remote: formatEndpoint(connection.remote),
      congestion_control: info.congestionControl,
    });
    return logged;
  }

  #sent(logged: LoggedConnection, info: TcpInfo, packet: Packet): SegmentData {
    const data = this.#read(packet, logged.sent, logged.received, info.receiveWindowScale);
    const controlBits = flags(packet.view, packet.transportAt);
    const isSyn = (controlBits & Flag.syn) !== 0;
    const length = data.len + (isSyn ? 1 : 0) + ((controlBits & Flag.fin) !== 0 ? 1 : 0);
    if (length === 0) return data;
    // Only a probe of a closed window carries data from SND.NXT on; the SYN goes out before SND.NXT counts it.
    if (!isSyn && notBefore(sequenceNumber(packet.view, packet.transportAt), info.sndNxt)) data.probe = true;
    else if (data.seq < logged.sentEnd) data.retransmission = true;
    if (data.probe !== true) logged.sentEnd = Math.max(logged.sentEnd, data.seq + length);
    return data;
  }

  #received(logged: LoggedConnection, info: TcpInfo, packet: Packet): SegmentData {
    return this.#read(packet, logged.received, logged.sent, info.sendWindowScale);
  }

  /** What a segment says, counted in the numbers of its sender and its receiver. */
  #read(
    packet: Packet,
    sender: RelativeSequence | null,
    receiver: RelativeSequence | null,
    windowScale: number,
  ): SegmentData {
    const { view, transportAt: at, tail } = packet;
    const header = headerBytes(view, at);
    const controlBits = flags(view, at);
    const options = this.#options;
    options.parse(view, at + minimumHeaderBytes, at + header);
    // RFC 7323 section 2.2: the window of a SYN is never scaled.
    const scale = (controlBits & Flag.syn) === 0 ? windowScale : 0;
    const data: SegmentData = {
      seq: relative(sender, sequenceNumber(view, at)),
      len: tail - at - header,
      flags: describeFlags(controlBits),
      window: windowField(view, at) * 2 ** scale,
    };
    if ((controlBits & Flag.ack) !== 0) data.ack = relative(receiver, acknowledgementNumber(view, at));
    const { sackBlocks, sackEdges } = options;
    if (sackBlocks > 0) {
      data.sack = Array.from({ length: sackBlocks }, (_, block) => [
        relative(receiver, sackEdges[2 * block]!),
        relative(receiver, sackEdges[2 * block + 1]!),
      ]);
    }
    return data;
  }

  /** Writes the metrics that differ from those that the log shows. */
  #writeChanges(logged: LoggedConnection, connection: UserConnection, info: TcpInfo): void {
    const changes: ConnectionMetrics = {};
    let changed = false;
    const note = (name: MetricName, value: number | null) => {
      if (logged.metrics[name] === value) return;
      logged.metrics[name] = value;
      changes[name] = value as number;
      changed = true;
    };
    for (const name of infoNames) note(name, rounded(info[infoMembers[name]]));
    note("snd_una", logged.sent.advance(info.sndUna));
    note("snd_nxt", logged.sent.of(info.sndNxt));
    // RCV.NXT means nothing before the peer's SYN has been taken, which its state says.
    if (logged.received !== null && (connection.state >= State.synReceived || logged.metrics.rcv_nxt !== undefined)) {
      note("rcv_nxt", logged.received.advance(info.rcvNxt));
    }
    if (changed) this.#write(logged, "recovery:metrics_updated", changes);
    if (info.congestionState !== logged.congestionState) {
      const states = { old: logged.congestionState, new: info.congestionState };
      logged.congestionState = info.congestionState;
      this.#write(logged, "recovery:congestion_state_updated", states);
    }
  }

  #write(logged: LoggedConnection, name: string, data: object): void {
    this.#sink(JSON.stringify({ time: rounded(this.#clock.now()), group_id: logged.id, name, data }));
  }
}

/** A number as the log shows it: to the thousandth, and null in place of infinity, which JSON does not know. */
function rounded(value: number): number | null {
  return Number.isFinite(value) ? Math.round(value * 1000) / 1000 : null;
}

/** A sequence number counted from its SYN; as it stands where that has not been seen. */
function relative(numbers: RelativeSequence | null, sequence: number): number {
  return numbers === null ? sequence : numbers.of(sequence);
}
