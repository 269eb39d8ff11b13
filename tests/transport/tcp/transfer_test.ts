import { assertEquals } from "@std/assert";
import { tcpTest } from "./harness.ts";

/** Options of a peer without timestamps: sequence numbers are easier to follow. */
const plain = "mss 1000,nop,nop,sackOK,nop,wscale 7";

tcpTest("data in order are delivered and acknowledged at once at the start of a flow", (t) => {
  t.accept(plain).receives("P. 1:101(100) ack 1").sends(". 1:1(0) ack 101");
  assertEquals(t.notes.events, ["readable"]);
  assertEquals(t.read(), 100);
});

tcpTest("later, every second full segment is acknowledged at once and a single one within 40 ms", (t) => {
  t.accept(plain);
  let sequence = 1;
  const segment = () => {
    t.receives(`. ${sequence}:${sequence + 1000}(1000) ack 1`);
    sequence += 1000;
  };
  for (let quick = 0; quick < 16; quick++) {
    segment();
    t.sends(`. 1:1(0) ack ${sequence}`);
  }
  segment();
  t.sends();
  segment();
  t.sends(`. 1:1(0) ack ${sequence}`);
  segment();
  t.wait(39).sends();
  t.wait(1).sends(`. 1:1(0) ack ${sequence}`);
  t.read();
});

tcpTest("an answer carries the acknowledgement", (t) => {
  t.accept(plain).receives("P. 1:11(10) ack 1").sends(". 1:1(0) ack 11");
  t.write(5);
  t.sends("P. 1:6(5) ack 11");
  t.receives("P. 11:21(10) ack 6").sends();
  t.write(5);
  t.sends("P. 6:11(5) ack 21");
  t.wait(100);
  t.read();
});

tcpTest("out-of-order data are acknowledged at once, with SACK blocks, and delivered when the hole is filled", (t) => {
  t.accept(plain);
  t.receives(". 1001:2001(1000) ack 1").sends(". 1:1(0) ack 1 <nop,nop,sack 1001:2001>");
  t.receives(". 3001:4001(1000) ack 1").sends(". 1:1(0) ack 1 <nop,nop,sack 3001:4001 1001:2001>");
  assertEquals([t.connection.receivable, t.connection.info().receiveOutOfOrder], [0, 2000]);
  t.receives(". 1:1001(1000) ack 1").sends(". 1:1(0) ack 2001 <nop,nop,sack 3001:4001>");
  t.receives(". 2001:3001(1000) ack 1").sends(". 1:1(0) ack 4001 <>");
  assertEquals(t.read(), 4000);
});

tcpTest("a duplicate is acknowledged with a SACK block that says so (RFC 2883)", (t) => {
  t.accept(plain).receives(". 1:1001(1000) ack 1").takeSent();
  t.receives(". 1:1001(1000) ack 1").sends(". 1:1(0) ack 1001 <nop,nop,sack 1:1001>");
  t.receives(". 2001:3001(1000) ack 1").takeSent();
  t.receives(". 2001:3001(1000) ack 1").sends(". 1:1(0) ack 1001 <nop,nop,sack 2001:3001 2001:3001>");
  t.read();
});

for (
  const [name, segments] of Object.entries({
    "the front of a segment was received before": [[1, 501], [301, 1001]],
    "a segment covers one that is out of order": [[501, 801], [1, 1001]],
    "a segment ends inside one that is out of order": [[501, 1001], [1, 701]],
    "a segment begins inside one that is out of order": [[201, 501], [401, 1001], [1, 201]],
    "a segment joins two that are out of order": [[101, 201], [301, 401], [151, 351], [401, 1001], [1, 101]],
    "pieces in reverse order": [[901, 1001], [801, 901], [501, 801], [2, 501], [1, 2]],
  })
) {
  tcpTest(`overlaps: ${name}`, (t) => {
    t.accept(plain);
    for (const [start, end] of segments as [number, number][]) {
      t.receives(`. ${start}:${end}(${end - start}) ack 1`);
    }
    assertEquals(t.read(), 1000);
    assertEquals(t.connection.info().receiveOutOfOrder, 0);
    t.takeSent();
  });
}

