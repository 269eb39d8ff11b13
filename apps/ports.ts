/**
 * Shows how the port manager reserves and chooses ports.
 *
 * @module
 */

import { CryptoRandom, SeededRandom, Stack } from "../mod.ts";
import { ExitCode, InvalidValue, runProgram, toggle, UsageError } from "./cli.ts";
import type { Option, Program, Values } from "./cli.ts";
import { formatTable } from "./netstat/tables.ts";
import { PortSteps } from "./ports/manager.ts";
import { parseRequest } from "./ports/request.ts";
import { wholeNumber } from "./values.ts";

const options = {
  seed: {
    placeholder: "N",
    help: "Choose ephemeral ports from this seed, the same each time (default: unpredictably)",
    fallback: null,
    parse: wholeNumber(0, 0xffff_ffff),
  } as Option<number | null>,
  json: toggle("Print JSON: the steps, and what is held at the end"),
};

/** One after the other: what conflicts, what shares, and how ephemeral ports are chosen. */
const demonstration = [
  "tcp:80",
  "tcp:10.0.0.1:80",
  "udp:80",
  "tcp:10.0.0.1:443",
  "tcp:10.0.0.2:443",
  "tcp:443",
  "udp:5353,reuse",
  "udp:5353,reuse",
  "udp:5353",
  "free:1",
  "tcp:10.0.0.1:80",
  "udp:0",
  "tcp:10.0.0.1:0,to=192.0.2.1:443",
  "tcp:10.0.0.1:0,to=192.0.2.1:443",
  "tcp:10.0.0.1:0,to=198.51.100.1:443",
];

const program: Program<typeof options> = {
  name: "ports",
  summary: "Shows which ports can be held together and how ephemeral ones are chosen, step by step.",
  operand: {
    placeholder: "STEP...",
    help: "PROTOCOL:[ADDRESS:]PORT[,reuse|,to=ADDRESS:PORT], where port 0 is an ephemeral one; or free:STEP",
    repeatable: true,
  },
  options,
  examples: [
    ["", "a tour of what conflicts and what does not"],
    ["tcp:80 tcp:10.0.0.1:80 free:1 tcp:10.0.0.1:80", "a port that is taken until it is given back"],
    ["udp:53,reuse udp:53,reuse udp:53", "sockets that share a port, and one that does not"],
    ["tcp:0,to=192.0.2.1:443 tcp:0,to=192.0.2.1:443", "ports to one peer come in sequence (RFC 6056)"],
  ],
};

function parse(text: string) {
  try {
    return { text, request: parseRequest(text) };
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot use the step "${text}": ${error.message}`);
  }
}

/** The exit code says whether the last step was granted, as a script would want to know. */
async function ports(values: Values<typeof options>, operands: readonly string[]): Promise<number> {
  const requests = (operands.length === 0 ? demonstration : operands).map(parse);
  const random = values.seed === null ? new CryptoRandom() : new SeededRandom(values.seed);
  await using stack = new Stack({ random, eventLoop: false });
  const taking = new PortSteps(stack.ports);
  const steps = requests.map(({ request, text }) => taking.take(request, text));
  const held = taking.held();
  taking.close();
  if (values.json) {
    console.log(JSON.stringify({ steps, held }));
  } else {
    const rows = steps.map(({ step, request, granted, result }) => [step, request, granted ? "yes" : "no", result]);
    console.log(formatTable(["Step", "Request", "Granted", "Result"], rows));
    const lines = held.map(({ protocol, address, port, sharing }) => [protocol, address, port, sharing]);
    console.log(`\nHeld at the end\n${formatTable(["Proto", "Address", "Port", "Sharing"], lines)}`);
  }
  return operands.length === 0 || steps.at(-1)!.granted ? ExitCode.success : ExitCode.failure;
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => ports(values, operands));
