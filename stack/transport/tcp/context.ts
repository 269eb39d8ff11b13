/**
 * What all connections of a stack share.
 *
 * @module
 */

import type { Random } from "../../random.ts";
import type { Timers } from "../../timers.ts";
import type { ChallengeBudget } from "./challenge.ts";
import type { AckSample, CongestionControlFactory } from "./congestion/control.ts";
import type { FastOpen } from "./fast_open.ts";
import type { SequenceChooser } from "./isn.ts";
import type { RingStorage } from "./ring.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { Sender } from "./send.ts";
import type { SegmentWriter } from "./segment_writer.ts";
import type { TcpTrace } from "./trace.ts";

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

/** Settings of TCP as a whole. */
export interface TcpOptionsOffered {
  /** Offer and accept timestamps (RFC 7323). */
  timestamps: boolean;
  /** Offer and accept selective acknowledgements (RFC 2018). */
  selectiveAcknowledgements: boolean;
  /** Offer and accept window scaling (RFC 7323). */
  windowScaling: boolean;
  /** Explicit congestion notification (RFC 3168): ask for it, agree when a peer asks, or neither. */
  ecn: "request" | "accept" | "off";
  /**
   * Believe every RST in the window, as RFC 793 did. Otherwise only one that is exactly at RCV.NXT counts, so that
   * nobody off the path can guess one (RFC 5961 section 3).
   */
  trustResets: boolean;
  /** Reset a connection when a SYN arrives in its window, as RFC 793 did, instead of asking (RFC 5961 section 4). */
  trustSyns: boolean;
  /** Drop segments with SYN and FIN where a SYN could open a connection: only scanners send them. */
  dropSynFin: boolean;
  /** Give a handshake up when a router or the peer's host reports that it cannot be reached (RFC 5461 section 2). */
  heedNetworkErrors: boolean;
}

/** What all connections of a stack share. `Owner` is the connection itself. */
export interface TcpContext<Owner> {
  /** Timers, and through them the clock. */
  readonly timers: Timers;
  /** Chance. */
  readonly random: Random;
  /** Storage of the rings. */
  readonly storage: RingStorage;
  /** Sends segments. */
  readonly writer: SegmentWriter;
  /** Chooses initial sequence numbers. */
  readonly initialSequence: SequenceChooser;
  /** Makes congestion control state. */
  readonly congestionControl: CongestionControlFactory;
  /** The budget of challenge ACKs. */
  readonly challenges: ChallengeBudget;
  /** The counters. */
  readonly counters: TcpCounters;
  /** Which options are offered. */
  readonly options: TcpOptionsOffered;
  /** TCP Fast Open: cookies of our servers and of others. */
  readonly fastOpen: FastOpen;
  /** Who watches, if anybody. */
  readonly trace: TcpTrace | null;
  /** How many bytes may still be sent before the program has its turn. */
  allowance: number;
  /** Digests acknowledgements; used by one connection at a time. */
  readonly acknowledgement: Acknowledgement;
  /** The shared sample object, filled with where `sender` stands. */
  sampleFor(sender: Sender, bytes: number, now: number): AckSample;
  /** Has `connection.flush()` called at the end of the present batch. */
  queueFlush(connection: Owner): void;
  /** Takes a connection that is over out of the table. */
  forget(connection: Owner): void;
  /** Hands a connection's end over to TIME-WAIT. */
  enterTimeWait(connection: Owner): void;
}
