/**
 * One byte and back: the measured end asks, a peer on the kernel answers by blocking system calls.
 *
 * @module
 */

import type { Benchmark, Figures } from "./benchmark.ts";
import { quantile } from "./benchmark.ts";
import { type Network, onTap, onVeth, peerAddress } from "./networks.ts";

const port = 9;
/** It takes so many until V8 has given everything that a round trip runs through to its last compiler. */
const warmUp = 20_000;
const trips = 20_000;
const peerProgram = new URL("peer.ts", import.meta.url).pathname;

async function roundTrips(network: Network): Promise<Figures> {
  const peer = network.peer(Deno.execPath(), "run", "--no-check", "--allow-ffi", peerProgram, "echo", String(port))
    .spawn();
  const ready = peer.stdout.getReader();
  await ready.read();
  const conn = await network.sockets.connect({ hostname: peerAddress, port });
  conn.setNoDelay(true);
  const byte = new Uint8Array(1);
  const times = new Float64Array(trips);
  for (let trip = -warmUp; trip < trips; trip++) {
    const startedAt = performance.now();
    await conn.write(byte);
    await conn.read(byte);
    if (trip >= 0) times[trip] = (performance.now() - startedAt) * 1000;
  }
  conn.close();
  await peer.status;
  await ready.cancel();
  await peer.stderr.cancel();
  const sorted = Array.from(times);
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

/** Microseconds that the stack goes on looking for work in the busy case. */
const busyPoll = 50;

const options = { offload: true };

/** Round trips with busy polling and without, beside the same program on the kernel's sockets. */
export const roundTripBenchmark: Benchmark = {
  name: "rtt",
  programs: ["nsenter"],
  sides: {
    busy: { measure: () => onTap({ ...options, stack: { busyPoll } }, roundTrips) },
    idle: { measure: () => onTap({ ...options, stack: { busyPoll: 0 } }, roundTrips) },
    kernel: { measure: () => onVeth(options, roundTrips) },
  },
  rows: [
    {
      label: `1 byte and back, busy poll ${busyPoll} us, median`,
      unit: "us",
      value: ["busy", "median"],
      against: ["kernel", "median"],
      goal: { atMost: 0.5 },
    },
    { label: "  99th percentile", unit: "us", value: ["busy", "p99"], against: ["kernel", "p99"] },
    {
      label: "1 byte and back, busy poll off, median",
      unit: "us",
      value: ["idle", "median"],
      against: ["kernel", "median"],
      goal: { atMost: 1 },
    },
    { label: "  99th percentile", unit: "us", value: ["idle", "p99"], against: ["kernel", "p99"] },
  ],
};
