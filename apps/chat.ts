/**
 * Serves a line chat over TCP.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import { ChatService, sendBufferBytes } from "./chat/service.ts";
import { ExitCode, type Program, runProgram, type Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { logLevel, startLogging } from "./logging.ts";
import { type LinkSession, withStack } from "./session.ts";
import { port, wholeNumber } from "./values.ts";

/** Faster than anybody types, and slow enough to be read. */
const linesPerSecond = 20;

const options = {
  port: { letter: "p", placeholder: "N", help: "TCP port (default: 2323)", fallback: 2323, parse: port },
  limit: {
    placeholder: "N",
    help: "The most people in the room (default: 1000)",
    fallback: 1000,
    parse: wholeNumber(1, 100_000),
  },
  ...deviceOptions,
  "log-level": logLevel,
};

const program: Program<typeof options> = {
  name: "chat",
  summary: "Serves a chat: what one client types, all others read. Commands are /name, /who, /help and /quit.",
  options,
  examples: [
    ["", "then `nc 192.0.2.2 2323` in two other terminals"],
    ["--interface eth0 --address 192.0.2.77/24", "for everybody in the network of eth0"],
  ],
};

async function serve(
  { stack, link, interruption }: LinkSession,
  values: Values<typeof options>,
  logger: Logger,
): Promise<number> {
  const service = new ChatService({
    listener: stack.listen({ port: values.port, settings: { sendBufferBytes } }),
    limit: values.limit,
    linesPerSecond,
    logger,
    now: () => performance.now(),
  });
  const running = service.run();
  console.log(
    `Chat on ${link.address.address}:${values.port}, Ctrl-C ends. Join with: nc ${link.address.address} ${values.port}`,
  );
  await Promise.race([running, interruption.wait()]);
  await service.close();
  await running;
  return ExitCode.success;
}

async function chat(values: Values<typeof options>): Promise<number> {
  const logger = startLogging(values["log-level"]);
  return await withStack(values, logger, (session) => serve(session, values, logger));
}

if (import.meta.main) await runProgram(program, ({ values }) => chat(values));
