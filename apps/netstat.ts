/**
 * Shows what the stack of a running program is doing.
 *
 * @module
 */

import type { StackSnapshot } from "../mod.ts";
import { ExitCode, type Option, type Program, runProgram, toggle, UsageError, type Values } from "./cli.ts";
import { askSnapshot, chooseProgram } from "./control/client.ts";
import { listControlSockets } from "./control/directory.ts";
import {
  counterTable,
  formatTable,
  interfaceTable,
  neighborTable,
  routeTable,
  tcpTable,
  udpTable,
} from "./netstat/tables.ts";
import { wholeNumber } from "./values.ts";

const options = {
  interfaces: toggle("Interfaces, their addresses and what went through them", "i"),
  routes: toggle("Routes", "r"),
  neighbors: toggle("Neighbours and their hardware addresses", "n"),
  tcp: toggle("TCP connections: queues, state, round-trip time, congestion window", "t"),
  udp: toggle("UDP sockets", "u"),
  statistics: toggle("Counters by module and reason", "s"),
  all: toggle("Listeners and TIME-WAIT too; with -s, counters that are 0 too", "a"),
  list: toggle("The programs that can be asked", "l"),
  pid: {
    letter: "p",
    placeholder: "PID",
    help: "Which program to ask (default: the only one that runs)",
    fallback: null,
    parse: wholeNumber(1, 2 ** 31),
  } as Option<number | null>,
  control: {
    placeholder: "PATH",
    help: "Ask the program with this control socket",
    fallback: null,
    parse: (text) => text,
  } as Option<string | null>,
  json: toggle("Print JSON: all that was asked for, or everything"),
};

const program: Program<typeof options> = {
  name: "netstat",
  summary: "Shows what the stack of a running program is doing: TCP and UDP sockets unless told otherwise.",
  options,
  examples: [
    ["", "the connections and sockets of the only program that runs"],
    ["-l", "which programs run"],
    ["-irn --pid 4711", "interfaces, routes and neighbours of one of them"],
    ["-s", "what was dropped, and why"],
    ["--json | jq '.tcp[].info.congestionWindow'", "for scripts"],
  ],
};

/** The parts of a snapshot, each with the option that asks for it and the table that shows it. */
const sections: readonly {
  readonly option: "interfaces" | "routes" | "neighbors" | "tcp" | "udp" | "statistics";
  readonly title: string;
  readonly part: keyof StackSnapshot;
  table(snapshot: StackSnapshot, all: boolean): string;
}[] = [
  { option: "interfaces", title: "Interfaces", part: "interfaces", table: interfaceTable },
  { option: "routes", title: "Routes", part: "routes", table: routeTable },
  { option: "neighbors", title: "Neighbours", part: "neighbors", table: neighborTable },
  { option: "tcp", title: "TCP", part: "tcp", table: tcpTable },
  { option: "udp", title: "UDP", part: "udp", table: udpTable },
  { option: "statistics", title: "Counters", part: "counters", table: counterTable },
];

async function list(json: boolean): Promise<void> {
  const entries = await listControlSockets();
  if (json) return console.log(JSON.stringify(entries));
  const rows = entries.map(({ pid, program, path }) => [pid, program, path]);
  console.log(formatTable(["PID", "Program", "Control socket"], rows));
}

/** What was asked for, as tables or as JSON. */
export function report(snapshot: StackSnapshot, values: Omit<Values<typeof options>, "pid" | "control">): string {
  const asked = sections.filter(({ option }) => values[option]);
  if (values.json) {
    const shown = asked.length === 0 ? snapshot : Object.fromEntries(asked.map(({ part }) => [part, snapshot[part]]));
    return JSON.stringify(shown);
  }
  const shown = asked.length === 0 ? sections.filter(({ option }) => option === "tcp" || option === "udp") : asked;
  const tables = shown.map(({ title, table }) => {
    const text = table(snapshot, values.all);
    return shown.length === 1 || text === "" ? text : `${title}\n${text}`;
  });
  return tables.filter((text) => text !== "").join("\n\n");
}

async function netstat(values: Values<typeof options>): Promise<number> {
  if (values.pid !== null && values.control !== null) {
    throw new UsageError("Cannot use both --pid and --control: choose one");
  }
  if (values.list) {
    await list(values.json);
    return ExitCode.success;
  }
  const path = values.control ?? (await chooseProgram(values.pid)).path;
  console.log(report(await askSnapshot(path), values));
  return ExitCode.success;
}

if (import.meta.main) await runProgram(program, ({ values }) => netstat(values));
