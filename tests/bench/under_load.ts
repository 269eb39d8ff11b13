/**
 * What a program sees while its stack works at full speed: how late its timers are, and what is allocated.
 *
 * @module
 */

import { runServer } from "../../apps/iperf3/server.ts";
import { type Benchmark, type Figures, quantile } from "./benchmark.ts";
import { runSystemClient, silent, type Transfer } from "./bulk.ts";
import { onTap } from "./networks.ts";

const interval = 1;

/** One flow, and how many milliseconds an interval timer is late meanwhile. */
async function lateness(direction: "in" | "out"): Promise<Figures> {
  const transfer: Transfer = { direction, flows: 1, offload: true };
  return await onTap(transfer, async (network) => {
    const { signal } = new AbortController();
    const serving = runServer(network.stack!, { port: 5201, interval: 0, oneOff: true, report: silent, signal });
    const late: number[] = [];
    let due = performance.now() + interval;
    const timer = setInterval(() => {
      const now = performance.now();
      late.push(Math.max(0, now - due));
      due = now + interval;
    }, interval);
    await runSystemClient(network, transfer);
    clearInterval(timer);
    await serving;
    return { p99: quantile(late, 0.99) };
  });
}

/** What `--trace-gc` says: `123 ms: Scavenge 5.1 (6.2) -> 4.0 (6.2) MB, ... 0.5 / 0.0 ms`. */
const collection = /(\d+) ms: [\w- ()]*?([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB,.*?([\d.]+) \/ [\d.]+ ms/g;

/**
 * Reads what V8 has printed about its collections, and returns the kibibytes that were allocated and the milliseconds
 * that collecting took, from `from` to `to` in milliseconds since the start.
 */
export function readCollections(text: string, from: number, to: number): { kibibytes: number; milliseconds: number } {
  let kibibytes = 0;
  let milliseconds = 0;
  let previous = NaN;
  for (const [, at, before, after, pause] of text.matchAll(collection)) {
    if (Number(at) >= from && Number(at) <= to) {
      if (!Number.isNaN(previous)) kibibytes += Math.max(0, Number(before) - previous) * 1024;
      milliseconds += Number(pause);
    }
    previous = Number(after);
  }
  return { kibibytes, milliseconds };
}

const program = new URL("allocation.ts", import.meta.url).pathname;

/** Moves data over the in-memory wire in a process that reports its collections. */
async function allocation(): Promise<Figures> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", "--v8-flags=--trace-gc", program],
    stdout: "piped",
  });
  const text = new TextDecoder().decode((await command.output()).stdout);
  const [, from, to, megabytes] = /^counted from ([\d.]+) to ([\d.]+) ms: ([\d.]+) MB$/m.exec(text) ?? [];
  if (megabytes === undefined) throw new Error(`The process that allocates has said nothing: ${text}`);
  const { kibibytes, milliseconds } = readCollections(text, Number(from), Number(to));
  return {
    kibibytes: kibibytes / Number(megabytes),
    share: milliseconds / (Number(to) - Number(from)) * 100,
  };
}

/** Timers and memory under load. */
export const underLoadBenchmarks: readonly Benchmark[] = [
  {
    name: "timers",
    programs: ["iperf3"],
    sides: { in: { measure: () => lateness("in") }, out: { measure: () => lateness("out") } },
    rows: [
      {
        label: "a 1 ms timer is late, one flow in, 99th percentile",
        unit: "ms",
        value: ["in", "p99"],
        goal: { atMost: 5 },
      },
      {
        label: "a 1 ms timer is late, one flow out, 99th percentile",
        unit: "ms",
        value: ["out", "p99"],
        goal: { atMost: 5 },
      },
    ],
  },
  {
    name: "allocation",
    sides: { stack: { measure: allocation } },
    rows: [
      { label: "allocated for each MB, two stacks in one process", unit: "KiB", value: ["stack", "kibibytes"] },
      { label: "  time in garbage collection", unit: "%", value: ["stack", "share"] },
    ],
  },
];
