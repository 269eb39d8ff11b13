/**
 * Packets as text in the language of scripts.
 *
 * @module
 */

import type { TcpSpec } from "./ast.ts";
import type { Flow, ScriptSegment } from "./flow.ts";
import type { LivePacket } from "./live_packet.ts";
import { flagBits } from "./parse_packet.ts";
import { formatTcpOptions } from "./tcp_options.ts";

/** The flags' letters, in the order in which scripts write them. */
const letters = ["S", "F", "R", "P", "U", "E", "W", "A", "."];

/** Flag bits as letters. */
export function formatFlags(flags: number): string {
  return letters.filter((letter) => (flags & flagBits[letter]!) !== 0).join("") || "-";
}

/** A segment in the language of scripts. */
export function formatSegment(segment: ScriptSegment): string {
  const { flags, sequence, length, acknowledgement, window, urgent, options } = segment;
  let text = `${formatFlags(flags)} ${sequence}:${(sequence + length) >>> 0}(${length})`;
  if ((flags & flagBits["."]!) !== 0) text += ` ack ${acknowledgement}`;
  text += ` win ${window}`;
  if ((flags & flagBits.U!) !== 0) text += ` urg ${urgent}`;
  if (options.length > 0) text += ` <${formatTcpOptions(options)}>`;
  return text;
}

/** A segment as a script describes it. */
export function formatTcpSpec(spec: TcpSpec): string {
  const { flags, sequence, absolute, length, acknowledgement, window, urgent, options } = spec;
  let text = `${formatFlags(flags)} `;
  text += sequence === null ? `...(${length})` : `${sequence}:${(sequence + length) >>> 0}(${length})`;
  if (absolute) text += "!";
  if (acknowledgement !== null) text += ` ack ${acknowledgement}`;
  if (window !== null) text += ` win ${window}`;
  if (urgent !== null) text += ` urg ${urgent}`;
  if (options === null) text += " <...>";
  else if (options.length > 0) text += ` <${formatTcpOptions(options)}>`;
  return text;
}

/** A packet that the stack has sent, with the numbers of the script if it belongs to `flow`. */
export function formatLive(live: LivePacket, flow: Flow | null): string {
  switch (live.kind) {
    case "tcp":
      return flow === null
        ? `${live.sourcePort} > ${live.destinationPort} ${
          formatFlags(live.flags)
        } ${live.sequence}(${live.payload.length})`
        : formatSegment(flow.toScript(live));
    case "udp":
      return `udp (${live.payload.length})`;
    case "icmp":
      return `icmp type ${live.type} code ${live.code}`;
    case "other":
      return `protocol ${live.protocol}`;
  }
}
