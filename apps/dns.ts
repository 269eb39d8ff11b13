/**
 * Asks DNS servers, and serves DNS from a cache.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import { askOnce, type DnsAnswer, DnsServer, type NameServer } from "../stack/application/dns.ts";
import { ExitCode, type Program, runProgram, UsageError, type Values } from "./cli.ts";
import { deviceOptions } from "./device.ts";
import { parseQuery, type WrittenQuery } from "./dns/question.ts";
import { formatAnswer, formatData } from "./dns/report.ts";
import { quietLogLevel, startLogging } from "./logging.ts";
import { chooseNameServers, dnsOption, readHosts } from "./names.ts";
import { type LinkSession, withStack } from "./session.ts";
import { duration, port, wholeNumber } from "./values.ts";

const options = {
  dns: { ...dnsOption, help: "Server to ask, or to forward to; may be repeated (query default: the host's end)" },
  hosts: {
    placeholder: "FILE",
    help: "serve: names to answer from this file (default: /etc/hosts)",
    fallback: null,
    parse: String,
  },
  port: { letter: "p", placeholder: "N", help: "serve: UDP and TCP port (default: 53)", fallback: 53, parse: port },
  cache: {
    placeholder: "N",
    help: "serve: how many answers to keep (default: 10,000)",
    fallback: 10_000,
    parse: wholeNumber(1, 10_000_000),
  },
  timeout: {
    placeholder: "TIME",
    help: "How long to wait for an answer the first time (default: 2 seconds)",
    fallback: 2000,
    parse: duration(1),
  },
  attempts: {
    placeholder: "N",
    help: "How often to ask a server (default: 3)",
    fallback: 3,
    parse: wholeNumber(1, 10),
  },
  ...deviceOptions,
  "log-level": quietLogLevel,
};

const program: Program<typeof options> = {
  name: "dns",
  summary: "Asks DNS servers as dig does, or serves DNS: names of a hosts file, and a cache for the answers of others.",
  operand: {
    placeholder: "query NAME [TYPE] [@SERVER] [+tcp] [+short] [+norecurse] | serve",
    help: "What to do; an address as NAME is looked up in reverse",
    required: true,
    repeatable: true,
  },
  options,
  examples: [
    ["query example.com @192.0.2.1", "ask a server on this host for addresses"],
    ["query example.com MX @192.0.2.1 +tcp +short", "ask over TCP for who takes mail, and print that only"],
    ["query 192.0.2.7 @192.0.2.1", "ask for the name of an address"],
    ["serve --dns 192.0.2.1:5353", "forward to that server, and remember its answers"],
  ],
};

async function query(values: Values<typeof options>, written: WrittenQuery, session: LinkSession): Promise<number> {
  const { link, lease, interruption } = session;
  const known = chooseNameServers(values.dns, lease);
  const servers = written.server === null ? serversOf(known, link.host?.address.toString()) : [written.server];
  const started = performance.now();
  const answer = await askInTurn(values, written, servers, session);
  if (answer === null) return interruption.exitCode ?? ExitCode.failure;
  const { message } = answer;
  if (written.short) {
    for (const record of message.answers) console.log(formatData(record));
  } else {
    console.log(formatAnswer(written.question, answer, performance.now() - started).join("\n"));
  }
  return message.code === "NOERROR" || message.code === "NXDOMAIN" ? ExitCode.success : ExitCode.failure;
}

function serversOf(known: readonly NameServer[], host: string | undefined): readonly NameServer[] {
  if (known.length > 0) return known;
  if (host === undefined) throw new UsageError("Missing server: give @SERVER or --dns");
  return [{ ipAddr: host }];
}

/** As dig: whatever a server says is the answer; only silence makes it ask again. */
async function askInTurn(
  values: Values<typeof options>,
  { question, tcp, recurse: recursionDesired }: WrittenQuery,
  servers: readonly NameServer[],
  { stack, signal }: LinkSession,
): Promise<DnsAnswer | null> {
  let failure: unknown = null;
  for (let attempt = 0; attempt < values.attempts; attempt++) {
    for (const server of servers) {
      try {
        const timeout = values.timeout * 2 ** attempt;
        return await askOnce(stack, server, question, timeout, { tcp, recursionDesired, signal });
      } catch (error) {
        if (signal.aborted) return null;
        failure = error;
      }
    }
  }
  throw failure;
}

async function serve(values: Values<typeof options>, session: LinkSession): Promise<number> {
  const { stack, link, lease, interruption } = session;
  const nameServers = chooseNameServers(values.dns, lease);
  const { port, cache: cacheEntries, timeout, attempts } = values;
  const hosts = await readHosts(values.hosts ?? undefined);
  await using server = new DnsServer(stack, { nameServers, hosts, port, cacheEntries, timeout, attempts });
  const forwarding = nameServers.map(({ ipAddr, port = 53 }) => `${ipAddr}:${port}`).join(", ");
  console.log(
    `Serving DNS on ${link.address.address}:${port} (UDP and TCP), ${
      forwarding === "" ? "forwarding nothing" : `forwarding to ${forwarding}`
    }, Ctrl-C ends.`,
  );
  await Promise.race([server.finished, interruption.wait()]);
  const { queries, local, cached, forwarded, failed, malformed } = server.counters;
  console.log(
    `Queries: ${queries} (${local} from the hosts file, ${cached} from the cache, ${forwarded} forwarded, ` +
      `${failed} failed, ${malformed} malformed)`,
  );
  return ExitCode.success;
}

async function dns(values: Values<typeof options>, operands: readonly string[], logger: Logger): Promise<number> {
  const [command, ...rest] = operands;
  if (command === "serve") {
    if (rest.length > 0) throw new UsageError(`Unexpected argument "${rest[0]}"`);
    return await withStack(values, logger, (session) => serve(values, session));
  }
  if (command !== "query") {
    throw new UsageError(
      command === undefined ? "Missing argument: give query or serve" : `Unknown command "${command}"`,
    );
  }
  const written = parseQuery(rest);
  return await withStack(values, logger, (session) => query(values, written, session));
}

if (import.meta.main) {
  await runProgram(program, ({ values, operands }) => dns(values, operands, startLogging(values["log-level"])));
}
