import { assertEquals } from "@std/assert";
import { flagBits } from "../../helpers/segment_text.ts";
import { type Harness, tcpTest } from "./harness.ts";

const options = "mss 1000,nop,nop,sackOK,nop,wscale 7";

/** A connection that a peer opened which asks for explicit congestion notification. */
function acceptEcn(t: Harness): void {
  t.listen().receives(`SEW 0:0(0) win 65535 <${options}>`).sends("SE. 0:0(0) ack 1");
  t.wait(100).receives(". 1:1(0) ack 1");
  t.connection = t.listener!.accept()!;
  t.connection.observer = t.notes;
  t.takeSent();
}

/** The ECN codepoints of what was sent since the last look. */
function codepoints(t: Harness): number[] {
  return t.network.sent.splice(0).map(({ trafficClass }) => trafficClass & 3);
}

tcpTest("a SYN that asks for ECN is agreed to; one that does not is not (RFC 3168 6.1.1)", (t) => {
  acceptEcn(t);
  assertEquals(t.connection.ecn !== null, true);
  t.peerPort++;
  t.receives("S 0:0(0) win 1000").sends("S. 0:0(0) ack 1");
  t.peerPort++;
  t.receives("SE 0:0(0) win 1000").sends("S. 0:0(0) ack 1");
});

tcpTest("our SYN asks only when told to, and not again when it is repeated", (t) => {
  t.connect().sends("SEW 0:0(0)");
  t.wait(1000).sends("S 0:0(0)");
}, { ecn: "request" });

tcpTest("our SYN does not ask by default, and an answer that agrees nevertheless means nothing", (t) => {
  t.connect().sends("S 0:0(0)");
  t.receives(`SE. 0:0(0) ack 1 <${options}>`).takeSent();
  assertEquals(t.connection.ecn, null);
});

tcpTest("an answer with both bits set is no agreement", (t) => {
  t.connect().takeSent();
  t.receives(`SEW. 0:0(0) ack 1 <${options}>`).takeSent();
  assertEquals(t.connection.ecn, null);
}, { ecn: "request" });

tcpTest("when it is off, nothing is agreed to", (t) => {
  t.listen().receives(`SEW 0:0(0) win 65535 <${options}>`).sends("S. 0:0(0) ack 1");
}, { ecn: "off" });

tcpTest("new data are marked as capable; acknowledgements and retransmissions are not (RFC 3168 6.1.4, 6.1.5)", (t) => {
  acceptEcn(t);
  t.receives(". 1:1001(1000) ack 1");
  assertEquals(codepoints(t), [0]);
  t.write(1000);
  assertEquals(codepoints(t), [2]);
  t.wait(2000);
  assertEquals(new Set(codepoints(t)), new Set([0]));
  t.receives(". 1001:1001(0) ack 1001").read();
});

tcpTest("a mark is echoed on every acknowledgement until the peer says that it has slowed down", (t) => {
  acceptEcn(t);
  t.trafficClass = 3;
  t.receives(". 1:1001(1000) ack 1").sends("E. 1:1(0) ack 1001");
  t.trafficClass = 2;
  t.receives(". 1001:2001(1000) ack 1").sends("E. 1:1(0) ack 2001");
  t.receives("W. 2001:3001(1000) ack 1").sends(". 1:1(0) ack 3001");
  t.read();
});

tcpTest("an echo slows the sender down once a round trip, and the next new data say so", (t) => {
  acceptEcn(t);
  t.write(30_000);
  assertEquals(t.takeSent().length, 10);
  t.receives("E. 1:1(0) ack 1001");
  const { congestionWindow, slowStartThreshold, congestionState } = t.connection.info();
  assertEquals([congestionWindow, slowStartThreshold, congestionState], [7000, 7000, "open"]);
  t.receives("E. 1:1(0) ack 2001").receives("E. 1:1(0) ack 3001").receives("E. 1:1(0) ack 4001");
  assertEquals(t.tcp.counters.congestionMarks, 1);
  const [first, ...others] = t.takeSent();
  assertEquals(first!.flags, "W.");
  assertEquals(others.some(({ flags }) => flags.includes("W")), false);
  assertEquals(t.connection.info().segmentsRetransmitted, 0);
  t.receives("E. 1:1(0) ack 11001").takeSent();
  assertEquals(t.tcp.counters.congestionMarks, 2);
});

tcpTest("echoes mean nothing where it was not agreed on", (t) => {
  t.accept(options).write(10_000);
  t.takeSent();
  const { congestionWindow } = t.connection.info();
  t.receives("E. 1:1(0) ack 1001").takeSent();
  assertEquals(t.connection.info().congestionWindow >= congestionWindow, true);
  assertEquals(flagBits("EW") & 0xff, 0xc0);
});

tcpTest("a mark on an empty segment is not echoed: nothing could be sent more slowly (RFC 3168 6.1.4)", (t) => {
  acceptEcn(t);
  t.trafficClass = 3;
  t.receives(". 1:1(0) ack 1");
  t.trafficClass = 0;
  t.receives("P. 1:11(10) ack 1").wait(100);
  assertEquals(t.takeSent().map(({ flags }) => flags), ["."]);
  assertEquals(t.read(), 10);
});

tcpTest("an echo during a repair reduces the window no further (RFC 3168 6.1.2)", (t) => {
  acceptEcn(t);
  t.write(10_000);
  for (const end of [2001, 3001, 4001]) t.receives(`. 1:1(0) ack 1 <nop,nop,sack 1001:${end}>`);
  const { slowStartThreshold, congestionState } = t.connection.info();
  assertEquals([congestionState, slowStartThreshold < 10_000], ["recovery", true]);
  t.receives("E. 1:1(0) ack 1 <nop,nop,sack 1001:6001>").takeSent();
  assertEquals([t.connection.info().slowStartThreshold, t.tcp.counters.congestionMarks], [slowStartThreshold, 0]);
});

for (const [congestionControl, kept] of [["cubic", 8500], ["reno", 8000]] as const) {
  tcpTest(
    `with alternative back-off an echo costs ${congestionControl} less than a loss, which costs as ever (RFC 8511)`,
    (t) => {
      acceptEcn(t);
      t.write(30_000);
      t.receives("E. 1:1(0) ack 1001").takeSent();
      const marked = t.connection.info();
      assertEquals([marked.congestionWindow, marked.slowStartThreshold], [kept, kept]);
      const lost = congestionControl === "cubic" ? 0.7 : 0.5;
      const { bytesInFlight } = t.connection.info();
      for (const end of [3001, 4001, 5001]) t.receives(`. 1:1(0) ack 1001 <nop,nop,sack 2001:${end}>`);
      const { slowStartThreshold, congestionState } = t.connection.info();
      assertEquals([congestionState, slowStartThreshold], ["recovery", lost * Math.min(kept, bytesInFlight)]);
    },
    { alternativeBackoff: true, congestionControl },
  );
}
