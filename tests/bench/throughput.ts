/**
 * Measures bulk throughput and round trips between the stack and the kernel over a TAP device with plain 1500-byte
 * frames, beside two kernels over veth with their offloads off, in turn in one run. Needs root, `ip`, `nc` and `ethtool`.
 *
 *     deno task bench [RUNS]
 *
 * @module
 */

import { createWire, openTap, Stack } from "../../mod.ts";
import { withNamespace } from "../kernel/namespace.ts";

const runs = Number(Deno.args[0] ?? 5);
const bytes = 1_000_000_000;
const roundTrips = 5_000;

async function shell(command: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("sh", { args: ["-c", command], stdout: "piped" }).output();
  if (!success) throw new Error(`Cannot run "${command}": ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

function gigabits(count: number, startedAt: number): number {
  return count * 8 / (performance.now() - startedAt) / 1e6;
}

/** Runs `body` with a stack on a TAP device in a namespace of its own. */
async function onTap(body: (stack: Stack) => Promise<number>): Promise<number> {
  let result = 0;
  await withNamespace(async () => {
    await using stack = new Stack();
    stack.attach(openTap({ hostAddresses: ["192.0.2.1/24"] }), { addresses: ["192.0.2.2/24"] });
    result = await body(stack);
  });
  return result;
}

/** One flow from the kernel into the stack, in Gbit/s. */
function kernelToStack(): Promise<number> {
  return onTap(async (stack) => {
    const listener = stack.listen({ port: 9 });
    const sending = shell(`head -c ${bytes} /dev/zero | nc -N 192.0.2.2 9`);
    const conn = await listener.accept();
    const buffer = new Uint8Array(1 << 18);
    const startedAt = performance.now();
    let received = 0;
    for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) received += length;
    const rate = gigabits(received, startedAt);
    conn.close();
    await sending;
    if (received !== bytes) throw new Error(`${received} bytes came of ${bytes}`);
    return rate;
  });
}

/** One flow from the stack to the kernel, in Gbit/s. */
function stackToKernel(): Promise<number> {
  return onTap(async (stack) => {
    const listener = stack.listen({ port: 9 });
    const receiving = shell("nc -d 192.0.2.2 9 | wc -c");
    const conn = await listener.accept();
    const buffer = new Uint8Array(1 << 18);
    const startedAt = performance.now();
    for (let sent = 0; sent < bytes;) {
      sent += await conn.write(buffer.subarray(0, Math.min(buffer.length, bytes - sent)));
    }
    conn.close();
    await conn.closed;
    const rate = gigabits(bytes, startedAt);
    const received = Number(await receiving);
    if (received !== bytes) throw new Error(`${received} bytes came of ${bytes}`);
    return rate;
  });
}

/** The median round trip of one byte to an echo server in the stack, in microseconds. */
function roundTrip(): Promise<number> {
  return onTap(async (stack) => {
    const listener = stack.listen({ port: 9 });
    const client = await Deno.connect({ hostname: "192.0.2.2", port: 9 });
    client.setNoDelay(true);
    const server = await listener.accept();
    server.setNoDelay(true);
    const serving = (async () => {
      const buffer = new Uint8Array(16);
      for (let length = await server.read(buffer); length !== null; length = await server.read(buffer)) {
        await server.write(buffer.subarray(0, length));
      }
      server.close();
    })();
    const times: number[] = [];
    const byte = new Uint8Array(1);
    for (let trip = 0; trip < roundTrips; trip++) {
      const startedAt = performance.now();
      await client.write(byte);
      await client.read(byte);
      times.push((performance.now() - startedAt) * 1000);
    }
    client.close();
    await serving;
    return times.sort((left, right) => left - right)[times.length >> 1]!;
  });
}

/** One flow between two kernels over veth without offloads, in Gbit/s. */
async function kernelToKernel(): Promise<number> {
  const name = `tapstack-bench-${Deno.pid}`;
  let rate = 0;
  await withNamespace(async () => {
    await shell(`ip netns add ${name}`);
    try {
      await shell(`ip link add v0 type veth peer name v1 && ip link set v1 netns ${name}`);
      await shell("ethtool -K v0 tso off gso off gro off tx off rx off >/dev/null");
      await shell(`ip netns exec ${name} ethtool -K v1 tso off gso off gro off tx off rx off >/dev/null`);
      await shell("ip addr add 192.0.2.1/24 dev v0 && ip link set v0 up");
      await shell(`ip netns exec ${name} sh -c 'ip addr add 192.0.2.2/24 dev v1 && ip link set v1 up'`);
      const receiver = new Deno.Command("ip", {
        args: ["netns", "exec", name, "sh", "-c", "nc -l -d 192.0.2.2 9 | wc -c"],
        stdout: "piped",
      }).spawn();
      await shell(`until ip netns exec ${name} ss -ltn | grep -q :9; do :; done`);
      const startedAt = performance.now();
      await shell(`head -c ${bytes} /dev/zero | nc -N 192.0.2.2 9`);
      const received = Number(new TextDecoder().decode((await receiver.output()).stdout));
      rate = gigabits(bytes, startedAt);
      if (received !== bytes) throw new Error(`${received} bytes came of ${bytes}`);
    } finally {
      await shell(`ip netns del ${name}`);
    }
  });
  return rate;
}

/** One flow between two stacks in this process over the in-memory wire, in Gbit/s. */
async function stackToStack(mtu: number): Promise<number> {
  await using client = new Stack();
  await using server = new Stack();
  const [clientEnd, serverEnd] = createWire({ mtu });
  client.attach(clientEnd, { addresses: ["10.0.0.1/24"] });
  server.attach(serverEnd, { addresses: ["10.0.0.2/24"] });
  const listener = server.listen({ port: 9 });
  const sender = await client.connect({ hostname: "10.0.0.2", port: 9 });
  const receiver = await listener.accept();
  const startedAt = performance.now();
  const sending = (async () => {
    const buffer = new Uint8Array(1 << 18);
    for (let sent = 0; sent < bytes;) {
      sent += await sender.write(buffer.subarray(0, Math.min(buffer.length, bytes - sent)));
    }
    sender.close();
  })();
  const buffer = new Uint8Array(1 << 18);
  let received = 0;
  for (let length = await receiver.read(buffer); length !== null; length = await receiver.read(buffer)) {
    received += length;
  }
  const rate = gigabits(received, startedAt);
  await sending;
  if (received !== bytes) throw new Error(`${received} bytes came of ${bytes}`);
  return rate;
}

const measurements: [string, string, () => Promise<number>][] = [
  ["two kernels over veth, no offload", "Gbit/s", kernelToKernel],
  ["kernel to stack over TAP", "Gbit/s", kernelToStack],
  ["stack to kernel over TAP", "Gbit/s", stackToKernel],
  ["1-byte round trip, kernel client, stack server in one process", "us", roundTrip],
  ["two stacks in one process, in-memory wire, MTU 1500", "Gbit/s", () => stackToStack(1500)],
  ["two stacks in one process, in-memory wire, MTU 65521", "Gbit/s", () => stackToStack(65521)],
];
const results = measurements.map((): number[] => []);
for (let run = 0; run < runs; run++) {
  for (const [index, [, , measure]] of measurements.entries()) results[index]!.push(await measure());
}
for (const [index, [name, unit]] of measurements.entries()) {
  const sorted = results[index]!.sort((left, right) => left - right);
  const [least, median, most] = [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!].map((value) =>
    value.toFixed(2)
  );
  console.log(`${name.padEnd(62)} ${median!.padStart(8)} ${unit}   (${least} to ${most}, ${runs} runs)`);
}
