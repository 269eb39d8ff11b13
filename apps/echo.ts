/**
 * Serves TCP and UDP echo on a TAP device, or shows a connection of the stack with itself.
 *
 * @module
 */

import { isDeviceUnavailable, type Logger, type Stack } from "../mod.ts";
import { errorLine, ExitCode, type Program, runProgram, toggle, type Values } from "./cli.ts";
import { deviceOptions, type OpenLink } from "./device.ts";
import { demonstrate } from "./echo_demo.ts";
import { EchoService } from "./echo_service.ts";
import { logLevel, startLogging } from "./logging.ts";
import { SegmentLog } from "./segment_log.ts";
import { type AddressedLink, type LinkSession, openLinkOrTunnel, withLink } from "./session.ts";
import { port } from "./values.ts";

/** How long connections may take to close when the program ends, in milliseconds. */
const closeGrace = 2000;

const options = {
  port: { placeholder: "N", help: "TCP and UDP port (default: 7)", fallback: 7, parse: port },
  ...deviceOptions,
  loopback: toggle("Show a connection of the stack with itself instead; needs no device and no privilege"),
  "log-level": logLevel,
};

const program: Program<typeof options> = {
  name: "echo",
  summary: "Serves TCP and UDP echo from the stack, over a TAP device of its own, until Ctrl-C.",
  options,
  examples: [
    ["", "serve 192.0.2.2 to this host, which is 192.0.2.1"],
    ["--address 10.9.8.2/24 --port 7777", "choose address and port; the host becomes 10.9.8.1"],
    ["--log-level debug", "log every segment and state change"],
    ["--loopback", "watch a TCP connection live, without any device"],
  ],
};

/** The link that the options ask for, or null where no TAP device can be had and none was asked for by name. */
async function openLinkIfPossible(values: Values<typeof options>, logger: Logger): Promise<OpenLink | null> {
  if (values.loopback) return null;
  try {
    return await openLinkOrTunnel(values, logger);
  } catch (error) {
    if (values.tap !== null || values.tun !== null || !isDeviceUnavailable(error)) throw error;
    console.log(`${errorLine(error)}. Showing the loopback demonstration instead.`);
    return null;
  }
}

function announce({ device, address, host }: AddressedLink, port: number): void {
  const ends = [...(host === null ? [] : [`host ${host}`]), `stack ${address}`].join(", ");
  console.log([
    `Device ${device.name}: ${ends}${device.address === null ? "" : ` (${device.address})`}, MTU ${device.mtu}`,
    `Echo on TCP and UDP port ${port}. Try from another terminal, Ctrl-C ends:`,
    `  ping ${address.address}`,
    `  nc ${address.address} ${port}`,
    `  nc -u ${address.address} ${port}`,
  ].join("\n"));
}

function printCounters(stack: Stack): void {
  const counters = Object.entries(stack.counters.snapshot({ nonZero: true }));
  const width = Math.max(0, ...counters.map(([name]) => name.length));
  console.log(["Counters:", ...counters.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join("\n"));
}

async function serve(session: LinkSession, values: Values<typeof options>, logger: Logger): Promise<void> {
  const { stack, link, interruption } = session;
  if (values["log-level"] === "debug") stack.trace = new SegmentLog(logger);
  const service = new EchoService(stack, { port: values.port }, logger);
  const running = service.run();
  announce(link, values.port);
  await Promise.race([running, interruption.wait()]);
  await service.close(closeGrace);
  await running;
  link.undo();
  printCounters(stack);
}

async function echo(values: Values<typeof options>): Promise<number> {
  const logger = startLogging(values["log-level"]);
  const link = await openLinkIfPossible(values, logger);
  if (link === null) return await demonstrate(console.log) ? ExitCode.success : ExitCode.failure;
  await withLink(link, values, logger, (session) => serve(session, values, logger));
  return ExitCode.success;
}

if (import.meta.main) await runProgram(program, ({ values }) => echo(values));
