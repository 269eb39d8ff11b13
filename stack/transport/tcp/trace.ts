/**
 * Hooks for watching TCP at work: cheap enough to stay in, free while nobody listens.
 *
 * @module
 */

import type { Packet } from "../../packet.ts";
import type { State } from "./state.ts";
import type { UserConnection } from "./user.ts";

/** Who watches. The calls come in the middle of packet handling: look, note, return; keep nothing that is passed. */
export interface TcpTrace {
  /**
   * A segment of `connection` is about to be handed to the network, or has been received and found intact.
   * `packet.transportAt` is the offset of its TCP header and `packet.tail` its end.
   */
  segment?(connection: UserConnection, direction: "sent" | "received", packet: Packet): void;
  /** The connection has dealt with what arrived or expired: its windows, times and counts are what they are now. */
  updated?(connection: UserConnection): void;
  /** The connection's state has changed. */
  state?(connection: UserConnection, from: State, to: State): void;
  /**
   * What was sent from sequence number `start` up to `end` is believed lost, and will be sent again: the first copy, or
   * one that was sent again already.
   */
  lost?(connection: UserConnection, start: number, end: number): void;
  /**
   * Something has happened that does not end the connection, told as one sentence (RFC 9293 section 3.9.1.8): the network
   * reports an error, the peer does not answer retransmissions, or it sends urgent data.
   */
  report?(connection: UserConnection, report: string): void;
}

/**
 * One trace that tells several, in their order.
 *
 * @example A log and a count of losses
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ConnectionLog } from "../../connection_log.ts";
 * import { Stack } from "../../stack.ts";
 * import { combineTraces } from "./trace.ts";
 *
 * await using stack = new Stack();
 * let losses = 0;
 * const log = new ConnectionLog(stack.timers.clock, () => {});
 * stack.trace = combineTraces(log, { lost: () => losses++ });
 * const listener = stack.listen({ port: 7 });
 * (await stack.connect({ port: 7 })).close();
 * listener.close();
 * assertEquals(losses, 0);
 * ```
 */
export function combineTraces(...traces: TcpTrace[]): TcpTrace {
  return {
    segment: (connection, direction, packet) => {
      for (const trace of traces) trace.segment?.(connection, direction, packet);
    },
    updated: (connection) => {
      for (const trace of traces) trace.updated?.(connection);
    },
    state: (connection, from, to) => {
      for (const trace of traces) trace.state?.(connection, from, to);
    },
    lost: (connection, start, end) => {
      for (const trace of traces) trace.lost?.(connection, start, end);
    },
    report: (connection, report) => {
      for (const trace of traces) trace.report?.(connection, report);
    },
  };
}
