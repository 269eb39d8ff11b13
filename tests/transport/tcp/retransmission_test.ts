import { assertEquals } from "@std/assert";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { tcpTest } from "./harness.ts";

/** Options of a peer without timestamps: sequence numbers are easier to follow. */
const plain = "mss 1000,nop,nop,sackOK,nop,wscale 7";
const withoutSack = "mss 1000,nop,wscale 7";

tcpTest("retransmission: after the time-out, doubled each time, given up after the fifteenth", (t) => {
  t.accept(withoutSack).write(100);
  t.sends("P. 1:101(100) ack 1");
  let delay = 300;
  for (let sent = 0; sent < 15; sent++) {
    t.wait(delay - 1).sends();
    t.wait(1).sends("P. 1:101(100) ack 1");
    delay = Math.min(120_000, 2 * delay);
  }
  t.wait(delay).sends();
  assertEquals(t.notes.failure?.name, "TimedOut");
});

tcpTest("the time-out is SRTT + 4 RTTVAR, at least 200 ms above SRTT (RFC 6298)", (t) => {
  t.accept(withoutSack).write(100);
  t.takeSent();
  assertEquals([t.connection.info().rtt, t.connection.info().rto], [100, 300]);
  t.wait(180).receives(". 1:1(0) ack 101");
  // SRTT + 80 / 8; RTTVAR 50 + (80 - 50) / 4.
  assertEquals([t.connection.info().rtt, t.connection.info().rto], [110, 110 + 4 * 57.5]);
  for (let sent = 101; sent < 5101; sent += 100) {
    t.write(100);
    t.takeSent();
    t.wait(1).receives(`. 1:1(0) ack ${sent + 100}`);
  }
  const { rtt, rto } = t.connection.info();
  assertEquals([rto, Math.round(rtt)], [rtt + 200, 1]);
});

tcpTest(
  "Karn: an acknowledgement of a repeated segment is no sample, and the back-off stays until a fresh one",
  (t) => {
    t.accept(withoutSack).write(100);
    t.wait(300).takeSent();
    t.wait(5).receives(". 1:1(0) ack 101");
    const { rtt, backoff } = t.connection.info();
    assertEquals([rtt, backoff], [100, 1]);
    t.write(100);
    t.takeSent();
    t.wait(20).receives(". 1:1(0) ack 201");
    assertEquals([t.connection.info().rtt, t.connection.info().backoff], [90, 0]);
  },
);

tcpTest("user timeout: data that stay unacknowledged that long end the connection (RFC 5482)", (t) => {
  t.accept(withoutSack, { userTimeout: 5000 }).write(100);
  t.wait(4999);
  assertEquals(t.state, "ESTABLISHED");
  t.wait(1);
  assertEquals(t.notes.failure?.name, "TimedOut");
  t.takeSent();
});

tcpTest("without SACK: the third duplicate ACK brings the segment again at once, and the window is halved", (t) => {
  t.accept(withoutSack).write(10_000);
  assertEquals(t.takeSent().length, 10);
  t.receives(". 1:1(0) ack 1").receives(". 1:1(0) ack 1").sends();
  t.receives(". 1:1(0) ack 1").sends(". 1:1001(1000) ack 1");
  assertEquals(t.connection.info().congestionState, "recovery");
  assertEquals(t.connection.info().slowStartThreshold, 5000);
  // A partial ACK: the next hole (RFC 6582).
  t.receives(". 1:1(0) ack 3001").sends(". 3001:4001(1000) ack 1");
  t.receives(". 1:1(0) ack 10001");
  assertEquals([t.connection.info().congestionState, t.connection.info().congestionWindow], ["open", 5000]);
}, { congestionControl: () => new Reno() });

