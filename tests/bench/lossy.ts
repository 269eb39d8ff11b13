/**
 * Measures one flow over a bad link, in both directions: the kernel and the stack, beside two kernels over the same
 * link. The link is made by this program between TAP devices, and all kernels use CUBIC. Needs root.
 *
 *     deno run -A tests/bench/lossy.ts [RUNS [SECONDS [LOSS... [RTT...]]]]
 *
 * LOSS ends in `%` and RTT in `ms`; without them all are measured. Every run is a process of its own, and where the loss
 * leaves the processor idle, ten of them run at once: what loss does is luck, and only many runs tell two systems apart.
 *
 * @module
 */

import {
  betweenKernelAndStack,
  betweenKernels,
  type LinkEnds,
  type LinkOptions,
  useKernelCongestionControl,
} from "../kernel/impaired_link.ts";

const rate = 100_000_000;
const losses = [0, 1, 5, 10];
const roundTrips = [0, 50, 200];

/** What is added to the seed of a run that came to nothing. */
const anotherChance = 10_000;

/** Runs at once where a flow is slow; one that fills the link has the machine for itself. */
const atOnce = 10;

function linkOf(loss: number, rtt: number, seed: number): LinkOptions {
  const queueBytes = Math.max(64_000, rate / 8 * rtt / 1000);
  return {
    impairment: { loss: loss / 100, delay: rtt / 2, rate, queueBytes, queueFrames: 100_000 },
    seed,
  };
}

/** Sends for as long as told and returns what arrived in that time, in Mbit/s. */
async function measure(from: Deno.TcpConn, to: Deno.TcpConn, milliseconds: number): Promise<number> {
  useKernelCongestionControl("cubic");
  const startedAt = performance.now();
  let [received, ended] = [0, false];
  const receiving = (async () => {
    const buffer = new Uint8Array(1 << 18);
    for (let length = await to.read(buffer); length !== null && !ended; length = await to.read(buffer)) {
      received += length;
    }
  })().catch(() => {});
  const sending = (async () => {
    const buffer = new Uint8Array(1 << 16);
    while (!ended) await from.write(buffer);
  })().catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  const result = received * 8 / (performance.now() - startedAt) / 1000;
  ended = true;
  from.close();
  to.close();
  await Promise.all([sending, receiving]);
  return result;
}

type Pair = (options: LinkOptions, body: (ends: LinkEnds) => Promise<number>) => Promise<number>;

const columns: [string, Pair, (ends: LinkEnds) => [from: Deno.TcpConn, to: Deno.TcpConn]][] = [
  ["kernel to kernel", betweenKernels, ({ near, far }) => [far, near]],
  ["stack to kernel", betweenKernelAndStack, ({ near, far }) => [far, near]],
  ["kernel to stack", betweenKernelAndStack, ({ near, far }) => [near, far]],
];

/** One run in a process of its own: Mbit/s. */
async function runOne(column: number, loss: number, rtt: number, seed: number, seconds: number): Promise<number> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", import.meta.filename!, "one", ...[column, loss, rtt, seed, seconds].map(String)],
  }).output();
  const result = Number(new TextDecoder().decode(stdout).trim() || NaN);
  if (!Number.isNaN(result)) return result;
  const problem = new TextDecoder().decode(stderr);
  // The link has lost all that asked for a hardware address, before there was a connection.
  if (problem.includes("No route to host")) return runOne(column, loss, rtt, seed + anotherChance, seconds);
  throw new Error(`A run has failed: ${problem}`);
}

interface Average {
  mean: number;
  /** The standard error of the mean. */
  error: number;
}

function average(values: number[]): Average {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / Math.max(1, values.length - 1) / values.length) };
}

/** All runs of a cell: the columns in turn, so that what else the machine does meets all of them. */
async function measureCell(loss: number, rtt: number, runs: number, seconds: number): Promise<Average[]> {
  const results = columns.map((): number[] => []);
  const batch = loss >= 5 || (loss > 0 && rtt > 0) ? atOnce : 1;
  for (let first = 1; first <= runs; first += batch) {
    const seeds = Array.from({ length: Math.min(batch, runs - first + 1) }, (_, index) => first + index);
    for (const [column, values] of results.entries()) {
      values.push(...await Promise.all(seeds.map((seed) => runOne(column, loss, rtt, seed, seconds))));
    }
  }
  return results.map(average);
}

/** A cell's ratio to the two kernels, and how far that may be off. */
function ratio(of: Average, to: Average): string {
  const value = of.mean / to.mean;
  const error = value * Math.hypot(of.error / of.mean, to.error / to.mean);
  return `${of.mean.toFixed(2)} (${value.toFixed(2)} ±${error.toFixed(2)})`;
}

async function main(args: string[]): Promise<void> {
  const chosen = (unit: string, all: number[]) => {
    const numbers = args.filter((arg) => arg.endsWith(unit)).map((arg) => Number(arg.slice(0, -unit.length)));
    return numbers.length > 0 ? numbers : all;
  };
  const [runs = 10, seconds = 15] = args.filter((arg) => /^\d+$/.test(arg)).map(Number);
  console.log(`Mbit/s over a link of ${rate / 1e6} Mbit/s, mean and standard error of ${runs} runs of ${seconds} s`);
  console.log(["loss", "RTT", ...columns.map(([name]) => name)].map((cell) => cell.padStart(21)).join(""));
  for (const loss of chosen("%", losses)) {
    for (const rtt of chosen("ms", roundTrips)) {
      const averages = await measureCell(loss, rtt, runs, seconds);
      const kernels = averages[0]!;
      const cells = averages.map((one, index) => index === 0 ? one.mean.toFixed(2) : ratio(one, kernels));
      console.log([`${loss} %`, `${rtt} ms`, ...cells].map((cell) => cell.padStart(21)).join(""));
    }
  }
}

if (Deno.args[0] === "one") {
  const [column, loss, rtt, seed, seconds] = Deno.args.slice(1).map(Number) as [number, number, number, number, number];
  const [, pair, direction] = columns[column]!;
  console.log(await pair(linkOf(loss, rtt, seed), (ends) => measure(...direction(ends), seconds * 1000)));
} else await main(Deno.args);
