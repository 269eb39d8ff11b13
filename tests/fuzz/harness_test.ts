import { assert, assertEquals, assertGreater, assertNotEquals, assertThrows } from "@std/assert";
import { describeFrame } from "../../stack/describe.ts";
import type { Device, DeviceHost } from "../../stack/link/device.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { TestHost } from "../helpers/frames.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";
import { fixChecksums, hasRightChecksums } from "./checksums.ts";
import { type FuzzableStack, fuzzPop, fuzzStack, readCorpus } from "./harness.ts";
import { Mutator } from "./mutator.ts";

const corpus = await readCorpus();
const frames = corpus.map(({ bytes }) => bytes);

/** A stack that answers every SYN with a SYN and ACK of its own, and nothing else. */
class SynAnswerer implements FuzzableStack {
  readonly pool: PacketPool;
  readonly acknowledged: number[] = [];
  readonly initial = 0x1234_5678;
  spoil: ((packet: Packet) => void) | null = null;
  readonly #host: DeviceHost;
  #device: Device | null = null;

  constructor(time: VirtualTime) {
    this.#host = new TestHost(time.timers);
    this.pool = this.#host.pool;
  }

  attach(device: Device): void {
    this.#device = device;
    device.attach(this.#host);
  }

  step(): number {
    const packet = this.#device!.receive();
    if (packet === null) return 0;
    const at = packet.head;
    const { view } = packet;
    const isTcp = packet.length >= 54 && view.getUint32(at + 12) >>> 8 === 0x080045 && view.getUint8(at + 23) === 6;
    if (isTcp && view.getUint8(at + 47) === 2) {
      this.#answer(packet);
    } else {
      if (isTcp && view.getUint8(at + 47) === 0x10) this.acknowledged.push(view.getUint32(at + 42));
      packet.release();
    }
    return 1;
  }

  #answer(packet: Packet): void {
    const { view, bytes, head } = packet;
    packet.tail = head + 54;
    bytes.copyWithin(head, head + 6, head + 12);
    view.setUint16(head + 16, 40);
    view.setUint16(head + 20, 0);
    const ports = view.getUint32(head + 34);
    view.setUint32(head + 34, ((ports << 16) | (ports >>> 16)) >>> 0);
    view.setUint32(head + 42, view.getUint32(head + 38) + 1);
    view.setUint32(head + 38, this.initial);
    view.setUint16(head + 46, 0x5012);
    fixChecksums(packet.contents());
    this.spoil?.(packet);
    this.#device!.transmit(packet);
  }
}

Deno.test("the corpus holds what makes mutants of every kind, both ways, with right checksums", () => {
  const texts = frames.map((frame) => describeFrame(frame).text);
  for (
    const part of [
      "ARP, Request",
      "ARP, Reply",
      "echo request",
      "echo reply",
      "UDP, length 6",
      "port unreachable",
      "@1480",
    ]
      .concat([
        "fragmentation needed",
        "time exceeded",
        "net unreachable",
        "[S]",
        "[S.]",
        "[P.]",
        "[F.]",
        "[R.]",
        "sack 1",
      ])
      .concat(["TS val", "wscale", "[SEW]", "IGMP", "IP6"])
  ) {
    assert(texts.some((text) => text.includes(part)), `no frame with ${part}`);
  }
  for (const direction of [1, 2]) assertGreater(corpus.filter((frame) => frame.direction === direction).length, 50);
  for (const [index, frame] of frames.entries()) assert(hasRightChecksums(frame), texts[index]);
});

Deno.test("checksums that were put right are right, and one flipped bit makes them wrong", () => {
  for (const original of frames) {
    const frame = original.slice();
    if (frame[12] !== 8 || frame[13] !== 0 || frame[14] !== 0x45) continue;
    frame[19]! ^= 0x55;
    assert(!hasRightChecksums(frame));
    fixChecksums(frame);
    assert(hasRightChecksums(frame));
  }
});

Deno.test("the same seed makes the same mutants, and the corpus stays as it is", () => {
  const before = frames.map((frame) => frame.slice());
  const make = (seed: number) => {
    const mutator = new Mutator(frames, new SeededRandom(seed));
    return Array.from({ length: 2000 }, () => mutator.mutate());
  };
  assertEquals(make(1), make(1));
  assertNotEquals(make(1), make(2));
  assertEquals(frames, before);
});

Deno.test("mutants are mostly broken, mostly get past the checksums, and fit an Ethernet frame", () => {
  const mutator = new Mutator(frames, new SeededRandom(3));
  const problems = { none: 0, truncated: 0, malformed: 0, right: 0 };
  for (let index = 0; index < 10_000; index++) {
    const mutant = mutator.mutate();
    assert(mutant.length <= 1514);
    problems[describeFrame(mutant).problem ?? "none"]++;
    if (hasRightChecksums(mutant)) problems.right++;
  }
  assertGreater(problems.none, 2000);
  assertGreater(problems.truncated, 500);
  assertGreater(problems.malformed, 500);
  assertGreater(problems.right, 8000);
});

Deno.test("a pop that throws, leaks or gives no verdict is found, and the report says how to have it again", () => {
  const options = { seed: 7, mutants: 5000 };
  const throwing = (packet: Packet) => {
    if (packet.length > 50 && packet.bytes[packet.head + 23] === 17) throw new RangeError("Offset is outside");
    packet.release();
    return Verdict.dropped;
  };
  const error = assertThrows(() => fuzzPop(throwing, new PacketPool(), corpus, options), Error, "Offset is outside");
  assert(/^Mutant \d+ of seed 7 failed: .*\nframe: [0-9a-f]+$/s.test(error.message), error.message);
  const leaking = () => Verdict.dropped;
  const small = new PacketPool({ limitBytes: 1_000_000 });
  assertThrows(() => fuzzPop(leaking, small, corpus, options), Error, "packets have leaked");
  const silent = (packet: Packet) => {
    packet.release();
    return undefined as unknown as Verdict;
  };
  assertThrows(() => fuzzPop(silent, new PacketPool(), corpus, options), Error, "which is no verdict");
});

Deno.test("recorded segments acknowledge what the fuzzed stack sent, so that connections come about", () => {
  const time = new VirtualTime();
  const stack = new SynAnswerer(time);
  const device = fuzzStack(stack, time, corpus, { seed: 1, mutants: 2000 });
  assertGreater(device.sent, 20);
  assertGreater(device.received, 2000);
  const exact = stack.acknowledged.filter((number) => number === stack.initial + 1).length;
  assertGreater(exact, 50);
  assertEquals(stack.pool.inUse, 0);
  assertEquals(time.timers.running, 0);
});

Deno.test("a stack that sends frames with wrong checksums or lengths is found", () => {
  for (
    const [at, problem] of [[24, "Flags [S.]"], [51, "Flags [S.]"], [17, "[truncated]"], [46, "[malformed]"]] as const
  ) {
    const time = new VirtualTime();
    const stack = new SynAnswerer(time);
    stack.spoil = (packet) => packet.bytes[packet.head + at]! ^= 0x80;
    const run = () => fuzzStack(stack, time, corpus, { seed: 1, mutants: 2000 });
    const error = assertThrows(run, Error, "The stack sent a bad frame: ");
    assert(error.message.includes(problem), error.message);
  }
});
