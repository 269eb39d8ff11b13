import { assert, assertEquals, assertLess } from "@std/assert";
import { add } from "../../../stack/sequence.ts";
import { fewestRanges } from "../../../stack/transport/tcp/ranges.ts";
import {
  acknowledgementAt,
  assertGoesOn,
  flood,
  leastChallenges,
  mostChallenges,
  payloadAt,
  plain,
  selective,
  sequenceAt,
  standing,
  window,
} from "./attacks.ts";
import { tcpTest } from "./harness.ts";
import { pattern } from "./pattern.ts";

tcpTest("a SYN that asks for segments of one byte: none is smaller than 48 bytes", (t) => {
  t.accept("mss 1").write(48_000);
  let acknowledged = 1;
  let segments = 0;
  while (acknowledged < 48_001) {
    const sent = t.takeSent();
    assert(sent.length > 0, `stalled at ${acknowledged}`);
    for (const { sequence, length } of sent) {
      segments++;
      assertEquals([sequence, length], [acknowledged, 48]);
      acknowledged += length;
    }
    t.wait(10).receives(`. 1:1(0) ack ${acknowledged}`);
  }
  assertEquals(segments, 1000);
  assertEquals(t.connection.unacknowledged, 0);
});

tcpTest("a window of one byte at a time: a few segments a second, and all is well when it opens", (t) => {
  t.accept(plain).receives(". 1:1(0) ack 1 win 0").write(10_000);
  const end = t.time.now + 60_000;
  let acknowledged = 1;
  let segments = 0;
  while (t.time.now < end) {
    for (const { sequence, length } of t.wait(10).takeSent()) {
      segments++;
      // The probe of a closed window is not taken in.
      if (sequence === acknowledged && acknowledged < standing(t).sndNxt) acknowledged += length;
    }
    t.receives(`. 1:1(0) ack ${acknowledged} win 1`);
  }
  assert(segments <= 60 * 5, `${segments} segments`);
  t.receives(`. 1:1(0) ack ${acknowledged} win ${window}`);
  const { sndUna } = standing(t);
  const rest = t.takeSent().reduce((sum, { length }) => sum + length, 0);
  assertEquals(sndUna + rest, 10_001);
  t.receives(". 1:1(0) ack 10001");
  assertGoesOn(t);
});

tcpTest("SACK blocks of one byte cut what is out into no more than 16,384 records; the transfer goes on", (t) => {
  t.accept("mss 1000,nop,nop,sackOK,nop,wscale 7");
  t.connection.sender.window.size = 2_000_000;
  t.receives(". 1:1(0) ack 1 win 65535").write(500_000);
  assertEquals(t.takeSent().length, 500);
  let sent = 0;
  // From the end on: every cut moves all that were made before.
  for (let at = 120_000; at > 8; at -= 8) {
    const blocks = [0, 2, 4, 6].map((ahead) => `${at + ahead}:${at + ahead + 1}`).join(" ");
    t.receives(`. 1:1(0) ack 1 win 65535 <nop,nop,sack ${blocks}>`);
    sent += t.network.sent.splice(0).length;
  }
  const { scoreboard } = t.connection.sender;
  assert(scoreboard.count >= 16_384 && scoreboard.count <= 16_384 + 500, `${scoreboard.count} records`);
  assertLess(sent, 100);
  t.receives(". 1:1(0) ack 500001");
  assertEquals([scoreboard.count, t.connection.unacknowledged], [0, 0]);
  assertGoesOn(t);
});

tcpTest("SACK blocks of what was never sent, is acknowledged or stands upside down: nothing happens", (t) => {
  t.accept(selective).write(5000);
  t.takeSent();
  t.receives(". 1:1(0) ack 1001");
  for (const block of ["5001:6001", "4001:5002", "3001:2001", "2001:2001", "0:2147483647", "1:4294967295", "1:1001"]) {
    for (let copy = 0; copy < 100; copy++) t.receives(`. 1:1(0) ack 1001 <nop,nop,sack ${block}>`);
  }
  t.sends();
  const { scoreboard } = t.connection.sender;
  assertEquals([scoreboard.count, scoreboard.sacked, scoreboard.lost], [4, 0, 0]);
  t.receives(". 1:1(0) ack 5001");
  assertGoesOn(t);
});

