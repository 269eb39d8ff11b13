/**
 * Measures the VPN beside the veth pair that carries it: throughput each way, round trips, and two hundred clients at
 * once. Needs root. `deno run --allow-all tests/bench/vpn.ts`
 *
 * @module
 */

import { ExitCode, type Program, runProgram, toggle } from "../../apps/cli.ts";
import { formatTable } from "../../apps/netstat/tables.ts";
import { wholeNumber } from "../../apps/values.ts";
import { tunnelAccess } from "../../apps/vpn/options.ts";
import { openTunnelLink } from "../../apps/vpn/link.ts";
import { Stack } from "../../mod.ts";
import { withNamespace } from "../kernel/namespace.ts";
import { Room, VpnServer } from "../apps/vpn_rooms.ts";

const options = {
  runs: { placeholder: "N", help: "Runs of each row (default: 5)", fallback: 5, parse: wholeNumber(1, 100) },
  seconds: { placeholder: "N", help: "Seconds of each transfer (default: 2)", fallback: 2, parse: wholeNumber(1, 60) },
  clients: { placeholder: "N", help: "Clients at once (default: 200)", fallback: 200, parse: wholeNumber(1, 250) },
  json: toggle("Print JSON"),
};

const program: Program<typeof options> = {
  name: "vpn-bench",
  summary: "Measures the VPN beside the veth pair that carries it; each figure is the median of the runs.",
  options,
  examples: [["--runs 3 --seconds 1", "a quick look"]],
};

interface Row {
  what: string;
  tunnel: number;
  veth: number | null;
  unit: string;
}

/** The address of the server in the tunnel. */
const inside = "10.1.1.1";

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

/** The median of several runs, one after the other. */
async function measure(runs: number, once: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let run = 0; run < runs; run++) values.push(await once());
  return median(values);
}

/** Gbit/s that arrive at the other end, by one TCP connection of iperf3. */
async function throughput(room: Room, address: string, seconds: number, ...args: string[]): Promise<number> {
  const server = new Deno.Command("iperf3", { args: ["-s", "-1", "--forceflush", "-B", address], stdout: "piped" })
    .spawn();
  const reader = server.stdout.getReader();
  // It says that it listens.
  await reader.read();
  const report = JSON.parse(await room.run("iperf3", "-J", "-c", address, "-t", String(seconds), ...args));
  reader.releaseLock();
  await server.stdout.cancel();
  await server.status;
  return report.end.sum_received.bits_per_second / 1e9;
}

/** The median round trip of some pings in milliseconds. */
async function roundTrip(room: Room, address: string): Promise<number> {
  const text = await room.run("ping", "-c", "50", "-i", "0.005", address);
  return median(Array.from(text.matchAll(/time=([\d.]+) ms/g), ([, time]) => Number(time)));
}

async function compare(room: Room, runs: number, seconds: number): Promise<Row[]> {
  const rows: Row[] = [];
  const both = async (what: string, unit: string, once: (address: string) => Promise<number>) => {
    const tunnel = await measure(runs, () => once(inside));
    rows.push({ what, tunnel, veth: await measure(runs, () => once(room.host)), unit });
  };
  await both("client to server, one TCP flow", "Gbit/s", (address) => throughput(room, address, seconds));
  await both("server to client, one TCP flow", "Gbit/s", (address) => throughput(room, address, seconds, "-R"));
  await both("client to server, eight flows", "Gbit/s", (address) => throughput(room, address, seconds, "-P", "8"));
  await both("round trip of a ping, median", "ms", (address) => roundTrip(room, address));
  return rows;
}

/** Many clients in this process, each with a stack: how long they take to come in, and what their pings say. */
async function crowd(server: VpnServer, names: readonly string[]): Promise<Row[]> {
  const quiet = { debug: () => {}, info: () => {}, warn: console.error, error: console.error };
  const link = { loss: null, delay: null, jitter: null, reorder: null, duplicate: null, corrupt: null, rate: null };
  const start = performance.now();
  const links = await Promise.all(names.map(async (name) => {
    const access = tunnelAccess({
      vpn: new URL("wss://127.0.0.1"),
      "vpn-token": null,
      "vpn-token-file": server.tokenFile(name),
      "vpn-cacert": null,
      "vpn-fingerprint": server.fingerprint,
      "vpn-insecure": false,
    })!;
    return await openTunnelLink(access, { ...link, seed: 1, pcap: null, snaplen: null }, quiet);
  }));
  const connected = performance.now() - start;
  const stacks = links.map(({ device, address }) => {
    // Two hundred loops that look for work would keep each other from it.
    const stack = new Stack({ busyPoll: 0 });
    stack.attach(device, { addresses: [address!.toString()] });
    return stack;
  });
  const times: number[] = [];
  let sent = 0;
  await Promise.all(stacks.map(async (stack) => {
    for await (const event of stack.ping(inside, { count: 10, interval: 200, timeout: 2000 })) {
      sent++;
      if (event.kind === "reply") times.push(event.time);
    }
  }));
  for (const stack of stacks) await stack.close();
  for (const { undo } of links) undo();
  const row = (what: string, tunnel: number, unit: string): Row => ({ what, tunnel, veth: null, unit });
  times.sort((left, right) => left - right);
  return [
    row(`${names.length} clients at once: all connected after`, connected / 1000, "s"),
    row("  ten pings of each, five a second: answered", times.length / sent * 100, "%"),
    row("  round trip, median", times[times.length >> 1] ?? NaN, "ms"),
    row("  round trip, 99th percentile", times[Math.floor(times.length * 0.99)] ?? NaN, "ms"),
  ];
}

async function bench(runs: number, seconds: number, clients: number): Promise<Row[]> {
  return await withNamespace(async () => {
    await using room = await Room.make(1);
    const names = Array.from({ length: clients }, (_, index) => `client${index}`);
    await using server = await VpnServer.start(["laptop", ...names]);
    const rows: Row[] = [];
    {
      await using _client = await server.client(room, "laptop");
      rows.push(...await compare(room, runs, seconds));
    }
    rows.push(...await crowd(server, names));
    return rows;
  });
}

if (import.meta.main) {
  await runProgram(program, async ({ values: { runs, seconds, clients, json } }) => {
    const rows = await bench(runs, seconds, clients);
    const figure = (value: number | null) => value === null ? null : value.toPrecision(3);
    const cells = rows.map(({ what, tunnel, veth, unit }) => [
      what,
      figure(tunnel),
      figure(veth),
      veth === null ? null : figure(tunnel / veth),
      unit,
    ]);
    console.log(json ? JSON.stringify(rows) : formatTable(["What", "Tunnel", "veth", "Ratio", "Unit"], cells));
    return ExitCode.success;
  });
}
