import { assert, assertEquals, assertLess } from "@std/assert";
import { ErrorKind } from "../../../stack/protocol.ts";
import { add, distance } from "../../../stack/sequence.ts";
import { fewestRanges } from "../../../stack/transport/tcp/ranges.ts";
import { maximumTimeWait } from "../../../stack/transport/tcp/time_wait.ts";
import { buildSegment, parseSegment } from "../../helpers/segment_text.ts";
import { type Harness, pattern, tcpTest } from "./harness.ts";

/** Neither timestamps nor scaled windows, which would make guessing harder. */
const plain = "mss 1000";
const selective = "mss 1000,nop,nop,sackOK";
/** The window of a harness in both directions, in bytes. */
const window = 65_535;
/** Challenge ACKs in a second: at least so many, and fewer than the other, by chance (RFC 5961 section 7). */
const [leastChallenges, mostChallenges] = [500, 1000];
/** Answers to empty segments outside the window, for a connection: so many at once, and as many a second. */
const strayAnswers = 8;

/** Where a connection stands, in relative numbers. */
function standing(t: Harness): { sndUna: number; sndNxt: number; rcvNxt: number } {
  const { sndUna, sndNxt, rcvNxt } = t.connection.info();
  const relative = (sequence: number, base: number) => distance(sequence, base) >>> 0;
  return { sndUna: relative(sndUna, t.ours), sndNxt: relative(sndNxt, t.ours), rcvNxt: relative(rcvNxt, t.peers) };
}

/** Asserts that the established connection goes on: a thousand bytes each way, exact, and nothing held afterwards. */
function assertGoesOn(t: Harness): void {
  t.takeSent();
  const { sndNxt, rcvNxt } = standing(t);
  assertEquals([t.state, t.connection.unacknowledged, t.connection.receivable], ["ESTABLISHED", 0, 0]);
  assertEquals(t.write(1000), 1000);
  assertEquals(t.takeSent().map(({ sequence, length }) => [sequence, length]), [[sndNxt, 1000]]);
  t.receives(`P. ${rcvNxt}:${rcvNxt + 1000}(1000) ack ${sndNxt + 1000} win ${window}`);
  assertEquals([t.read(), t.connection.unacknowledged], [1000, 0]);
  t.wait(100).takeSent();
  assertEquals(t.tcp.storage.inUse, 0);
}

/**
 * Has `count` segments arrive, in batches, each like `text` but for what `vary` writes into it, and returns how many
 * segments were sent meanwhile.
 */
function flood(t: Harness, count: number, text: string, vary: (view: DataView, index: number) => void): number {
  const ports = { source: t.peerPort, destination: t.ourPort };
  const bytes = buildSegment(parseSegment(text), ports, { sequence: t.peers, ack: t.ours }, pattern);
  const view = new DataView(bytes.buffer);
  let sent = 0;
  for (let index = 0; index < count; index++) {
    vary(view, index);
    t.deliver(bytes);
    if (index % 64 < 63 && index < count - 1) continue;
    t.time.settle();
    sent += t.network.sent.splice(0).length;
  }
  return sent;
}

const sourcePortAt = 0;
const sequenceAt = 4;
const acknowledgementAt = 8;
const payloadAt = 20;

/** The absolute number at a place of a sweep through all sequence numbers in steps, which misses RCV.NXT itself. */
function sweep(t: Harness, index: number, step: number): number {
  const { rcvNxt } = t.connection.receiver;
  return add(rcvNxt, 1 + index * step);
}

for (const [kind, flags] of Object.entries({ "RST": "R", "RST and ACK": "R.", "SYN": "S", "SYN and ACK": "S." })) {
  tcpTest(`blind ${kind} all over the sequence space: the connection goes on, the answers have a limit`, (t) => {
    t.accept(plain);
    const step = 200_003;
    const count = Math.floor(2 ** 32 / step);
    const ack = flags.includes(".") ? " ack 1" : "";
    const sent = flood(t, count, `${flags} 0:0(0)${ack}`, (view, index) => {
      view.setUint32(sequenceAt, sweep(t, index, step));
    });
    assertLess(sent, mostChallenges);
    assertGoesOn(t);
  });

  tcpTest(`${kind} anywhere in the window but at RCV.NXT: the connection goes on, the answers have a limit`, (t) => {
    t.accept(plain);
    const ack = flags.includes(".") ? " ack 1" : "";
    const sent = flood(t, 6000, `${flags} 0:0(0)${ack}`, (view, index) => {
      view.setUint32(sequenceAt, sweep(t, index, 10));
    });
    assert(sent >= leastChallenges && sent < mostChallenges, `${sent} answers`);
    assertGoesOn(t);
  });
}

