import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import { VirtualClock } from "../stack/clock.ts";
import { EventLoop, type Work } from "../stack/event_loop.ts";
import type { Poller } from "../stack/link/device.ts";
import { PortablePoller } from "../stack/portable_poller.ts";

/** Lets every promise reaction that is possible now come to its end. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Records what is asked of it; a wait ends by {@linkcode FakePoller.end} or by an interruption. */
class FakePoller implements Poller {
  readonly waits: number[] = [];
  yields = 0;
  briefYields = 0;
  interrupts = 0;
  closed = false;
  #end: (() => void) | null = null;

  get waiting(): boolean {
    return this.#end !== null;
  }

  wait(_devices: readonly unknown[], timeout: number): Promise<void> {
    this.waits.push(timeout);
    return new Promise((resolve) => this.#end = resolve);
  }

  yield(brief: boolean = false): Promise<void> {
    if (brief) this.briefYields++;
    else this.yields++;
    return Promise.resolve();
  }

  interrupt(): void {
    this.interrupts++;
    this.end();
  }

  end(): void {
    this.#end?.();
    this.#end = null;
  }

  close(): void {
    assertFalse(this.waiting);
    assertFalse(this.closed);
    this.closed = true;
  }
}

/** Every step takes 0.01 ms and handles what the list says, then nothing. */
class FakeWork implements Work {
  readonly clock = new VirtualClock();
  readonly handled: number[];
  steps = 0;
  deadline = Infinity;
  onStep: () => void = () => {};

  constructor(...handled: number[]) {
    this.handled = handled;
  }

  step(): number {
    this.steps++;
    this.clock.set(this.clock.now() + 0.01);
    this.onStep();
    return this.handled.shift() ?? 0;
  }

