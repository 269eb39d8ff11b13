/**
 * Measures which branches of TCP its own tests take, prints a line for each file with the lines of those that they do
 * not, and fails where fewer are taken than wanted.
 *
 * @module
 */

import Table from "cli-table3";
import { ExitCode, InvalidValue, type Program, runProgram, type Values } from "../apps/cli.ts";

/** The tests of TCP alone: what the rest of the suite takes on its way says nothing of what is asserted. */
const tests = ["tests/transport/tcp", "tests/drill", "tests/drill_test.ts"];
const measuredFolder = "stack/transport/tcp/";

const options = {
  least: {
    placeholder: "PERCENT",
    help: "Branches that must be taken, of all of them together (default: 95)",
    fallback: 95,
    parse: percentFrom,
  },
};

const program: Program<typeof options> = {
  name: "coverage",
  summary: `Measures the branches of ${measuredFolder} that its tests take.`,
  options,
  examples: [["", "takes about a minute"], ["--least 98", "fails below 98 percent"]],
};

function percentFrom(text: string): number {
  const percent = Number(text);
  if (text.trim() !== "" && percent >= 0 && percent <= 100) return percent;
  throw new InvalidValue("give a number from 0 to 100");
}

/** What was taken of one file. */
export interface FileCoverage {
  /** Its path, as the report has it. */
  readonly path: string;
  /** Branches. */
  branches: number;
  /** Branches that were taken. */
  taken: number;
  /** The lines of those that were not, in order and once each. */
  readonly missed: number[];
}

/**
 * Reads a report in LCOV's tracefile format: of each file the branches (`BRDA:line,block,branch,taken`), of which a count
 * of 0 or `-` says that they were never taken.
 */
export function readLcov(text: string): FileCoverage[] {
  const files: FileCoverage[] = [];
  for (const line of text.split("\n")) {
    const [, key, value = ""] = /^([A-Z]+):(.*)$/.exec(line.trim()) ?? [];
    if (key === "SF") files.push({ path: value, branches: 0, taken: 0, missed: [] });
    const file = files.at(-1);
    if (key !== "BRDA" || file === undefined) continue;
    const [at, , , count] = value.split(",");
    file.branches++;
    if (count !== "0" && count !== "-") file.taken++;
    else if (file.missed.at(-1) !== Number(at)) file.missed.push(Number(at));
  }
  return files;
}

/** The part of the branches that were taken, in percent; all of none. */
export function percentTaken(files: readonly FileCoverage[]): number {
  const branches = files.reduce((sum, file) => sum + file.branches, 0);
  return branches === 0 ? 100 : 100 * files.reduce((sum, file) => sum + file.taken, 0) / branches;
}

function render(files: readonly FileCoverage[]): string {
  const table = new Table({
    head: ["file", "branches", "taken", "%", "not taken at line"],
    colAligns: ["left", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const file of files) {
    const name = file.path.slice(file.path.lastIndexOf(measuredFolder) + measuredFolder.length);
    table.push([name, file.branches, file.taken, percentTaken([file]).toFixed(1), file.missed.join(" ")]);
  }
  return table.toString();
}

async function runDeno(args: readonly string[]): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await child.output();
  if (success) return new TextDecoder().decode(stdout);
  const lines = new TextDecoder().decode(new Uint8Array([...stdout, ...stderr])).trim().split("\n");
  throw new Error(`Cannot measure: "deno ${args[0]}" failed: ${lines.find((line) => line.includes("error")) ?? ""}`);
}

async function measure(): Promise<FileCoverage[]> {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-coverage-" });
  try {
    await runDeno(["test", "--no-check", "--allow-all", `--coverage=${folder}`, ...tests]);
    return readLcov(await runDeno(["coverage", "--lcov", `--include=${measuredFolder}`, folder]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function coverage({ least }: Values<typeof options>): Promise<number> {
  const files = await measure();
  const percent = percentTaken(files);
  console.log(render(files));
  console.log(`${percent.toFixed(1)} % of the branches of ${measuredFolder} are taken by ${tests.join(", ")}`);
  if (files.length > 0 && percent >= least) return ExitCode.success;
  console.error(`coverage: ${percent.toFixed(1)} % is less than the ${least} % that are wanted; add tests`);
  return ExitCode.failure;
}

if (import.meta.main) await runProgram(program, ({ values }) => coverage(values));
