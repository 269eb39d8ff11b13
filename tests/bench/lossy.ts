/**
 * Measures one flow over a bad link, in both directions: the kernel and the stack, beside two kernels over the same
 * link, in turn in one run. The link is made by this program between TAP devices, and all kernels use CUBIC. Needs root.
 *
 *     deno run -A tests/bench/lossy.ts [RUNS [SECONDS]]
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

const runs = Number(Deno.args[0] ?? 3);
const duration = 1000 * Number(Deno.args[1] ?? 3);
const rate = 100_000_000;
const losses = [0, 0.01, 0.05, 0.1];
const roundTrips = [0, 50, 200];

function linkOf(loss: number, rtt: number, seed: number): LinkOptions {
  const queueBytes = Math.max(64_000, rate / 8 * rtt / 1000);
  return {
    impairment: { loss, delay: rtt / 2, rate, queueBytes, queueFrames: 100_000 },
    seed,
  };
}

/** Sends for as long as told and returns what arrived in that time, in Mbit/s. */
async function measure(from: Deno.TcpConn, to: Deno.TcpConn): Promise<number> {
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
  await new Promise((resolve) => setTimeout(resolve, duration));
  const result = received * 8 / (performance.now() - startedAt) / 1000;
  ended = true;
  from.close();
  to.close();
  await Promise.all([sending, receiving]);
  return result;
}

type Pair = (options: LinkOptions, body: (ends: LinkEnds) => Promise<number>) => Promise<number>;

const columns: [string, Pair, (ends: LinkEnds) => Promise<number>][] = [
  ["kernel to kernel", betweenKernels, ({ near, far }) => measure(far, near)],
  ["stack to kernel", betweenKernelAndStack, ({ near, far }) => measure(far, near)],
  ["kernel to stack", betweenKernelAndStack, ({ near, far }) => measure(near, far)],
];

console.log(`Mbit/s over a link of ${rate / 1e6} Mbit/s, median of ${runs} runs of ${duration / 1000} s`);
console.log(["loss", "RTT", ...columns.map(([name]) => name)].map((cell) => cell.padStart(18)).join(""));
for (const loss of losses) {
  for (const rtt of roundTrips) {
    const results = columns.map((): number[] => []);
    for (let run = 1; run <= runs; run++) {
      for (const [index, [, pair, body]] of columns.entries()) {
        results[index]!.push(await pair(linkOf(loss, rtt, run), body));
      }
    }
    const medians = results.map((values) => values.sort((left, right) => left - right)[values.length >> 1]!);
    const cells = medians.map((median, index) =>
      `${median.toFixed(2)}${index === 0 ? "" : ` (${(median / medians[0]!).toFixed(2)})`}`
    );
    console.log([`${100 * loss} %`, `${rtt} ms`, ...cells].map((cell) => cell.padStart(18)).join(""));
  }
}
