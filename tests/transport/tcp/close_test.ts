import { assertEquals } from "@std/assert";
import { tcpTest } from "./harness.ts";

const plain = "mss 1000,nop,nop,sackOK,nop,wscale 7";

tcpTest("our side closes first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT, gone after 2 MSL", (t) => {
  t.accept(plain).connection.shutdown();
  t.sends("F. 1:1(0) ack 1");
  assertEquals(t.state, "FIN-WAIT-1");
  t.receives(". 1:1(0) ack 2");
  assertEquals(t.state, "FIN-WAIT-2");
  t.receives("F. 1:1(0) ack 2").sends(". 2:2(0) ack 2");
  assertEquals([t.state, t.tcp.timeWait.size], ["TIME-WAIT", 1]);
  assertEquals(t.notes.events.at(-1), "closed");
  t.wait(59_999);
  assertEquals(t.tcp.timeWait.size, 1);
  t.wait(1);
  assertEquals(t.tcp.timeWait.size, 0);
});

tcpTest("the peer closes first: CLOSE-WAIT, LAST-ACK, gone", (t) => {
  t.accept(plain).receives("F. 1:1(0) ack 1").sends(". 1:1(0) ack 2");
  assertEquals([t.state, t.connection.ended], ["CLOSE-WAIT", true]);
  t.connection.shutdown();
  t.sends("F. 1:1(0) ack 2");
  assertEquals(t.state, "LAST-ACK");
  t.receives(". 2:2(0) ack 2").sends();
  assertEquals([t.state, t.notes.failure, t.tcp.timeWait.size], ["CLOSED", null, 0]);
});

tcpTest("both close at once: CLOSING, TIME-WAIT", (t) => {
  t.accept(plain).write(10);
  t.connection.shutdown();
  t.sends("P. 1:11(10) ack 1", "F. 11:11(0) ack 1");
  t.receives("FP. 1:6(5) ack 1").sends(". 12:12(0) ack 7");
  assertEquals(t.state, "CLOSING");
  t.receives(". 7:7(0) ack 12");
  assertEquals(t.state, "TIME-WAIT");
  assertEquals(t.read(), 5);
});

tcpTest("the acknowledgement of our FIN counts on a segment that brings nothing else new", (t) => {
  t.accept(plain).receives(". 1:6(5) ack 1").connection.shutdown();
  t.receives("F. 6:6(0) ack 1").takeSent();
  assertEquals(t.state, "CLOSING");
  t.receives(". 1:6(5) ack 2");
  assertEquals([t.state, t.tcp.timeWait.size], ["TIME-WAIT", 1]);
  assertEquals(t.read(), 5);
});

tcpTest("FIN that acknowledges ours: straight to TIME-WAIT", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 2").sends(". 2:2(0) ack 2");
  assertEquals(t.state, "TIME-WAIT");
});

tcpTest("half close: the other way stays open for as long as it takes", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives(". 1:1(0) ack 2").wait(3_600_000);
  for (let sequence = 1; sequence < 50_001; sequence += 1000) {
    t.receives(`. ${sequence}:${sequence + 1000}(1000) ack 2`);
    assertEquals(t.read(), 1000);
  }
  t.takeSent();
  t.receives("F. 50001:50001(0) ack 2").sends(". 2:2(0) ack 50002");
  assertEquals(t.connection.ended, true);
});

tcpTest("a read in CLOSE-WAIT gives what is left, then the end; writing goes on", (t) => {
  t.accept(plain).receives("FP. 1:11(10) ack 1").takeSent();
  assertEquals(t.connection.ended, false);
  assertEquals([t.read(), t.connection.ended], [10, true]);
  t.write(20);
  t.sends("P. 1:21(20) ack 12");
  t.receives(". 12:12(0) ack 21");
});

tcpTest("FIN behind a hole waits until the hole is filled", (t) => {
  t.accept(plain).receives("F. 1001:1001(0) ack 1").sends(". 1:1(0) ack 1");
  assertEquals(t.state, "ESTABLISHED");
  t.receives(". 1:1001(1000) ack 1").sends(". 1:1(0) ack 1002");
  assertEquals(t.state, "CLOSE-WAIT");
  assertEquals([t.read(), t.connection.ended], [1000, true]);
});

tcpTest("FIN that the window cuts off is not taken", (t) => {
  t.accept(plain, { receiveBufferBytes: 1000 });
  t.receives("F. 1:1501(1500) ack 1").sends(". 1:1(0) ack 1001 win 0");
  assertEquals(t.state, "ESTABLISHED");
  t.read();
  t.sends(". 1:1(0) ack 1001 win 1000");
  t.receives("F. 1001:1501(500) ack 1").sends(". 1:1(0) ack 1502");
  assertEquals([t.read(), t.state], [500, "CLOSE-WAIT"]);
});

