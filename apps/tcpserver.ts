/**
 * Accepts TCP connections and joins them to standard input and output.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import { ExitCode, type Program, runProgram, toggle, UsageError, type Values } from "./cli.ts";
import { startLogging } from "./logging.ts";
import { type LinkSession, withStack } from "./session.ts";
import { Input } from "./transfer/input.ts";
import { Output } from "./transfer/output.ts";
import { lingerOnBadLink, logFailure, portFrom, transfer, transferOptions } from "./transfer/tcp_options.ts";

const options = {
  "keep-open": toggle("Serve one connection after the other until Ctrl-C", "k"),
  ...transferOptions,
};

const program: Program<typeof options> = {
  name: "tcpserver",
  summary: "Accepts a TCP connection to the stack, sends it standard input and prints what it sends.",
  operand: { placeholder: "PORT", help: "The port to listen on", required: true },
  options,
  examples: [
    ["9000", "wait for one peer on 192.0.2.2:9000, such as `nc -N 192.0.2.2 9000`"],
    ["9000 -o received --hash < /dev/null", "take one file, and tell its SHA-256"],
    ["9000 -i page -k", "send the same file to everybody"],
    ["9000 --loss 1% -w 30", "on a bad network, and give up after 30 silent seconds"],
  ],
};

async function serve(
  session: LinkSession,
  port: number,
  input: Input,
  values: Values<typeof options>,
  logger: Logger,
): Promise<number> {
  const { stack, link, interruption, signal } = session;
  using listener = stack.listen({ port });
  logger.info(`Listening on ${link.address.address}:${port}`);
  const stop = () => listener[Symbol.dispose]();
  signal.addEventListener("abort", stop);
  using output = Output.open(values.output);
  try {
    for await (const conn of listener) {
      // With a file every connection is sent all of it; standard input goes to whoever is connected.
      using again = values.input === null ? null : Input.open(values.input);
      try {
        await transfer(conn, { input: again ?? input, output, signal }, values, logger);
      } catch (error) {
        if (signal.aborted || !values["keep-open"]) throw error;
        logFailure(error, logger);
      }
      if (!values["keep-open"]) break;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await lingerOnBadLink(stack, values, signal);
  return interruption.exitCode ?? ExitCode.success;
}

async function tcpserver(values: Values<typeof options>, operand: string | null): Promise<number> {
  const port = portFrom(operand ?? undefined);
  if (values.input !== null && values.input === values.output) {
    throw new UsageError(`Cannot use "${values.input}" for both --input and --output: give two files`);
  }
  using input = Input.open(values.input);
  const logger = startLogging(values["log-level"]);
  return await withStack(values, logger, (session) => serve(session, port, input, values, logger));
}

if (import.meta.main) await runProgram(program, ({ values, operand }) => tcpserver(values, operand));
