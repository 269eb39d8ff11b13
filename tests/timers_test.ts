import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirtualClock } from "../stack/clock.ts";
import { below, SeededRandom } from "../stack/random.ts";
import { type Timer, Timers } from "../stack/timers.ts";

function setUp(now = 0) {
  const clock = new VirtualClock(now);
  return { clock, timers: new Timers(clock) };
}

Deno.test("a timer expires once, at its deadline and not before", () => {
  const { clock, timers } = setUp(100);
  let expired = 0;
  const timer = timers.create(() => expired++);
  assertEquals([timer.running, timers.running, timers.nextDeadline()], [false, 0, Infinity]);
  timer.start(10);
  assertEquals([timer.running, timers.running, timers.nextDeadline()], [true, 1, 110]);
  clock.set(109.9);
  assertEquals(timers.run(), 0);
  clock.set(110);
  assertEquals(timers.run(), 1);
  assertEquals([expired, timer.running, timers.running, timers.nextDeadline()], [1, false, 0, Infinity]);
  assertEquals(timers.run(), 0);
});

Deno.test("restarting replaces the deadline, later or earlier", () => {
  const { timers } = setUp();
  const timer = timers.create(() => {});
  for (const delay of [10, 20, 5, 5, 30]) {
    timer.start(delay);
    assertEquals([timers.nextDeadline(), timers.running], [delay, 1]);
  }
});

Deno.test("a stopped timer does not expire, and can be started again", () => {
  const { clock, timers } = setUp();
  const log: number[] = [];
  const timer = timers.create(() => log.push(clock.now()));
  timer.start(10);
  timer.stop();
  timer.stop();
  assertEquals([timers.running, timers.nextDeadline()], [0, Infinity]);
  timer.start(30);
  clock.set(20);
  timers.run();
  clock.set(30);
  timers.run();
  assertEquals(log, [30]);
});

Deno.test("timers expire in order of their deadlines, also those that are late", () => {
  const { clock, timers } = setUp();
  const log: number[] = [];
  for (const delay of [5, 1, 4, 2, 3]) timers.create(() => log.push(delay)).start(delay);
  clock.set(10);
  assertEquals(timers.run(), 5);
  assertEquals(log, [1, 2, 3, 4, 5]);
});

Deno.test("a timer can restart itself, start others and stop others when it expires", () => {
  const { clock, timers } = setUp();
  const log: string[] = [];
  const victim = timers.create(() => log.push("victim"));
  const other = timers.create(() => log.push("other"));
  const timer = timers.create(() => {
    log.push("timer");
    timer.start(10);
    other.start(0);
    victim.stop();
  });
  timer.start(1);
  victim.start(2);
  clock.set(5);
  assertEquals(timers.run(), 2);
  assertEquals(log, ["timer", "other"]);
  assertEquals([timers.running, timers.nextDeadline()], [1, 15]);
  timer.dispose();
  assertEquals(timers.running, 0);
});

Deno.test("a timer that is started for the past expires at the next run", () => {
  const { timers } = setUp(100);
  let expired = 0;
  timers.create(() => expired++).startAt(50);
  assertEquals([timers.run(), expired], [1, 1]);
});

Deno.test("starting for never stops, and a deadline that is no number is refused", () => {
  const { timers } = setUp();
  const timer = timers.create(() => {});
  timer.start(Infinity);
  assertEquals([timer.running, timers.running], [false, 0]);
  timer.start(5);
  timer.startAt(Infinity);
  assertEquals([timer.running, timers.running, timers.nextDeadline()], [false, 0, Infinity]);
  assertThrows(() => timer.start(NaN), RangeError, "Cannot start a timer for NaN ms");
  assertEquals(timers.running, 0);
});

