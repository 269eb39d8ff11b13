/**
 * Sends ICMP echo requests from the stack and reports the answers as iputils does.
 *
 * @module
 */

import type { IpAddress, Logger, PingEvent, Stack } from "../mod.ts";
import { ExitCode, InvalidValue, type Program, runProgram, toggle, UsageError, type Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { quietLogLevel, startLogging } from "./logging.ts";
import { formatHeading, formatTime, PingStatistics } from "./ping_report.ts";
import { withLoopback, withStack } from "./session.ts";
import { printLine } from "./transfer/output.ts";
import { duration, hostAddress, wholeNumber } from "./values.ts";

const options = {
  count: {
    letter: "c",
    placeholder: "N",
    help: "Stop after N requests (default: go on until Ctrl-C)",
    fallback: Infinity,
    parse: wholeNumber(1, Infinity),
  },
  interval: {
    letter: "i",
    placeholder: "TIME",
    help: "Time from one request to the next, like 0.2 or 200ms (default: 1 second)",
    fallback: 1000,
    parse: duration(1),
  },
  size: {
    letter: "s",
    placeholder: "BYTES",
    help: "Payload of a request (default: 56)",
    fallback: 56,
    // What fits into an IPv4 packet of 65,535 bytes behind 20 bytes of IPv4 and 8 of ICMP header.
    parse: wholeNumber(0, 65507),
  },
  wait: {
    letter: "W",
    placeholder: "TIME",
    help: "How long to wait for an answer (default: 10 seconds)",
    fallback: 10_000,
    parse: duration(1),
  },
  ttl: {
    letter: "t",
    placeholder: "N",
    help: "Time to live, in hops (default: 64)",
    fallback: 64,
    parse: wholeNumber(1, 255),
  },
  quiet: toggle("Print the first line and the summary only", "q"),
  ...deviceOptions,
  "log-level": quietLogLevel,
};

const program: Program<typeof options> = {
  name: "ping",
  summary: "Sends ICMP echo requests from the stack, over a TAP device of its own, and shows the answers.",
  operand: { placeholder: "DESTINATION", help: "An IPv4 address (default: the host's end of the device)" },
  options,
  examples: [
    ["", "ping the host until Ctrl-C"],
    ["-c 3", "ping the host three times"],
    ["-c 100 -i 0.01 -q", "a hundred times, 10 ms apart, and only the summary"],
    ["-s 8000 -c 1", "one request that is fragmented"],
  ],
};

function destinationFrom(operand: string): IpAddress {
  try {
    return hostAddress(operand);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot ping "${operand}": ${error.message}`);
  }
}

/** What a user of iputils expects to read about an event. */
function eventLine(event: PingEvent): string {
  const sequence = `icmp_seq=${event.sequence}`;
  switch (event.kind) {
    case "reply": {
      const duplicate = event.duplicate ? " (DUP!)" : "";
      const time = formatTime(event.time);
      return `${event.bytes} bytes from ${event.source}: ${sequence} ttl=${event.timeToLive} time=${time} ms${duplicate}`;
    }
    case "error":
      return `From ${event.source} ${sequence} ${event.error}`;
    case "timeout":
      return `no answer yet for ${sequence}`;
  }
}

/** Pings until the count is reached or `signal` is aborted, and returns what came of it. */
async function report(
  stack: Stack,
  destination: IpAddress,
  values: Values<typeof options>,
  signal: AbortSignal,
): Promise<PingStatistics> {
  const text = destination.toString();
  const statistics = new PingStatistics();
  const started = performance.now();
  const { count, interval, size, ttl: timeToLive, wait: timeout } = values;
  const onSent = (sequence: number) => statistics.transmitted = sequence;
  printLine(formatHeading(text, text, size));
  try {
    for await (const event of stack.ping(text, { count, interval, size, timeToLive, timeout, signal, onSent })) {
      if (event.kind === "reply") statistics.reply(event.time, event.duplicate);
      else if (event.kind === "error") statistics.errors++;
      if (!values.quiet) printLine(eventLine(event));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  printLine(["", ...statistics.summary(text, performance.now() - started)].join("\n"));
  return statistics;
}

async function ping(values: Values<typeof options>, operand: string | null, logger: Logger): Promise<number> {
  const wanted = operand === null ? null : destinationFrom(operand);
  // The stack's own loopback needs no device.
  const { received } = wanted?.isLoopback
    ? await withLoopback(logger, ({ stack, signal }) => report(stack, wanted, values, signal))
    : await withStack(values, logger, ({ stack, link, signal }) => {
      const destination = wanted ?? link.host?.address ?? link.gateway;
      if (destination === null) throw new UsageError("Cannot choose whom to ping: give a destination");
      return report(stack, destination, values, signal);
    });
  return received > 0 ? ExitCode.success : ExitCode.failure;
}

if (import.meta.main) {
  await runProgram(
    program,
    ({ values, operand }) => ping(values, operand, startLogging(values["log-level"])),
    // As iputils: 1 says that no answer came, 2 that it could not be tried.
    ExitCode.usage,
  );
}
