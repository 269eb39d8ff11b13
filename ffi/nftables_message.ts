/**
 * nftables' netlink messages, to bytes: tables, chains and rules that drop packets (linux/netfilter/nf_tables.h).
 *
 * Their numbers are in network byte order, unlike those of netlink itself, and nested attributes say that they are.
 *
 * @module
 */

import type { IpAddress } from "../stack/address.ts";
import { decodeCString, NetlinkFlag, type NetlinkMessage, NetlinkRequest, parseAttributes } from "./netlink_message.ts";

/** The netlink protocol of netfilter. */
export const NETLINK_NETFILTER = 12;

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;

const MessageType = {
  newTable: (NFNL_SUBSYS_NFTABLES << 8) | 0,
  getTable: (NFNL_SUBSYS_NFTABLES << 8) | 1,
  deleteTable: (NFNL_SUBSYS_NFTABLES << 8) | 2,
  newChain: (NFNL_SUBSYS_NFTABLES << 8) | 3,
  newRule: (NFNL_SUBSYS_NFTABLES << 8) | 6,
} as const;

/** struct nfgenmsg: family, version, resource (16 bits, network byte order). */
const generalBytes = 4;
const NFPROTO_IPV4 = 2;
const NF_INET_PRE_ROUTING = 0;
const NF_DROP = 0;

const NLA_F_NESTED = 0x8000;
const NFTA_LIST_ELEM = 1;
const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_FLAGS = 2;
const NFT_TABLE_F_OWNER = 2;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_META_DREG = 1;
const NFTA_META_KEY = 2;
const NFT_META_IIF = 4;
const NFTA_CMP_SREG = 1;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFT_CMP_EQ = 0;
const NFTA_PAYLOAD_DREG = 1;
const NFTA_PAYLOAD_BASE = 2;
const NFTA_PAYLOAD_OFFSET = 3;
const NFTA_PAYLOAD_LEN = 4;
const NFT_PAYLOAD_NETWORK_HEADER = 1;
const NFTA_IMMEDIATE_DREG = 1;
const NFTA_IMMEDIATE_DATA = 2;
const NFT_REG_VERDICT = 0;
const NFT_REG_1 = 1;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;

/** Where IPv4's header has the destination. */
const destinationAt = 16;

/**
 * Before the kernel puts fragments together (-400) and begins to track connections (-200): it learns nothing of what is
 * dropped here.
 */
const priority = -450;

const chain = "prerouting";

/** An attribute: its type and its value, which is a number of 32 bits, a text, bytes, or attributes. */
type Attribute = readonly [type: number, value: number | string | Uint8Array | readonly Attribute[]];

/** The first and the last message of a transaction. */
export function batchRequests(): { begin: NetlinkRequest; end: NetlinkRequest } {
  const structure = [0, 0, 0, NFNL_SUBSYS_NFTABLES];
  return {
    begin: new NetlinkRequest(NFNL_MSG_BATCH_BEGIN, 0).structure(structure),
    end: new NetlinkRequest(NFNL_MSG_BATCH_END, 0).structure(structure),
  };
}

/** Makes a table for IPv4; `owned` by the socket: the kernel then removes it when that is closed (Linux 5.12). */
export function addTableRequest(table: string, owned: boolean): NetlinkRequest {
  const flags: readonly Attribute[] = owned ? [[NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER]] : [];
  return change(MessageType.newTable, NetlinkFlag.create | NetlinkFlag.exclusive, [[NFTA_TABLE_NAME, table], ...flags]);
}

/** Removes a table with all that it holds. */
export function removeTableRequest(table: string): NetlinkRequest {
  return change(MessageType.deleteTable, 0, [[NFTA_TABLE_NAME, table]]);
}

