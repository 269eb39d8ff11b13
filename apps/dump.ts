/**
 * Decodes the frames of a device or of a capture file, as tcpdump does.
 *
 * @module
 */

import { capture, type Device, type Logger, openPacketSocket, Rtnetlink } from "../mod.ts";
import { CaptureReader } from "../stack/link/pcap_reader.ts";
import { ExitCode, InvalidValue, runProgram, toggle, UsageError } from "./cli.ts";
import type { Program, Values } from "./cli.ts";
import { fileOption } from "./common_options.ts";
import { deviceOptions } from "./device.ts";
import { openCapture, showCapture } from "./dump/capture_stream.ts";
import { ConnectionTable } from "./dump/connections.ts";
import { type Filter, parseFilter } from "./dump/filter.ts";
import { Viewer } from "./dump/viewer.ts";
import { Interruption } from "./interruption.ts";
import { quietLogLevel, startLogging } from "./logging.ts";
import { openLinkOrTunnel, type Session, withLink, withLoopback } from "./session.ts";
import { wholeNumber } from "./values.ts";

/** All of any frame. */
const wholeFrames = 262_144;

const { guard: _guard, pcap: _pcap, snaplen: _snaplen, ...ownDevice } = deviceOptions;

const options = {
  read: fileOption("r", "Read a capture, pcap or pcapng, instead of a device; - for standard input"),
  write: fileOption("w", "Write the frames as pcapng instead of printing them; - for standard output"),
  snaplen: {
    letter: "s",
    placeholder: "BYTES",
    help: "Write no more than this of each frame (default: all of it)",
    fallback: wholeFrames,
    parse: wholeNumber(1, wholeFrames),
  },
  count: {
    letter: "c",
    placeholder: "N",
    help: "End after N frames",
    fallback: Infinity,
    parse: wholeNumber(1, Infinity),
  },
  verbose: toggle("Every field of every header", "v"),
  hex: toggle("The bytes of each frame", "x"),
  link: toggle("The Ethernet addresses at the beginning of each line", "e"),
  "no-time": toggle("No time at the beginning of each line", "t"),
  ids: toggle("Source, destination, protocol and ports only"),
  connections: toggle("TCP connections instead of frames: a line when one is established, and one when it ends"),
  numeric: toggle("Do not look up names: it never does, and takes the option for tcpdump's sake", "n"),
  json: toggle("One JSON object for each frame"),
  ...ownDevice,
  interface: { ...deviceOptions.interface, letter: "i", help: "Watch an interface that the host has, like eth0" },
  "log-level": quietLogLevel,
};

const program: Program<typeof options> = {
  name: "dump",
  summary: "Decodes frames: of a TAP device with a stack on it, of an interface of the host, or of a capture file.",
  operand: {
    placeholder: "FILTER",
    help:
      "Which frames, like host 10.0.0.1 and tcp port 80 (host, net, port, portrange, src, dst, ip, arp, icmp, tcp, udp; and, or, not)",
    repeatable: true,
  },
  options,
  examples: [
    ["", "a TAP device of its own; the stack there answers pings of 192.0.2.2"],
    ["-i eth0 -c 10 tcp port 443", "ten frames of an interface of the host"],
    ["-r capture.pcap -v 'not (udp or arp)'", "every field of what a file holds"],
    ["-i eth0 -w part.pcapng -s 64 icmp", "the beginning of each frame, to a file"],
    ["-r capture.pcap --ids", "who speaks to whom"],
    ["-i eth0 --connections tcp", "which TCP connections come about, and how each ends"],
  ],
};

type DumpValues = Values<typeof options>;

