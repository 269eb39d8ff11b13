/**
 * Errors that the network reports about a connection's segments: which are believed, and what they do (RFC 5461,
 * RFC 5927, RFC 1191).
 *
 * @module
 */

import { ErrorKind } from "../../protocol.ts";
import { before } from "../../sequence.ts";
import type { Connection } from "./connection.ts";
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
  // RFC 5461: while connecting, an unreachable peer is an answer; later it is a passing trouble.
  if (connection.state >= State.established || kind === ErrorKind.timeExceeded) return;
  if (!connection.context.options.heedNetworkErrors) return;
  if (connection.passive && !connection.openedFast) connection.finish(null);
  else unreachable(connection, kind);
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
  if (connection.state === State.synSent) return sender.bytesSent > 0 ? connection.synTooBig() : undefined;
  sender.recovery.segmentsTooBig(sender.segmentBytes);
  connection.queueFlush();
}

function unreachable(connection: Connection, kind: ErrorKind): void {
  switch (kind) {
    case ErrorKind.networkUnreachable:
      return connection.fail("NetworkUnreachable", "A router reports that the network cannot be reached");
    case ErrorKind.hostUnreachable:
      return connection.fail("HostUnreachable", "A router reports that the host cannot be reached");
    case ErrorKind.neighborUnreachable:
      return connection.fail("HostUnreachable", "The next hop does not answer on the link");
    case ErrorKind.prohibited:
      return connection.fail("HostUnreachable", "A router reports that the connection is prohibited");
    case ErrorKind.protocolUnreachable:
    case ErrorKind.portUnreachable:
      return connection.fail("ConnectionRefused", "The peer reports that the port cannot be reached");
  }
}
