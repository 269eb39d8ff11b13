import { assertAlmostEquals, assertEquals } from "@std/assert";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { type Harness, tcpTest } from "./harness.ts";
import { Pair } from "./pair.ts";

const plain = "mss 1000,nop,nop,sackOK,nop,wscale 7";
const stamped = "mss 1012,sackOK,TS val 100 ecr 0,nop,wscale 7";
const withoutSack = "mss 1000,nop,wscale 7";
const reno = { congestionControl: () => new Reno() };

/** Ten segments of 1000 bytes are out; the window is full and more waits. */
function tenOut(t: Harness, options = plain, waiting = 20_000): Harness {
  t.accept(options).write(10_000 + waiting);
  assertEquals(t.takeSent().length, 10);
  return t.wait(100);
}

const sequences = (t: Harness) => t.takeSent().map(({ sequence }) => sequence);

tcpTest("limited transmit: the first two duplicates bring a new segment each (RFC 3042)", (t) => {
  tenOut(t, withoutSack);
  t.receives(". 1:1(0) ack 1").sends(". 10001:11001(1000) ack 1");
  t.receives(". 1:1(0) ack 1").sends(". 11001:12001(1000) ack 1");
  t.receives(". 1:1(0) ack 1").sends(". 1:1001(1000) ack 1");
  assertEquals(t.connection.info().slowStartThreshold, 5000);
}, reno);

tcpTest("duplicates outside a recovery are counted anew after progress (RFC 5681 3.2)", (t) => {
  tenOut(t, withoutSack, 0);
  for (let ack = 1; ack <= 4001; ack += 1000) {
    t.receives(`. 1:1(0) ack ${ack}`).receives(`. 1:1(0) ack ${ack}`);
    if (ack === 1) continue;
    assertEquals(t.connection.info().congestionState !== "recovery", true);
  }
  assertEquals(t.connection.info().segmentsRetransmitted, 0);
  t.takeSent();
});

tcpTest("duplicate ACKs that a recovery itself causes begin no other (RFC 6582 3.2)", (t) => {
  tenOut(t, withoutSack, 0);
  for (let duplicate = 0; duplicate < 3; duplicate++) t.receives(". 1:1(0) ack 1");
  t.receives(". 1:1(0) ack 10001").takeSent();
  t.write(5000);
  t.takeSent();
  for (let duplicate = 0; duplicate < 5; duplicate++) t.receives(". 1:1(0) ack 10001");
  assertEquals([t.connection.info().congestionState, t.connection.info().segmentsRetransmitted], ["disorder", 1]);
  t.takeSent();
}, reno);

tcpTest("proportional rate reduction: half as much is sent as is delivered, down to the threshold (RFC 6937)", (t) => {
  tenOut(t);
  const sent: number[] = [];
  for (let end = 2001; end <= 10_001; end += 1000) {
    t.receives(`. 1:1(0) ack 1 <nop,nop,sack 1001:${end}>`);
    sent.push(t.takeSent().length);
  }
  // Limited transmit, then the retransmission, then one for every second that arrives.
  assertEquals(sent.slice(0, 3), [1, 1, 1]);
  const later = sent.slice(3).reduce((sum, count) => sum + count, 0);
  assertEquals(later >= 2 && later <= 4, true);
  assertEquals(t.connection.info().slowStartThreshold, 5000);
}, reno);

tcpTest("a loss that the reordering timer finds is repaired without a burst", (t) => {
  tenOut(t);
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 3001:4001>").receives(". 1:1(0) ack 1 <nop,nop,sack 3001:5001>").takeSent();
  assertEquals(t.connection.info().congestionState, "disorder");
  t.wait(26);
  assertEquals(t.connection.info().congestionState, "recovery");
  assertEquals(sequences(t), [1]);
}, reno);

tcpTest("a lost retransmission is sent again without a time-out (RFC 8985)", (t) => {
  tenOut(t);
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 1001:4001>");
  assertEquals(sequences(t).includes(1), true);
  const timeouts = t.tcp.counters.timeouts;
  t.wait(100).receives(". 1:1(0) ack 1 <nop,nop,sack 1001:10001>");
  const next = sequences(t);
  t.wait(100);
  const highest = Math.max(...next) + 1000;
  t.receives(`. 1:1(0) ack 1 <nop,nop,sack 1001:${highest}>`);
  t.wait(30);
  assertEquals(sequences(t).includes(1), true);
  assertEquals(t.tcp.counters.timeouts, timeouts);
}, reno);

tcpTest("a fast retransmission that was not needed is taken back when the original's echo comes (RFC 3522)", (t) => {
  tenOut(t, stamped, 0);
  const { congestionWindow } = t.connection.info();
  t.receives(". 1:1(0) ack 1 <nop,nop,TS val 200 ecr 1100,nop,nop,sack 1001:4001>");
  assertEquals([t.connection.info().congestionState, t.takeSent().length], ["recovery", 1]);
  t.receives(". 1:1(0) ack 4001 <nop,nop,TS val 201 ecr 1100>");
  assertEquals([t.connection.info().congestionState, t.connection.info().congestionWindow >= congestionWindow], [
    "open",
    true,
  ]);
});