tcpTest(
  "every second byte of the window: 256 ranges and one ring are kept, and the data arrive when sent whole",
  (t) => {
    t.accept(selective);
    const count = 30_000;
    const answers = flood(t, count, "P. 0:1(1) ack 1", (view, index) => {
      const sequence = 3 + 2 * index;
      view.setUint32(sequenceAt, add(t.peers, sequence));
      view.setUint8(payloadAt, pattern(sequence));
    });
    assertEquals(answers, count);
    const { outOfOrder } = t.connection.receiver;
    assertEquals([outOfOrder.count, outOfOrder.bytes, t.connection.receivable], [fewestRanges, fewestRanges, 0]);
    assert(t.tcp.storage.inUse <= 65_536, `${t.tcp.storage.inUse} bytes`);
    for (let sequence = 1; sequence < 60_001; sequence += 1000) {
      t.receives(`P. ${sequence}:${sequence + 1000}(1000) ack 1`);
    }
    assertEquals([t.read(), outOfOrder.count], [60_000, 0]);
    assertGoesOn(t);
  },
);

tcpTest("a window that opens and shrinks a thousand times: nothing is lost, nothing sent without need", (t) => {
  t.accept(plain).write(10_000);
  assertEquals(t.takeSent().length, 10);
  for (let time = 0; time < 1000; time++) {
    t.receives(". 1:1(0) ack 2001 win 0").receives(". 1:1(0) ack 2001 win 3000");
  }
  t.sends();
  t.write(10_000);
  t.receives(". 1:1(0) ack 10001 win 500");
  t.receives(`. 1:1(0) ack 10001 win ${window}`);
  assertEquals(t.takeSent().reduce((sum, { length }) => sum + length, 0), 10_000);
  t.receives(". 1:1(0) ack 20001");
  assertEquals(t.connection.info().bytesRetransmitted, 0);
  assertGoesOn(t);
});

tcpTest("data beyond the window: what does not fit is not kept, however often it comes", (t) => {
  t.accept(plain, { receiveBufferBytes: 4000 });
  for (let time = 0; time < 100; time++) {
    for (let sequence = 1; sequence < 100_001; sequence += 10_000) {
      t.receives(`P. ${sequence}:${sequence + 10_000}(10000) ack 1`);
    }
  }
  assertEquals([t.connection.receivable, t.connection.info().receiveOutOfOrder], [4000, 0]);
  assertEquals(t.tcp.storage.inUse, 4096);
  assert(t.takeSent().length <= 1000, "one answer for each at most");
  assertEquals(t.read(), 4000);
  assertGoesOn(t);
});

tcpTest("acknowledgements of what was never sent: the congestion window stays, the answers have a limit", (t) => {
  t.accept(plain).write(10_000);
  t.takeSent();
  const { congestionWindow } = t.connection.info();
  const sent = flood(t, 5000, ". 1:1(0) ack 10002", (view, index) => {
    view.setUint32(acknowledgementAt, add(t.ours, 10_002 + index * 1000));
  });
  assert(sent >= leastChallenges && sent < mostChallenges, `${sent} answers`);
  assertEquals([t.connection.info().congestionWindow, t.connection.unacknowledged], [congestionWindow, 10_000]);
  t.receives(". 1:1(0) ack 10001");
  assertGoesOn(t);
});

tcpTest("acknowledgements byte by byte: the congestion window grows by the bytes, not by their number", (t) => {
  t.accept(plain).write(10_000);
  t.takeSent();
  const { congestionWindow } = t.connection.info();
  flood(t, 10_000, ". 1:1(0) ack 2", (view, index) => {
    view.setUint32(acknowledgementAt, add(t.ours, 2 + index));
  });
  const grown = t.connection.info().congestionWindow - congestionWindow;
  assert(grown >= 0 && grown <= 10_000, `${grown} bytes`);
  assertGoesOn(t);
});

tcpTest(
  "acknowledgements ahead of the data, for what was lost on the way: only the peer's own bytes are missing",
  (t) => {
    t.accept(plain);
    let sent = 1;
    for (let turn = 0; turn < 50; turn++) {
      t.write(20_000);
      for (const { sequence, length } of t.takeSent()) {
        assertEquals(sequence, sent);
        sent += length;
      }
      t.wait(1).receives(`. 1:1(0) ack ${sent}`);
    }
    const { congestionWindow, rto } = t.connection.info();
    // The window follows what was acknowledged, the time-out does not fall below its floor.
    assert(congestionWindow <= 10_000 + sent, `${congestionWindow} bytes`);
    assert(rto >= 200, `${rto} ms`);
    t.takeSent();
  },
);
