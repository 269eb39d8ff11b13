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
}