tcpTest("one that was not needed is taken back when the peer reports it as a duplicate (RFC 3708)", (t) => {
  tenOut(t, plain, 0);
  const { congestionWindow } = t.connection.info();
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 1001:4001>").takeSent();
  t.wait(5).receives(". 1:1(0) ack 10001");
  assertEquals(t.connection.info().congestionWindow < congestionWindow, true);
  t.wait(95).receives(". 1:1(0) ack 10001 <nop,nop,sack 1:1001>");
  assertEquals(t.connection.info().congestionWindow, congestionWindow);
});

tcpTest("a tail loss probe that repaired a loss is congestion (RFC 8985 7.4)", (t) => {
  t.accept(plain).write(5000);
  t.takeSent();
  t.wait(100).receives(". 1:1(0) ack 4001");
  t.wait(300).takeSent();
  assertEquals(t.tcp.counters.tailProbes, 1);
  const before = t.connection.info();
  t.wait(50).receives(". 1:1(0) ack 5001");
  // Whether the probe or the original arrived is not known yet.
  assertEquals(t.connection.info().slowStartThreshold, before.slowStartThreshold);
  t.write(1000);
  t.takeSent();
  t.wait(50).receives(". 1:1(0) ack 6001");
  assertEquals(t.connection.info().slowStartThreshold < before.congestionWindow, true);
});

for (const [name, answer] of [["a report of the duplicate", "<nop,nop,sack 4001:5001>"], ["another plain ACK", ""]]) {
  tcpTest(`a tail loss probe that was not needed, as ${name} says, is none`, (t) => {
    t.accept(plain).write(5000);
    t.takeSent();
    t.wait(100).receives(". 1:1(0) ack 4001");
    t.wait(300).takeSent();
    t.wait(50).receives(". 1:1(0) ack 5001").receives(`. 1:1(0) ack 5001 ${answer}`.trim());
    t.write(1000);
    t.takeSent();
    t.wait(50).receives(". 1:1(0) ack 6001");
    assertEquals(t.connection.info().slowStartThreshold, Infinity);
  });
}

tcpTest("the tail is probed in the place of a time-out that would come first", (t) => {
  t.accept(plain).write(100);
  t.takeSent();
  t.wait(299).sends();
  t.wait(1).sends("P. 1:101(100) ack 1");
  assertEquals([t.tcp.counters.tailProbes, t.tcp.counters.timeouts], [1, 0]);
  assertEquals(t.connection.info().congestionState, "open");
  t.wait(300).sends("P. 1:101(100) ack 1");
  assertEquals(t.tcp.counters.timeouts, 1);
});

tcpTest("a FIN that goes out as the probe of the tail changes the state", (t) => {
  t.accept(plain).receives("F. 1:1(0) ack 1").takeSent();
  t.write(10_500);
  t.connection.shutdown();
  assertEquals(t.takeSent().length, 10);
  t.wait(203).sends("FP. 10001:10501(500) ack 2");
  assertEquals(t.state, "LAST-ACK");
  t.receives(". 2:2(0) ack 10502");
  assertEquals([t.state, t.notes.failure], ["CLOSED", null]);
});

tcpTest("a smaller path MTU is no congestion (RFC 1191 6.5)", (t) => {
  t.accept("mss 1460,nop,nop,sackOK,nop,wscale 7").write(14_600);
  t.takeSent();
  const { congestionWindow, slowStartThreshold } = t.connection.info();
  t.reports(4, ". 1:9(8) ack 1", 1000).takeSent();
  t.wait(50).receives(". 1:1(0) ack 1461").takeSent();
  t.receives(". 1:1(0) ack 14601").takeSent();
  const after = t.connection.info();
  assertEquals([after.slowStartThreshold, after.congestionWindow >= congestionWindow], [slowStartThreshold, true]);
});

tcpTest("repeated time-outs of one segment lower the threshold once (RFC 5681 3.1)", (t) => {
  t.accept(withoutSack).write(10_000);
  t.wait(300);
  assertEquals(t.connection.info().slowStartThreshold, 5000);
  t.wait(10_000);
  assertEquals([t.connection.info().slowStartThreshold, t.connection.info().congestionWindow], [5000, 1000]);
  t.takeSent();
}, reno);

tcpTest("after a time-out the window grows by a segment an ACK while the rest is repaired (RFC 3465 2.3)", (t) => {
  t.accept(withoutSack).write(10_000);
  t.wait(300).takeSent();
  t.receives(". 1:1(0) ack 1001");
  assertEquals([t.takeSent().length, t.connection.info().congestionWindow], [2, 2000]);
  t.receives(". 1:1(0) ack 3001");
  assertEquals([t.takeSent().length, t.connection.info().congestionWindow], [3, 3000]);
}, reno);

Deno.test("many losses in one window are repaired in a few round trips", () => {
  const clean = new Pair({ delay: 50 });
  const base = clean.transfer(2_000_000);
  clean.end();
  const lossy = new Pair({ delay: 50, loss: 0.01, seed: 4 });
  const time = lossy.transfer(2_000_000);
  assertEquals(lossy.near.failure, null);
  lossy.end();
  assertEquals(time < 12 * base, true);
});

Deno.test("reordering alone costs little once it is known", () => {
  const pair = new Pair({ delay: 50, jitter: 20 });
  const time = pair.transfer(1_000_000);
  const { segmentsRetransmitted, segmentsSent } = pair.near.info();
  assertEquals(segmentsRetransmitted < segmentsSent / 10, true);
  assertAlmostEquals(time, 1000, 900);
  pair.end();
});
