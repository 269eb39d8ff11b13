import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { VirtualTime } from "./virtual_time.ts";

Deno.test("VirtualTime lets timers expire in order while it advances", () => {
  const time = new VirtualTime(0);
  const log: [string, number][] = [];
  time.timers.create(() => log.push(["late", time.now])).start(30);
  time.timers.create(() => log.push(["early", time.now])).start(10);
  time.timers.create(() => log.push(["beyond", time.now])).start(50);
  time.advance(40);
  assertEquals(log, [["early", 10], ["late", 30]]);
  assertEquals(time.now, 40);
  assertEquals(time.timers.running, 1);
});

Deno.test("VirtualTime reaches its end when a timer expires exactly there", () => {
  const time = new VirtualTime(0);
  let expired = 0;
  time.timers.create(() => expired++).start(10);
  time.advance(10);
  assertEquals(expired, 1);
});

Deno.test("VirtualTime steps its parties until none has work left", () => {
  const time = new VirtualTime();
  const work = [3, 2];
  for (const party of [0, 1]) time.add({ step: () => work[party]! > 0 ? (work[party]!--, 1) : 0 });
  assertEquals(time.settle(), 5);
  assertEquals(work, [0, 0]);
});

Deno.test("VirtualTime stops stepping a party that was removed", () => {
  const time = new VirtualTime();
  let steps = 0;
  const party = time.add({ step: () => (steps++, 0) });
  time.settle();
  time.remove(party);
  time.settle();
  assertEquals(steps, 1);
});

Deno.test("VirtualTime honours the deadlines of its parties", () => {
  const time = new VirtualTime(0);
  const steps: number[] = [];
  let due = 7;
  time.add({
    step: () => {
      if (time.now < due) return 0;
      steps.push(time.now);
      due += 7;
      return 1;
    },
    nextDeadline: () => due,
  });
  time.advance(20);
  assertEquals(steps, [7, 14]);
});

Deno.test("VirtualTime complains of parties that keep each other busy for ever", () => {
  const time = new VirtualTime();
  time.add({ step: () => 1000 });
  assertThrows(() => time.settle(), Error, "steps at one moment");
});

Deno.test("runUntil says how long it took, and throws at its limit", () => {
  const time = new VirtualTime(5);
  let expired = false;
  time.timers.create(() => expired = true).start(12);
  assertEquals(time.runUntil(() => expired), 12);
  assertThrows(() => time.runUntil(() => false, 100), Error, "within 100 ms");
  assertEquals(time.now, 117);
});

Deno.test("run lets long chains of promise reactions finish before time moves on", async () => {
  const time = new VirtualTime(0);
  const sleep = (duration: number) =>
    new Promise<void>((resolve) => {
      time.timers.create(resolve).start(duration);
    });
  const moments: number[] = [];
  const program = (async () => {
    for (let round = 0; round < 3; round++) {
      await sleep(10);
      for (let link = 0; link < 100; link++) await Promise.resolve();
      moments.push(time.now);
    }
  })();
  await time.run(100);
  await program;
  assertEquals(moments, [10, 20, 30]);
  assertEquals(time.now, 100);
});

Deno.test("waitFor moves time only as far as the promise needs", async () => {
  const time = new VirtualTime(0);
  const promise = new Promise<string>((resolve) => {
    time.timers.create(() => resolve("done")).start(3_000_000);
  });
  assertEquals(await time.waitFor(promise), "done");
  assertEquals(time.now, 3_000_000);
});

Deno.test("waitFor passes a rejection on, and throws when nothing settles the promise", async () => {
  const time = new VirtualTime();
  await assertRejects(() => time.waitFor(Promise.reject(new RangeError("no"))), RangeError, "no");
  await assertRejects(() => time.waitFor(new Promise(() => {}), 10), Error, "within 10 ms");
});

Deno.test("waitUntil sees what promise reactions changed", async () => {
  const time = new VirtualTime();
  let changed = false;
  Promise.resolve().then(() => changed = true);
  assertEquals(await time.waitUntil(() => changed), 0);
  assert(changed);
});
