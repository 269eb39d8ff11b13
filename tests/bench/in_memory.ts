/**
 * What the stack itself costs, without any kernel: two stacks in one process over the in-memory wire.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { TcpConn } from "../../mod.ts";
import { noise, sendAll } from "../kernel/transfer.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { connectMany, serverAddress, stepUntil, withPair } from "./stack_pair.ts";

const port = 9;
/** Bytes to begin with, in which code is compiled, and bytes that count. */
const warmUp = 300_000_000;
const counted = 1_000_000_000;

/** The largest IP packet, which an Ethernet header in front of it would make too long for a packet. */
const largestMtu = 65535;

function wireOf(mtu: number): { mtu: number; medium: "ethernet" | "ip" } {
  return { mtu, medium: mtu === largestMtu ? "ip" : "ethernet" };
}

function measureRate(mtu: number): Promise<Figures> {
  return withPair(wireOf(mtu), async (client, server) => {
    const listener = server.listen({ port });
    const sender = await client.connect({ hostname: serverAddress, port });
    const receiver = await listener.accept();
    const sending = (async () => {
      const buffer = new Uint8Array(1 << 18);
      for (let sent = 0; sent < warmUp + counted;) sent += await sender.write(buffer);
      sender.close();
    })();
    const buffer = new Uint8Array(1 << 18);
    let received = 0;
    let startedAt = 0;
    let countedFrom = 0;
    for (let length = await receiver.read(buffer); length !== null; length = await receiver.read(buffer)) {
      received += length;
      if (startedAt === 0 && received >= warmUp) {
        startedAt = performance.now();
        countedFrom = received;
      }
    }
    const gigabits = (received - countedFrom) * 8 / (performance.now() - startedAt) / 1e6;
    await sending;
    return { gigabits };
  });
}

function verify(mtu: number): Promise<void> {
  return withPair(wireOf(mtu), async (client, server) => {
    const bytes = noise(64 * 1024 * 1024);
    const listener = server.listen({ port });
    const sender = await client.connect({ hostname: serverAddress, port });
    const receiver = await listener.accept();
    const sending = sendAll(sender, bytes);
    const hash = createHash("sha256");
    const buffer = new Uint8Array(1 << 18);
    for (let length = await receiver.read(buffer); length !== null; length = await receiver.read(buffer)) {
      hash.update(buffer.subarray(0, length));
    }
    await sending;
    const expected = createHash("sha256").update(bytes).digest("hex");
    const actual = hash.digest("hex");
    if (actual !== expected) throw new Error(`A transfer was spoiled: its hash is ${actual} instead of ${expected}`);
  });
}

function wire(name: string, mtu: number, atLeast: number): Benchmark {
  const label = `two stacks in one process, MTU ${mtu}`;
  return {
    name,
    sides: { stack: { measure: () => measureRate(mtu) } },
    rows: [{ label, unit: "Gbit/s", value: ["stack", "gigabits"], goal: { atLeast } }],
    verify: () => verify(mtu),
  };
}

/** Connections that carry segments at the same time, whatever the number of those that are there. */
const active = 10;
const segmentBytes = 1000;
const segments = 200_000;

/**
 * Microseconds for each segment that either end receives, ACKs included, when so many connections take turns.
 *
 * The traffic is the same for any number of connections: every segment is acknowledged at once. Otherwise a connection
 * whose turn comes often would have every second segment acknowledged, and one whose turn comes rarely each by the timer
 * of delayed acknowledgements. And both stacks are stepped by hand in each turn. Event loops take frames in larger
 * batches, in which few connections would have several segments each, that are answered together, and many connections
 * one each: with 10 of them a third of all flushes falls away, and nothing to show for it in the counts of segments,
 * which the figures give.
 */
function segmentCost(connections: number): Promise<Figures> {
  return withPair({}, async (client, server) => {
    const pairs = await stepUntil([client, server], connectMany(client, server, connections));
    const senders = pairs.map(([sender]) => sender);
    const receivers = pairs.map(([_, receiver]) => receiver);
    const chunk = new Uint8Array(segmentBytes);
    const buffer = new Uint8Array(segmentBytes);
    let next = 0;
    const carry = async (count: number) => {
      for (let carried = 0; carried < count; carried += active) {
        const turn: Promise<number | null>[] = [];
        for (let index = 0; index < active; index++, next = (next + 1) % connections) {
          senders[next]!.write(chunk);
          turn.push(receivers[next]!.read(buffer));
        }
        server.step();
        await Promise.all(turn);
        client.step();
      }
    };
    // Every connection has carried something before what counts: code is compiled.
    await carry(Math.max(segments / 4, connections));
    const received = () => [client, server].map((stack) => stack.counters.snapshot()["tcp.received"]!);
    const [acksBefore = 0, dataBefore = 0] = received();
    const startedAt = performance.now();
    await carry(segments);
    const elapsed = performance.now() - startedAt;
    const [acks = 0, data = 0] = received();
    const acksReceived = acks - acksBefore;
    const dataReceived = data - dataBefore;
    return { microseconds: elapsed * 1000 / (acksReceived + dataReceived), dataReceived, acksReceived };
  }, { eventLoop: false, tcp: { settings: { noDelay: true, quickAcknowledgements: Infinity } } });
}

const idleConnections = 100_000;

/**
 * Resident bytes for each end of an idle connection, `TcpConn` included; then again when every end has sent a segment
 * and received one.
 */
function idleMemory(): Promise<Figures> {
  return withPair({}, async (client, server) => {
    // What the first connections need once is no cost of the others.
    const first = await connectMany(client, server, 1000);
    await exchange(first.flat());
    const before = await residentBytes();
    const ends = (await connectMany(client, server, idleConnections / 2)).flat();
    const fresh = (await residentBytes() - before) / ends.length;
    await exchange(ends);
    const used = (await residentBytes() - before) / ends.length;
    return { fresh, used, first: first.length };
  });
}

/** Sends a segment each way, over one connection after the other, whose two ends stand in a row. */
async function exchange(ends: readonly TcpConn[]): Promise<void> {
  const chunk = new Uint8Array(segmentBytes);
  const buffer = new Uint8Array(segmentBytes);
  for (let index = 0; index < ends.length; index += 2) {
    await ends[index]!.write(chunk);
    await ends[index + 1]!.read(buffer);
    await ends[index + 1]!.write(chunk);
    await ends[index]!.read(buffer);
  }
}

async function residentBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return Deno.memoryUsage().rss;
}

/** Throughput, memory and the cost of a segment, in memory. */
export const inMemoryBenchmarks: readonly Benchmark[] = [
  wire("wire", 1500, 4),
  wire("wire-large", largestMtu, 15),
  {
    name: "idle",
    sides: { stack: { measure: idleMemory, v8Flags: ["--expose-gc"] } },
    rows: [{
      label: `memory of an idle connection's end, over ${idleConnections}`,
      unit: "bytes",
      value: ["stack", "fresh"],
      goal: { atMost: 2048 },
    }, {
      label: "the same after a segment each way",
      unit: "bytes",
      value: ["stack", "used"],
    }],
  },
  {
    name: "scale",
    sides: { many: { measure: () => segmentCost(10_000) }, few: { measure: () => segmentCost(active) } },
    rows: [{
      label: "cost of a segment with 10,000 connections, against 10",
      unit: "us",
      value: ["many", "microseconds"],
      against: ["few", "microseconds"],
      goal: { atMost: 1.3 },
    }],
  },
];
