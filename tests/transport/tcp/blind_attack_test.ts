import { assert, assertEquals, assertLess } from "@std/assert";
import { ErrorKind } from "../../../stack/protocol.ts";
import { add } from "../../../stack/sequence.ts";
import { buildSegment, parseSegment } from "../../helpers/segment_text.ts";
import {
  acknowledgementAt,
  assertGoesOn,
  flood,
  leastChallenges,
  mostChallenges,
  plain,
  sequenceAt,
  standing,
  sweep,
  window,
} from "./attacks.ts";
import { tcpTest } from "./harness.ts";
import { pattern } from "./pattern.ts";

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