tcpTest("data beyond the window are cut off", (t) => {
  t.accept(plain, { receiveBufferBytes: 4000 });
  t.receives(". 1:3001(3000) ack 1").takeSent();
  t.receives(". 3001:5001(2000) ack 1").sends(". 1:1(0) ack 4001 win 0");
  assertEquals(t.connection.receivable, 4000);
  // Reading opens the window, and the peer is told.
  assertEquals(t.read(), 4000);
  t.sends(". 1:1(0) ack 4001 win 4000");
});

tcpTest("the right edge never moves back, and small reads do not announce silly windows (RFC 9293 3.8.6.2.2)", (t) => {
  t.accept(plain, { receiveBufferBytes: 8000 });
  t.receives(". 1:5001(5000) ack 1").sends(". 1:1(0) ack 5001 win 3000");
  t.read(100);
  t.sends();
  t.receives(". 5001:8001(3000) ack 1").sends(". 1:1(0) ack 8001 win 0");
  t.read(2000);
  t.sends();
  t.read(1900);
  t.sends(". 1:1(0) ack 8001 win 4000");
  t.read();
});

tcpTest("an ACK counts although our window is closed", (t) => {
  t.accept(plain, { receiveBufferBytes: 2000 });
  t.receives(". 1:2001(2000) ack 1").takeSent();
  t.write(10);
  t.sends("P. 1:11(10) ack 2001");
  t.receives(". 2001:2001(0) ack 11").sends();
  assertEquals(t.connection.info().bytesInFlight, 0);
  t.read();
});

tcpTest("the initial window is ten segments and grows by what is acknowledged", (t) => {
  t.accept(plain).write(50_000);
  assertEquals(t.takeSent().length, 10);
  t.receives(". 1:1(0) ack 2001");
  assertEquals(t.takeSent().length, 4);
});

tcpTest("only what the peer's window allows is sent", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 2500").write(10_000);
  t.sends(". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1");
  // The 500 bytes left are less than a segment and less than half of the largest window: not worth sending.
  t.receives(". 1:1(0) ack 2001 win 2500").sends(". 2001:3001(1000) ack 1", ". 3001:4001(1000) ack 1");
  t.receives(". 1:1(0) ack 4001 win 0").sends();
});

tcpTest("window updates that are older than the last are ignored (WL1, WL2)", (t) => {
  t.accept("mss 1000").receives("P. 1:11(10) ack 1 win 5000").takeSent();
  t.receives(". 1:1(0) ack 1 win 100");
  assertEquals(t.connection.info().sendWindow, 5000);
  t.receives(". 11:11(0) ack 1 win 100");
  assertEquals(t.connection.info().sendWindow, 100);
  t.read();
});

tcpTest("a closed window is probed, less and less often, for as long as the peer answers", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 0").write(100);
  t.sends();
  t.wait(300).sends("P. 1:2(1) ack 1");
  for (const delay of [600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, 120000, 120000]) {
    t.receives(". 1:1(0) ack 1 win 0");
    t.wait(delay - 1).sends();
    t.wait(1).sends("P. 1:2(1) ack 1");
  }
  t.receives(". 1:1(0) ack 1 win 1000").sends("P. 1:101(100) ack 1");
});

tcpTest("a probe that is taken moves the stream on", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 0").write(100);
  t.wait(300).sends("P. 1:2(1) ack 1");
  t.receives(". 1:1(0) ack 2 win 0");
  t.receives(". 1:1(0) ack 2 win 1000").sends("P. 2:101(99) ack 1");
});

tcpTest("probes that nobody answers end the connection", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 0").write(100);
  t.wait(3_600_000);
  assertEquals(t.notes.failure?.name, "TimedOut");
  assertEquals(t.takeSent().length, 15);
});

tcpTest("FIN alone waits behind a closed window, and the window is probed", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 3").write(3);
  t.takeSent();
  t.receives(". 1:1(0) ack 4 win 0");
  t.connection.shutdown();
  t.sends("F. 4:4(0) ack 1");
});

