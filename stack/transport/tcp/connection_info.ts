/**
 * What is known of a connection, for people and programs that watch it.
 *
 * @module
 */

import type { FastOpenHandshake } from "./fast_open.ts";
import { recoveryStateNames } from "./recovery.ts";
import type { SegmentSource } from "./segment_writer.ts";
import { stateName } from "./state.ts";
import type { TcpInfo } from "./user.ts";

/** A connection, as far as its description shows it. */
export interface DescribedConnection extends SegmentSource {
  /** Segments received. */
  readonly segmentsReceived: number;
  /** What Fast Open means to it, if it uses it. */
  readonly fastOpen: FastOpenHandshake | null;
}

/** The present values of everything that {@linkcode TcpInfo} tells. */
export function connectionInfo(connection: DescribedConnection): TcpInfo {
  const { sender, receiver } = connection;
  const { rtt, window, recovery } = sender;
  return {
    state: stateName(connection.state),
    rtt: rtt.smoothed,
    rttVariance: rtt.variance,
    rttMin: rtt.minimum,
    rto: rtt.baseTimeout,
    backoff: rtt.backoff,
    congestionWindow: Math.floor(window.size),
    slowStartThreshold: Math.floor(window.slowStartThreshold),
    congestionControl: sender.control.name,
    congestionState: recoveryStateNames[recovery.state],
    bytesInFlight: sender.scoreboard.inFlight,
    sendMss: sender.segmentBytes,
    sendWindow: sender.sndWnd,
    sendWindowScale: sender.windowScale,
    sndUna: sender.sndUna,
    sndNxt: sender.sndNxt,
    sendQueued: sender.queued,
    rcvNxt: receiver.rcvNxt,
    rightEdge: receiver.rightEdge,
    receiveWindow: receiver.window,
    receiveWindowScale: receiver.windowScale,
    receiveQueued: receiver.queued,
    receiveOutOfOrder: receiver.outOfOrder.bytes,
    bytesSent: sender.bytesSent,
    bytesRetransmitted: sender.bytesRetransmitted,
    // What was sent, less what is still out.
    bytesAcknowledged: sender.bytesSent - (sender.queued - sender.unsent),
    bytesReceived: receiver.bytesReceived,
    segmentsSent: connection.segmentsSent,
    segmentsReceived: connection.segmentsReceived,
    segmentsRetransmitted: sender.segmentsRetransmitted,
    timestamps: connection.timestamps,
    selectiveAcknowledgements: connection.selective,
    fastOpen: connection.fastOpen?.succeeded ?? false,
  };
}