for (const [kind, text] of Object.entries({ "data": "P. 1:11(10) ack 1", "FIN": "F. 1:1(0) ack 1" })) {
  tcpTest(`blind ${kind} at RCV.NXT with any unacceptable acknowledgement: not taken (RFC 5961 5)`, (t) => {
    t.accept(plain);
    const first = standing(t).sndNxt + 1;
    const step = 400_009;
    const count = Math.floor((2 ** 32 - window - first) / step);
    const sent = flood(t, count, text, (view, index) => {
      view.setUint32(acknowledgementAt, add(t.ours, first + index * step));
    });
    assertLess(sent, mostChallenges);
    assertEquals([t.connection.receivable, t.connection.info().receiveOutOfOrder, t.tcp.storage.inUse], [0, 0, 0]);
    assertGoesOn(t);
  });

  tcpTest(`${kind} all over the sequence space but in the window: not taken, one answer for each at most`, (t) => {
    t.accept(plain);
    const step = 400_009;
    const count = Math.floor(2 ** 32 / step) - 1;
    const sent = flood(t, count, text, (view, index) => {
      view.setUint32(sequenceAt, add(t.connection.receiver.rightEdge, index * step));
    });
    assert(sent <= count, `${sent} answers`);
    assertEquals([t.connection.receivable, t.connection.info().receiveOutOfOrder, t.tcp.storage.inUse], [0, 0, 0]);
    assertGoesOn(t);
  });
}

tcpTest("ICMP errors about sequence numbers that are not in flight: nothing (RFC 5927 4.1)", (t) => {
  t.accept(plain).write(1000);
  t.takeSent();
  for (const kind of Object.values(ErrorKind)) {
    for (const sequence of [0, 1001, 5000, 2 ** 31, 2 ** 32 - 1000]) {
      t.reports(kind, `. ${sequence}:${sequence}(0)`, 600);
    }
  }
  t.sends();
  assertEquals([t.state, t.connection.info().sendMss, t.connection.failure], ["ESTABLISHED", 1000, null]);
  t.receives(". 1:1(0) ack 1001");
  assertGoesOn(t);
});

tcpTest("hard ICMP errors about what is in flight: the connection goes on (RFC 5927 5.2)", (t) => {
  t.accept(plain).write(1000);
  t.takeSent();
  for (const kind of Object.values(ErrorKind)) {
    if (kind !== ErrorKind.packetTooBig) { for (let copy = 0; copy < 100; copy++) t.reports(kind, ". 1:9(8) ack 1"); }
  }
  t.sends();
  t.receives(". 1:1(0) ack 1001");
  assertGoesOn(t);
});

tcpTest("packet too big that asks for less than every network carries: a floor, and one repair for each cut", (t) => {
  t.accept(plain).write(5000);
  assertEquals(t.takeSent().length, 5);
  let cuts = 0;
  for (let mtu = 1400; mtu > 0; mtu -= 10) {
    const { sendMss } = t.connection.info();
    t.reports(ErrorKind.packetTooBig, ". 1:9(8) ack 1", mtu);
    const bytes = t.takeSent().reduce((sum, { length }) => sum + length, 0);
    const cut = t.connection.info().sendMss < sendMss;
    if (cut) cuts++;
    // What is small enough is not sent again.
    assertEquals(bytes > 0, cut, `MTU ${mtu}`);
    assert(bytes <= 5000, `${bytes} bytes`);
  }
  const { sendMss } = t.connection.info();
  assertEquals([sendMss, cuts], [t.network.minimumMtu - 40, 47]);
  t.reports(ErrorKind.packetTooBig, ". 1:9(8) ack 1", 0).reports(ErrorKind.packetTooBig, ". 1:9(8) ack 1", 9000);
  assertEquals(t.connection.info().sendMss, sendMss);
  t.receives(". 1:1(0) ack 5001").takeSent();
  assertEquals(t.connection.unacknowledged, 0);
});

tcpTest("Land: a SYN from our own address and port begins nothing", (t) => {
  t.listen();
  const bytes = buildSegment(
    parseSegment("S 0:0(0) win 1000 <mss 1460>"),
    { source: t.ourPort, destination: t.ourPort },
    { sequence: t.peers, ack: t.ours },
    pattern,
  );
  Object.assign(t, { peer: t.network.own });
  t.deliver(bytes);
  t.sends();
  assertEquals([t.tcp.connections().length, t.tcp.counters.badAddress], [0, 1]);
});

