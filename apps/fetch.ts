/**
 * Fetches a URL over the stack, with the options of curl.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import { createHttpClient, fetch } from "../stack/application/http.ts";
import { errorLine, ExitCode, InvalidValue, runProgram, toggle, UsageError } from "./cli.ts";
import type { Option, Program, Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { openBody } from "./fetch/files.ts";
import { quietLogLevel, startLogging } from "./logging.ts";
import { chooseNameServers, createResolver, dnsOption } from "./names.ts";
import { type Session, withLoopback, withStack } from "./session.ts";
import { Output } from "./transfer/output.ts";
import { readTextFile } from "./transfer/text_file.ts";
import { duration } from "./values.ts";

const options = {
  request: optional("X", "METHOD", "The method (default: GET, with --data POST)", (text) => text),
  header: {
    letter: "H",
    placeholder: "LINE",
    help: 'A header field to send, like "Accept: text/html"; may be repeated',
    repeatable: true,
    fallback: [],
    parse: headerLines,
  } satisfies Option<readonly [string, string][]> as Option<readonly [string, string][]>,
  data: optional("d", "DATA", "A body to send; @FILE for that of a file, @- for standard input", (text) => text),
  output: optional("o", "FILE", "Write the body to a file instead of standard output", (text) => text),
  include: toggle("Print the status line and the header fields in front of the body", "i"),
  head: toggle("Ask for the header fields only, and print them", "I"),
  location: toggle("Follow redirects", "L"),
  fail: toggle("Print no body, and fail, when the status is 400 or above", "f"),
  insecure: toggle("Take any certificate", "k"),
  cacert: optional(
    undefined,
    "FILE",
    "Trust the authorities whose certificates (PEM) are in this file",
    (text) => text,
  ),
  "max-time": optional("m", "TIME", "How long everything may take, like 5 or 500ms", duration(1)),
  dns: dnsOption,
  ...deviceOptions,
  "log-level": quietLogLevel,
};

const program: Program<typeof options> = {
  name: "fetch",
  summary: "Fetches a URL over the stack and prints what comes.",
  operand: { placeholder: "URL", help: "http://... or https://...", required: true },
  options,
  examples: [
    ["http://192.0.2.1:8000/", "fetch from a server on this host"],
    ["-i -L --dns 192.0.2.1 http://example.com/", "show the header, follow redirects, resolve names"],
    ["-d @photo.jpg -o answer.json http://192.0.2.1:8000/upload", "send a file and keep the answer"],
    ["--cacert ca.pem https://192.0.2.1/", "trust an authority of your own"],
  ],
};

function optional<Value>(
  letter: string | undefined,
  placeholder: string,
  help: string,
  parse: (text: string) => Value,
): Option<Value | null> {
  return { placeholder, help, fallback: null, parse, ...(letter === undefined ? {} : { letter }) };
}

/** Repeated values come with commas between them, which values may have as well: a field begins with its name. */
function headerLines(text: string): [string, string][] {
  return text.split(/,(?=[\w-]+:)/).map((line) => {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined) throw new InvalidValue('write it like "Accept: text/html"');
    return [name, value!];
  });
}

function parseUrl(operand: string | null): URL {
  if (operand === null) throw new UsageError("Missing argument: give a URL");
  const text = operand.includes("://") ? operand : `http://${operand}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new UsageError(`Cannot fetch "${operand}": give a URL that begins with http:// or https://`);
}

async function fetchUrl(values: Values<typeof options>, url: URL, { stack, signal, lease }: Session): Promise<number> {
  const resolver = await createResolver(stack, chooseNameServers(values.dns, lease));
  const { insecure, cacert, data, request, head, location, "max-time": maxTime } = values;
  await using client = createHttpClient(stack, {
    lookup: resolver.lookup,
    unsafelyIgnoreCertificateErrors: insecure,
    ...(cacert === null ? {} : { caCerts: [await readTextFile(cacert)] }),
  });
  using body = await openBody(data);
  const deadline = maxTime === null ? signal : AbortSignal.any([signal, AbortSignal.timeout(maxTime)]);
  const response = await fetch(stack, url, {
    client,
    method: request ?? (head ? "HEAD" : data === null ? "GET" : "POST"),
    headers: headersOf(values),
    redirect: location ? "follow" : "manual",
    signal: deadline,
    ...(body.stream === null ? {} : { body: body.stream }),
  });
  const failed = values.fail && response.status >= 400;
  using output = Output.open(values.output);
  if (values.include || head) await output.write(heading(response));
  if (failed) {
    await response.body?.cancel();
    throw new Error(`The server answered ${response.status} ${response.statusText}`);
  }
  for await (const chunk of response.body ?? []) await output.write(chunk);
  return ExitCode.success;
}

function headersOf({ header, data }: Values<typeof options>): Headers {
  const headers = new Headers(header as [string, string][]);
  // As curl: data are taken for those of a form.
  if (data !== null && !headers.has("content-type")) headers.set("content-type", "application/x-www-form-urlencoded");
  return headers;
}

function heading({ status, statusText, headers }: Response): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${statusText}`.trimEnd(),
    ...[...headers].map(([name, value]) => `${name}: ${value}`),
  ];
  return new TextEncoder().encode([...lines, "", ""].join("\r\n"));
}

/** What `fetch` throws has the reason in its cause. */
function reasonOf(error: unknown, url: URL, values: Values<typeof options>): Error {
  const inner = error instanceof TypeError && error.cause !== undefined ? error.cause : error;
  if (inner instanceof DOMException && inner.name === "TimeoutError") {
    return new Error(`Cannot fetch ${url}: there was no answer within ${values["max-time"] ?? 10_000} ms`);
  }
  const text = errorLine(inner);
  if (text === "bad port") return new Error(`Cannot fetch ${url}: ${blockedPort(url, values)}`);
  const hint = /^Cannot trust /.test(text) ? "; give --cacert FILE, or --insecure to take any" : "";
  return new Error(`Cannot fetch ${url}: ${text.replace(/^Cannot /, "cannot ")}${hint}`);
}

/** Why a port was refused, which may be that of a URL that was redirected to. */
function blockedPort({ port }: URL, { location }: Values<typeof options>): string {
  const which = port === "" || location ? "a port there" : `port ${port}`;
  return `${which} belongs to another protocol, and the Fetch standard lets nobody speak HTTP to it; use another port`;
}

async function run(values: Values<typeof options>, operand: string | null, logger: Logger): Promise<number> {
  const url = parseUrl(operand);
  const work = async (session: Session): Promise<number> => {
    try {
      return await fetchUrl(values, url, session);
    } catch (error) {
      if (session.signal.aborted) return session.interruption.exitCode ?? ExitCode.failure;
      throw reasonOf(error, url, values);
    }
  };
  // The stack's own loopback needs no device.
  const isLoopback = url.hostname === "localhost" || url.hostname.startsWith("127.");
  return isLoopback ? await withLoopback(logger, work) : await withStack(values, logger, work);
}

if (import.meta.main) {
  await runProgram(program, ({ values, operand }) => run(values, operand, startLogging(values["log-level"])));
}