  nextDeadline(): number {
    return this.deadline;
  }
}

function makeLoop(work: FakeWork, busyPoll = 0): { loop: EventLoop; poller: FakePoller } {
  const poller = new FakePoller();
  return { loop: new EventLoop(work, { clock: work.clock, poller, devices: () => [], busyPoll }), poller };
}

Deno.test("steps follow each other while there is work, then the loop sleeps", async () => {
  const work = new FakeWork(3, 1, 2);
  const { loop, poller } = makeLoop(work);
  loop.start();
  await settle();
  assertEquals(work.steps, 4);
  assertEquals(poller.waits, [Infinity]);
  await loop.stop();
});

Deno.test("the loop sleeps until the next deadline", async () => {
  const work = new FakeWork();
  work.deadline = 5;
  const { loop, poller } = makeLoop(work);
  loop.start();
  await settle();
  assertEquals(poller.waits, [5 - work.clock.now()]);
  await loop.stop();
});

Deno.test("a deadline that has come is no reason to sleep", async () => {
  const work = new FakeWork();
  work.deadline = 0.005;
  work.onStep = () => {
    if (work.steps === 3) work.deadline = Infinity;
  };
  const { loop, poller } = makeLoop(work);
  loop.start();
  await settle();
  assertEquals(work.steps, 3);
  assertEquals(poller.waits, [Infinity]);
  await loop.stop();
});

Deno.test("waking a sleeping loop interrupts the wait, once", async () => {
  const work = new FakeWork();
  const { loop, poller } = makeLoop(work);
  loop.start();
  await settle();
  loop.wake();
  loop.wake();
  assertEquals(poller.interrupts, 1);
  await settle();
  assertEquals(work.steps, 2);
  await loop.stop();
});

Deno.test("waking a loop that is awake interrupts nothing and makes it step again", async () => {
  const work = new FakeWork();
  const { loop, poller } = makeLoop(work);
  work.onStep = () => {
    if (work.steps === 1) loop.wake();
  };
  loop.start();
  await settle();
  assertEquals(poller.interrupts, 0);
  assertEquals(work.steps, 2);
  await loop.stop();
});

Deno.test("what promise reactions ask for after a step is done before sleeping", async () => {
  const work = new FakeWork(1);
  const { loop, poller } = makeLoop(work);
  work.onStep = () => {
    if (work.steps !== 2) return;
    // A program that needs several reactions to get from its data to its answer.
    Promise.resolve().then(() => {}).then(() => loop.wake());
  };
  loop.start();
  await settle();
  assertEquals(work.steps, 3);
  assertEquals(poller.interrupts, 0);
  await loop.stop();
});

Deno.test("promise reactions run between two steps", async () => {
  const work = new FakeWork(1, 1);
  const { loop } = makeLoop(work);
  const order: string[] = [];
  work.onStep = () => {
    order.push("step");
    Promise.resolve().then(() => order.push("reaction"));
  };
  loop.start();
  await settle();
  assertEquals(order.slice(0, 4), ["step", "reaction", "step", "reaction"]);
  await loop.stop();
});

Deno.test("under steady work the program has a turn every millisecond", async () => {
  const work = new FakeWork(...new Array<number>(1000).fill(1));
  const { loop, poller } = makeLoop(work);
  let yieldsUnderWork = 0;
  work.onStep = () => yieldsUnderWork = poller.yields;
  loop.start();
  await settle();
  assertEquals(poller.waits.length, 1);
  assert(yieldsUnderWork >= 9 && yieldsUnderWork <= 10, `10 ms of work had ${yieldsUnderWork} turns`);
  await loop.stop();
});

Deno.test("a loop that alternates with the program's I/O gives it a turn after each step, without spins and naps", async () => {
  const work = new FakeWork(1, 1, 1);
  const poller = new FakePoller();
  let naps = 0;
  const napping = Object.assign(poller, { nap: () => naps++ < 0 });
  const { clock } = work;
  const loop = new EventLoop(work, { clock, poller: napping, devices: () => [], busyPoll: 1000, alternates: true });
  loop.start();
  await settle();
  assertEquals([work.steps, poller.yields, poller.waits.length, naps], [4, 3, 1, 0]);
  await loop.stop();
});

Deno.test("a program that answers in ticks of the platform has a turn after each step that brought something", async () => {
  const work = Object.assign(new FakeWork(...new Array<number>(50).fill(1)), { userCalls: 0 });
  const { loop, poller } = makeLoop(work);
  const yieldOnce = poller.yield;
  poller.yield = (brief) => {
    work.userCalls++;
    return yieldOnce.call(poller, brief);
  };
  loop.start();
  await settle();
  assertEquals([work.steps, poller.briefYields], [51, 50]);
  await loop.stop();
});

Deno.test("turns that bring nothing become rare", async () => {
  const work = Object.assign(new FakeWork(...new Array<number>(1000).fill(1)), { userCalls: 0 });
  const { loop, poller } = makeLoop(work);
  loop.start();
  await settle();
  assert(poller.briefYields < 25, `${poller.briefYields} turns in 1000 steps`);
  await loop.stop();
});

Deno.test("after work the loop spins for a while before it sleeps", async () => {
  const work = new FakeWork(1);
  const { loop, poller } = makeLoop(work, 50);
  loop.start();
  await settle();
  // The step that had work, 50 us of steps of 10 us each, rounding included.
  assert(work.steps >= 6 && work.steps <= 7, `${work.steps} steps`);
  assertEquals(poller.waits.length, 1);
  await loop.stop();
});

Deno.test("a loop that spins asks nobody for the time if its work knows when it stepped", async () => {
  const work = Object.assign(new FakeWork(1), { steppedAt: 0 });
  let asked = 0;
  const clock = { now: () => work.clock.now() + 0 * asked++ };
  work.onStep = () => work.steppedAt = work.clock.now();
  const loop = new EventLoop(work, { clock, poller: new FakePoller(), devices: () => [], busyPoll: 1000 });
  loop.start();
  await settle();
  assert(work.steps > 90 && asked < 20, `the time was asked for ${asked} times in ${work.steps} steps`);
  await loop.stop();
});

Deno.test("what is asked for while the loop spins is flushed behind the next step", async () => {
  const order: string[] = [];
  const work = Object.assign(new FakeWork(1), { flush: () => void order.push("flush") });
  const { loop } = makeLoop(work, 1000);
  work.onStep = () => {
    if (work.steps >= 5 && work.steps <= 7) order.push(`step ${work.steps}`);
    if (work.steps === 5) queueMicrotask(() => loop.wake());
  };
  loop.start();
  await settle();
  assertEquals(order, ["flush", "step 5", "step 6", "flush", "step 7"]);
  await loop.stop();
});

Deno.test("promise reactions run, and the program has a turn every millisecond, while the loop spins", async () => {
  const work = new FakeWork(1);
  const { loop, poller } = makeLoop(work, 10_000);
  let reactions = 0;
  work.onStep = () => queueMicrotask(() => reactions++);
  loop.start();
  await settle();
  assertEquals(reactions, work.steps);
  assert(poller.yields >= 9 && poller.yields <= 10, `10 ms had ${poller.yields} turns`);
  await loop.stop();
});

Deno.test("a loop that spins can be stopped", async () => {
  const work = new FakeWork(1);
  const { loop } = makeLoop(work, 1_000_000);
  let stopped: Promise<void> | null = null;
  work.onStep = () => {
    if (work.steps === 10) stopped = loop.stop();
  };
  loop.start();
  await settle();
  await stopped;
  assertEquals(work.steps, 10);
});

Deno.test("the loop does not spin over a poller that misses nothing", async () => {
  const work = new FakeWork(1);
  const poller = Object.assign(new FakePoller(), { missesNothing: true });
  const loop = new EventLoop(work, { clock: work.clock, poller, devices: () => [], busyPoll: 50 });
  loop.start();
  await settle();
  assertEquals([work.steps, poller.waits.length], [2, 1]);
  await loop.stop();
});

Deno.test("a wake-up by a timer alone is no reason to spin", async () => {
  const work = new FakeWork();
  work.deadline = 5;
  const { loop, poller } = makeLoop(work, 50);
  loop.start();
  await settle();
  const before = work.steps;
  work.handled.push(1);
  work.clock.set(5);
  work.deadline = 100;
  poller.end();
  await settle();
  assertEquals(work.steps, before + 2);
  assertEquals(poller.waits.length, 2);
  await loop.stop();
});

Deno.test("a wake-up by a frame is a reason to spin", async () => {
  const work = new FakeWork();
  work.deadline = 100;
  const { loop, poller } = makeLoop(work, 50);
  loop.start();
  await settle();
  const before = work.steps;
  work.handled.push(1);
  poller.end();
  await settle();
  assert(work.steps - before >= 6, `${work.steps - before} steps`);
  assertEquals(poller.waits.length, 2);
  await loop.stop();
});

Deno.test("stopping resolves after the wait has ended, and closes the poller", async () => {
  const { loop, poller } = makeLoop(new FakeWork());
  loop.start();
  await settle();
  assert(poller.waiting && loop.running);
  await loop.stop();
  assert(poller.closed);
  assertFalse(loop.running);
  await loop.stop();
});

Deno.test("a loop that never ran closes its poller when it is stopped", async () => {
  const { loop, poller } = makeLoop(new FakeWork());
  await loop.stop();
  assert(poller.closed);
  assertThrows(() => loop.start(), Error, "it was stopped; make a new one");
});

Deno.test("a step may stop the loop", async () => {
  const work = new FakeWork(1, 1, 1);
  const { loop, poller } = makeLoop(work);
  let stopped: Promise<void> | undefined;
  work.onStep = () => stopped ??= loop.stop();
  loop.start();
  await settle();
  await stopped;
  assertEquals(work.steps, 1);
  assert(poller.closed);
});

Deno.test("what a step throws ends the loop and comes out of stop", async () => {
  const work = new FakeWork();
  const { loop, poller } = makeLoop(work);
  let stopped: Promise<unknown> | undefined;
  work.onStep = () => {
    stopped = assertRejects(() => loop.stop(), Error, "a bug");
    throw new Error("a bug");
  };
  loop.start();
  await settle();
  await stopped;
  assert(poller.closed);
  assertEquals(work.steps, 1);
});

Deno.test("what a step throws is an unhandled rejection where nobody stops the loop", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    resolve(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listener);
  const work = new FakeWork();
  const failure = new Error("a bug");
  work.onStep = () => {
    throw failure;
  };
  makeLoop(work).loop.start();
  assertEquals(await promise, failure);
  globalThis.removeEventListener("unhandledrejection", listener);
});