/** The peers of a flood come from ports that the established connection does not use. */
const attackers = 40_000;

/** Has `count` SYNs from as many ports and sequence numbers arrive, and returns how many answers there were. */
function floodSyns(t: Harness, count: number): number {
  return flood(t, count, "S 0:0(0) win 1000 <mss 1460>", (view, index) => {
    view.setUint16(sourcePortAt, 10_000 + index % attackers);
    view.setUint32(sequenceAt, Math.imul(index, 0x9e37_79b1));
  });
}

tcpTest("a SYN flood, with cookies: the connection goes on, 128 handshakes are kept, honest clients connect", (t) => {
  t.accept(plain);
  const answers = floodSyns(t, 20_000);
  assertEquals([answers, t.tcp.connections().length, t.listener!.handshakes], [20_000, 129, 128]);
  assertEquals(t.tcp.storage.inUse, 0);
  assert(t.time.timers.running <= 128 + 1, `${t.time.timers.running} timers`);
  assertGoesOn(t);
  const { connection, peerPort } = t;
  for (t.peerPort = 6000; t.peerPort < 6100; t.peerPort++) {
    t.receives("S 0:0(0) win 1000 <mss 1460>");
    const [answer] = t.takeSent();
    floodSyns(t, 10);
    t.receives(`. 1:1(0) ack ${answer!.sequence + 1}`);
    assertEquals(t.listener!.accept()?.remote.port, t.peerPort);
  }
  Object.assign(t, { connection, peerPort });
  assertGoesOn(t);
  // Who never answers is forgotten.
  t.wait(70_000).takeSent();
  assertEquals([t.listener!.handshakes, t.tcp.connections().length], [0, 101]);
});

tcpTest("a SYN flood, without cookies: the connection goes on, honest clients that are quick connect", (t) => {
  t.accept(plain);
  const answers = floodSyns(t, 20_000);
  assertEquals([answers, t.tcp.connections().length, t.listener!.handshakes], [20_000, 129, 128]);
  assertEquals(t.tcp.storage.inUse, 0);
  assert(t.time.timers.running <= 128 + 1, `${t.time.timers.running} timers`);
  const { connection, peerPort } = t;
  t.peerPort = 6000;
  t.receives("S 0:0(0) win 1000 <mss 1460>").sends("S. 0:0(0) ack 1");
  floodSyns(t, 127);
  t.receives(". 1:1(0) ack 1");
  assertEquals(t.listener!.accept()?.remote.port, 6000);
  Object.assign(t, { connection, peerPort });
  assertGoesOn(t);
  t.wait(70_000).takeSent();
  assertEquals([t.listener!.handshakes, t.tcp.connections().length], [0, 2]);
}, { synCookies: false });

tcpTest("more connections than anybody accepts, each with data: the backlog bounds them and their memory", (t) => {
  const backlog = 16;
  t.listen({ receiveBufferBytes: 16_384 }, backlog);
  for (t.peerPort = 6000; t.peerPort < 6200; t.peerPort++) {
    t.receives("S 0:0(0) win 1000 <mss 1460>").receives(". 1:1(0) ack 1");
    for (let sequence = 1; sequence < 30_000; sequence += 1000) {
      t.receives(`P. ${sequence}:${sequence + 1000}(1000) ack 1`);
    }
    t.takeSent();
  }
  assertEquals([t.listener!.acceptable, t.tcp.connections().length], [backlog, backlog]);
  assertEquals(t.tcp.storage.inUse, backlog * 16_384);
  t.listener!.close();
  assertEquals(t.tcp.storage.inUse, 0);
  t.takeSent();
});

tcpTest("an ACK flood: one short answer each from a listener, no connection; from the connection none", (t) => {
  t.accept(plain);
  const count = 10_000;
  const answers = flood(t, count, "P. 1:1001(1000) ack 1", (view, index) => {
    view.setUint16(sourcePortAt, 10_000 + index % attackers);
    view.setUint32(acknowledgementAt, Math.imul(index, 0x9e37_79b1));
  });
  assertEquals([answers, t.tcp.connections().length], [count, 1]);
  assertGoesOn(t);
  const { sndNxt, rcvNxt } = standing(t);
  assertEquals(flood(t, count, `. ${rcvNxt}:${rcvNxt}(0) ack ${sndNxt}`, () => {}), 0);
  assertGoesOn(t);
});

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

