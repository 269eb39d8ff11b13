import { assertEquals } from "@std/assert";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { type Harness, tcpTest } from "./harness.ts";

const plain = "mss 1000";
const selective = "mss 1000,nop,nop,sackOK,nop,wscale 7";
const reno = { congestionControl: () => new Reno() };

/** Ten segments of 1000 bytes are out, and nothing waits. */
function tenOut(t: Harness, options = selective): Harness {
  t.accept(options).write(10_000);
  assertEquals(t.takeSent().length, 10);
  return t.wait(100);
}

/** The first of ten segments is found lost and sent again; then all of them are acknowledged. */
function repaired(t: Harness): Harness {
  tenOut(t);
  for (const end of [2001, 3001, 4001]) t.receives(`. 1:1(0) ack 1 <nop,nop,sack 1001:${end}>`);
  t.sends(". 1:1001(1000) ack 1");
  t.wait(100).receives(". 1:1(0) ack 10001").takeSent();
  assertEquals([t.connection.info().congestionState, t.connection.info().slowStartThreshold], ["open", 5000]);
  return t;
}

tcpTest("a duplicate that is reported a round trip after the repair takes it back (RFC 3708)", (t) => {
  repaired(t).receives(". 1:1(0) ack 10001 <nop,nop,sack 1:1001>").takeSent();
  assertEquals(t.connection.info().slowStartThreshold, Infinity);
}, reno);

for (const [rounds, threshold] of [[1, Infinity], [2, 5000]] as const) {
  const what = threshold === Infinity ? "takes the repair back, too" : "takes nothing back";
  tcpTest(`one that is reported when data of ${rounds} round trips more have been acknowledged ${what}`, (t) => {
    repaired(t);
    for (let end = 11_001; end <= 10_001 + 1000 * rounds; end += 1000) {
      t.write(1000);
      t.takeSent();
      t.wait(100).receives(`. 1:1(0) ack ${end}`);
    }
    t.receives(". 1:1(0) ack 10001 <nop,nop,sack 1:1001>").takeSent();
    assertEquals(t.connection.info().slowStartThreshold, threshold);
  }, reno);
}

tcpTest("one from behind the data that were repaired takes nothing back", (t) => {
  repaired(t).write(1000);
  t.takeSent();
  t.receives(". 1:1(0) ack 10001 <nop,nop,sack 10001:11001>");
  t.receives(". 1:1(0) ack 11001 <nop,nop,sack 10001:11001>").takeSent();
  assertEquals(t.connection.info().slowStartThreshold, 5000);
}, reno);

tcpTest("the tail is not probed while selective acknowledgements show a hole (RFC 8985 7.2)", (t) => {
  tenOut(t).receives(". 1:1(0) ack 1 <nop,nop,sack 9001:10001>").takeSent();
  assertEquals(t.connection.sender.tailProbeDelay(200), Infinity);
  t.wait(1000).takeSent();
  assertEquals(t.tcp.counters.tailProbes, 0);
});

tcpTest("outside a repair the window grows by what is acknowledged cumulatively (RFC 5681 3.1)", (t) => {
  tenOut(t);
  const { congestionWindow } = t.connection.info();
  t.receives(". 1:1(0) ack 1001 <nop,nop,sack 2001:3001>").takeSent();
  assertEquals(t.connection.info().congestionWindow, congestionWindow + 1000);
  t.receives(". 1:1(0) ack 3001").takeSent();
  assertEquals(t.connection.info().congestionWindow, congestionWindow + 3000);
}, reno);

tcpTest("the loss of the one segment that tries a larger size is no congestion (RFC 4821 7.3)", (t) => {
  tenOut(t);
  const { congestionWindow } = t.connection.info();
  t.receives(". 1:1(0) ack 10001").takeSent();
  const grown = t.connection.info().congestionWindow;
  assertEquals(grown > congestionWindow, true);
  t.connection.send(new Uint8Array(0));
  const { sender } = t.connection;
  // What waits is held back, so that the first of it can go as a probe.
  sender.corked = true;
  t.write(900);
  sender.corked = false;
  assertEquals(sender.probeSize(900, t.time.now), true);
  t.takeSent();
  t.write(5000);
  t.takeSent();
  t.wait(10);
  for (const end of [11_901, 12_901, 13_901]) t.receives(`. 1:1(0) ack 10001 <nop,nop,sack 10901:${end}>`);
  t.takeSent();
  assertEquals([sender.recovery.sizeProbe, t.connection.info().slowStartThreshold], ["lost", Infinity]);
  t.receives(". 1:1(0) ack 15901");
}, reno);

