/**
 * Comparing what the stack has sent with what a script expects.
 *
 * @module
 */

import type { IpSpec, TcpOption, TcpSpec } from "./ast.ts";
import { formatFlags, formatTcpSpec } from "./format.ts";
import type { ScriptSegment } from "./flow.ts";
import type { LivePacket } from "./live_packet.ts";
import { formatTcpOptions } from "./tcp_options.ts";

/** What can be left out of the comparison. */
export const relaxations = [
  "options",
  "option-order",
  "window",
  "timestamps",
  "push",
  "tcp_info",
  "sockopt-values",
  "ecn",
  "surplus",
] as const;

/** One of {@linkcode relaxations}. */
export type Relaxation = (typeof relaxations)[number];

const push = 8;
const ackFlag = 16;
const ecnFlags = 64 | 128 | 256;

/**
 * What is wrong with a segment, as short phrases: empty if nothing is. `timestampSlack` is by how many ticks a timestamp
 * may differ.
 */
export function compareTcp(
  expected: TcpSpec,
  actual: ScriptSegment,
  ignore: ReadonlySet<Relaxation>,
  timestampSlack: number,
): string[] {
  const wrong: string[] = [];
  const differ = (what: string, wanted: number | null, got: number) => {
    if (wanted !== null && wanted !== got) wrong.push(`${what} ${got}, not ${wanted}`);
  };
  const mask = 0x1ff & ~(ignore.has("push") ? push : 0) & ~(ignore.has("ecn") ? ecnFlags : 0);
  if ((expected.flags & mask) !== (actual.flags & mask)) {
    wrong.push(`flags ${formatFlags(actual.flags)}, not ${formatFlags(expected.flags)}`);
  }
  differ("sequence number", expected.sequence, actual.sequence);
  differ("length", expected.length, actual.length);
  if ((expected.flags & actual.flags & ackFlag) !== 0) {
    differ("acknowledgement", expected.acknowledgement, actual.acknowledgement);
  }
  if (!ignore.has("window")) differ("window", expected.window, actual.window);
  differ("urgent pointer", expected.urgent, actual.urgent);
  if (expected.options !== null) {
    const difference = compareOptions(expected.options, actual.options, ignore, timestampSlack);
    if (difference !== null) wrong.push(difference);
  }
  return wrong;
}

function compareOptions(
  expected: readonly TcpOption[],
  actual: readonly TcpOption[],
  ignore: ReadonlySet<Relaxation>,
  timestampSlack: number,
): string | null {
  const counted = (options: readonly TcpOption[]) => {
    if (ignore.has("options")) return options.filter(({ kind }) => kind === "sack");
    if (!ignore.has("option-order")) return options;
    return options.filter(({ kind }) => kind !== "nop" && kind !== "eol").sort((left, right) =>
      left.kind < right.kind ? -1 : left.kind > right.kind ? 1 : 0
    );
  };
  const left = counted(expected);
  const right = counted(actual);
  const same = left.length === right.length &&
    left.every((option, index) => sameOption(option, right[index]!, ignore.has("timestamps"), timestampSlack));
  return same ? null : `options <${formatTcpOptions(actual)}>, not <${formatTcpOptions(expected)}>`;
}

function sameOption(expected: TcpOption, actual: TcpOption, anyTimestamps: boolean, slack: number): boolean {
  if (expected.kind === "TS" && actual.kind === "TS") {
    return anyTimestamps ||
      (Math.abs((expected.value - actual.value) | 0) <= slack && expected.echo === actual.echo);
  }
  return formatTcpOptions([expected]) === formatTcpOptions([actual]);
}

/** What is wrong with the IP header and the checksums of a packet. */
export function compareIp(expected: IpSpec, live: LivePacket, ignore: ReadonlySet<Relaxation>): string[] {
  const wrong: string[] = [];
  const differ = (what: string, wanted: number | null, got: number) => {
    if (wanted !== null && wanted !== got) wrong.push(`${what} ${got}, not ${wanted}`);
  };
  if (!live.intact) wrong.push("a wrong checksum");
  differ("TTL", expected.ttl, live.ttl);
  differ("flow label", expected.flowLabel, live.flowLabel);
  if (ignore.has("ecn")) {
    differ("DSCP", expected.tos === null ? null : expected.tos >> 2, live.tos >> 2);
    return wrong;
  }
  differ("TOS", expected.tos, live.tos);
  const ecn = live.tos & 3;
  if (expected.ecn === "anyEct") {
    if (ecn !== 1 && ecn !== 2) wrong.push(`ECN ${ecn}, not ECT`);
  } else {
    differ("ECN", expected.ecn, ecn);
  }
  return wrong;
}

/** Whether a segment can be the next part of what a script writes as one: segmentation is the stack's business. */
export function continues(expected: TcpSpec, first: ScriptSegment, next: ScriptSegment, soFar: number): boolean {
  return soFar < expected.length && next.length > 0 &&
    next.sequence === ((first.sequence + soFar) >>> 0) &&
    next.acknowledgement === first.acknowledgement &&
    next.window === first.window &&
    (first.flags & ~push & ~1) === (next.flags & ~push & ~1);
}

/** What a script expects, for messages. */
export function describeExpected(expected: TcpSpec): string {
  return `> ${formatTcpSpec(expected)}`;
}
