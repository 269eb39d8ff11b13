/**
 * What is known of a connection, for people and programs that watch it.
 *
 * @module
 */

import { unsigned } from "../../sequence.ts";
import type { FastOpenHandshake } from "./fast_open.ts";
import { Measure } from "./measures.ts";
import { recoveryStateNames } from "./recovery.ts";
import { networkErrorOf, urgentBytesOf } from "./reports.ts";
import type { SegmentSource } from "./segment_writer.ts";
import { stateName } from "./state.ts";
import type { TcpInfo } from "./user.ts";

/** A connection, as far as its description shows it. */
export interface DescribedConnection extends SegmentSource {
  /** Segments received. */
  readonly segmentsReceived: number;
  /** Acknowledgements received that only repeat the last one. */
  readonly duplicateAcks: number;
  /** The maximum segment size that the peer announced, in bytes. */
  readonly peerSegmentBytes: number;
  /** When the connection began, in milliseconds. */
  readonly openedAt: number;
  /** When the last segment arrived, in milliseconds. */
  readonly lastReceivedAt: number;
  /** What Fast Open means to it, if it uses it. */
  readonly fastOpen: FastOpenHandshake | null;
}

/** The present values of everything that {@linkcode TcpInfo} tells. */
export function connectionInfo(connection: DescribedConnection): TcpInfo {
  const { sender, receiver } = connection;
  const { measures } = sender;
  return {
    state: stateName(connection.state),
    rtt: measures[Measure.smoothedRtt]!,
    rttVariance: measures[Measure.rttVariance]!,
    rttMin: measures[Measure.minimumRtt]!,
    rttLatest: measures[Measure.latestRtt]!,
    rto: measures[Measure.timeout]!,
    backoff: measures[Measure.backoff]!,
    congestionWindow: Math.floor(measures[Measure.window]!),
    slowStartThreshold: Math.floor(measures[Measure.slowStartThreshold]!),
    congestionControl: sender.control.name,
    congestionState: recoveryStateNames[sender.recoveryState],
    bytesInFlight: sender.scoreboard.inFlight,
    pacingRate: sender.pace * 1000,
    deliveryRate: measures[Measure.deliveryRate]!,
    sendMss: sender.segmentBytes,
    peerMss: connection.peerSegmentBytes,
    receiveMss: receiver.segmentBytes,
    pathMtu: connection.path.mtu,
    sendWindow: sender.sndWnd,
    sendWindowScale: sender.windowScale,
    sndUna: unsigned(sender.sndUna),
    sndNxt: unsigned(sender.sndNxt),
    sendQueued: sender.queued,
    sendUnsent: sender.unsent,
    rcvNxt: unsigned(receiver.rcvNxt),
    rightEdge: unsigned(receiver.rightEdge),
    receiveWindow: receiver.window,
    receiveWindowScale: receiver.windowScale,
    receiveQueued: receiver.queued,
    receiveOutOfOrder: receiver.outOfOrder.bytes,
    receiveUrgent: urgentBytesOf(connection, receiver),
    bytesSent: sender.bytesSent,
    bytesRetransmitted: sender.bytesRetransmitted,
    // What was sent, less what is still out.
    bytesAcknowledged: sender.bytesSent - (sender.queued - sender.unsent),
    bytesDelivered: measures[Measure.delivered]!,
    bytesReceived: receiver.bytesReceived,
    segmentsSent: connection.segmentsSent,
    segmentsReceived: connection.segmentsReceived,
    segmentsRetransmitted: sender.segmentsRetransmitted,
    segmentsLost: sender.segmentsLost,
    segmentsOutOfOrder: receiver.outOfOrderSegments,
    duplicateAcks: connection.duplicateAcks,
    networkError: networkErrorOf(connection),
    reorderingSeen: sender.reorderingSeen,
    timestamps: connection.timestamps,
    selectiveAcknowledgements: connection.selective,
    windowScaling: connection.windowScaling,
    ecn: connection.ecn !== null,
    fastOpen: connection.fastOpen?.succeeded ?? false,
    openedAt: connection.openedAt,
    lastSentAt: sender.lastSentAt,
    lastReceivedAt: connection.lastReceivedAt,
  };
}