Deno.test("another poller takes over from one that waits, which is closed after its wait", async () => {
  const { loop, poller } = makeLoop(new FakeWork());
  loop.start();
  await settle();
  const next = new FakePoller();
  loop.usePoller(next);
  await settle();
  assert(poller.closed);
  assert(next.waiting);
  await loop.stop();
  assert(next.closed);
});

Deno.test("another poller takes over before the start", async () => {
  const { loop, poller } = makeLoop(new FakeWork());
  const next = new FakePoller();
  loop.usePoller(next);
  assert(poller.closed);
  loop.start();
  await settle();
  assert(next.waiting);
  await loop.stop();
});

/** A poller whose naps end as told, at first all in vain. */
class NappingPoller extends FakePoller {
  naps = 0;
  found: () => boolean = () => false;

  nap(_devices: readonly unknown[], duration: number): boolean {
    assert(duration > 0 && duration <= 1);
    this.naps++;
    return this.found();
  }
}

/** Sends a loop to sleep `times` times more, each ended by an interruption. */
async function sleepAgain(loop: EventLoop, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    loop.wake();
    await settle();
  }
}

Deno.test("the loop naps before it sleeps, and goes on without sleeping when that brought something", async () => {
  const work = new FakeWork();
  const poller = new NappingPoller();
  poller.found = () => poller.naps < 5;
  const loop = new EventLoop(work, { clock: work.clock, poller, devices: () => [], busyPoll: 0 });
  loop.start();
  await settle();
  assertEquals([poller.naps, poller.waits.length, work.steps], [5, 1, 5]);
  await loop.stop();
});

