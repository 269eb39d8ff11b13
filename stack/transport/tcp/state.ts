/**
 * The states of a connection (RFC 9293 section 3.3.2).
 *
 * @module
 */

/** The eleven states. The order is that of a connection's life, so that `state >= State.established` means synchronised. */
export const State = {
  closed: 0,
  listen: 1,
  synSent: 2,
  synReceived: 3,
  established: 4,
  finWait1: 5,
  finWait2: 6,
  closeWait: 7,
  closing: 8,
  lastAck: 9,
  timeWait: 10,
} as const;

/** One of the values of {@linkcode State}. */
export type State = (typeof State)[keyof typeof State];

const names = [
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSE-WAIT",
  "CLOSING",
  "LAST-ACK",
  "TIME-WAIT",
] as const;

/** The state's name as the RFC writes it. */
export function stateName(state: State): string {
  return names[state];
}