/** Makes the chain of a table through which received packets pass before anything else. */
export function addChainRequest(table: string): NetlinkRequest {
  return change(MessageType.newChain, NetlinkFlag.create, [
    [NFTA_CHAIN_TABLE, table],
    [NFTA_CHAIN_NAME, chain],
    [NFTA_CHAIN_HOOK, [[NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING], [NFTA_HOOK_PRIORITY, priority]]],
    [NFTA_CHAIN_TYPE, "filter"],
  ]);
}

/** Drops what an interface receives for an IPv4 address. */
export function dropRuleRequest(table: string, interfaceIndex: number, address: IpAddress): NetlinkRequest {
  const index = new Uint8Array(new Uint32Array([interfaceIndex]).buffer);
  return change(MessageType.newRule, NetlinkFlag.create | NetlinkFlag.append, [
    [NFTA_RULE_TABLE, table],
    [NFTA_RULE_CHAIN, chain],
    [NFTA_RULE_EXPRESSIONS, [
      expression("meta", [[NFTA_META_KEY, NFT_META_IIF], [NFTA_META_DREG, NFT_REG_1]]),
      equals(index),
      expression("payload", [
        [NFTA_PAYLOAD_DREG, NFT_REG_1],
        [NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER],
        [NFTA_PAYLOAD_OFFSET, destinationAt],
        [NFTA_PAYLOAD_LEN, address.bytes.length],
      ]),
      equals(Uint8Array.from(address.bytes)),
      expression("immediate", [
        [NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT],
        [NFTA_IMMEDIATE_DATA, [[NFTA_DATA_VERDICT, [[NFTA_VERDICT_CODE, NF_DROP]]]]],
      ]),
    ]],
  ]);
}

/** Asks for all tables for IPv4. */
export function getTablesRequest(): NetlinkRequest {
  return new NetlinkRequest(MessageType.getTable, NetlinkFlag.dump).structure([NFPROTO_IPV4, 0, 0, 0]);
}

/** The name of a table, from an answer to {@linkcode getTablesRequest}; null for any other message. */
export function parseTableName({ type, payload }: NetlinkMessage): string | null {
  if (type !== MessageType.newTable || payload[0] !== NFPROTO_IPV4) return null;
  const name = parseAttributes(payload, generalBytes).get(NFTA_TABLE_NAME);
  return name === undefined ? null : decodeCString(name);
}

function change(type: number, flags: number, attributes: readonly Attribute[]): NetlinkRequest {
  const request = new NetlinkRequest(type, NetlinkFlag.acknowledge | flags).structure([NFPROTO_IPV4, 0, 0, 0]);
  for (const [type, value] of attributes) request.attribute(typeBits(type, value), bytesOf(value));
  return request;
}

function expression(name: string, data: readonly Attribute[]): Attribute {
  return [NFTA_LIST_ELEM, [[NFTA_EXPR_NAME, name], [NFTA_EXPR_DATA, data]]];
}

/** Goes on with the rule only if the register holds these bytes. */
function equals(bytes: Uint8Array): Attribute {
  return expression("cmp", [
    [NFTA_CMP_SREG, NFT_REG_1],
    [NFTA_CMP_OP, NFT_CMP_EQ],
    [NFTA_CMP_DATA, [[NFTA_DATA_VALUE, bytes]]],
  ]);
}

function typeBits(type: number, value: Attribute[1]): number {
  return Array.isArray(value) ? type | NLA_F_NESTED : type;
}

function bytesOf(value: Attribute[1]): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(`${value}\0`);
  if (typeof value === "number") return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
  return joined(value);
}

/** Attributes one behind the other, each padded to a multiple of four bytes. */
function joined(attributes: readonly Attribute[]): Uint8Array {
  const parts = attributes.map(([type, value]) => {
    const bytes = bytesOf(value);
    const part = new Uint8Array((4 + bytes.length + 3) & ~3);
    const view = new DataView(part.buffer);
    view.setUint16(0, 4 + bytes.length, true);
    view.setUint16(2, typeBits(type, value), true);
    part.set(bytes, 4);
    return part;
  });
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