tcpTest("with SACK: what was overtaken by three segments is sent again at once", (t) => {
  t.accept(plain).write(10_000);
  assertEquals(t.takeSent().length, 10);
  t.wait(100).receives(". 1:1(0) ack 1001");
  t.receives(". 1:1(0) ack 1001 <nop,nop,sack 2001:3001>");
  t.receives(". 1:1(0) ack 1001 <nop,nop,sack 2001:4001>").sends();
  t.receives(". 1:1(0) ack 1001 <nop,nop,sack 2001:5001>").sends(". 1001:2001(1000) ack 1");
  t.receives(". 1:1(0) ack 10001").sends();
  assertEquals(t.connection.info().congestionState, "open");
});

tcpTest("with SACK: several holes are repaired in one round trip", (t) => {
  t.accept(plain).write(10_000);
  t.takeSent();
  t.wait(100);
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 1001:2001>");
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 3001:4001 1001:2001>");
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 5001:6001 3001:4001 1001:2001>");
  const first = t.takeSent().map(({ sequence }) => sequence);
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 5001:7001 3001:4001 1001:2001>");
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 5001:8001 3001:4001 1001:2001>");
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 5001:9001 3001:4001 1001:2001>");
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 5001:10001 3001:4001 1001:2001>");
  const all = [...first, ...t.takeSent().map(({ sequence }) => sequence)];
  assertEquals(all, [1, 2001, 4001]);
  t.receives(". 1:1(0) ack 10001").sends();
});

tcpTest("a lost tail is probed after two round trips instead of a time-out (RFC 8985 7)", (t) => {
  t.accept(plain).write(1000);
  t.takeSent();
  t.wait(100).receives(". 1:1(0) ack 1001");
  t.write(3000);
  assertEquals(t.takeSent().length, 3);
  t.wait(201).sends();
  t.wait(1).sends("P. 3001:4001(1000) ack 1");
  t.wait(100).receives(". 1:1(0) ack 1001 <nop,nop,sack 3001:4001>");
  t.sends(". 1001:2001(1000) ack 1");
  t.receives(". 1:1(0) ack 2001 <nop,nop,sack 3001:4001>").sends(". 2001:3001(1000) ack 1");
  t.receives(". 1:1(0) ack 4001");
});

tcpTest("after a time-out everything that is not sacked is sent again, from one segment on", (t) => {
  t.accept(plain).write(4000);
  t.takeSent();
  t.wait(202).sends("P. 3001:4001(1000) ack 1");
  t.wait(300).sends(". 1:1001(1000) ack 1");
  assertEquals(t.connection.info().congestionState, "loss");
  t.receives(". 1:1(0) ack 1001").sends(". 1001:2001(1000) ack 1", ". 2001:3001(1000) ack 1");
  t.receives(". 1:1(0) ack 3001").sends("P. 3001:4001(1000) ack 1");
  t.receives(". 1:1(0) ack 4001").sends();
  assertEquals(t.connection.info().congestionState, "open");
});

tcpTest("a spurious time-out is taken back when the echo of the original comes (Eifel, RFC 3522)", (t) => {
  t.accept("mss 1012,sackOK,TS val 100 ecr 0,nop,wscale 7").write(10_000);
  assertEquals(t.takeSent().length, 10);
  const before = t.connection.info().congestionWindow;
  t.wait(1000).takeSent();
  assertEquals(t.connection.info().congestionState, "loss");
  t.receives(". 1:1(0) ack 1001 <nop,nop,TS val 200 ecr 1100>");
  assertEquals(t.connection.info().congestionState, "open");
  assertEquals(t.connection.info().congestionWindow >= before, true);
  t.takeSent();
});

tcpTest("the peer's reneging is survived (RFC 2018 8)", (t) => {
  t.accept(plain).write(3000);
  t.takeSent();
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 1001:3001>");
  t.wait(25).sends(". 1:1001(1000) ack 1");
  t.receives(". 1:1(0) ack 1001").sends();
  t.wait(400).sends(". 1001:2001(1000) ack 1");
  t.receives(". 1:1(0) ack 2001").sends("P. 2001:3001(1000) ack 1");
  t.receives(". 1:1(0) ack 3001").sends();
});
