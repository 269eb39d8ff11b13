/**
 * The state of a stack as tables for people, in the manner of netstat.
 *
 * @module
 */

import Table from "cli-table3";
import type { StackSnapshot, TcpSnapshot } from "../../mod.ts";

/** Columns with two spaces between them and no lines. */
const plain = {
  chars: {
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  },
  style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
};

type Cell = string | number | null;

/** A table of which the columns that hold numbers only are aligned to the right; what is unknown is `-`. */
export function formatTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const colAligns = head.map((_, column) => {
    const isNumber = rows.length > 0 && rows.every((row) => typeof row[column] === "number" || row[column] === null);
    return isNumber ? "right" as const : "left" as const;
  });
  const table = new Table({ ...plain, head: [...head], colAligns });
  for (const row of rows) table.push(row.map((cell) => String(cell ?? "-")));
  return table.toString().split("\n").map((line) => line.trimEnd()).join("\n");
}

/** The interfaces with their addresses and what went through them. */
export function interfaceTable({ interfaces }: StackSnapshot): string {
  const head = ["Name", "MTU", "Hardware", "Addresses", "RX-Frames", "RX-Bytes", "TX-Frames", "TX-Bytes", "TX-Drop"];
  return formatTable(
    head,
    interfaces.map(({ name, mtu, mac, addresses, counters }) => [
      name,
      mtu,
      mac,
      addresses.join(" ") || null,
      counters.receivedFrames,
      counters.receivedBytes,
      counters.sentFrames,
      counters.sentBytes,
      counters.sendDropped,
    ]),
  );
}

/** The routes in the order in which they are tried. */
export function routeTable({ routes }: StackSnapshot): string {
  return formatTable(
    ["Destination", "Gateway", "Interface", "Metric"],
    routes.map((route) => [route.prefix, route.gateway, route.interface, route.metric]),
  );
}

/** The neighbours. */
export function neighborTable({ neighbors }: StackSnapshot): string {
  return formatTable(
    ["Address", "Hardware", "Interface", "State", "Waiting"],
    neighbors.map((neighbor) => [
      neighbor.address,
      neighbor.mac,
      neighbor.interface,
      neighbor.state,
      neighbor.pending,
    ]),
  );
}

/** The TCP sockets, with listeners and TIME-WAIT or without. */
export function tcpTable({ tcp }: StackSnapshot, all: boolean): string {
  const shown = all ? tcp : tcp.filter(({ state }) => state !== "LISTEN" && state !== "TIME-WAIT");
  return formatTable(
    ["Proto", "Recv-Q", "Send-Q", "Local", "Peer", "State", "RTT-ms", "Cwnd", "In-Flight", "Resent"],
    shown.map(tcpRow),
  );
}

function tcpRow({ receiveQueue, sendQueue, local, remote, state, info }: TcpSnapshot): Cell[] {
  const rtt = info === null || info.rtt === 0 ? null : Number(info.rtt?.toFixed(3));
  return [
    "tcp",
    receiveQueue,
    sendQueue,
    local,
    remote ?? "*",
    state,
    rtt,
    info?.congestionWindow ?? null,
    info?.bytesInFlight ?? null,
    info?.segmentsRetransmitted ?? null,
  ];
}

/** The UDP sockets. */
export function udpTable({ udp }: StackSnapshot): string {
  return formatTable(
    ["Proto", "Recv-Q", "Local", "Peer", "Dropped"],
    udp.map(({ receiveQueue, local, remote, dropped }) => ["udp", receiveQueue, local, remote ?? "*", dropped]),
  );
}

/** The counters by module and reason: those that have counted, or all. */
export function counterTable({ counters }: StackSnapshot, all: boolean): string {
  const modules = new Map<string, [name: string, value: number][]>();
  for (const [name, value] of Object.entries(counters)) {
    if (value === 0 && !all) continue;
    const [module] = name.split(".", 1) as [string];
    if (!modules.has(module)) modules.set(module, []);
    modules.get(module)!.push([name.slice(module.length + 1), value]);
  }
  return [...modules].map(([module, lines]) => {
    const width = Math.max(...lines.map(([, value]) => String(value).length));
    return [`${module}:`, ...lines.map(([name, value]) => `  ${String(value).padStart(width)} ${name}`)].join("\n");
  }).join("\n");
}
