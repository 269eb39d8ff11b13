/**
 * Every TCP segment, state change and report as lines of the log.
 *
 * @module
 */

import {
  describeSegment,
  formatEndpoint,
  type Logger,
  type Packet,
  type State,
  stateName,
  type TcpTrace,
  type UserConnection,
} from "../mod.ts";

/** Writes what it is told to a logger, at level debug. */
export class SegmentLog implements TcpTrace {
  readonly #logger: Logger;

  /** Takes the logger to write to. */
  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Logs a segment in the direction in which it travels. */
  segment({ local, remote }: UserConnection, direction: "sent" | "received", packet: Packet): void {
    const [from, to] = direction === "sent" ? [local, remote] : [remote, local];
    const text = describeSegment(packet.view, packet.transportAt, packet.tail, { everySequence: true });
    this.#logger.debug(`${formatEndpoint(from)} > ${formatEndpoint(to)} ${text}`);
  }

  /** Logs a change of state. */
  state({ local, remote }: UserConnection, from: State, to: State): void {
    const flow = `${formatEndpoint(local)} - ${formatEndpoint(remote)}`;
    this.#logger.debug(`${flow} ${stateName(from)} -> ${stateName(to)}`);
  }

  /** Logs what has happened without ending the connection. */
  report({ local, remote }: UserConnection, report: string): void {
    this.#logger.debug(`${formatEndpoint(local)} - ${formatEndpoint(remote)} ${report}`);
  }
}
