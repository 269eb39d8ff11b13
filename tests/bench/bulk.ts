/**
 * Bulk transfers. The kernel's end is the system's iperf3 in every case, as the client; the other is our iperf3 server
 * on the stack, or the system's.
 *
 * @module
 */

import { runServer } from "../../apps/iperf3/server.ts";
import type { Report } from "../../apps/iperf3/report.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { type Network, onTap, onVeth, outputOf, ownAddress } from "./networks.ts";
import { verifyTransfer } from "./verification.ts";

/** Seconds that count, and seconds before them, in which windows open and code is compiled. */
const seconds = 2;
const warmUp = 1;

/** A kind of transfer. */
export interface Transfer {
  /** Where the bytes go, seen from the measured end. */
  readonly direction: "in" | "out";
  /** Connections at the same time. */
  readonly flows: number;
  /** Whether segmentation and checksums are left to the devices. */
  readonly offload: boolean;
}

/** What iperf3 says, as far as it is looked at. */
interface Iperf3Result {
  error?: string;
  end: {
    sum_received: { bits_per_second: number };
    cpu_utilization_percent: { host_total: number; remote_total: number };
  };
}

/** A report that nobody reads. */
export const silent: Report = {
  listening: () => {},
  connecting: () => {},
  agreed: () => {},
  streams: () => {},
  interval: () => {},
  outcome: () => {},
  problem: (message) => {
    throw new Error(message);
  },
  finished: () => {},
};

/** Runs the system's client against whatever serves at the measured end. */
export async function runSystemClient({ peer }: Network, { direction, flows }: Transfer): Promise<Figures> {
  // One congestion control for all: what the system prefers may be another one.
  const common = ["-J", "-i", "0", "-C", "cubic", "-t", String(seconds), "-O", String(warmUp)];
  const way = direction === "out" ? ["-R"] : [];
  const text = await outputOf(peer("iperf3", "-c", ownAddress, ...common, "-P", String(flows), ...way));
  const { end } = JSON.parse(text) as Iperf3Result;
  const gigabits = end.sum_received.bits_per_second / 1e9;
  const { host_total: host, remote_total: remote } = end.cpu_utilization_percent;
  // A share of a processor over gigabytes per second.
  const perGigabyte = (percent: number) => percent / 100 / (gigabits / 8);
  return { gigabits, ownCpu: perGigabyte(remote), peerCpu: perGigabyte(host) };
}

async function withStack(transfer: Transfer): Promise<Figures> {
  return await onTap(transfer, async (network) => {
    const { signal } = new AbortController();
    const serving = runServer(network.stack!, { port: 5201, interval: 0, oneOff: true, report: silent, signal });
    const figures = await runSystemClient(network, transfer);
    await serving;
    return figures;
  });
}

async function withKernel(transfer: Transfer): Promise<Figures> {
  return await onVeth(transfer, async (network) => {
    const server = network.own("iperf3", "-s", "-1", "--forceflush").spawn();
    const output = server.stdout.getReader();
    await output.read();
    const figures = await runSystemClient(network, transfer);
    await output.cancel();
    await server.stderr.cancel();
    await server.status;
    return figures;
  });
}

function benchmark(name: string, label: string, transfer: Transfer, atLeast: number | null): Benchmark {
  const unit = "s/GB";
  const cpu = transfer.flows > 1 ? [] : [
    {
      label: `  processor time: the stack's end, the kernel's there`,
      unit,
      value: ["stack", "ownCpu"] as const,
      against: ["kernel", "ownCpu"] as const,
    },
    {
      label: `  processor time: the peer's end, both times a kernel`,
      unit,
      value: ["stack", "peerCpu"] as const,
      against: ["kernel", "peerCpu"] as const,
    },
  ];
  return {
    name,
    programs: ["iperf3", "ethtool", "nsenter", "nc", "sha256sum"],
    sides: { stack: { measure: () => withStack(transfer) }, kernel: { measure: () => withKernel(transfer) } },
    rows: [
      {
        label,
        unit: "Gbit/s",
        value: ["stack", "gigabits"],
        against: ["kernel", "gigabits"],
        ...(atLeast === null ? {} : { goal: { atLeast } }),
      },
      ...cpu,
    ],
    verify: () => verifyTransfer(transfer),
  };
}

/** One flow and eight, in and out, with offloads and without. */
export const bulkBenchmarks: readonly Benchmark[] = [
  benchmark("in", "one flow, kernel to stack, offload", { direction: "in", flows: 1, offload: true }, 0.8),
  benchmark("out", "one flow, stack to kernel, offload", { direction: "out", flows: 1, offload: true }, 1),
  benchmark("in8", "eight flows, kernel to stack, offload", { direction: "in", flows: 8, offload: true }, 0.8),
  benchmark("out8", "eight flows, stack to kernel, offload", { direction: "out", flows: 8, offload: true }, 0.8),
  benchmark(
    "in-plain",
    "one flow, kernel to stack, 1500-byte frames",
    { direction: "in", flows: 1, offload: false },
    0.6,
  ),
  benchmark("out-plain", "one flow, stack to kernel, 1500-byte frames", {
    direction: "out",
    flows: 1,
    offload: false,
  }, 0.3),
];