tcpTest("data behind FIN are ignored", (t) => {
  t.accept(plain).receives("F. 1:11(10) ack 1").takeSent();
  t.receives(". 12:22(10) ack 1");
  assertEquals(t.takeSent(), []);
  t.receives(". 11:22(11) ack 1").sends(". 1:1(0) ack 12");
  assertEquals(t.read(), 10);
});

tcpTest("FIN is sent again when it is lost, and not counted as a duplicate ACK", (t) => {
  t.accept("mss 1000,nop,wscale 7").connection.shutdown();
  t.sends("F. 1:1(0) ack 1");
  t.wait(300).sends("F. 1:1(0) ack 1");
  t.receives(". 1:1(0) ack 2");
  assertEquals(t.state, "FIN-WAIT-2");
  t.receives("F. 1:1(0) ack 2").takeSent();
});

tcpTest("FIN waits for data that the congestion window keeps back", (t) => {
  t.accept(plain).write(12_000);
  t.connection.shutdown();
  assertEquals(t.takeSent().map(({ flags }) => flags).includes("F."), false);
  assertEquals(t.state, "ESTABLISHED");
  t.receives(". 1:1(0) ack 10001");
  assertEquals(t.takeSent().at(-1)?.flags, "FP.");
  assertEquals(t.state, "FIN-WAIT-1");
  t.receives(". 1:1(0) ack 12002");
});

tcpTest("close with unread data: RST (RFC 2525 2.17)", (t) => {
  t.accept(plain).receives("P. 1:11(10) ack 1").takeSent();
  t.connection.close();
  t.sends("R. 1:1(0) ack 11");
  assertEquals(t.notes.events.at(-1), "closed");
});

tcpTest("data after close: RST", (t) => {
  t.accept(plain).write(10);
  t.connection.close();
  t.sends("P. 1:11(10) ack 1", "F. 11:11(0) ack 1");
  t.receives("P. 1:2(1) ack 12").sends("R 12:12(0)");
  assertEquals(t.tcp.connections().length, 0);
});

tcpTest("close delivers what was written, then FIN", (t) => {
  t.accept(plain).write(20_000);
  t.connection.close();
  assertEquals(t.takeSent().length, 10);
  t.receives(". 1:1(0) ack 10001");
  const rest = t.takeSent();
  assertEquals([rest.length, rest.at(-1)?.flags], [10, "FP."]);
  t.receives("F. 1:1(0) ack 20002").sends(". 20002:20002(0) ack 2");
});

tcpTest("a peer that never closes: an abandoned connection leaves FIN-WAIT-2 after a minute", (t) => {
  t.accept(plain).connection.close();
  t.takeSent();
  t.receives(". 1:1(0) ack 2");
  t.wait(59_999);
  assertEquals(t.tcp.connections().length, 1);
  t.wait(1);
  assertEquals(t.tcp.connections().length, 0);
});

tcpTest("abort: RST, whatever waits", (t) => {
  t.accept(plain).write(50_000);
  t.takeSent();
  t.connection.abort();
  t.sends("R. 10001:10001(0) ack 1");
});

tcpTest("RST with exactly the next sequence number: reset; what was received before can still be read", (t) => {
  t.accept(plain).receives("P. 1:11(10) ack 1").takeSent();
  t.receives("R 11:11(0)").sends();
  assertEquals(t.notes.events.at(-1), "failed: ConnectionReset");
  assertEquals(t.read(), 10);
});

tcpTest("RST in the window but not exact: challenge ACK (RFC 5961 3)", (t) => {
  t.accept(plain).receives("R 2:2(0)").sends(". 1:1(0) ack 1");
  t.receives("R. 1000:1000(0) ack 1").sends(". 1:1(0) ack 1");
  assertEquals([t.state, t.tcp.counters.challengeAcks], ["ESTABLISHED", 2]);
});

tcpTest("RST outside the window: nothing", (t) => {
  t.accept(plain).receives("R 0:0(0)").receives("R 100000:100000(0)").sends();
  assertEquals(t.state, "ESTABLISHED");
});

tcpTest("SYN in a synchronised state: challenge ACK, wherever it lies (RFC 5961 4)", (t) => {
  t.accept(plain).receives("S 0:0(0)").receives("S 1:1(0)").receives("S 900000:900000(0)");
  t.sends(". 1:1(0) ack 1", ". 1:1(0) ack 1", ". 1:1(0) ack 1");
  t.receives("SR 1:1(0)").sends();
});

tcpTest("an acknowledgement of what was never sent: challenge ACK, and the data are not taken (RFC 5961 5)", (t) => {
  t.accept(plain).receives("P. 1:11(10) ack 2").sends(". 1:1(0) ack 1");
  assertEquals(t.connection.receivable, 0);
});

