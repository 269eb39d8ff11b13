/**
 * What happens to a connection without ending it, for those who want to know: the asynchronous reports of RFC 9293
 * section 3.9.1.8. They go to the trace, and what of them lasts can be asked for.
 *
 * Hardly any connection ever has something to report, so that it is kept beside the connections and not in them.
 *
 * @module
 */

import type { Path } from "../../network/path.ts";
import { ErrorKind } from "../../protocol.ts";
import { add, after, distance } from "../../sequence.ts";
import type { Receiver } from "./receive.ts";
import type { Segment } from "./segment.ts";
import { State } from "./state.ts";
import type { TcpTrace } from "./trace.ts";
import type { UserConnection } from "./user.ts";

/** A connection, as far as it is reported about. */
export interface ReportedConnection extends UserConnection {
  /** The way to the peer. */
  readonly path: Path;
  /** The receiving half. */
  readonly receiver: Receiver;
  /** When the last segment arrived, in milliseconds. */
  readonly lastReceivedAt: number;
  /** The time, in milliseconds. */
  readonly now: number;
  /** Who watches, if anybody. */
  readonly trace: TcpTrace | null;
}

/** Errors that the network reports, as a sentence says them. */
const networkErrors: Readonly<Record<ErrorKind, string>> = {
  [ErrorKind.networkUnreachable]: "A router reports that the network cannot be reached",
  [ErrorKind.hostUnreachable]: "A router reports that the host cannot be reached",
  [ErrorKind.neighborUnreachable]: "The next hop does not answer on the link",
  [ErrorKind.prohibited]: "A router reports that the connection is prohibited",
  [ErrorKind.protocolUnreachable]: "The peer reports that it has no TCP",
  [ErrorKind.portUnreachable]: "The peer reports that the port cannot be reached",
  [ErrorKind.timeExceeded]: "A router reports that a packet was under way for too long",
  [ErrorKind.parameterProblem]: "A router reports that it does not understand a packet",
  [ErrorKind.packetTooBig]: "A router reports that a packet is too big",
};

/** What the network reported last about a connection, and when. */
const reported = new WeakMap<UserConnection, { readonly kind: ErrorKind; readonly at: number }>();

/** The sequence number behind the urgent data of a connection's peer. */
const urgentEnds = new WeakMap<UserConnection, number>();

/** An error that the network reports, as one sentence. */
export function describeNetworkError(kind: ErrorKind): string {
  return networkErrors[kind];
}

/** The network reports an error that does not end the connection (RFC 9293 section 3.9.2.2, MUST-47, SHLD-25). */
export function reportNetworkError(connection: ReportedConnection, kind: ErrorKind): void {
  reported.set(connection, { kind, at: connection.now });
  connection.trace?.report?.(connection, networkErrors[kind]);
}

/** What the network has reported since the peer was last heard from, as one sentence; null for nothing. */
export function networkErrorOf(connection: UserConnection & { readonly lastReceivedAt: number }): string | null {
  const report = reported.get(connection);
  return report === undefined || report.at < connection.lastReceivedAt ? null : networkErrors[report.kind];
}

/** Why a connection is given up, with what the network says about it, if anything. */
export function withNetworkError(
  connection: UserConnection & { readonly lastReceivedAt: number },
  why: string,
): string {
  const error = networkErrorOf(connection);
  return error === null ? why : `${why} (${error})`;
}

/**
 * A segment has been sent again `count` times in vain: the next hop may be gone, and the user may want to know
 * (RFC 9293 section 3.8.3: MUST-20 (b), SHLD-9).
 */
export function reportRetransmissions(connection: ReportedConnection, count: number): void {
  connection.path.neighbor.doubt?.();
  connection.trace?.report?.(connection, `The peer has not answered ${count} retransmissions`);
}

/**
 * The peer says where its urgent data end (RFC 9293 section 3.8.5). Nothing else happens to them: they are delivered in
 * their place, as RFC 6093 recommends. The user is told once, and again when the end moves on (MUST-32).
 */
export function noteUrgent(connection: ReportedConnection, { sequence, urgentPointer }: Segment): void {
  // RFC 9293 section 3.10.7.4, sixth check: behind a FIN there are none.
  if (connection.state > State.finWait2) return;
  // MUST-62: the pointer is that of the byte behind the urgent data.
  const end = add(sequence, urgentPointer);
  const known = urgentEnds.get(connection) ?? connection.receiver.rcvNxt;
  if (!after(end, known)) return;
  urgentEnds.set(connection, end);
  connection.trace?.report?.(connection, "The peer sends urgent data");
}

/** How many bytes are to be read until the urgent data are over (RFC 9293 section 3.8.5, MUST-33); 0 without any. */
export function urgentBytesOf(connection: UserConnection, receiver: Receiver): number {
  const end = urgentEnds.get(connection);
  if (end === undefined) return 0;
  const { rcvNxt, queued, finReached } = receiver;
  // Behind a FIN nothing more comes, whatever was announced.
  return Math.max(0, queued + (finReached ? Math.min(0, distance(end, rcvNxt) + 1) : distance(end, rcvNxt)));
}
