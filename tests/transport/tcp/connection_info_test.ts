import { assertEquals } from "@std/assert";
import type { TcpInfo } from "../../../stack/transport/tcp/user.ts";
import { type Harness, tcpTest } from "./harness.ts";

/** Asserts some of what is told of a connection. */
function assertInfo(t: Harness, expected: Partial<TcpInfo>): void {
  const info = t.connection.info();
  const actual = Object.fromEntries(Object.keys(expected).map((name) => [name, info[name as keyof TcpInfo]]));
  assertEquals(actual, expected);
}

tcpTest("a fresh connection tells what was agreed on", (t) => {
  t.accept("mss 1400,sackOK,TS val 100 ecr 0,nop,wscale 3");
  assertInfo(t, {
    state: "ESTABLISHED",
    sendMss: 1388,
    peerMss: 1400,
    pathMtu: 1500,
    sendWindowScale: 3,
    receiveWindowScale: 7,
    windowScaling: true,
    timestamps: true,
    selectiveAcknowledgements: true,
    ecn: false,
    fastOpen: false,
    pacingRate: Infinity,
    deliveryRate: 0,
    bytesDelivered: 0,
    segmentsLost: 0,
    reorderingSeen: false,
    openedAt: 1000,
    lastReceivedAt: 1100,
  });
});

tcpTest("an old peer's connection tells that nothing was agreed on", (t) => {
  t.accept("mss 1000");
  assertInfo(t, { windowScaling: false, timestamps: false, selectiveAcknowledgements: false, sendMss: 1000 });
});

tcpTest("the latest round trip stands beside the smoothed and the smallest", (t) => {
  t.accept();
  t.write(1448);
  t.wait(50).receives(". 1:1(0) ack 1449 win 500 <nop,nop,TS val 102 ecr 1100>");
  assertInfo(t, { rttLatest: 50, rttMin: 50, rtt: 93.75 });
});

tcpTest("bytes and rates of delivery follow the acknowledgements", (t) => {
  t.accept();
  t.write(8 * 1448);
  t.takeSent();
  t.wait(50).receives(". 1:1(0) ack 2897 win 5000 <nop,nop,TS val 102 ecr 1100>");
  assertInfo(t, { bytesDelivered: 2896, bytesAcknowledged: 2896, deliveryRate: 0 });
  t.wait(10).receives(". 1:1(0) ack 2897 win 5000 <nop,nop,TS val 103 ecr 1100,nop,nop,sack 4345:5793>");
  assertInfo(t, { bytesDelivered: 4344, bytesAcknowledged: 2896 });
  t.wait(10).receives(". 1:1(0) ack 11585 win 5000 <nop,nop,TS val 104 ecr 1110>");
  assertInfo(t, { bytesDelivered: 11_584, deliveryRate: (11_584 - 2896) / 0.02 });
});

tcpTest("losses, repairs and duplicate acknowledgements are counted, and the trace hears of the losses", (t) => {
  const lost: [number, number][] = [];
  t.tcp.trace = { lost: (_, start, end) => lost.push([start - t.ours, end - t.ours]) };
  t.accept("mss 1460");
  t.write(5 * 1460);
  t.takeSent();
  for (let repeat = 0; repeat < 3; repeat++) t.receives(". 1:1(0) ack 1 win 65535");
  assertInfo(t, { duplicateAcks: 3, segmentsLost: 1, segmentsRetransmitted: 1, bytesRetransmitted: 1460 });
  assertEquals(lost, [[1, 1461]]);
  t.receives(". 1:1(0) ack 7301 win 65535");
  assertInfo(t, { duplicateAcks: 3, bytesDelivered: 7300 });
  t.tcp.trace = null;
});

tcpTest("a repair that is lost too counts again", (t) => {
  let losses = 0;
  t.tcp.trace = { lost: () => losses++ };
  t.accept();
  t.write(1448);
  t.wait(10_000).takeSent();
  const { segmentsLost } = t.connection.info();
  assertEquals([losses, losses > 1], [segmentsLost, true]);
  t.tcp.trace = null;
});

tcpTest("segments behind a hole are counted, those that fill it or come twice are not", (t) => {
  t.accept();
  for (const segment of ["1449:2897", "2897:4345", "2897:4345", "1:1449", "1:1449"]) {
    t.receives(`. ${segment}(1448) ack 1 win 500 <nop,nop,TS val 102 ecr 1100>`);
  }
  t.takeSent();
  assertInfo(t, { segmentsOutOfOrder: 2, bytesReceived: 4344, receiveMss: 1448, receiveOutOfOrder: 0 });
});

tcpTest("a window update is no duplicate acknowledgement, nor is one that carries data", (t) => {
  t.accept();
  t.write(1448);
  t.receives(". 1:1(0) ack 1 win 400 <nop,nop,TS val 102 ecr 1100>");
  t.receives("P. 1:11(10) ack 1 win 400 <nop,nop,TS val 102 ecr 1100>");
  assertInfo(t, { duplicateAcks: 0 });
});

tcpTest("an acknowledgement that comes early shows reordering", (t) => {
  t.accept();
  t.write(3 * 1448);
  t.takeSent();
  t.wait(100).receives(". 1:1(0) ack 1 win 500 <nop,nop,TS val 102 ecr 1100,nop,nop,sack 1449:2897>");
  assertInfo(t, { reorderingSeen: false });
  t.wait(1).receives(". 1:1(0) ack 2897 win 500 <nop,nop,TS val 102 ecr 1100>");
  assertInfo(t, { reorderingSeen: true });
});

tcpTest("moments of sending and receiving are told", (t) => {
  t.accept();
  t.wait(100).receives("P. 1:11(10) ack 1 win 500 <nop,nop,TS val 102 ecr 1100>");
  t.wait(100);
  t.write(10);
  assertInfo(t, { openedAt: 1000, lastReceivedAt: 1200, lastSentAt: 1300 });
});