tcpTest("Nagle: a small segment waits for the last small one, full segments do not", (t) => {
  t.accept(plain).write(10);
  t.sends("P. 1:11(10) ack 1");
  t.write(10);
  t.sends();
  t.write(2000);
  t.sends(". 11:1011(1000) ack 1", ". 1011:2011(1000) ack 1");
  t.receives(". 1:1(0) ack 11").sends("P. 2011:2021(10) ack 1");
});

tcpTest("no delay: every small segment goes at once", (t) => {
  t.accept(plain, { noDelay: true }).write(10);
  t.write(10);
  t.sends("P. 1:11(10) ack 1", "P. 11:21(10) ack 1");
});

tcpTest("turning Nagle off sends what it held back", (t) => {
  t.accept(plain).write(10);
  t.write(10);
  t.sends("P. 1:11(10) ack 1");
  t.connection.configure({ noDelay: true });
  t.sends("P. 11:21(10) ack 1");
});

tcpTest("a full send buffer takes no more, and says when there is room", (t) => {
  t.accept(plain, { sendBufferBytes: 3000 });
  assertEquals(t.write(5000), 3000);
  assertEquals(t.write(1), 0);
  t.takeSent();
  t.receives(". 1:1(0) ack 1001");
  assertEquals(t.notes.events, ["writable"]);
  assertEquals(t.write(5000), 1000);
  t.takeSent();
});

tcpTest("after an idle time-out the window starts again from the initial one (RFC 5681 4.1)", (t) => {
  t.accept(plain).write(60_000);
  t.takeSent();
  t.wait(10);
  for (let acknowledged = 1001; acknowledged <= 60_001; acknowledged += 1000) {
    t.receives(`. 1:1(0) ack ${acknowledged}`).takeSent();
  }
  assertEquals(t.connection.info().congestionWindow > 20_000, true);
  t.wait(5000);
  t.write(60_000);
  assertEquals(t.takeSent().length, 10);
});

tcpTest("a smaller path MTU: what is in the network is sent again in smaller segments", (t) => {
  t.accept("mss 1460").write(2920);
  assertEquals(t.takeSent().map(({ length }) => length), [1460, 1460]);
  t.reports(4, ". 1:9(8) ack 1", 1000);
  assertEquals(t.takeSent().map(({ length }) => length), [960, 960, 960, 40]);
  t.receives(". 1:1(0) ack 2921");
  assertEquals(t.connection.info().sendMss, 960);
});

tcpTest("a path MTU below the floor, or about something that is not in the network, is not believed", (t) => {
  t.accept("mss 1460").write(1460);
  t.takeSent();
  t.reports(4, ". 5001:5009(8) ack 1", 1000);
  assertEquals(t.connection.info().sendMss, 1460);
  t.reports(4, ". 1:9(8) ack 1", 68);
  assertEquals(t.connection.info().sendMss, 576 - 40);
  t.takeSent();
});

tcpTest("keep-alive: an idle peer is probed, and given up when it does not answer", (t) => {
  t.accept(plain, { keepAlive: true, keepAliveIdle: 60_000, keepAliveInterval: 10_000, keepAliveCount: 3 });
  t.wait(59_999).sends();
  t.wait(1).sends(". 0:0(0) ack 1");
  t.receives(". 1:1(0) ack 1");
  t.wait(60_000).sends(". 0:0(0) ack 1");
  t.wait(10_000).sends(". 0:0(0) ack 1");
  t.wait(10_000).sends(". 0:0(0) ack 1");
  t.wait(10_000);
  assertEquals(t.notes.failure?.name, "TimedOut");
  t.takeSent();
}, { ours: 1_000_001 });

tcpTest("a keep-alive of the peer is answered, with or without a byte of garbage", (t) => {
  t.accept(plain).receives(". 0:0(0) ack 1").sends(". 1:1(0) ack 1");
  t.receives(". 0:1(1) ack 1").sends(". 1:1(0) ack 1");
});

tcpTest("data before the connection is accepted are delivered after it", (t) => {
  t.listen().receives(`S 0:0(0) win 65535 <${plain}>`).takeSent();
  t.receives(". 1:1(0) ack 1").receives("P. 1:101(100) ack 1").takeSent();
  t.connection = t.listener!.accept()!;
  assertEquals(t.read(), 100);
});