function filterFrom(operands: readonly string[]): Filter {
  const text = operands.join(" ");
  try {
    return parseFilter(text);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot use the filter "${text}": ${error.message}`);
  }
}

async function dumpFile(path: string, viewer: Viewer, logger: Logger): Promise<number> {
  using interruption = new Interruption(logger, () => {});
  await showCapture(await openCapture(path), path, viewer, interruption.signal);
  return codeOf(interruption);
}

/** A device whose frames `viewer` sees as they pass: each as the block that a capture file would have. */
function watched(device: Device, viewer: Viewer): Device {
  const reader = new CaptureReader();
  return capture(device, (block) => {
    for (const frame of reader.push(block)) viewer.show(frame);
  }, { epoch: performance.timeOrigin });
}

async function watchInterface(name: string, values: DumpValues, viewer: Viewer, done: Promise<void>, logger: Logger) {
  using kernel = new Rtnetlink();
  // What goes out of the loopback comes in again, and is to be shown once.
  const outgoing = !kernel.link(name).loopback;
  const device = openPacketSocket({ interface: name, promiscuous: values.promiscuous, outgoing });
  return await withLoopback(logger, (session) => {
    // A stack without an address there answers nothing.
    session.stack.attach(watched(device, viewer));
    console.error(`Watching ${name}, Ctrl-C ends`);
    return untilEnd(session, done);
  });
}

async function watchOwnDevice(values: DumpValues, viewer: Viewer, done: Promise<void>, logger: Logger) {
  const deviceValues = { ...values, guard: false, pcap: null, snaplen: null };
  const link = await openLinkOrTunnel(deviceValues, logger);
  return await withLink({ ...link, device: watched(link.device, viewer) }, deviceValues, logger, (session) => {
    console.error(`Watching ${link.device.name}: host ${link.host}, stack ${session.link.address}; Ctrl-C ends`);
    return untilEnd(session, done);
  });
}

async function untilEnd({ interruption }: Session, done: Promise<void>): Promise<number> {
  await Promise.race([done, interruption.wait()]);
  return codeOf(interruption);
}

/** Ctrl-C is how such a program is ended; being terminated is another matter. */
function codeOf({ exitCode }: Interruption): number {
  return exitCode === null || exitCode === 130 ? ExitCode.success : exitCode;
}

/** Refuses what says something of a device of its own, where there is none. */
function refuseIdleOptions(values: DumpValues): void {
  if (values.read === null && values.interface === null) return;
  const source = values.read === null ? "interface" : "read";
  for (const name of Object.keys(ownDevice) as (keyof typeof ownDevice)[]) {
    if (name === "interface" || (name === "promiscuous" && source === "interface")) continue;
    if (values[name] === ownDevice[name].fallback) continue;
    throw new UsageError(`Cannot use --${name} with --${source}: it is for a device of the program's own`);
  }
}

async function dump(values: DumpValues, operands: readonly string[]): Promise<number> {
  if (values.read !== null && values.interface !== null) {
    throw new UsageError("Cannot use both --read and --interface: choose one");
  }
  if (values.read !== null && values.read !== "-" && values.read === values.write) {
    throw new UsageError(`Cannot write "${values.write}" while it is read: give --write another file`);
  }
  refuseIdleOptions(values);
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  done.catch(() => {});
  const filter = filterFrom(operands);
  const logger = startLogging(values["log-level"]);
  let code: number = ExitCode.success;
  const viewer = new Viewer({
    filter,
    style: { ...values, timeless: values["no-time"] },
    link: values.link,
    connections: values.connections ? new ConnectionTable() : null,
    count: values.count,
    file: values.write,
    snapLength: values.snaplen,
    onDone: (error) => error === null ? resolve() : reject(error),
  });
  try {
    if (values.read !== null) code = await dumpFile(values.read, viewer, logger);
    else if (values.interface !== null) code = await watchInterface(values.interface, values, viewer, done, logger);
    else code = await watchOwnDevice(values, viewer, done, logger);
  } finally {
    viewer[Symbol.dispose]();
  }
  if (values.read === null || values.write !== null) {
    console.error(`${viewer.passed} of ${viewer.seen} frames ${values.write === null ? "shown" : "written"}`);
  }
  // A file that could not be written to its end has been reported here.
  if (viewer.done) await done;
  return code;
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => dump(values, operands));
