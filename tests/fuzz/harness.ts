/**
 * Feeding a stack, or the `pop` of a part of one, with recorded frames and mutants of them.
 *
 * @module
 */

import type { Device } from "../../stack/link/device.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import { Direction } from "../../stack/link/pcapng.ts";
import type { Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { below, SeededRandom } from "../../stack/random.ts";
import type { Steppable, VirtualTime } from "../helpers/virtual_time.ts";
import { FuzzDevice } from "./fuzz_device.ts";
import { Mutator } from "./mutator.ts";

/** Recorded frames, from the point of view of 10.9.0.2 with hardware address 02:00:00:00:00:02. */
export interface CorpusFrame {
  bytes: Uint8Array;
  direction: Direction;
}

/** Reads corpus.pcapng. */
export async function readCorpus(): Promise<CorpusFrame[]> {
  return readCapture(await Deno.readFile(new URL("./corpus.pcapng", import.meta.url))).frames;
}

/** How a fuzz run goes. */
export interface FuzzOptions {
  /** The seed that reproduces the run. */
  seed: number;
  /** How many mutants to feed. */
  mutants: number;
}

/** What came out of {@linkcode fuzzPop}. */
export interface Verdicts {
  done: number;
  queued: number;
  dropped: number;
}

/**
 * Feeds mutants to a `pop`. The entry is told nothing but the packet, whose window is the whole frame.
 *
 * @throws {Error} If the entry throws or gives no verdict, with the seed and the mutant.
 */
export function fuzzPop(
  pop: (packet: Packet) => Verdict,
  pool: PacketPool,
  corpus: readonly CorpusFrame[],
  options: FuzzOptions,
): Verdicts {
  const mutator = new Mutator(corpus.map(({ bytes }) => bytes), new SeededRandom(options.seed));
  const verdicts: Verdicts = { done: 0, queued: 0, dropped: 0 };
  for (let index = 0; index < options.mutants; index++) {
    const frame = mutator.mutate();
    withReport(frame, index, options, () => {
      const packet = pool.allocate(128, frame.length);
      if (packet === null) throw new Error("The pool is exhausted: packets have leaked");
      packet.bytes.set(frame, packet.head);
      packet.tail = packet.head + frame.length;
      packet.nic = 0;
      const verdict = pop(packet);
      if (verdict === Verdict.done) verdicts.done++;
      else if (verdict === Verdict.queued) verdicts.queued++;
      else if (verdict === Verdict.dropped) verdicts.dropped++;
      else throw new Error(`pop returned ${verdict}, which is no verdict`);
    });
  }
  return verdicts;
}

/** What a stack must have to be fuzzed. */
export interface FuzzableStack extends Steppable {
  readonly pool: PacketPool;
  attach(device: Device, options: { addresses: string[] }): unknown;
}

/**
 * Feeds a stack with the frames that were recorded on their way to 10.9.0.2, mostly in order, so that connections come
 * about, with mutants in front of each, and errors about what it sends, while time passes in leaps.
 *
 * The stack runs on `time`, has no event loop of its own, and should serve TCP and UDP on port 7 so that the frames find
 * somebody.
 *
 * @returns The device, which knows how many frames were received and sent.
 * @throws {Error} If the stack throws or sends a frame that is not well-formed, with the seed and the mutant.
 */
export function fuzzStack(
  stack: FuzzableStack,
  time: VirtualTime,
  corpus: readonly CorpusFrame[],
  options: FuzzOptions,
): FuzzDevice {
  const random = new SeededRandom(options.seed);
  const mutator = new Mutator(corpus.map(({ bytes }) => bytes), random);
  const device = new FuzzDevice();
  stack.attach(device, { addresses: ["10.9.0.2/24"] });
  time.add(stack);
  const inbound = corpus.filter(({ direction }) => direction === Direction.inbound);
  for (const { bytes, direction } of corpus) if (direction === Direction.outbound) device.learn(bytes);
  const feed = (frame: Uint8Array, index: number): void =>
    withReport(frame, index, options, () => {
      device.offer(frame);
      time.settle();
    });
  for (let index = 0, place = 0; index < options.mutants; place++) {
    // Now and then frames are lost, or come again.
    if (below(random, 50) === 0) place += below(random, 8) - 3;
    const { bytes } = inbound[(place + inbound.length) % inbound.length]!;
    for (let count = below(random, 12); count > 0 && index < options.mutants; count--, index++) {
      const kind = below(random, 12);
      const error = kind === 0 ? device.error(random) : null;
      if (error !== null && below(random, 2) === 0) feed(error, index);
      feed(mutator.mutate(error ?? (kind < 8 ? device.adapt(bytes) : undefined)), index);
    }
    feed(device.adapt(bytes), index);
    const leap = below(random, 100);
    withReport(bytes, index, options, () => time.advance(leap < 80 ? leap / 20 : leap < 99 ? 250 : 20_000));
  }
  // Reassembly, retransmission and waiting neighbours give up in the end, and with them their packets.
  withReport(new Uint8Array(), options.mutants, options, () => time.advance(1_200_000));
  time.remove(stack);
  return device;
}

/** Runs a step, and says in the error of a failing one how to have it again. */
function withReport(frame: Uint8Array, index: number, { seed }: FuzzOptions, step: () => void): void {
  try {
    step();
  } catch (error) {
    const bytes = Array.from(frame, (byte) => byte.toString(16).padStart(2, "0")).join("");
    throw new Error(`Mutant ${index} of seed ${seed} failed: ${error}\nframe: ${bytes}`, { cause: error });
  }
}
