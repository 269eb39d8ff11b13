import { assertEquals } from "@std/assert";
import { ErrorKind } from "../../../stack/protocol.ts";
import { type Harness, tcpTest } from "./harness.ts";

const plain = "mss 1000";

/** Notes what is reported from now on. */
function reportsOf(t: Harness): string[] {
  const reports: string[] = [];
  t.tcp.trace = { report: (connection, report) => reports.push(`${connection.remote.port}: ${report}`) };
  return reports;
}

tcpTest("errors that the network reports end no connection, but are told to its user (RFC 9293 3.9.2.2)", (t) => {
  const reports = reportsOf(t);
  t.accept(plain).write(1000);
  t.takeSent();
  assertEquals(t.connection.info().networkError, null);
  const kinds = Object.values(ErrorKind).filter((kind) => kind !== ErrorKind.packetTooBig);
  for (const kind of kinds) {
    t.reports(kind, ". 1:9(8) ack 1");
    const { networkError } = t.connection.info();
    assertEquals(reports.splice(0), [`5000: ${networkError}`]);
  }
  assertEquals([t.state, new Set(kinds).size], ["ESTABLISHED", 8]);
  // Who hears from the peer need not worry any more.
  t.wait(10).receives(". 1:1(0) ack 1001");
  assertEquals(t.connection.info().networkError, null);
});

tcpTest("an error about what is not in the network is not told", (t) => {
  const reports = reportsOf(t);
  t.accept(plain).write(1000);
  t.takeSent();
  t.reports(ErrorKind.hostUnreachable, ". 1001:1009(8) ack 1");
  assertEquals([reports, t.connection.info().networkError], [[], null]);
  t.receives(". 1:1(0) ack 1001");
});

tcpTest("with heedNetworkErrors off an error about our SYN is told and ends nothing", (t) => {
  const reports = reportsOf(t);
  t.connect().takeSent();
  t.reports(ErrorKind.hostUnreachable, "S 0:8(8)");
  assertEquals([t.state, reports], ["SYN-SENT", ["5000: A router reports that the host cannot be reached"]]);
}, { heedNetworkErrors: false });

tcpTest("a connection that is given up says what the network has reported meanwhile", (t) => {
  t.accept(plain, { userTimeout: 5000 }).write(1000);
  t.wait(1000).reports(ErrorKind.networkUnreachable, ". 1:9(8) ack 1").wait(5000).takeSent();
  assertEquals(
    t.notes.failure?.message,
    "The peer does not answer: nothing was acknowledged within 5000 ms (A router reports that the network cannot be reached)",
  );
});

for (const [name, start] of Object.entries({ data: established, "our SYN": connecting })) {
  tcpTest(
    `after three retransmissions of ${name} the neighbour is doubted and the user told, once (RFC 9293 3.8.3)`,
    (t) => {
      const reports = reportsOf(t);
      let doubts = 0;
      const { findPath } = t.network;
      t.network.findPath = (request) => {
        const path = findPath.call(t.network, request);
        return path && { ...path, neighbor: { ...path.neighbor, doubt: () => doubts++ } };
      };
      const timeout = start(t);
      t.takeSent();
      t.wait(7 * timeout).wait(8 * timeout - 1);
      assertEquals([t.takeSent().length, doubts, reports.length], [3, 0, 0]);
      t.wait(1).wait(16 * timeout);
      assertEquals([t.takeSent().length, doubts], [2, 1]);
      assertEquals(reports, ["5000: The peer has not answered 3 retransmissions"]);
      t.connection.abort();
      t.takeSent();
    },
  );
}

/** Has a connection send data that nobody answers. Returns the first time-out. */
function established(t: Harness): number {
  t.accept(plain).write(1000);
  return 300;
}

/** Has a connection begin that nobody answers. Returns the first time-out. */
function connecting(t: Harness): number {
  t.connect();
  return 1000;
}

tcpTest("urgent data are told of, and how much of them is to be read (RFC 9293 3.8.5)", (t) => {
  const reports = reportsOf(t);
  t.accept(plain);
  const urgent = () => t.connection.info().receiveUrgent;
  // The pointer is ahead of what has come: the end of the urgent data is still under way.
  t.receives("U. 1:11(10) ack 1 win 1000 urg 25");
  assertEquals([urgent(), reports.splice(0)], [25, ["5000: The peer sends urgent data"]]);
  t.receives("U. 11:21(10) ack 1 win 1000 urg 15");
  assertEquals([urgent(), reports], [25, []]);
  assertEquals([t.read(5), urgent()], [5, 20]);
  // The end moves on, and never back.
  t.receives("U. 21:31(10) ack 1 win 1000 urg 10").receives("U. 31:41(10) ack 1 win 1000 urg 0");
  assertEquals([urgent(), reports.splice(0)], [25, ["5000: The peer sends urgent data"]]);
  assertEquals([t.read(30), urgent()], [30, 0]);
  assertEquals([t.read(), urgent()], [5, 0]);
});

tcpTest("urgent data are told of while our window is closed (RFC 9293 3.4: MUST-66)", (t) => {
  const reports = reportsOf(t);
  t.accept(plain, { receiveBufferBytes: 1000 }).receives(". 1:1001(1000) ack 1");
  t.takeSent();
  assertEquals(t.connection.info().receiveWindow, 0);
  t.receives("U. 1001:1002(1) ack 1 win 1000 urg 1");
  assertEquals([t.connection.info().receiveUrgent, reports.length], [1001, 1]);
  t.read();
  t.takeSent();
});

tcpTest("behind the peer's FIN nothing is urgent", (t) => {
  const reports = reportsOf(t);
  t.accept(plain).receives("FU. 1:11(10) ack 1 win 1000 urg 100");
  assertEquals([t.state, t.connection.info().receiveUrgent], ["CLOSE-WAIT", 10]);
  t.receives("U. 12:12(0) ack 1 win 1000 urg 100");
  assertEquals([t.connection.info().receiveUrgent, reports.length, t.read()], [10, 1, 10]);
  assertEquals(t.connection.info().receiveUrgent, 0);
  t.takeSent();
});