Deno.test("naps in vain become rare, and frequent again when one was not", async () => {
  const work = new FakeWork();
  const poller = new NappingPoller();
  const loop = new EventLoop(work, { clock: work.clock, poller, devices: () => [], busyPoll: 0 });
  loop.start();
  await settle();
  // Naps before the first sleep, the third, the sixth, the eleventh, and then seldom.
  await sleepAgain(loop, 10);
  assertEquals([poller.waits.length, poller.naps], [11, 4]);
  await sleepAgain(loop, 1000);
  assert(poller.naps < 30);
  let lucky = 1;
  poller.found = () => lucky-- > 0;
  await sleepAgain(loop, 65);
  const before = poller.naps;
  assertEquals(lucky <= 0, true);
  await sleepAgain(loop, 2);
  assertEquals(poller.naps - before <= 1, true);
  await loop.stop();
});

Deno.test("no nap is taken when a timer is due before it would end", async () => {
  const work = new FakeWork();
  work.deadline = 0.1;
  const poller = new NappingPoller();
  const loop = new EventLoop(work, { clock: work.clock, poller, devices: () => [], busyPoll: 0 });
  loop.start();
  await settle();
  assertEquals([poller.naps, poller.waits.length], [0, 1]);
  await loop.stop();
});

Deno.test("the flush waits for a program that goes on calling, but not for ever", async () => {
  const order: string[] = [];
  const work = new FakeWork(1);
  const flushing = Object.assign(work, { flush: () => void order.push("flush"), userCalls: 0 });
  work.onStep = () => {
    if (work.steps > 1) return;
    (async () => {
      for (let call = 0; call < 3000; call++) {
        for (let turn = 0; turn < 4; turn++) await undefined;
        flushing.userCalls++;
        if (call === 100) order.push("100 calls");
      }
      order.push("the last call");
    })();
  };
  const { loop } = makeLoop(flushing);
  loop.start();
  await settle();
  assertEquals(order, ["100 calls", "flush", "the last call"]);
  await loop.stop();
});

Deno.test("what is asked for while the loop goes to rest is flushed in the next turn", async () => {
  const work = new FakeWork();
  let flushes = 0;
  const { loop } = makeLoop(Object.assign(work, { flush: () => void flushes++ }));
  work.onStep = () => {
    // It comes after the step, and the step has found nothing.
    if (work.steps === 1) Promise.resolve().then(() => loop.wake());
  };
  loop.start();
  await settle();
  assertEquals([flushes, work.steps], [1, 2]);
  await loop.stop();
});

Deno.test("what a step brought is seen by the program before the step's answers are flushed", async () => {
  const order: string[] = [];
  const work = new FakeWork(1);
  let arrive = (): void => {};
  const arrival = new Promise<void>((resolve) => arrive = resolve);
  const program = (async () => {
    await arrival;
    await undefined;
    order.push("program");
  })();
  work.onStep = arrive;
  const flushing = Object.assign(work, { flush: () => void order.push("flush") });
  const { loop } = makeLoop(flushing);
  loop.start();
  await program;
  await settle();
  assertEquals(order, ["program", "flush"]);
  await loop.stop();
});

Deno.test("a portable poller's interruption ends the wait, or the next one", async () => {
  const poller = new PortablePoller();
  const wait = poller.wait([], Infinity);
  poller.interrupt();
  await wait;
  poller.interrupt();
  await poller.wait([], Infinity);
  poller.close();
});

Deno.test("a portable poller's wait ends by itself", async () => {
  const poller = new PortablePoller();
  await poller.wait([], 1);
  await poller.wait([], 0);
  poller.close();
});

Deno.test("a portable poller's wait ends no sooner than it should because of an earlier one", async () => {
  const poller = new PortablePoller();
  const earlier = poller.wait([], 2);
  poller.interrupt();
  await earlier;
  const before = performance.now();
  await poller.wait([], 6);
  assert(performance.now() - before >= 5.9);
  poller.close();
});

Deno.test("a portable poller's wait ends sooner than an earlier one would have", async () => {
  const poller = new PortablePoller();
  const earlier = poller.wait([], 3_600_000);
  poller.interrupt();
  await earlier;
  await poller.wait([], 1);
  poller.close();
});

Deno.test("the program's timers run while portable pollers keep interrupting each other", async () => {
  const poller = new PortablePoller();
  let fired = false;
  setTimeout(() => fired = true, 0);
  while (!fired) {
    poller.interrupt();
    await poller.wait([], Infinity);
  }
  poller.close();
});

Deno.test("a platform without setImmediate gets its turns by messages", async () => {
  const platform = globalThis as { setImmediate?: unknown };
  const { setImmediate } = platform;
  platform.setImmediate = undefined;
  try {
    const poller = new PortablePoller();
    const order: string[] = [];
    await Promise.all([
      poller.yield().then(() => order.push("first")),
      poller.yield().then(() => order.push("second")),
    ]);
    poller.close();
    assertEquals(order, ["first", "second"]);
  } finally {
    platform.setImmediate = setImmediate;
  }
});