Deno.test("a disposed timer leaves nothing behind, wherever it stood", () => {
  const { clock, timers } = setUp();
  const log: number[] = [];
  const all = [3, 1, 2, 5, 4].map((delay) => timers.create(() => log.push(delay)));
  all.forEach((timer, index) => timer.start([3, 1, 2, 5, 4][index]!));
  all[1]!.dispose();
  all[3]!.dispose();
  all[3]!.dispose();
  assertEquals([timers.running, all[1]!.place, all[3]!.place], [3, -1, -1]);
  clock.set(10);
  timers.run();
  assertEquals(log, [2, 3, 4]);
});

Deno.test("onEarlier is called exactly when the next deadline moves forward", () => {
  const { timers } = setUp();
  let calls = 0;
  timers.onEarlier = () => calls++;
  const first = timers.create(() => {});
  const second = timers.create(() => {});
  const callsAfter = (action: () => void): number => {
    const before = calls;
    action();
    return calls - before;
  };
  assertEquals(callsAfter(() => first.start(10)), 1);
  assertEquals(callsAfter(() => second.start(20)), 0);
  assertEquals(callsAfter(() => second.start(5)), 1);
  assertEquals(callsAfter(() => second.start(15)), 0);
  assertEquals(callsAfter(() => first.stop()), 0);
  assertEquals(timers.nextDeadline(), 15);
  assertEquals(callsAfter(() => first.start(14)), 1);
});

Deno.test("the heap behaves like a sorted list under any sequence of calls", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed);
    const { clock, timers } = setUp();
    const deadlines = new Map<Timer, number>();
    const expired: number[] = [];
    const all: Timer[] = [];
    for (let index = 0; index < 30; index++) {
      const timer: Timer = timers.create(() => {
        expired.push(deadlines.get(timer)!);
        deadlines.delete(timer);
        // Some restart from their own expiry.
        if (below(random, 4) === 0) {
          const delay = 1 + below(random, 20);
          timer.start(delay);
          deadlines.set(timer, clock.now() + delay);
        }
      });
      all.push(timer);
    }
    for (let step = 0; step < 1000; step++) {
      const timer = all[below(random, all.length)]!;
      const action = below(random, 10);
      if (action < 6) {
        const delay = below(random, 50);
        timer.start(delay);
        deadlines.set(timer, clock.now() + delay);
      } else if (action < 8) {
        timer.stop();
        deadlines.delete(timer);
      } else if (action < 9) {
        timer.dispose();
        deadlines.delete(timer);
      } else {
        clock.set(clock.now() + below(random, 15));
        const due = [...deadlines.values()].filter((deadline) => deadline <= clock.now());
        expired.length = 0;
        assertEquals(timers.run(), due.length);
        assertEquals(expired, due.toSorted((left, right) => left - right));
      }
      assertEquals(timers.running, deadlines.size);
      assertEquals(timers.nextDeadline(), Math.min(Infinity, ...deadlines.values()));
    }
    for (const timer of all) timer.dispose();
    assertEquals([timers.running, timers.nextDeadline()], [0, Infinity]);
  }
});

Deno.test("restarting for later, as with every ACK, keeps one place in the heap", () => {
  const { clock, timers } = setUp();
  let expired = 0;
  const timer = timers.create(() => expired++);
  for (let round = 0; round < 1000; round++) {
    clock.set(round);
    timer.start(200);
    assertEquals(timers.run(), 0);
    assert(timer.place === 0);
  }
  clock.set(1199);
  assertEquals([timers.run(), expired], [1, 1]);
});

Deno.test("timers of many owners share one function, which is told whose expired", () => {
  const clock = new VirtualClock();
  const timers = new Timers(clock);
  const expired: string[] = [];
  const note = (owner: { name: string }): void => void expired.push(owner.name);
  const first = timers.createFor({ name: "first" }, note);
  const second = timers.createFor({ name: "second" }, note);
  second.start(1);
  first.start(2);
  clock.set(clock.now() + 2);
  assertEquals(timers.run(), 2);
  assertEquals(expired, ["second", "first"]);
  assertEquals(timers.running, 0);
});
