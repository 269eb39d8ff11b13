/**
 * ICMP messages by the names that scripts use.
 *
 * @module
 */

import type { IcmpSpec } from "./ast.ts";
import { ScriptSkipped } from "./failure.ts";

/** Type and codes of a kind of message. */
interface Kind {
  readonly type: number;
  readonly codes?: Readonly<Record<string, number>>;
}

const messages4: Readonly<Record<string, Kind>> = {
  echo_reply: { type: 0 },
  unreachable: {
    type: 3,
    codes: {
      net: 0,
      host: 1,
      protocol: 2,
      port: 3,
      frag_needed: 4,
      source_route_failed: 5,
      net_unknown: 6,
      host_unknown: 7,
      source_host_isolated: 8,
      net_prohibited: 9,
      host_prohibited: 10,
      net_unreachable_for_tos: 11,
      host_unreachable_for_tos: 12,
      packet_filtered: 13,
      admin_prohibited: 13,
      precedence_violation: 14,
      precedence_cutoff: 15,
    },
  },
  source_quench: { type: 4 },
  redirect: { type: 5, codes: { net: 0, host: 1 } },
  echo_request: { type: 8 },
  time_exceeded: {
    type: 11,
    codes: {
      ttl: 0,
      in_transit: 0,
      ttl_exceeded_in_transit: 0,
      reassembly: 1,
      frag_time: 1,
      frag_reass: 1,
    },
  },
  parameter_problem: { type: 12 },
  timestamp_request: { type: 13 },
  timestamp: { type: 13 },
  timestamp_reply: { type: 14 },
  information_request: { type: 15 },
  information_reply: { type: 16 },
  address_mask_request: { type: 17 },
  address_mask_reply: { type: 18 },
};

const messages6: Readonly<Record<string, Kind>> = {
  unreachable: {
    type: 1,
    codes: {
      no_route: 0,
      noroute: 0,
      net: 0,
      admin_prohibited: 1,
      not_neighbour: 2,
      address: 3,
      addr: 3,
      host: 3,
      port: 4,
      policy_fail: 5,
      reject_route: 6,
    },
  },
  packet_too_big: { type: 2 },
  time_exceeded: { type: 3, codes: { hop_limit: 0, reassembly: 1 } },
  parameter_problem: { type: 4 },
  echo_request: { type: 128 },
  echo_reply: { type: 129 },
};

/**
 * Type and code of a message.
 *
 * @throws {ScriptSkipped} If its name is not known.
 */
export function icmpNumbers(spec: Pick<IcmpSpec, "family" | "type" | "code">): { type: number; code: number } {
  const numbered = /^type_(\d+)$/.exec(spec.type);
  const kind = numbered === null
    ? (spec.family === 4 ? messages4 : messages6)[spec.type]
    : { type: Number(numbered[1]) };
  if (kind === undefined) throw new ScriptSkipped(`the ICMP message ${spec.type} is not known here`);
  if (spec.code === null) return { type: kind.type, code: 0 };
  const number = /^code_(\d+)$/.exec(spec.code);
  if (number !== null) return { type: kind.type, code: Number(number[1]) };
  const { codes } = kind as Kind;
  const code = codes?.[spec.code] ?? codes?.[spec.code.replace(/_(?:unreachable|exceeded)$/, "")];
  if (code === undefined) throw new ScriptSkipped(`the ICMP code ${spec.code} is not known here`);
  return { type: kind.type, code };
}
