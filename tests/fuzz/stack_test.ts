import { assert, assertEquals, assertGreater } from "@std/assert";
import { SeededRandom } from "../../stack/random.ts";
import { Stack } from "../../stack/stack.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";
import type { FuzzDevice } from "./fuzz_device.ts";
import { fuzzStack, readCorpus } from "./harness.ts";
import { type Peaks, Service } from "./service.ts";

const corpus = await readCorpus();
const mutants = 100_000;
/** Any seed will do. To see a failure again, put in the one that its message names. */
const seeds = [1, 2, 3];

/** Counters that mutants must have reached, by module: what was accepted, and every way to be dropped. */
const reached: Readonly<Record<string, string>> = {
  ethernet: "received truncated otherDestination badSource ownSource unknownEtherType",
  arp: "requestsReceived overheard malformed unknownOperation badSender",
  neighbors: "solicited resolved failed unreachable",
  ipv4: "delivered truncated badHeader badChecksum badLength martianSource ownSource martianDestination " +
    "otherDestination otherGroup linkBroadcast unknownProtocol fragmented neighborUnreachable",
  reassembly: "reassembled malformed duplicates contradicting overlapping abandoned timedOut",
  icmpv4: "truncated badChecksum echoAnswered echoToMany noReplyPath echoReplies strayReplies errorsReceived " +
    "badQuote unhandledType errorsSent errorsSuppressed",
  echo: "requests replies strayReplies errors",
  igmp: "ignored",
  udp: "received sent badLength badChecksum noSocket errors",
  tcp: "truncated badChecksum badAddress noConnection outsideWindow oldTimestamp unexpected badAcknowledgement " +
    "challengeAcks strayAcksSuppressed resetsSent resetsReceived activeOpens passiveOpens timeouts tailProbes " +
    "windowProbes",
};

interface Outcome {
  stack: Stack;
  device: FuzzDevice;
  service: Service;
  time: VirtualTime;
  counters: Record<string, number>;
}

async function run(seed: number): Promise<Outcome> {
  const time = new VirtualTime();
  const stack = new Stack({
    timers: time.timers,
    random: new SeededRandom(seed),
    eventLoop: false,
    // The recorded connections are opened again and again.
    tcp: { timeWait: 2000 },
  });
  const service = time.add(new Service(stack, new SeededRandom(seed)));
  const device = fuzzStack(stack, time, corpus, { seed, mutants });
  const counters = stack.counters.snapshot();
  await stack.close();
  time.settle();
  return { stack, device, service, time, counters };
}

/** The sum of the named counters of a module. */
function total(counters: Record<string, number>, module: string, names: string): number {
  return names.split(" ").reduce((sum, name) => sum + counters[`${module}.${name}`]!, 0);
}

/** Every frame and packet ends in exactly one counter of each module that it reaches. */
function assertAccounted(counters: Record<string, number>, frames: number): void {
  const of = (module: string, names: string) => total(counters, module, names);
  const arp = of(
    "arp",
    "requestsReceived repliesReceived overheard malformed unknownOperation badSender addressConflict",
  );
  assertEquals(
    of("ethernet", "received truncated otherDestination badSource ownSource unknownEtherType"),
    frames,
    "frames",
  );
  assertEquals(arp + of("ipv4", "received"), of("ethernet", "received"), "frames accepted");
  const dropped = "truncated badHeader badChecksum badLength martianSource ownSource martianDestination " +
    "otherDestination otherGroup linkBroadcast";
  assertEquals(
    of("ipv4", dropped) + of("ipv4", "delivered unknownProtocol") + of("reassembly", "fragments"),
    of("ipv4", "received") + of("reassembly", "reassembled"),
    "IPv4 packets",
  );
  assertEquals(
    of("icmpv4", "received") + of("udp", "received badLength badChecksum missingChecksum noSocket queueFull") +
      of("tcp", "received") + of("igmp", "received"),
    of("ipv4", "delivered"),
    "packets delivered",
  );
  assertEquals(
    of(
      "icmpv4",
      "truncated badChecksum echoAnswered echoToMany noReplyPath echoReplies strayReplies errorsReceived badQuote " +
        "unhandledType",
    ),
    of("icmpv4", "received"),
    "ICMP messages",
  );
}

function assertBounded({ packets, connections, ringBytes, neighbors }: Peaks, stack: Stack): void {
  assert(packets <= 4096, `${packets} packets in use`);
  assert(connections <= 200, `${connections} connections`);
  assert(ringBytes <= 128 << 20, `${ringBytes} bytes in rings`);
  assert(neighbors <= 1024, `${neighbors} neighbours`);
  assert(stack.pool.heldBytes <= 16 << 20, `${stack.pool.heldBytes} bytes in the pool`);
  assertEquals(stack.pool.exhausted, 0);
}

for (const seed of seeds) {
  Deno.test(`a stack survives ${mutants} mutants, accounts for each, and keeps nothing (seed ${seed})`, async () => {
    const { stack, device, service, time, counters } = await run(seed);
    assertGreater(device.received, mutants);
    assertAccounted(counters, device.received);
    assertBounded(service.peaks, stack);
    const names = Object.entries(reached).flatMap(([module, all]) => all.split(" ").map((name) => `${module}.${name}`));
    assertEquals(names.filter((name) => !(counters[name]! > 0)), [], "counters that no mutant reached");
    for (const count of [service.accepted, service.begun, service.datagrams]) assertGreater(count, 50);
    assertGreater(service.received, 50_000);
    assertEquals([stack.pool.inUse, time.timers.running, stack.ports.size], [0, 0, 0]);
    assertEquals([stack.tcp.connections().length, stack.tcp.timeWait.size, stack.tcp.storage.inUse], [0, 0, 0]);
    assertEquals([stack.udp.sockets.length, stack.neighbors.size], [0, 0]);
  });
}

Deno.test("the same seed gives the same run, down to every counter", async () => {
  const [first, again] = [await run(seeds[0]!), await run(seeds[0]!)];
  assertEquals(again.counters, first.counters);
  assertEquals(again.device.sent, first.device.sent);
});
