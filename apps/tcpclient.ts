/**
 * Connects to a TCP port and joins it to standard input and output.
 *
 * @module
 */

import type { Logger, TcpConn } from "../mod.ts";
import { ExitCode, InvalidValue, type Program, runProgram, UsageError, type Values } from "./cli.ts";
import { sourcePort } from "./common_options.ts";
import { startLogging } from "./logging.ts";
import { type LinkSession, withStack } from "./session.ts";
import { Input } from "./transfer/input.ts";
import { Output } from "./transfer/output.ts";
import { lingerOnBadLink, portFrom, transfer, transferOptions } from "./transfer/tcp_options.ts";
import { hostAddress } from "./values.ts";

const options = {
  "source-port": sourcePort,
  ...transferOptions,
};

const program: Program<typeof options> = {
  name: "tcpclient",
  summary: "Connects from the stack to a TCP port, sends it standard input and prints what it sends.",
  operand: { placeholder: "HOST PORT", help: "An IPv4 address and a port", required: true, repeatable: true },
  options,
  examples: [
    ["192.0.2.1 22", "talk to the host's port 22; Ctrl-D ends our side"],
    ["192.0.2.1 9000 -i file --hash", "send a file, and tell its SHA-256"],
    ["192.0.2.1 9000 -o file < /dev/null", "receive a file"],
    ["192.0.2.1 9000 -w 5", "give up after five seconds without an answer"],
  ],
};

/** Where to connect to. */
interface Target {
  readonly hostname: string;
  readonly port: number;
}

function targetFrom(operands: readonly string[]): Target {
  const [host, portText, ...surplus] = operands;
  if (host === undefined) throw new UsageError("Give a host and a port");
  if (surplus.length > 0) throw new UsageError(`Unexpected argument "${surplus[0]}"`);
  try {
    return { hostname: hostAddress(host).toString(), port: portFrom(portText) };
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot connect to "${host}": ${error.message}`);
  }
}

async function connect(
  { stack, signal }: LinkSession,
  target: Target,
  values: Values<typeof options>,
): Promise<TcpConn> {
  const { wait } = values;
  const timeout = wait === Infinity ? null : AbortSignal.timeout(wait);
  try {
    return await stack.connect({
      ...target,
      signal: timeout === null ? signal : AbortSignal.any([signal, timeout]),
      ...(values["source-port"] === 0 ? {} : { localPort: values["source-port"] }),
    });
  } catch (error) {
    if (timeout?.aborted !== true || signal.aborted) throw error;
    throw new Error(`Cannot connect to ${target.hostname}:${target.port}: no answer for ${wait / 1000} s`);
  }
}

async function run(
  session: LinkSession,
  target: Target,
  input: Input,
  values: Values<typeof options>,
  logger: Logger,
): Promise<number> {
  const { stack, signal, interruption } = session;
  using output = Output.open(values.output);
  try {
    const conn = await connect(session, target, values);
    await transfer(conn, { input, output, signal }, values, logger);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await lingerOnBadLink(stack, values, signal);
  return interruption.exitCode ?? ExitCode.success;
}

async function tcpclient(values: Values<typeof options>, operands: readonly string[]): Promise<number> {
  const target = targetFrom(operands);
  using input = Input.open(values.input);
  const logger = startLogging(values["log-level"]);
  return await withStack(values, logger, (session) => run(session, target, input, values, logger));
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => tcpclient(values, operands));
