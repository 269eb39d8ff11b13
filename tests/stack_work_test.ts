import { assertEquals } from "@std/assert";
import { VirtualClock } from "../stack/clock.ts";
import type { Nic } from "../stack/link/nic.ts";
import { PacketPool } from "../stack/packet.ts";
import { StackWork } from "../stack/stack_work.ts";
import { Timers } from "../stack/timers.ts";

/** A stack's work with one interface, on which `frames` frames of a size wait. */
class Bench {
  readonly pool = new PacketPool();
  readonly timers = new Timers(new VirtualClock());
  readonly flushes: number[] = [];
  readonly transport = {
    flushFollows: false,
    answersWait: false,
    userCalls: 0,
    flush: (bytes: number) => void this.flushes.push(bytes),
  };
  readonly work: StackWork;
  frames: number;

  constructor(frames: number, readonly frameBytes: number) {
    this.frames = frames;
    const nic = {
      device: { wantsWrite: false },
      receive: () => this.#receive(),
      link: { pop: (packet: { release(): void }) => packet.release() },
    };
    this.work = new StackWork([nic as unknown as Nic], this.timers, this.transport);
  }

  #receive() {
    if (this.frames === 0) return null;
    this.frames--;
    const packet = this.pool.allocate(0, this.frameBytes)!;
    packet.tail = this.frameBytes;
    return packet;
  }

  /** What each turn handled, and whether it flushed, until nothing is left. */
  turns(): [handled: number, flushed: boolean][] {
    const turns: [number, boolean][] = [];
    for (let handled = this.work.step(); handled > 0; handled = this.work.step()) {
      const before = this.flushes.length;
      this.work.flush();
      turns.push([handled, this.flushes.length > before]);
    }
    assertEquals(this.pool.inUse, 0);
    return turns;
  }
}

Deno.test("a few frames are taken together and answered at once", () => {
  assertEquals(new Bench(3, 1500).turns(), [[3, true]]);
});

Deno.test("a turn takes 64 small frames, or the first large ones that make 192 KiB", () => {
  assertEquals(new Bench(70, 60).turns().map(([handled]) => handled), [64, 7]);
  assertEquals(new Bench(4, 64 * 1024).turns().map(([handled]) => handled), [3, 2]);
});

Deno.test("while more frames wait four turns are answered together, and the last of them at once", () => {
  const turns = new Bench(16, 64 * 1024).turns();
  assertEquals(turns.map(([, flushed]) => flushed), [false, false, false, true, false, true]);
});

Deno.test("answers that were put off are sent even when no more frames have come", () => {
  assertEquals(new Bench(64, 60).turns(), [[64, false], [1, true]]);
});

Deno.test("a flush is not put off when the program has answered already", () => {
  const bench = new Bench(16, 64 * 1024);
  bench.transport.answersWait = true;
  assertEquals(bench.turns().map(([, flushed]) => flushed), [true, true, true, true, true, true]);
});

Deno.test("answers to several frames wait for the flush that follows, those to a single one do not", () => {
  const follows = [2, 1, 0].map((frames) => {
    const bench = new Bench(frames, 60);
    bench.work.step();
    return bench.transport.flushFollows;
  });
  assertEquals(follows, [true, false, false]);
});

Deno.test("frames that wait are taken before a timer expires that has come due meanwhile", () => {
  const bench = new Bench(200, 60);
  let left = -1;
  bench.timers.create(() => left = bench.frames).start(0);
  bench.turns();
  assertEquals(left, 0);
});

Deno.test("timers wait for no more than 16 batches of frames", () => {
  const bench = new Bench(64 * 100, 60);
  let batches = 0;
  let expiredAfter = 0;
  bench.timers.create(() => expiredAfter = batches).start(0);
  while (expiredAfter === 0 && batches < 100) {
    batches++;
    bench.work.step();
  }
  assertEquals(expiredAfter, 16);
});

Deno.test("a flush of everything is not put off", () => {
  const bench = new Bench(64, 60);
  bench.work.step();
  bench.work.flushAll();
  assertEquals(bench.flushes, [Infinity]);
  assertEquals(bench.work.step(), 0);
});
