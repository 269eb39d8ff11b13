/**
 * What a connection sends while its handshake is under way: SYN, or SYN and ACK, for the first time and again.
 *
 * @module
 */

import type { ErrorName } from "../../errors.ts";
import type { ControlBlock } from "./control_block.ts";
import { ecnSetup } from "./ecn.ts";
import type { FastOpenHandshake } from "./fast_open.ts";
import { Flag } from "./header.ts";
import { State } from "./state.ts";
import type { Failure } from "./user.ts";

/** A connection, as far as its handshake goes. */
export interface OpeningConnection extends ControlBlock {
  /** Where it stands. */
  readonly state: State;
  /** What Fast Open means to it (RFC 7413), or null when it is not used. */
  readonly fastOpen: FastOpenHandshake | null;
  /** Whether data flow already although the handshake is not complete. */
  readonly openedFast: boolean;
  /** Sets the timers anew. */
  updateTimers(): void;
  /** Ends the connection because of a failure. */
  fail(name: ErrorName, message: string): void;
  /** Ends the connection. */
  finish(failure: Failure | null): void;
}

/** Sends the first SYN, with what there is of data if Fast Open lets it carry any (RFC 7413 section 4.2.1). */
export function sendFirstSyn(connection: OpeningConnection): void {
  const { fastOpen, sender, context } = connection;
  const dataBytes = fastOpen === null ? 0 : Math.min(sender.queued, fastOpen.room);
  if (fastOpen !== null) fastOpen.deferred = false;
  sender.sendSyn(context.options.ecn === "request" ? Flag.syn | ecnSetup : Flag.syn, connection.now, dataBytes);
  if (fastOpen !== null) fastOpen.option = null;
  connection.updateTimers();
}

/** Sends the SYN again, or the SYN and ACK, again or for the first time. */
export function sendSyn(connection: OpeningConnection): void {
  const { fastOpen, sender, ecn, now } = connection;
  if (fastOpen !== null) fastOpen.deferred = false;
  // A SYN that asked for explicit congestion notification may have been dropped for that: it is asked once.
  if (connection.state === State.synSent) sender.sendSyn(Flag.syn, now);
  else sender.sendSyn(Flag.syn | Flag.ack | (ecn === null ? 0 : Flag.ece), now);
  if (fastOpen !== null) fastOpen.option = null;
}

/** Our SYN was too big for the path with its data: it is sent again without them. */
export function synTooBig(connection: OpeningConnection): void {
  if (connection.fastOpen !== null) connection.fastOpen.tooBig = true;
  sendSyn(connection);
}

/** Our SYN was not answered in time. */
export function synTimedOut(connection: OpeningConnection): void {
  const { fastOpen } = connection;
  if (fastOpen !== null) fastOpen.tooBig = false;
  if (fastOpen !== null && !fastOpen.lost && connection.state === State.synSent) {
    fastOpen.lost = true;
    connection.context.fastOpen.cache.lost(connection.remote.address);
  }
  sendSyn(connection);
}

/** The peer gives up a handshake that it began, by RST or by a new SYN (RFC 9293 section 3.10.7.4). */
export function handshakeReset(connection: OpeningConnection): void {
  const { openedFast, fastOpen } = connection;
  if (fastOpen !== null) fastOpen.reset = true;
  if (openedFast) connection.fail("ConnectionReset", "The peer reset the connection");
  else connection.finish(null);
}
