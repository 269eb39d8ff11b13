/**
 * Draws a TCP connection, from a capture or a connection log, as a time-sequence graph.
 *
 * @module
 */

import {
  ExitCode,
  InvalidValue,
  type Option,
  type Program,
  runProgram,
  toggle,
  UsageError,
  type Values,
} from "./cli.ts";
import { analyze } from "./plot/analysis.ts";
import { readCapturedConnections } from "./plot/capture_source.ts";
import { drawConnection } from "./plot/chart.ts";
import { busierSide, durationOf, payloadBytes, type RecordedConnection, type Side } from "./plot/connection.ts";
import { isConnectionLog, readLoggedConnections } from "./plot/log_source.ts";
import { duration, wholeNumber } from "./values.ts";

const output: Option<string | null> = {
  letter: "o",
  placeholder: "FILE.svg",
  help: "Where to write the graph, - for standard output (default: FILE with the ending .svg)",
  fallback: null,
  parse(text) {
    if (text === "-" || text.endsWith(".svg")) return text;
    throw new InvalidValue("give a file name that ends in .svg, or -");
  },
};

const options = {
  connection: {
    letter: "n",
    placeholder: "N",
    help: "Which connection of the file, as --list numbers them (default: the one with the most payload)",
    fallback: 0,
    parse: wholeNumber(1, Infinity),
  },
  output,
  reverse: toggle("Plot the data of the side that sent less", "r"),
  from: {
    placeholder: "TIME",
    help: "Begin so long after the first segment, like 1.5 or 200ms (default: at the first segment)",
    fallback: 0,
    parse: duration(0),
  },
  until: {
    placeholder: "TIME",
    help: "End so long after the first segment (default: at the last segment)",
    fallback: Infinity,
    parse: duration(0),
  },
  width: {
    placeholder: "PIXELS",
    help: "Width of the graph (default: 1280)",
    fallback: 1280,
    parse: wholeNumber(480, 20_000),
  },
  height: {
    placeholder: "PIXELS",
    help: "Height of the graph (default: 800)",
    fallback: 800,
    parse: wholeNumber(360, 20_000),
  },
  list: toggle("List the connections instead of drawing one", "l"),
  json: toggle("With --list: one JSON object a line"),
};

const program: Program<typeof options> = {
  name: "plot",
  summary: "Draws a TCP connection of a capture or of a connection log as an SVG time-sequence graph.",
  operand: { placeholder: "FILE", help: "A pcapng or pcap file, or a log that ConnectionLog wrote", required: true },
  options,
  examples: [
    ["transfer.pcapng", "draw its largest connection to transfer.svg"],
    ["--list transfer.pcapng", "list its connections"],
    ["-n 2 --from 1.5 --until 2 transfer.pcapng", "half a second of the second one"],
    ["-o - connection.jsonl", "draw a log to standard output"],
  ],
};

/** What `--list` says of a connection. */
interface Summary {
  connection: number;
  first: string;
  second: string;
  segments: number;
  bytesFirst: number;
  bytesSecond: number;
  retransmissions: number;
  milliseconds: number;
}

function summarize(connection: RecordedConnection, number: number): Summary {
  const [first, second] = [analyze(connection, 0), analyze(connection, 1)];
  const resent = [...first.data, ...second.data].filter(({ kind }) => kind === "retransmission" || kind === "late");
  return {
    connection: number,
    first: connection.ends[0],
    second: connection.ends[1],
    segments: connection.segments.length,
    bytesFirst: first.bytes,
    bytesSecond: second.bytes,
    retransmissions: resent.length,
    milliseconds: Math.round(durationOf(connection) * 1000) / 1000,
  };
}

function listLine(summary: Summary): string {
  const { connection, first, second, segments, bytesFirst, bytesSecond, retransmissions, milliseconds } = summary;
  return `${connection}: ${first} - ${second}: ${segments} segments, ${bytesFirst} and ${bytesSecond} bytes, ` +
    `${retransmissions} sent again, ${(milliseconds / 1000).toFixed(3)} s`;
}

async function readConnections(path: string): Promise<RecordedConnection[]> {
  let file: Uint8Array;
  try {
    file = await Deno.readFile(path);
  } catch (error) {
    throw new Error(`Cannot read "${path}": ${reason(error)}`);
  }
  return isConnectionLog(file) ? readLoggedConnections(file) : readCapturedConnections(file);
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.PermissionDenied) return "access is denied";
  return error instanceof Error ? error.message : String(error);
}

/** The number of the connection to plot, from 1. */
function choose(connections: readonly RecordedConnection[], wanted: number, path: string): number {
  if (wanted > connections.length) {
    throw new UsageError(`Cannot plot connection ${wanted} of "${path}": it has ${connections.length}`);
  }
  if (wanted > 0) return wanted;
  const bytes = connections.map((connection) => payloadBytes(connection, 0) + payloadBytes(connection, 1));
  return bytes.indexOf(Math.max(...bytes)) + 1;
}

async function write(svg: string, path: string): Promise<void> {
  if (path === "-") return console.log(svg.trimEnd());
  try {
    await Deno.writeTextFile(path, svg);
  } catch (error) {
    throw new Error(`Cannot write "${path}": ${reason(error)}`);
  }
}

async function plot(values: Values<typeof options>, path: string | null): Promise<number> {
  if (path === null) throw new UsageError("Name a capture or a connection log");
  if (values.json && !values.list) throw new UsageError("Option --json goes with --list");
  if (values.until <= values.from) throw new UsageError("Option --until must be later than --from");
  const connections = await readConnections(path);
  if (values.list) {
    for (const [index, connection] of connections.entries()) {
      const summary = summarize(connection, index + 1);
      console.log(values.json ? JSON.stringify(summary) : listLine(summary));
    }
    return ExitCode.success;
  }
  if (connections.length === 0) throw new Error(`Cannot plot "${path}": it holds no TCP segment`);
  const number = choose(connections, values.connection, path);
  const connection = connections[number - 1]!;
  if (values.from > 0 && values.from >= durationOf(connection)) {
    const seconds = durationOf(connection) / 1000;
    throw new UsageError(
      `Cannot begin ${values.from / 1000} s after the first segment: the last one came after ${seconds}`,
    );
  }
  const busier = busierSide(connection);
  const sender: Side = values.reverse ? (busier === 0 ? 1 : 0) : busier;
  const outputPath = values.output ?? `${path.replace(/\.[^./]*$/, "")}.svg`;
  await write(drawConnection(connection, sender, values), outputPath);
  if (outputPath !== "-") console.log(`${outputPath}: connection ${listLine(summarize(connection, number))}`);
  return ExitCode.success;
}

if (import.meta.main) await runProgram(program, ({ values, operand }) => plot(values, operand));
