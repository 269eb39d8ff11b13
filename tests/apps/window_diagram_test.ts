import { assertEquals } from "@std/assert";
import { receiveWindowDiagram, sendWindowDiagram } from "../../apps/window_diagram.ts";
import type { TcpInfo } from "../../mod.ts";

/** An established connection that has sent and received nothing but its SYNs: 1000 ours, 5000 the peer's. */
const fresh: TcpInfo = {
  state: "ESTABLISHED",
  rtt: 0,
  rttVariance: 0,
  rttMin: Infinity,
  rttLatest: 0,
  rto: 1000,
  backoff: 0,
  congestionWindow: 14600,
  slowStartThreshold: Infinity,
  congestionControl: "cubic",
  congestionState: "open",
  bytesInFlight: 0,
  pacingRate: Infinity,
  deliveryRate: 0,
  sendMss: 1460,
  peerMss: 1460,
  receiveMss: 536,
  pathMtu: 1500,
  sendWindow: 65535,
  sendWindowScale: 0,
  sndUna: 1001,
  sndNxt: 1001,
  sendQueued: 0,
  sendUnsent: 0,
  rcvNxt: 5001,
  rightEdge: 70536,
  receiveWindow: 65535,
  receiveWindowScale: 0,
  receiveQueued: 0,
  receiveOutOfOrder: 0,
  receiveUrgent: 0,
  bytesSent: 0,
  bytesRetransmitted: 0,
  bytesAcknowledged: 0,
  bytesDelivered: 0,
  bytesReceived: 0,
  segmentsSent: 2,
  segmentsReceived: 1,
  segmentsRetransmitted: 0,
  segmentsLost: 0,
  segmentsOutOfOrder: 0,
  duplicateAcks: 0,
  networkError: null,
  reorderingSeen: false,
  timestamps: true,
  selectiveAcknowledgements: true,
  windowScaling: true,
  ecn: false,
  fastOpen: false,
  openedAt: 0,
  lastSentAt: 0,
  lastReceivedAt: 0,
};

Deno.test("the send window of a new connection is all sendable, up to the congestion window", () => {
  assertEquals(sendWindowDiagram(fresh, 1000), [
    "send    | acknowledged | in flight  | sendable   | not yet sendable",
    "numbers | none         | none       | 1..14600   | 14601..",
    "count   | 0            | 0          | 14600      |",
    "                       ^ SND.UNA 1  ^ SND.NXT 1  ^ edge 14601: the congestion window",
  ]);
});

Deno.test("the send window shows what is acknowledged and what is in flight", () => {
  const info = { ...fresh, sndUna: 1015, sndNxt: 1029, bytesInFlight: 14 };
  assertEquals(sendWindowDiagram(info, 1000), [
    "send    | acknowledged | in flight   | sendable    | not yet sendable",
    "numbers | 1..14        | 15..28      | 29..14614   | 14615..",
    "count   | 14           | 14          | 14586       |",
    "                       ^ SND.UNA 15  ^ SND.NXT 29  ^ edge 14615: the congestion window",
  ]);
});

Deno.test("the peer's window bounds the send window where it is the smaller", () => {
  const lines = sendWindowDiagram({ ...fresh, sendWindow: 100 }, 1000);
  assertEquals(lines[1], "numbers | none         | none       | 1..100     | 101..");
  assertEquals(lines[3]!.slice(lines[3]!.indexOf("edge")), "edge 101: the peer's window");
});

Deno.test("a window that was shrunk below what is in flight leaves nothing sendable", () => {
  const lines = sendWindowDiagram({ ...fresh, sndNxt: 1501, sendWindow: 100 }, 1000);
  assertEquals(lines[1], "numbers | none         | 1..500     | none         | 501..");
  assertEquals(lines[2], "count   | 0            | 500        | 0            |");
});

Deno.test("sequence numbers are relative across the end of the sequence space", () => {
  const lines = sendWindowDiagram({ ...fresh, sndUna: 3, sndNxt: 4 }, 0xffff_fffe);
  assertEquals(lines[1], "numbers | 1..4         | 5          | 6..14604   | 14605..");
});

Deno.test("the receive window of a new connection is all receivable", () => {
  assertEquals(receiveWindowDiagram(fresh, 5000), [
    "receive | read | to be read | receivable | not yet receivable",
    "numbers | none | none       | 1..65535   | 65536..",
    "count   | 0    | 0          | 65535      |",
    "                            ^ RCV.NXT 1  ^ edge 65536",
  ]);
});

Deno.test("the receive window shows what was read and what waits for the program", () => {
  const info = { ...fresh, rcvNxt: 5029, bytesReceived: 28, receiveQueued: 14 };
  assertEquals(receiveWindowDiagram(info, 5000), [
    "receive | read  | to be read | receivable  | not yet receivable",
    "numbers | 1..14 | 15..28     | 29..65535   | 65536..",
    "count   | 14    | 14         | 65507       |",
    "                             ^ RCV.NXT 29  ^ edge 65536",
  ]);
});

Deno.test("a FIN moves the right edges of what was sent and received by one", () => {
  const closed = { ...fresh, sndUna: 1016, sndNxt: 1016, rcvNxt: 5016, bytesReceived: 14 };
  assertEquals(sendWindowDiagram(closed, 1000)[1]!.slice(0, 24), "numbers | 1..15        |");
  assertEquals(receiveWindowDiagram(closed, 5000)[1]!.slice(0, 30), "numbers | 1..14 | none       |");
});
