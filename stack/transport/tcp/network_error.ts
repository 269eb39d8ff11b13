/**
 * Errors that the network reports about a connection's segments: which are believed, and what they do (RFC 5461,
 * RFC 5927, RFC 1191).
 *
 * @module
 */

import type { ErrorName } from "../../errors.ts";
import { ErrorKind } from "../../protocol.ts";
import { before } from "../../sequence.ts";
import type { Connection } from "./connection.ts";
import { synTooBig } from "./handshake.ts";
import { describeNetworkError, reportNetworkError } from "./reports.ts";
import { State } from "./state.ts";

/**
 * Handles an error about the segment of a connection that began with `sequence`. `mtu` is the next hop's, in bytes, for
 * `packetTooBig`.
 */
export function networkErrorArrives(connection: Connection, kind: ErrorKind, sequence: number, mtu: number): void {
  // RFC 5927 section 4.1: only about something that is in the network can there be an error.
  const { sender } = connection;
  if (before(sequence, sender.sndUna)) return;
  if (!before(sequence, sender.sndNxt) && !(sender.probed && sequence === sender.sndNxt)) return;
  if (kind === ErrorKind.packetTooBig) return packetTooBig(connection, mtu);
  // RFC 5461: while connecting, an unreachable peer is an answer; later it is a passing trouble (RFC 9293 section
  // 3.9.2.2: MUST-56). RFC 5927 section 5.2: that holds for "hard" errors too (SHLD-26), since anybody can send them.
  const error = connection.state < State.established && connection.context.options.heedNetworkErrors
    ? endOfHandshake(kind)
    : null;
  if (error === null) reportNetworkError(connection, kind);
  else if (connection.passive && !connection.openedFast) connection.finish(null);
  else connection.fail(error, describeNetworkError(kind));
}

/** RFC 1191 section 6, RFC 5927 section 7: a smaller path MTU. */
function packetTooBig(connection: Connection, mtu: number): void {
  const { path, sender } = connection;
  // A router that does not say its MTU (RFC 1191 section 5): try the smallest that must work.
  const believed = Math.max(mtu, path.network.minimumMtu);
  if (believed >= path.mtu) return;
  path.network.lowerMtu(path, believed);
  connection.fitSegments();
  // RFC 7413 section 4.2.1: a SYN with data has other ways to fail; it is sent again at once, without them.
  if (connection.state === State.synSent) return sender.bytesSent > 0 ? synTooBig(connection) : undefined;
  sender.recovery.segmentsTooBig(sender.segmentBytes);
  connection.queueFlush();
}

/** The error with which a handshake ends of which the network reports this; null if it goes on. */
function endOfHandshake(kind: ErrorKind): ErrorName | null {
  switch (kind) {
    case ErrorKind.networkUnreachable:
      return "NetworkUnreachable";
    case ErrorKind.hostUnreachable:
    case ErrorKind.neighborUnreachable:
    case ErrorKind.prohibited:
      return "HostUnreachable";
    case ErrorKind.protocolUnreachable:
    case ErrorKind.portUnreachable:
      return "ConnectionRefused";
    default:
      return null;
  }
}
