/**
 * Serves files and a few routes over HTTP or HTTPS.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import { type HttpServer, serve } from "../stack/application/http.ts";
import { certificateFor, certificateOptions, checkCertificateOptions } from "./certificate.ts";
import { errorLine, ExitCode, type Option, type Program, runProgram, UsageError, type Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { Site } from "./http/site.ts";
import { logLevel, startLogging } from "./logging.ts";
import { type LinkSession, withStack } from "./session.ts";
import { port, wholeNumber } from "./values.ts";

/** How long requests may take to be answered when the program ends, in milliseconds. */
const closeGrace = 2000;

const portOption: Option<number | null> = {
  letter: "p",
  placeholder: "N",
  help: "TCP port (default: 80, with TLS 443)",
  fallback: null,
  parse: port,
};

const options = {
  port: portOption,
  ...certificateOptions,
  "max-body": {
    placeholder: "BYTES",
    help: "Longest request body to take (default: 100,000,000)",
    fallback: 100_000_000,
    parse: wholeNumber(0, Infinity),
  },
  ...deviceOptions,
  "log-level": logLevel,
};

const program: Program<typeof options> = {
  name: "http",
  summary: "Serves HTTP from the stack until Ctrl-C: the files of a folder, and /, /echo, /headers, /time and /stats.",
  operand: { placeholder: "FOLDER", help: "The folder whose files are served (default: none)" },
  options,
  examples: [
    ["", "serve the routes at http://192.0.2.2/"],
    [".", "serve the files of this folder, too"],
    ["--tls", "serve https://192.0.2.2/ with a certificate made for this run"],
    ["--tls --cert host.pem --key host.key --port 8443", "serve with a certificate of yours"],
    ["--loss 1% --delay 20ms", "serve over a bad network"],
  ],
};

async function checkFolder(folder: string | null): Promise<string | null> {
  if (folder === null) return null;
  const info = await Deno.stat(folder).catch((error) => {
    throw new UsageError(`Cannot serve "${folder}": ${errorLine(error)}`);
  });
  if (!info.isDirectory) throw new UsageError(`Cannot serve "${folder}": it is no folder`);
  return folder;
}

async function http(values: Values<typeof options>, folder: string | null, logger: Logger): Promise<number> {
  await checkFolder(folder);
  checkCertificateOptions(values);
  const { "max-body": maxBodyBytes } = values;
  const logsRequests = values["log-level"] === "debug";
  return await withStack(values, logger, async ({ stack, link, interruption }: LinkSession) => {
    const { address } = link.address;
    const tls = await certificateFor(values, [address.toString(), "localhost"]);
    const site = new Site({ stack, folder, now: () => new Date() });
    const server = serve(stack, {
      port: values.port ?? (tls === null ? 80 : 443),
      maxBodyBytes,
      ...(tls === null ? {} : { tls: { ...tls, alpnProtocols: ["http/1.1"] } }),
      onHandshakeError: (error) => logger.info(errorLine(error)),
      onError: (error) => {
        logger.error(errorLine(error));
        return new Response("Internal Server Error\n", { status: 500 });
      },
    }, async (request, info) => {
      const response = await site.answer(request, info);
      if (logsRequests) {
        logger.debug(`${info.remoteAddr.hostname} ${request.method} ${request.url} ${response.status}`);
      }
      return response;
    });
    announce(server, tls === null ? "http" : "https", address.toString());
    if (tls !== null) console.log(`The certificate's SHA-256 fingerprint: ${tls.fingerprint}`);
    await Promise.race([server.finished, interruption.wait()]);
    await closeSoon(server);
    console.log(`Answered ${site.requests} requests.`);
    return ExitCode.success;
  });
}

function announce({ addr }: HttpServer, scheme: string, host: string): void {
  const usual = scheme === "http" ? 80 : 443;
  const port = addr.port === usual ? "" : `:${addr.port}`;
  console.log(`Serving ${scheme}://${host}${port}/, Ctrl-C ends.`);
}

/** Lets what is being answered finish, but not for ever. */
async function closeSoon(server: HttpServer): Promise<void> {
  const timer = setTimeout(() => server.abort(), closeGrace);
  await server.shutdown();
  clearTimeout(timer);
}

if (import.meta.main) {
  await runProgram(program, ({ values, operand }) => http(values, operand, startLogging(values["log-level"])));
}
