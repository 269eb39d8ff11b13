/**
 * Measures throughput with iperf3's protocol: a client and a server on the stack.
 *
 * @module
 */

import { ExitCode, InvalidValue, runProgram, toggle, UsageError } from "./cli.ts";
import type { Option, Program, Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { runClient } from "./iperf3/client.ts";
import { JsonReport } from "./iperf3/json_report.ts";
import type { TestSettings } from "./iperf3/protocol.ts";
import { TextReport } from "./iperf3/report.ts";
import { runServer } from "./iperf3/server.ts";
import { bitrate, byteAmount } from "./iperf3/units.ts";
import { quietLogLevel, startLogging } from "./logging.ts";
import { withStack } from "./session.ts";
import { duration, hostAddress, port, wholeNumber } from "./values.ts";

const defaultPort = 5201;
const defaultDuration = 10_000;
/** Bits per second of a UDP client that was told nothing. */
const defaultDatagramRate = 1_000_000;
const defaultBlock = { tcp: 131_072, udp: 1460 } as const;

function optional<Value>(
  placeholder: string,
  help: string,
  parse: (text: string) => Value,
  letter?: string,
): Option<Value | null> {
  return { placeholder, help, fallback: null, parse, ...(letter === undefined ? {} : { letter }) };
}

const options = {
  server: toggle("Serve tests until Ctrl-C", "s"),
  client: optional("ADDRESS", "Run a test against the server at this IPv4 address", hostAddress, "c"),
  port: {
    letter: "p",
    placeholder: "N",
    help: "The server's port (default: 5201)",
    fallback: defaultPort,
    parse: port,
  },
  udp: toggle("Test UDP instead of TCP", "u"),
  time: optional("TIME", "How long to send, like 5 or 500ms (default: 10 seconds)", duration(1), "t"),
  bytes: optional("N", "How much to send instead, over all streams, like 100M", byteAmount, "n"),
  parallel: { letter: "P", placeholder: "N", help: "Streams (default: 1)", fallback: 1, parse: wholeNumber(1, 128) },
  reverse: toggle("The server sends", "R"),
  bitrate: optional(
    "RATE",
    "Bits per second of each stream, like 100M; 0 for no limit (default: 0, UDP: 1M)",
    bitrate,
    "b",
  ),
  length: optional("BYTES", "Bytes of a write or a datagram (default: 128K, UDP: 1460)", byteAmount, "l"),
  omit: { letter: "O", placeholder: "TIME", help: "Time at the start not to count", fallback: 0, parse: duration(0) },
  interval: {
    letter: "i",
    placeholder: "TIME",
    help: "Time from one report to the next; 0 for none (default: 1 second)",
    fallback: 1000,
    parse: intervalFrom,
  },
  window: optional("BYTES", "Bytes of the socket buffers (default: the stack's choice)", byteAmount, "w"),
  mss: optional("BYTES", "Largest segment payload (default: what the path carries)", wholeNumber(88, 65495), "M"),
  "no-delay": toggle("Send small segments at once", "N"),
  tos: optional("N", "Type of service, 0 to 255", wholeNumber(0, 255), "S"),
  "one-off": toggle("Serve one test and exit", "1"),
  json: toggle("Print JSON in iperf3's form", "J"),
  ...deviceOptions,
  "log-level": quietLogLevel,
};

const program: Program<typeof options> = {
  name: "iperf3",
  summary: "Measures throughput between the stack and any iperf3, over a TAP device of its own.",
  options,
  examples: [
    ["-s", "serve; from another terminal: iperf3 -c 192.0.2.2"],
    ["-c 192.0.2.1", "send to an iperf3 -s on this host for ten seconds"],
    ["-c 192.0.2.1 -R -P 4 -t 5", "let it send by four streams for five seconds"],
    ["-c 192.0.2.1 -u -b 100M --json", "100 Mbit/s of datagrams, the result as JSON"],
  ],
};

function intervalFrom(text: string): number {
  const value = duration(0)(text);
  if (value === 0 || value >= 100) return value;
  throw new InvalidValue("give 0 or at least 100ms");
}

/** The test that the options ask for. */
function settingsFrom(values: Values<typeof options>): TestSettings {
  const transport = values.udp ? "udp" : "tcp";
  const blockBytes = values.length ?? defaultBlock[transport];
  const [least, most] = transport === "udp" ? [16, 65507] : [1, 1 << 20];
  if (blockBytes < least || blockBytes > most) {
    throw new UsageError(
      `Cannot use --length ${blockBytes}: ${transport.toUpperCase()} takes ${least} to ${most} bytes`,
    );
  }
  if (values.time !== null && values.bytes !== null) {
    throw new UsageError("Cannot use --time with --bytes: give one of them");
  }
  return {
    transport,
    duration: values.bytes === null ? (values.time ?? defaultDuration) / 1000 : 0,
    omit: values.omit / 1000,
    bytes: values.bytes ?? 0,
    parallel: values.parallel,
    reverse: values.reverse,
    blockBytes,
    bitrate: values.bitrate ?? (values.udp ? defaultDatagramRate : 0),
    noDelay: values["no-delay"],
    maximumSegmentBytes: values.mss ?? 0,
    bufferBytes: values.window ?? 0,
    trafficClass: values.tos ?? 0,
    wideCounters: false,
  };
}

/** Options that only a client understands. */
const clientOptions = [
  "udp",
  "time",
  "bytes",
  "reverse",
  "bitrate",
  "length",
  "window",
  "mss",
  "no-delay",
  "tos",
] as const;

function checkRole(values: Values<typeof options>): void {
  if (values.server === (values.client !== null)) throw new UsageError("Give either --server or --client ADDRESS");
  if (!values.server && values["one-off"]) throw new UsageError("Cannot use --one-off with --client: it is a server's");
  const misplaced = values.server ? clientOptions.find((name) => values[name] !== options[name].fallback) : undefined;
  if (misplaced !== undefined) throw new UsageError(`Cannot use --${misplaced} with --server: it is a client's`);
}

async function iperf3(values: Values<typeof options>): Promise<number> {
  checkRole(values);
  const settings = settingsFrom(values);
  const report = values.json ? new JsonReport(console.log) : new TextReport(console.log, printProblem);
  const interval = values.interval / 1000;
  return await withStack(values, startLogging(values["log-level"]), async ({ stack, signal }) => {
    const { client, port } = values;
    if (client === null) {
      const succeeded = await runServer(stack, { port, interval, oneOff: values["one-off"], report, signal });
      return succeeded ? ExitCode.success : ExitCode.failure;
    }
    try {
      await runClient(stack, { hostname: client.toString(), port, settings, interval, report, signal });
    } catch (error) {
      // A reader of JSON looks for the problem there.
      if (values.json && error instanceof Error) report.problem(error.message);
      throw error;
    } finally {
      report.finished();
    }
    return ExitCode.success;
  });
}

function printProblem(message: string): void {
  console.error(`iperf3: ${message}`);
}

if (import.meta.main) await runProgram(program, ({ values }) => iperf3(values));
