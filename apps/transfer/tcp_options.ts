/**
 * What `tcpserver` and `tcpclient` have in common.
 *
 * @module
 */

import type { Logger, Stack, TcpConn } from "../../mod.ts";
import { errorLine, InvalidValue, toggle, UsageError, type Values } from "../cli.ts";
import { fileOption } from "../common_options.ts";
import { deviceOptions } from "../device.ts";
import { logLevel } from "../logging.ts";
import { duration, port } from "../values.ts";
import type { Input } from "./input.ts";
import type { Output } from "./output.ts";
import { relay } from "./relay.ts";
import { Tally } from "./tally.ts";

/** The options of both programs. */
export const transferOptions = {
  input: fileOption("i", "Send this file instead of standard input"),
  output: fileOption("o", "Write what is received to this file instead of standard output"),
  wait: {
    letter: "w",
    placeholder: "TIME",
    help: "Give up when nothing moves for so long, like 10 or 500ms (default: never)",
    fallback: Infinity,
    parse: duration(1),
  },
  hash: toggle("Tell the SHA-256 of what went each way"),
  progress: toggle("Show the progress even where standard error is no terminal, or the bytes go there too"),
  json: toggle("Tell what went as one line of JSON, on standard error"),
  ...deviceOptions,
  "log-level": logLevel,
} as const;

/** The values of {@linkcode transferOptions}. */
export type TransferValues = Values<typeof transferOptions>;

/** Milliseconds between two lines of progress. */
const progressInterval = 500;

/** How long to stay for a peer that may have lost our last acknowledgement, in milliseconds. */
const lingerTime = 3000;

/**
 * The port that an argument says.
 *
 * @throws {UsageError} If it says none.
 */
export function portFrom(text: string | undefined): number {
  if (text === undefined) throw new UsageError("Give a port");
  try {
    return port(text);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot use "${text}" as a port: ${error.message}`);
  }
}

/** Joins one connection to the input and the output, and tells what went. Whatever happens, the connection is over. */
export async function transfer(
  conn: TcpConn,
  ends: { readonly input: Input; readonly output: Output; readonly signal: AbortSignal },
  values: TransferValues,
  logger: Logger,
): Promise<void> {
  const tally = new Tally(values.hash);
  const peer = `${conn.remoteAddr.hostname}:${conn.remoteAddr.port}`;
  logger.info(`${peer} connected`);
  // Whoever types or reads the bytes himself does not want figures among them.
  const isConversation = ends.input.isTerminal || ends.output.isTerminal;
  const showsProgress = values.progress || (Deno.stderr.isTerminal() && !isConversation);
  const progress = showsProgress ? setInterval(() => showProgress(tally), progressInterval) : null;
  try {
    await relay({ conn, ...ends, tally, timeout: values.wait });
  } finally {
    if (progress !== null) clearInterval(progress);
    if (showsProgress) showProgress(tally, "\n");
    tell(peer, tally, values, logger);
  }
}

function showProgress(tally: Tally, end = ""): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${tally.progress()}${end}`));
}

function tell(peer: string, tally: Tally, values: TransferValues, logger: Logger): void {
  const summary = { peer, ...tally.summary() };
  if (values.json) return console.error(JSON.stringify(summary));
  const { seconds, sent, received } = summary;
  logger.info(`${peer} received ${received.bytes} and sent ${sent.bytes} bytes in ${seconds} s`);
  if (!values.hash) return;
  console.error(`sha256 received ${received.sha256}`);
  console.error(`sha256 sent     ${sent.sha256}`);
}

/**
 * Stays on a link that loses frames until a peer that did not get our last acknowledgement has asked for it again (RFC
 * 9293 section 3.6.1): a stack that has gone cannot answer.
 */
export async function lingerOnBadLink(stack: Stack, values: TransferValues, signal: AbortSignal): Promise<void> {
  const isBad = (values.loss ?? 0) > 0 || (values.corrupt ?? 0) > 0;
  if (!isBad || signal.aborted || !stack.snapshot().tcp.some(({ state }) => state === "TIME-WAIT")) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, lingerTime);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

/** What is said of a connection that has failed while others go on. */
export function logFailure(error: unknown, logger: Logger): void {
  logger.error(errorLine(error));
}
