/**
 * One worker or two on the queues of one TAP device: what a second processor is worth.
 *
 * @module
 */

import { run, withNamespace } from "../kernel/namespace.ts";
import { type QueueWorker, withWorkers } from "../kernel/queues.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { ownAddress } from "./networks.ts";

const flows = 8;
/** Milliseconds in which windows open and code is compiled, and those that count. */
const warmUp = 1000;
const counted = 2000;
const clients = 64;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function received(workers: readonly QueueWorker[]): Promise<number> {
  const counts = await Promise.all(workers.map((worker) => worker.ask({ count: true })));
  return counts.reduce((sum, { received }) => sum + received!, 0);
}

/** Eight senders of the kernel's, which go on until they are stopped. */
async function throughput(workers: readonly QueueWorker[]): Promise<number> {
  const senders = Array.from({ length: flows }, () =>
    new Deno.Command("socat", {
      args: ["-u", "-b", "131072", "OPEN:/dev/zero", `TCP:${ownAddress}:9`],
      stdin: "null",
      stderr: "null",
    }).spawn());
  await pause(warmUp);
  const startedAt = performance.now();
  const before = await received(workers);
  await pause(counted);
  const bytes = await received(workers) - before;
  const gigabits = bytes * 8 / (performance.now() - startedAt) / 1e6;
  for (const sender of senders) sender.kill("SIGKILL");
  await Promise.all(senders.map((sender) => sender.status));
  return gigabits;
}

/** Connections for one exchange each, per second. */
async function accepts(): Promise<number> {
  const text = await run(
    "wrk",
    "-t",
    "1",
    "-c",
    `${clients}`,
    "-d",
    "2s",
    "-H",
    "Connection: close",
    `http://${ownAddress}/`,
  );
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
}

function measure(count: number): Promise<Figures> {
  return withNamespace(async () => {
    const figures: Record<string, number> = {};
    await withWorkers(count, async (workers) => {
      figures.gigabits = await throughput(workers);
      figures.accepts = await accepts();
    });
    return figures;
  });
}

/** Two workers against one. */
export const multiCoreBenchmark: Benchmark = {
  name: "cores",
  programs: ["socat", "wrk"],
  sides: { two: { measure: () => measure(2) }, one: { measure: () => measure(1) } },
  rows: [
    {
      label: "eight flows, kernel to stacks: two workers against one",
      unit: "Gbit/s",
      value: ["two", "gigabits"],
      against: ["one", "gigabits"],
    },
    {
      label: "connect, ask, answer, close: two workers against one",
      unit: "1/s",
      value: ["two", "accepts"],
      against: ["one", "accepts"],
    },
  ],
};
