/**
 * Text diagrams of a connection's windows, in the manner of RFC 9293 section 3.3.1, figures 3 and 4.
 *
 * @module
 */

import type { TcpInfo } from "../mod.ts";

/** One stretch of the sequence space: `bytes` numbers from `start`; endless if `bytes` is Infinity. */
interface Stretch {
  readonly label: string;
  readonly start: number;
  readonly bytes: number;
}

/** A sequence number worth naming: it is marked where the stretch with this index begins. */
interface Mark {
  readonly stretch: number;
  readonly text: string;
}

/**
 * The send window: what the peer has acknowledged, what is in flight, what may be sent now, and what may not yet.
 * Sequence numbers are shown relative to `initial`, the initial send sequence number.
 */
export function sendWindowDiagram(info: TcpInfo, initial: number): string[] {
  const una = distance(initial, info.sndUna);
  const nxt = distance(initial, info.sndNxt);
  const byPeer = info.sendWindow <= info.congestionWindow;
  // A window that the peer has shrunk lies behind what is in flight already.
  const edge = Math.max(nxt, una + Math.min(info.sendWindow, info.congestionWindow));
  return draw("send", [
    // The SYN takes the first sequence number.
    { label: "acknowledged", start: 1, bytes: Math.max(0, una - 1) },
    { label: "in flight", start: una, bytes: nxt - una },
    { label: "sendable", start: nxt, bytes: edge - nxt },
    { label: "not yet sendable", start: edge, bytes: Infinity },
  ], [
    { stretch: 1, text: `SND.UNA ${una}` },
    { stretch: 2, text: `SND.NXT ${nxt}` },
    { stretch: 3, text: `edge ${edge}: ${byPeer ? "the peer's window" : "the congestion window"}` },
  ]);
}

/**
 * The receive window: what the program has read, what waits for it, what the peer may send, and what it may not yet.
 * Sequence numbers are shown relative to `initial`, the initial receive sequence number.
 */
export function receiveWindowDiagram(info: TcpInfo, initial: number): string[] {
  const nxt = distance(initial, info.rcvNxt);
  const edge = Math.max(nxt, distance(initial, info.rightEdge));
  // A FIN takes a sequence number but never waits to be read.
  const read = Math.max(1, 1 + info.bytesReceived - info.receiveQueued);
  const waiting = read + info.receiveQueued;
  return draw("receive", [
    { label: "read", start: 1, bytes: read - 1 },
    { label: "to be read", start: read, bytes: info.receiveQueued },
    { label: "receivable", start: Math.max(nxt, waiting), bytes: edge - nxt },
    { label: "not yet receivable", start: edge, bytes: Infinity },
  ], [
    { stretch: 2, text: `RCV.NXT ${nxt}` },
    { stretch: 3, text: `edge ${edge}` },
  ]);
}

/** How far `number` lies behind `initial`, modulo 2^32. */
function distance(initial: number, number: number): number {
  return (number - initial) >>> 0;
}

function draw(title: string, stretches: readonly Stretch[], marks: readonly Mark[]): string[] {
  const rows = [
    [title, ...stretches.map(({ label }) => label)],
    ["numbers", ...stretches.map(span)],
    ["count", ...stretches.map(({ bytes }) => bytes === Infinity ? "" : String(bytes))],
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  widths[0] = "receive".length;
  for (const { stretch, text } of marks) {
    // The mark stands under the column's left border and must end before the next mark.
    if (stretch < stretches.length - 1) widths[stretch + 1] = Math.max(widths[stretch + 1]!, text.length + 1);
  }
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ").trimEnd());
  let pointers = "";
  for (const { stretch, text } of marks) {
    let at = 1;
    for (let column = 0; column <= stretch; column++) at += widths[column]! + (column === 0 ? 0 : 3);
    pointers = `${pointers.padEnd(at)}^ ${text}`;
  }
  return [...lines, pointers];
}

function span({ start, bytes }: Stretch): string {
  if (bytes === Infinity) return `${start}..`;
  return bytes === 0 ? "none" : bytes === 1 ? `${start}` : `${start}..${start + bytes - 1}`;
}
