/**
 * What TCP counts.
 *
 * @module
 */

/** The counters of TCP. */
export interface TcpCounters {
  /** Segments received, good or not. */
  received: number;
  /** Segments too short for their header. */
  truncated: number;
  /** Segments with a wrong checksum. */
  badChecksum: number;
  /** Segments to or from a broadcast, multicast or unspecified address, or with port 0. */
  badAddress: number;
  /** Segments for which there is neither a connection nor a listener; they were answered with RST where allowed. */
  noConnection: number;
  /** Segments outside the window. */
  outsideWindow: number;
  /** Segments with a timestamp that is too old (PAWS). */
  oldTimestamp: number;
  /** Segments without the bits that their state asks for. */
  unexpected: number;
  /** Acknowledgements of something that was never sent, or too long ago. */
  badAcknowledgement: number;
  /** Challenge ACKs sent. */
  challengeAcks: number;
  /** Challenge ACKs not sent because of their limit. */
  challengeAcksSuppressed: number;
  /** Acknowledgements of segments outside the window not sent because of their limit. */
  strayAcksSuppressed: number;
  /** RSTs sent in answer to segments that belong to no connection. */
  resetsSent: number;
  /** RSTs received and believed. */
  resetsReceived: number;
  /** Connections opened by us. */
  activeOpens: number;
  /** Connections opened by peers. */
  passiveOpens: number;
  /** SYNs dropped because the SYN queue or the accept queue of a listener was full. */
  synDropped: number;
  /** SYNs answered with a cookie because the SYN queue of a listener was full. */
  synCookiesSent: number;
  /** Handshakes completed by an ACK with a cookie. */
  synCookiesAccepted: number;
  /** ACKs whose cookie was not ours or too old, while cookies were being sent. */
  synCookiesRefused: number;
  /** Handshakes completed while the accept queue was full. */
  acceptQueueFull: number;
  /** Fast Open cookies sent to clients. */
  fastOpenCookiesSent: number;
  /** SYNs with a Fast Open cookie that was not ours or too old. */
  fastOpenCookiesRefused: number;
  /** Connections that peers opened by Fast Open: their data were taken before the handshake was complete. */
  fastOpenPassive: number;
  /** SYNs treated as ordinary ones because a listener had too many pending Fast Open connections. */
  fastOpenOverflow: number;
  /** Connections that we opened by Fast Open whose data the peer took from the SYN. */
  fastOpenActive: number;
  /** Connections that we opened by Fast Open whose data had to be sent again after the handshake. */
  fastOpenActiveRefused: number;
  /** Acknowledgements that echoed a congestion mark and made the sender slow down. */
  congestionMarks: number;
  /** Retransmission time-outs. */
  timeouts: number;
  /** Tail loss probes. */
  tailProbes: number;
  /** Probes of a closed window. */
  windowProbes: number;
  /** Keep-alive probes. */
  keepAliveProbes: number;
  /** Connections in TIME-WAIT that were dropped early because there were too many. */
  timeWaitOverflow: number;
  /** SYNs that reopened a connection in TIME-WAIT. */
  timeWaitReused: number;
}

/** All counters at zero. */
export function zeroTcpCounters(): TcpCounters {
  return {
    received: 0,
    truncated: 0,
    badChecksum: 0,
    badAddress: 0,
    noConnection: 0,
    outsideWindow: 0,
    oldTimestamp: 0,
    unexpected: 0,
    badAcknowledgement: 0,
    challengeAcks: 0,
    challengeAcksSuppressed: 0,
    strayAcksSuppressed: 0,
    resetsSent: 0,
    resetsReceived: 0,
    activeOpens: 0,
    passiveOpens: 0,
    synDropped: 0,
    synCookiesSent: 0,
    synCookiesAccepted: 0,
    synCookiesRefused: 0,
    acceptQueueFull: 0,
    fastOpenCookiesSent: 0,
    fastOpenCookiesRefused: 0,
    fastOpenPassive: 0,
    fastOpenOverflow: 0,
    fastOpenActive: 0,
    fastOpenActiveRefused: 0,
    congestionMarks: 0,
    timeouts: 0,
    tailProbes: 0,
    windowProbes: 0,
    keepAliveProbes: 0,
    timeWaitOverflow: 0,
    timeWaitReused: 0,
  };
}