tcpTest("an acknowledgement older than the largest window: challenge ACK (RFC 5961 5)", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 5000").write(5000);
  t.takeSent();
  t.receives(". 1:1(0) ack 5001 win 5000").write(5000);
  t.takeSent();
  for (let window = 0; window < 13; window++) {
    t.receives(`. 1:1(0) ack ${10_001 + 5000 * window} win 5000`).write(5000);
    t.takeSent();
  }
  t.receives("P. 1:11(10) ack 1 win 5000");
  assertEquals(t.connection.receivable, 0);
  t.sends(". 75001:75001(0) ack 1");
});

tcpTest("challenge ACKs have a budget that cannot be known (RFC 5961 7)", (t) => {
  t.accept(plain);
  for (let attempt = 0; attempt < 2000; attempt++) t.receives("R 2:2(0)");
  const sent = t.takeSent().length;
  assertEquals(sent >= 500 && sent < 1000, true);
  t.wait(1000).receives("R 2:2(0)").sends(". 1:1(0) ack 1");
});

tcpTest("empty segments outside the window are acknowledged a few times a second only", (t) => {
  t.accept(plain);
  for (let attempt = 0; attempt < 100; attempt++) t.receives(". 900000:900000(0) ack 1");
  assertEquals(t.takeSent().length, 8);
  t.wait(1000).receives(". 900000:900000(0) ack 1");
  assertEquals(t.takeSent().length, 1);
});

tcpTest("PAWS: an old timestamp is dropped and acknowledged, an RST is exempt (RFC 7323 5.3)", (t) => {
  t.accept("mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7");
  t.receives("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 1000>").takeSent();
  t.receives("P. 11:21(10) ack 1 <nop,nop,TS val 1999 ecr 1000>");
  assertEquals(t.connection.receivable, 10);
  assertEquals(t.takeSent().length, 1);
  t.receives("R 11:11(0) <nop,nop,TS val 1 ecr 0>");
  assertEquals(t.notes.events.at(-1), "failed: ConnectionReset");
  t.read();
});

tcpTest("PAWS: after 24 idle days the old timestamp is not believed any more", (t) => {
  t.accept("mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7");
  t.receives("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 1000>").takeSent();
  t.wait(25 * 24 * 3600 * 1000);
  t.receives("P. 11:21(10) ack 1 <nop,nop,TS val 5 ecr 1000>");
  assertEquals(t.read(), 20);
  t.takeSent();
});

tcpTest("TS.Recent is not taken from a segment behind a hole", (t) => {
  t.accept("mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7");
  t.receives("P. 11:21(10) ack 1 <nop,nop,TS val 3000 ecr 1000>");
  t.sends(". 1:1(0) ack 1 <nop,nop,TS val 1100 ecr 101,nop,nop,sack 11:21>");
  t.receives("P. 1:11(10) ack 1 <nop,nop,TS val 2900 ecr 1000>").sends(
    ". 1:1(0) ack 21 <nop,nop,TS val 1100 ecr 2900>",
  );
  t.read();
}, {});

tcpTest("TIME-WAIT: a repeated FIN is acknowledged and the waiting starts anew", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 2").takeSent();
  t.wait(50_000).receives("F. 1:1(0) ack 2").sends(". 2:2(0) ack 2");
  t.wait(59_999);
  assertEquals(t.tcp.timeWait.size, 1);
  t.wait(1);
  assertEquals(t.tcp.timeWait.size, 0);
});

tcpTest("TIME-WAIT: RST does not end it (RFC 1337)", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 2").takeSent();
  t.receives("R 2:2(0)").sends();
  assertEquals(t.tcp.timeWait.size, 1);
});

tcpTest("TIME-WAIT: a SYN with a higher sequence number opens a new connection (RFC 9293 3.6.1)", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 2").takeSent();
  t.receives("S 1:1(0) win 1000").sends(". 2:2(0) ack 2");
  t.receives("S 2:2(0) win 1000").sends(". 2:2(0) ack 2");
  // An old sequence number must not come again: ours starts well above where it was.
  t.receives("S 1000:1000(0) win 1000");
  const [answer] = t.takeSent();
  assertEquals([answer?.flags, answer?.sequence, answer?.ack], ["S.", 2 + 65_535, 1001]);
  assertEquals(t.tcp.timeWait.size, 0);
});

tcpTest("TIME-WAIT: unread data stay readable", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives("FP. 1:101(100) ack 2").takeSent();
  assertEquals([t.state, t.read(), t.connection.ended], ["TIME-WAIT", 100, true]);
});

tcpTest("TS.Recent is not taken from a segment whose acknowledgement is of something never sent", (t) => {
  t.accept("mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7");
  t.receives("F. 1:1(0) ack 9999 <nop,nop,TS val 200000 ecr 1000>").takeSent();
  t.receives(". 1:1001(1000) ack 1 <nop,nop,TS val 201 ecr 1000>");
  t.sends(". 1:1(0) ack 1001 <nop,nop,TS val 1100 ecr 201>");
  assertEquals([t.state, t.read()], ["ESTABLISHED", 1000]);
});
