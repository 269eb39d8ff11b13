/**
 * What all connections of a stack share.
 *
 * @module
 */

import type { Random } from "../../random.ts";
import type { Timers } from "../../timers.ts";
import type { ChallengeBudget } from "./challenge.ts";
import type { AckSample, CongestionControlFactory } from "./congestion/control.ts";
import type { TcpOptionsOffered } from "./configuration.ts";
import type { SpareTimers } from "./spare_timers.ts";
import type { TcpCounters } from "./counters.ts";
import type { FastOpen } from "./fast_open.ts";
import type { SequenceChooser } from "./isn.ts";
import type { SpareFlights } from "./flight.ts";
import type { SpareReceiveBuffers } from "./receive_buffer.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { Sender } from "./send.ts";
import type { SegmentWriter } from "./segment_writer.ts";
import type { TcpTrace } from "./trace.ts";

/** What all connections of a stack share. `Owner` is the connection itself. */
export interface TcpContext<Owner> {
  /** Timers, and through them the clock. */
  readonly timers: Timers;
  /** Timers of connections that wait for nothing. */
  readonly spareTimers: SpareTimers;
  /** Chance. */
  readonly random: Random;
  /** What connections need that have something in the network. */
  readonly spareFlights: SpareFlights;
  /** Receive buffers of connections that have nothing to be read. */
  readonly spareBuffers: SpareReceiveBuffers;
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
  /** Whether a flush follows soon, which sends what is small together. */
  readonly flushFollows: boolean;
  /** How often users have called for something: while that goes up, they are still answering. */
  userCalls: number;
  /** Whether data have arrived that somebody waits for, who may be about to answer: put out by an answer. */
  answerExpected: boolean;
  /** Digests acknowledgements; used by one connection at a time. */
  readonly acknowledgement: Acknowledgement;
  /** The shared sample object, filled with where `sender` stands. */
  sampleFor(sender: Sender, bytes: number, now: number): AckSample;
  /** Has `connection.flush()` called at the end of the present batch. */
  queueFlush(connection: Owner): void;
  /** The same for what a user has asked to be sent, and what waits for that alone. */
  queueAnswer(connection: Owner): void;
  /** Calls `connection.flush()` now, for its user. */
  flushNow(connection: Owner): void;
  /** Takes a connection that is over out of the table. */
  forget(connection: Owner): void;
  /** Hands a connection's end over to TIME-WAIT. */
  enterTimeWait(connection: Owner): void;
}