for (const options of [plain, selective]) {
  tcpTest(`a storm of duplicate ACKs, after <${options}>: what is sent has the limit of the window`, (t) => {
    t.accept(options).write(100_000);
    assertEquals(t.takeSent().length, 10);
    const sent = flood(t, 10_000, ". 1:1(0) ack 1", () => {});
    // Without SACK each says that a segment has left the network, but no more of them than were sent; with SACK, none.
    assertLess(sent, options === plain ? window / 1000 : 3);
    const { bytesInFlight, congestionWindow } = t.connection.info();
    assert(bytesInFlight >= 0 && bytesInFlight <= congestionWindow, `${bytesInFlight} of ${congestionWindow} bytes`);
    for (let turn = 0; t.connection.unacknowledged > 0; turn++) {
      assertLess(turn, 100);
      t.wait(20).receives(`. 1:1(0) ack ${standing(t).sndNxt}`).takeSent();
    }
    assertGoesOn(t);
  });
}

tcpTest("a flood of keep-alive probes: eight answers a second, and the connection goes on", (t) => {
  t.accept(plain);
  const probes = () => flood(t, 5000, ". 0:0(0) ack 1", () => {});
  assertEquals(probes(), strayAnswers);
  assertEquals(t.tcp.counters.strayAcksSuppressed, 5000 - strayAnswers);
  t.wait(1000);
  assertEquals(probes(), strayAnswers);
  assertGoesOn(t);
});

/** Opens a connection and closes it, our side first: it waits in TIME-WAIT. Next are 2 and 2. */
function waitInTimeWait(t: Harness, stamps: [string, string, string] = ["", "", ""]): void {
  const [syn, ack, fin] = stamps.map((stamp) => stamp === "" ? "" : `<nop,nop,${stamp}>`);
  t.receives(`S 0:0(0) win 1000 ${syn}`.trim()).receives(`. 1:1(0) ack 1 ${ack}`.trim());
  t.listener!.accept()!.close();
  t.time.settle();
  t.receives(`F. 1:1(0) ack 2 ${fin}`.trim());
  t.network.sent.length = 0;
}

tcpTest("more connections in TIME-WAIT than there may be: the oldest give way, new ones open", (t) => {
  t.listen();
  for (let index = 0; index < maximumTimeWait + 500; index++) {
    t.peerPort = 10_000 + index;
    waitInTimeWait(t);
  }
  assertEquals([t.tcp.timeWait.size, t.tcp.connections().length, t.tcp.storage.inUse], [maximumTimeWait, 0, 0]);
  assertEquals([t.tcp.counters.timeWaitOverflow, t.time.timers.running], [500, 1]);
  const oldest = [...t.tcp.timeWait.values()][0];
  assertEquals(oldest?.remote.port, 10_500);
  t.peerPort = 5000;
  t.listener!.close();
  t.accept(plain);
  assertGoesOn(t);
});

for (
  const [kind, text] of Object.entries({ "SYN": "S 0:0(0)", "data": "P. 0:10(10) ack 2", "ACK": ". 0:0(0) ack 2" })
) {
  tcpTest(`a flood of ${kind} in TIME-WAIT: it waits on and no longer, the answers have a limit`, (t) => {
    t.listen();
    waitInTimeWait(t);
    t.listener!.close();
    t.wait(30_000);
    const sent = flood(t, 5000, text, (view, index) => view.setUint32(sequenceAt, Math.imul(index + 1, 0x9e37_79b1)));
    assert(sent >= leastChallenges && sent < mostChallenges, `${sent} answers`);
    assertEquals([t.tcp.timeWait.size, t.tcp.connections().length], [1, 0]);
    t.wait(29_999);
    assertEquals(t.tcp.timeWait.size, 1);
    t.wait(1);
    assertEquals(t.tcp.timeWait.size, 0);
  });
}

tcpTest("timestamps from the future in TIME-WAIT do not make an honest client's SYN look old", (t) => {
  t.listen();
  waitInTimeWait(t, ["TS val 100 ecr 0", "TS val 101 ecr 1000", "TS val 102 ecr 1000"]);
  for (const text of ["P. 1:2(1) ack 2", ". 1:1(0) ack 2", ". 2:2(0) ack 2", "F. 0:0(0) ack 2"]) {
    t.receives(`${text} <nop,nop,TS val 2000000000 ecr 1000>`);
  }
  t.takeSent();
  t.receives("S 0:0(0) win 1000 <nop,nop,TS val 200 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
});
