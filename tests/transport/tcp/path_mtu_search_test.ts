import { assertEquals } from "@std/assert";
import { type Harness, tcpTest } from "./harness.ts";

const selective = "mss 1460,nop,nop,sackOK,nop,wscale 7";

/** Acknowledges all that was sent since the last look, and returns the lengths of its segments. */
function acknowledgeAll(t: Harness): number[] {
  const sent = t.takeSent();
  const end = sent.reduce((end, { sequence, length }) => Math.max(end, sequence + length), 1);
  if (end > 1) t.receives(`. 1:1(0) ack ${end}`);
  return sent.map(({ length }) => length);
}

/** A connection whose full segments vanish until it tries smaller ones; these are acknowledged. */
function shrunk(t: Harness): Harness {
  t.accept(selective, { pathMtuProbing: true }).write(10_000);
  while (t.connection.info().sendMss === 1460 && t.tcp.counters.timeouts < 10) t.wait(10);
  assertEquals([t.tcp.counters.timeouts, t.connection.info().sendMss], [3, 1240]);
  t.takeSent();
  for (let end = 1241; end < 10_001; end += 1240) t.receives(`. 1:1(0) ack ${end}`).takeSent();
  t.receives(". 1:1(0) ack 10001").takeSent();
  assertEquals(t.connection.unacknowledged, 0);
  return t;
}

tcpTest("full segments that time out three times become smaller, to what every path should carry (RFC 8899)", (t) => {
  shrunk(t).write(3000);
  assertEquals(acknowledgeAll(t), [1240, 1240, 520]);
});

tcpTest("without the setting they stay what they are", (t) => {
  t.accept(selective, { pathMtuProbing: false }).write(10_000);
  while (t.tcp.counters.timeouts < 6) t.wait(100);
  assertEquals(t.connection.info().sendMss, 1460);
  t.takeSent();
});

tcpTest("two seconds after the first progress one larger segment goes, and if it arrives all are as large", (t) => {
  shrunk(t).write(3000);
  acknowledgeAll(t);
  t.wait(2000).write(6000);
  assertEquals(acknowledgeAll(t).filter((length) => length > 1240), [1460]);
  t.write(3000);
  assertEquals([acknowledgeAll(t), t.connection.info().sendMss], [[1460, 1460, 80], 1460]);
});

tcpTest("a larger segment that is lost costs no window, and the next size is tried at once (RFC 4821 7.3)", (t) => {
  shrunk(t).write(3000);
  acknowledgeAll(t);
  t.wait(2000).write(8000);
  const [probe, ...rest] = t.takeSent();
  assertEquals([probe?.length, rest.length >= 3], [1460, true]);
  const { slowStartThreshold } = t.connection.info();
  t.wait(50);
  const { sequence, length } = probe!;
  for (const { sequence: start, length } of rest) {
    t.receives(`. 1:1(0) ack ${sequence} <nop,nop,sack ${rest[0]!.sequence}:${start + length}>`);
  }
  assertEquals(acknowledgeAll(t).filter((bytes) => bytes > 0).reduce((sum, bytes) => sum + bytes, 0) >= length, true);
  assertEquals(t.connection.info().slowStartThreshold, slowStartThreshold);
  t.receives(`. 1:1(0) ack ${rest.at(-1)!.sequence + rest.at(-1)!.length}`).takeSent();
  t.write(8000);
  const next = t.takeSent().map(({ length }) => length);
  assertEquals([next.filter((bytes) => bytes > 1240), t.connection.info().sendMss], [[1452], 1240]);
});

/** Writes, lets only the larger segment among what goes out get lost, and returns its length; 0 if there is none. */
function loseProbe(t: Harness): number {
  t.write(8000);
  const sent = t.takeSent();
  const probe = sent.find(({ length }) => length > 1240);
  if (probe !== undefined) {
    t.wait(50);
    for (const { sequence, length } of sent) {
      if (sequence <= probe.sequence) continue;
      t.receives(`. 1:1(0) ack ${probe.sequence} <nop,nop,sack ${probe.sequence + probe.length}:${sequence + length}>`);
    }
    t.takeSent();
  }
  while (t.connection.unacknowledged > 0) {
    const { sndNxt, initialSequence } = t.connection.sender;
    t.receives(`. 1:1(0) ack ${(sndNxt - initialSequence) >>> 0}`).takeSent();
  }
  return probe?.length ?? 0;
}

tcpTest("when no larger segment gets through, all sizes are tried again ten minutes later (RFC 4821 7.5)", (t) => {
  shrunk(t).write(3000);
  acknowledgeAll(t);
  t.wait(2000);
  assertEquals([loseProbe(t), loseProbe(t), loseProbe(t), loseProbe(t)], [1460, 1452, 1360, 0]);
  t.wait(590_000);
  assertEquals(loseProbe(t), 0);
  t.wait(15_000);
  assertEquals([loseProbe(t), t.connection.info().sendMss], [1460, 1240]);
});