tcpTest("after a time-out the window grows by what has arrived since, not by what an acknowledgement skips", (t) => {
  tenOut(t);
  while (t.connection.info().congestionState !== "loss") t.wait(10);
  t.receives(". 1:1(0) ack 1 <nop,nop,sack 1001:9001>").takeSent();
  const { congestionWindow } = t.connection.info();
  t.receives(". 1:1(0) ack 9001").takeSent();
  assertEquals(t.connection.info().congestionState, "loss");
  assertEquals(t.connection.info().congestionWindow, congestionWindow + 1000);
}, reno);

tcpTest("progress begins the count of retransmissions anew: a slow peer is not given up (RFC 9293 3.8.3)", (t) => {
  t.accept(plain).write(4000);
  for (const ack of [1001, 2001, 3001]) {
    const { timeouts } = t.tcp.counters;
    while (t.tcp.counters.timeouts < timeouts + 10 && !t.connection.finished) t.wait(10_000);
    t.takeSent();
    t.receives(`. 1:1(0) ack ${ack}`).takeSent();
  }
  assertEquals([t.state, t.tcp.counters.timeouts], ["ESTABLISHED", 30]);
});

tcpTest("a second time-out ends the question whether the first was spurious (RFC 5682 2.1)", (t) => {
  t.accept(plain).write(20_000);
  t.wait(300).takeSent();
  t.receives(". 1:1(0) ack 2001").sends(". 10001:11001(1000) ack 1", ". 11001:12001(1000) ack 1");
  while (t.tcp.counters.timeouts < 2) t.wait(10);
  t.sends(". 2001:3001(1000) ack 1");
  t.receives(". 1:1(0) ack 3001").takeSent();
  assertEquals([t.connection.info().congestionState, t.connection.info().slowStartThreshold], ["loss", 5000]);
}, reno);

tcpTest("when a time-out is answered for all that was out, sending goes on as the window allows", (t) => {
  t.accept(plain).write(20_000);
  t.wait(300).takeSent();
  t.receives(". 1:1(0) ack 10001");
  assertEquals([t.takeSent().length, t.connection.info().congestionWindow], [2, 2000]);
}, reno);

tcpTest("progress beyond the repair makes duplicates count again (RFC 6582 3.2)", (t) => {
  tenOut(t, plain);
  for (let duplicate = 0; duplicate < 3; duplicate++) t.receives(". 1:1(0) ack 1");
  t.receives(". 1:1(0) ack 10001").takeSent();
  t.write(5000);
  t.receives(". 1:1(0) ack 11001").takeSent();
  for (let duplicate = 0; duplicate < 3; duplicate++) t.receives(". 1:1(0) ack 11001");
  assertEquals(t.takeSent().map(({ sequence }) => sequence), [11_001]);
}, reno);

tcpTest("what is lost is not sent again into a window that the peer has closed meanwhile", (t) => {
  tenOut(t);
  t.receives(". 1:1(0) ack 1 win 0 <nop,nop,sack 1001:5001>").sends();
  t.receives(". 1:1(0) ack 1 win 500 <nop,nop,sack 1001:5001>");
  assertEquals(t.takeSent().map(({ sequence }) => sequence), [1]);
}, reno);

tcpTest("an echo from before the connection began does not say that a time-out was spurious (RFC 3522)", (t) => {
  tenOut(t, "mss 1012,sackOK,TS val 100 ecr 0,nop,wscale 7");
  while (t.connection.info().congestionState !== "loss") t.wait(10);
  t.takeSent();
  t.receives(". 1:1(0) ack 1001 <nop,nop,TS val 900 ecr 900>").takeSent();
  assertEquals([t.connection.info().congestionState, t.connection.info().slowStartThreshold], ["loss", 5000]);
}, reno);

tcpTest("a FIN that comes again and again is no duplicate ACK (RFC 5681 2)", (t) => {
  tenOut(t, plain);
  for (let copy = 0; copy < 5; copy++) t.receives("F. 1:1(0) ack 1").takeSent();
  const { segmentsRetransmitted, congestionState } = t.connection.info();
  assertEquals([segmentsRetransmitted, congestionState, t.state], [0, "open", "CLOSE-WAIT"]);
});
