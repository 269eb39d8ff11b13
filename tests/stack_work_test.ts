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
    answerExpected: false,
    flush: (bytes: number) => void this.flushes.push(bytes),
  };
  readonly work: StackWork;
  frames: number;
  /** Whether frames bring data that somebody waits for. */
  awaited = false;

  constructor(frames: number, readonly frameBytes: number) {
    this.frames = frames;
    const nic = {
      device: { wantsWrite: false },
      receive: () => this.#receive(),
      link: { pop: (packet: { release(): void }) => this.#pop(packet) },
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

  #pop(packet: { release(): void }): void {
    packet.release();
    if (this.awaited) this.transport.answerExpected = true;
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

/** A bench on which frames have come one by one, with data that somebody waits for. */
function oneByOne(): Bench {
  const bench = new Bench(1, 60);
  bench.awaited = true;
  assertEquals(bench.turns(), [[1, true]]);
  return bench;
}

Deno.test("where frames come one by one, the program has what it waits for before another frame is looked for", () => {
  const bench = oneByOne();
  bench.frames = 3;
  assertEquals([bench.work.step(), bench.frames], [1, 2]);
});

Deno.test("what the program does not answer is acknowledged together with the frames behind it", () => {
  const bench = oneByOne();
  bench.frames = 3;
  const before = bench.flushes.length;
  assertEquals(bench.turns(), [[1, false], [2, true]]);
  assertEquals(bench.flushes.length, before + 1);
});

Deno.test("answers to the frames behind it wait for the flush that follows", () => {
  const bench = oneByOne();
  bench.frames = 3;
  bench.work.step();
  assertEquals(bench.transport.flushFollows, false);
  bench.work.flush();
  assertEquals([bench.frames, bench.transport.flushFollows], [0, true]);
  bench.work.step();
  assertEquals(bench.transport.flushFollows, true);
});

Deno.test("what the program has answered is flushed without another look, which comes with the next turn", () => {
  const bench = oneByOne();
  bench.frames = 3;
  bench.work.step();
  bench.transport.answerExpected = false;
  bench.work.flush();
  assertEquals([bench.flushes.length, bench.frames], [2, 2]);
  assertEquals([bench.work.step(), bench.frames], [2, 0]);
});

Deno.test("frames for which nobody waits are taken together even where they come one by one", () => {
  const bench = oneByOne();
  bench.awaited = false;
  bench.frames = 3;
  assertEquals(bench.turns(), [[3, true]]);
});

Deno.test("frames that came together are taken together the next time", () => {
  const bench = oneByOne();
  bench.frames = 2;
  bench.turns();
  bench.frames = 2;
  assertEquals(bench.turns(), [[2, true]]);
});

Deno.test("a step without a program behind it takes all frames", () => {
  const bench = oneByOne();
  bench.frames = 3;
  assertEquals([bench.work.step(true), bench.frames], [3, 0]);
});

Deno.test("a timer does not expire before the frames behind one that the program has seen were looked for", () => {
  const bench = oneByOne();
  bench.frames = 2;
  let left = -1;
  bench.timers.create(() => left = bench.frames).start(0);
  bench.work.step();
  assertEquals(left, -1);
  bench.work.flush();
  bench.work.step();
  assertEquals(left, 0);
});

Deno.test("a flush of everything is not put off", () => {
  const bench = new Bench(64, 60);
  bench.work.step();
  bench.work.flushAll();
  assertEquals(bench.flushes, [Infinity]);
  assertEquals(bench.work.step(), 0);
});
