/**
 * Serves a WebSocket echo, or talks to a WebSocket server.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import { serve as serveHttp } from "../stack/application/http.ts";
import { connectWebSocket } from "../stack/application/websocket.ts";
import { certificateFor, certificateOptions, checkCertificateOptions } from "./certificate.ts";
import { errorLine, ExitCode, type Option, type Program, runProgram, toggle, UsageError, type Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { logLevel, startLogging } from "./logging.ts";
import { chooseNameServers, createResolver, dnsOption } from "./names.ts";
import { type LinkSession, type Session, withLoopback, withStack } from "./session.ts";
import { printable } from "./printable.ts";
import { printLine } from "./transfer/output.ts";
import { readTextFile } from "./transfer/text_file.ts";
import { duration, port } from "./values.ts";
import { WebSocketEcho } from "./ws/echo.ts";
import { talk } from "./ws/terminal.ts";

/** How long good-byes may take when the program ends, in milliseconds. */
const closeGrace = 2000;

const options = {
  port: {
    letter: "p",
    placeholder: "N",
    help: "serve: TCP port (default: 80, with TLS 443)",
    fallback: null,
    parse: port,
  } as Option<number | null>,
  ...certificateOptions,
  binary: toggle("connect: send lines as binary messages", "b"),
  protocol: {
    placeholder: "NAME",
    help: "connect: subprotocol to offer; may be repeated",
    repeatable: true,
    fallback: [],
    parse: (text: string) => text.split(","),
  } as Option<string[]>,
  wait: {
    letter: "w",
    placeholder: "TIME",
    help: "connect: how long to wait for messages after the end of the input (default: 0)",
    fallback: 0,
    parse: duration(0),
  },
  cacert: {
    placeholder: "FILE",
    help: "connect: trust the authorities whose certificates (PEM) are in this file",
    fallback: null,
    parse: String,
  } as Option<string | null>,
  insecure: toggle("connect: take any certificate", "k"),
  dns: dnsOption,
  ...deviceOptions,
  "log-level": logLevel,
};

const program: Program<typeof options> = {
  name: "ws",
  summary: "Serves a WebSocket echo with a page for browsers, or sends lines to a WebSocket server and prints answers.",
  operand: { placeholder: "serve | connect URL", help: "What to do (default: serve)", repeatable: true },
  options,
  examples: [
    ["", "serve ws://192.0.2.2/, and a page at http://192.0.2.2/ that talks to it"],
    ["serve --tls", "serve wss://192.0.2.2/ with a certificate made for this run"],
    ["connect ws://192.0.2.1:8080/", "send each line that is typed as a message"],
    ["connect -k wss://192.0.2.1/", "the same over TLS, whatever the certificate"],
  ],
};

async function serve(values: Values<typeof options>, session: LinkSession, logger: Logger): Promise<number> {
  const { stack, link, interruption } = session;
  const host = link.address.address.toString();
  const tls = await certificateFor(values, [host, "localhost"]);
  const echo = new WebSocketEcho(logger);
  const listenPort = values.port ?? (tls === null ? 80 : 443);
  const server = serveHttp(stack, {
    port: listenPort,
    ...(tls === null ? {} : { tls }),
    onHandshakeError: (error) => logger.info(errorLine(error)),
    onError: (error) => new Response(`${errorLine(error)}\n`, { status: 400 }),
  }, echo.answer);
  const port = listenPort === (tls === null ? 80 : 443) ? "" : `:${listenPort}`;
  const s = tls === null ? "" : "s";
  console.log(`Serving ws${s}://${host}${port}/, and a page at http${s}://${host}${port}/; Ctrl-C ends.`);
  if (tls !== null) console.log(`The certificate's SHA-256 fingerprint: ${tls.fingerprint}`);
  await Promise.race([server.finished, interruption.wait()]);
  echo.close();
  const timer = setTimeout(() => server.abort(), closeGrace);
  await server.shutdown();
  clearTimeout(timer);
  console.log(`Echoed ${echo.messages} ${echo.messages === 1 ? "message" : "messages"}.`);
  return ExitCode.success;
}

async function connect(values: Values<typeof options>, url: URL, { stack, signal, lease }: Session): Promise<number> {
  const { cacert, insecure, protocol, binary, wait: linger } = values;
  const { lookup } = await createResolver(stack, chooseNameServers(values.dns, lease));
  const socket = await connectWebSocket(stack, url, {
    signal,
    lookup,
    protocols: protocol,
    unsafelyIgnoreCertificateErrors: insecure,
    ...(cacert === null ? {} : { caCerts: [await readTextFile(cacert)] }),
  }).catch((error) => {
    throw new Error(`Cannot talk to ${url}: ${errorLine(error).replace(/^Cannot /, "cannot ")}`);
  });
  console.error(`Connected to ${url}${socket.protocol === "" ? "" : ` (${socket.protocol})`}`);
  const { code, reason } = await talk(socket, Deno.stdin.readable, printLine, { binary, linger, signal });
  console.error(printable(`Closed: ${code} ${reason}`));
  // 1005: the peer gave no code.
  return [1000, 1001, 1005].includes(code) ? ExitCode.success : ExitCode.failure;
}

function parseUrl(text: string | undefined): URL {
  if (text === undefined) throw new UsageError("Missing argument: give a URL");
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === "ws:" || url.protocol === "wss:")) return url;
  throw new UsageError(`Cannot talk to "${text}": give a URL that begins with ws:// or wss://`);
}

async function ws(values: Values<typeof options>, operands: readonly string[], logger: Logger): Promise<number> {
  const [command = "serve", ...rest] = operands;
  checkCertificateOptions(values);
  const surplus = rest[command === "connect" ? 1 : 0];
  if (surplus !== undefined) throw new UsageError(`Unexpected argument "${surplus}"`);
  if (command === "serve") return await withStack(values, logger, (session) => serve(values, session, logger));
  if (command !== "connect") throw new UsageError(`Unknown command "${command}": give serve or connect`);
  const url = parseUrl(rest[0]);
  const work = (session: Session) => connect(values, url, session);
  // The stack's own loopback needs no device.
  const isLoopback = url.hostname === "localhost" || url.hostname.startsWith("127.");
  return isLoopback ? await withLoopback(logger, work) : await withStack(values, logger, work);
}

if (import.meta.main) {
  await runProgram(program, ({ values, operands }) => ws(values, operands, startLogging(values["log-level"])));
}
