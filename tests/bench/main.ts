/**
 * Measures the stack beside the kernel, in turn in one run, and prints one table.
 *
 * @module
 */

import { ExitCode, InvalidValue, type Program, runProgram, toggle, type Values } from "../../apps/cli.ts";
import { wholeNumber } from "../../apps/values.ts";
import { isInstalled } from "../helpers/programs.ts";
import { kernelUnavailable } from "../kernel/namespace.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { benchmarks } from "./catalogue.ts";
import { renderTable, type Result, resultsOf } from "./table.ts";

const names = benchmarks.map(({ name }) => name);
const measureProgram = new URL("measure.ts", import.meta.url).pathname;

/** The load, for each processor, from which on other programs must have slowed the measurements down. */
const busyShare = 0.25;

/** How long one measurement may take, in milliseconds: one that hangs must not take the others with it. */
const patience = 60_000;

const options = {
  runs: { placeholder: "N", help: "Runs of each measurement (default: 5)", fallback: 5, parse: wholeNumber(1, 1000) },
  only: {
    placeholder: "NAME",
    help: `Only this one; may be given several times: ${names.join(", ")}`,
    repeatable: true,
    fallback: names,
    parse: namesFrom,
  },
  json: toggle("Print JSON instead of a table"),
};

const program: Program<typeof options> = {
  name: "bench",
  summary: "Measures the stack beside two kernels over veth, in turn in one run. Needs root.",
  options,
  examples: [
    ["", "everything, five runs each, in about ten minutes"],
    ["--only in --only out --runs 9", "one flow each way, nine runs"],
    ["--json", "the same as everything, for programs"],
  ],
};

function namesFrom(text: string): string[] {
  const chosen = text.split(",");
  if (chosen.every((name) => names.includes(name))) return chosen;
  throw new InvalidValue(`give one of ${names.join(", ")}`);
}

/** Measures one side once, in a process of its own: nothing that ran before it can slow it down. */
async function measureOnce(benchmark: Benchmark, side: string): Promise<Figures> {
  const flags = benchmark.sides[side]?.v8Flags ?? [];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--allow-all",
      // For the kernel's datagram sockets.
      "--unstable-net",
      ...(flags.length > 0 ? [`--v8-flags=${flags.join(",")}`] : []),
      measureProgram,
      benchmark.name,
      side,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), patience);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (!success) {
    const problem = new TextDecoder().decode(stderr).trim().split("\n").find((line) => /error/i.test(line));
    throw new Error(`Cannot measure "${benchmark.name}" (${side}): ${problem ?? `it took more than ${patience} ms`}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}

function whyNot({ programs = [] }: Benchmark): string | null {
  const missing = programs.filter((name) => !isInstalled(name));
  if (missing.length > 0) return `needs ${missing.join(", ")}`;
  return programs.length > 0 ? kernelUnavailable : null;
}

/** Runs a benchmark. The sides take turns, and every other run begins with the last one. */
async function runBenchmark(benchmark: Benchmark, runs: number, progress: (text: string) => void): Promise<Result[]> {
  const sides = Object.keys(benchmark.sides);
  const measured: Record<string, Figures[]> = Object.fromEntries(sides.map((side) => [side, []]));
  if (benchmark.verify !== undefined) {
    progress(`${benchmark.name}: verifying`);
    await measureOnce(benchmark, "verify");
  }
  for (let run = 0; run < runs; run++) {
    progress(`${benchmark.name}: run ${run + 1} of ${runs}`);
    for (const side of run % 2 === 0 ? sides : sides.toReversed()) {
      measured[side]!.push(await measureOnce(benchmark, side));
    }
  }
  return resultsOf(benchmark, measured);
}

/** Shows on a terminal what is under way. */
function showProgress(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

async function bench({ runs, only, json }: Values<typeof options>): Promise<number> {
  const [load = 0] = Deno.loadavg();
  const results: Result[] = [];
  const problems: string[] = [];
  for (const benchmark of benchmarks.filter(({ name }) => only.includes(name))) {
    const obstacle = whyNot(benchmark);
    try {
      if (obstacle === null) results.push(...await runBenchmark(benchmark, runs, showProgress));
      else problems.push(`Skipped "${benchmark.name}": it ${obstacle}`);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  showProgress("");
  if (json) console.log(JSON.stringify(results, null, 2));
  else {
    console.log(renderTable(results));
    console.log(`Medians of ${runs} runs; the spread is from the least to the most. Every transfer was verified once.`);
    if (load > busyShare * navigator.hardwareConcurrency) {
      console.log(`Other programs were at work (load ${load.toFixed(1)}): expect less than a quiet machine gives.`);
    }
  }
  for (const problem of problems) console.error(`bench: ${problem}`);
  return problems.length === 0 ? ExitCode.success : ExitCode.failure;
}

if (import.meta.main) await runProgram(program, ({ values }) => bench(values));
