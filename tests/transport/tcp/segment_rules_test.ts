import { assertEquals, assertThrows } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { ErrorKind } from "../../../stack/protocol.ts";
import { type Harness, tcpTest } from "./harness.ts";

const plain = "mss 1000";
const selective = "mss 1000,nop,nop,sackOK";
const stamped = "mss 1012,sackOK,TS val 100 ecr 0,nop,wscale 7";

tcpTest("data behind a FIN that waits behind a hole are cut off: the stream ends where it said first", (t) => {
  t.accept(plain).receives("F. 11:11(0) ack 1").receives("P. 1:21(20) ack 1").takeSent();
  assertEquals([t.state, t.read(), t.connection.ended], ["CLOSE-WAIT", 10, true]);
});

tcpTest("a second FIN at another place does not move the end of the stream", (t) => {
  t.accept(plain).receives("F. 11:11(0) ack 1").receives("F. 21:21(0) ack 1").receives("F. 6:6(0) ack 1");
  t.receives("P. 1:11(10) ack 1").takeSent();
  assertEquals([t.state, t.read(), t.connection.ended], ["CLOSE-WAIT", 10, true]);
});

tcpTest("after 24 idle days a clock that has been set back is the one that is echoed (RFC 7323 5.5)", (t) => {
  t.accept(stamped).wait(25 * 24 * 3_600_000);
  t.receives("P. 1:11(10) ack 1 <nop,nop,TS val 50 ecr 0>");
  const [{ options } = { options: "" }] = t.takeSent();
  assertEquals([t.read(), `${options}`.includes("ecr 50")], [10, true]);
});

tcpTest("an acknowledgement of something new says that the next hop is there (RFC 4861 7.3.1)", (t) => {
  t.accept(plain).write(1000);
  t.takeSent();
  let confirmed = 0;
  Object.assign(t.connection.path.neighbor, { confirm: () => confirmed++ });
  t.receives(". 1:1(0) ack 1");
  assertEquals(confirmed, 0);
  t.receives(". 1:1(0) ack 1001");
  assertEquals(confirmed, 1);
});

tcpTest("an old acknowledgement with newer data does not change the window (RFC 9293 3.10.7.4)", (t) => {
  t.accept(plain).write(2000);
  t.takeSent();
  t.receives("P. 1:11(10) ack 2001 win 5000").receives("P. 11:21(10) ack 1001 win 100").takeSent();
  assertEquals([t.connection.info().sendWindow, t.read()], [5000, 20]);
});

tcpTest("in a simultaneous open the window of the peer's SYN and ACK is not scaled (RFC 7323 2.2)", (t) => {
  t.connect().takeSent();
  t.receives("S 0:0(0) win 1000 <mss 1460,nop,wscale 7>").takeSent();
  t.receives("S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 7>").takeSent();
  assertEquals([t.state, t.connection.info().sendWindow], ["ESTABLISHED", 1000]);
  t.receives(". 1:1(0) ack 1 win 1000");
  assertEquals(t.connection.info().sendWindow, 128_000);
});

tcpTest("that a packet lived too long ends no handshake, ours or the peer's (RFC 5461)", (t) => {
  t.listen().receives("S 0:0(0) win 1000 <mss 1460>").takeSent();
  t.reports(ErrorKind.timeExceeded, "S. 0:8(8) ack 1").receives(". 1:1(0) ack 1");
  assertEquals(t.listener!.acceptable, 1);
  t.connect().takeSent();
  t.reports(ErrorKind.timeExceeded, "S 0:8(8)");
  assertEquals(t.state, "SYN-SENT");
});

tcpTest("what waited behind a hole gives no round-trip sample when it is filled (Karn)", (t) => {
  t.accept(plain).write(2000);
  t.wait(300).takeSent();
  t.wait(100).receives(". 1:1(0) ack 2001");
  assertEquals(t.connection.sender.rtt.latest, 100);
});

tcpTest("an echo from before the retransmission that is acknowledged gives no round-trip sample (Karn)", (t) => {
  t.accept(stamped).write(1000);
  t.wait(300).takeSent();
  t.wait(100).receives(". 1:1(0) ack 1001 <nop,nop,TS val 500 ecr 1100>").takeSent();
  assertEquals(t.connection.sender.rtt.latest, 100);
});

tcpTest("without SACK, duplicates after a time-out mark nothing as delivered (RFC 6582 4.1)", (t) => {
  t.accept(plain).write(5000);
  t.takeSent();
  t.wait(300).sends(". 1:1001(1000) ack 1");
  t.receives(". 1:1(0) ack 1").receives(". 1:1(0) ack 1").takeSent();
  assertEquals(t.connection.sender.scoreboard.sacked, 0);
});

tcpTest("a SACK block that begins below what is acknowledged tells nothing, unless it reports a duplicate", (t) => {
  t.accept(selective).write(8000);
  t.takeSent();
  t.receives(". 1:1(0) ack 3001").takeSent();
  t.receives(". 1:1(0) ack 3001 <nop,nop,sack 5001:6001 1001:4001>").takeSent();
  assertEquals(t.connection.sender.scoreboard.sacked, 1000);
});

tcpTest("FIN alone waits while the peer's window ends before what is out", (t) => {
  t.accept(plain).write(1000);
  t.takeSent();
  t.receives(". 1:1(0) ack 1 win 500").connection.shutdown();
  t.sends();
  t.receives(". 1:1(0) ack 1001 win 500").sends("F. 1001:1001(0) ack 1");
});

/** A hundred and twenty-eight handshakes are under way: what comes next is answered with a cookie. */
function full(t: Harness): Harness {
  t.listen();
  for (t.peerPort = 7000; t.peerPort < 7128; t.peerPort++) t.receives("S 0:0(0) win 1000");
  t.takeSent();
  return t;
}

tcpTest("a cookie without timestamps offers neither SACK nor window scale: it could not remember them", (t) => {
  full(t).receives("S 0:0(0) win 1000 <mss 1400,nop,nop,sackOK,nop,wscale 7>");
  assertEquals(t.takeSent().map(({ options }) => `${options}`), ["mss 1460"]);
});

tcpTest("timestamps are the clock with the connection's own offset (RFC 7323 7.1)", (t) => {
  t.listen().receives("S 0:0(0) win 1000 <mss 1460,nop,nop,TS val 9 ecr 0>");
  assertEquals(t.takeSent().map(({ options }) => `${options}`.includes("TS val 1700 ecr 9")), [true]);
}, { initialSequence: { next: () => 1_000_000, timestampOffset: () => 700 } });

tcpTest("keep-alive does not probe while data are unanswered: they are sent again anyway (RFC 9293 3.8.4)", (t) => {
  t.accept(plain, { keepAlive: true, keepAliveIdle: 1000, keepAliveInterval: 1000, keepAliveCount: 2 }).write(1000);
  t.wait(60_000).takeSent();
  assertEquals([t.state, t.tcp.counters.keepAliveProbes], ["ESTABLISHED", 0]);
  t.receives(". 1:1(0) ack 1001").wait(1500).takeSent();
  assertEquals(t.tcp.counters.keepAliveProbes, 1);
});

tcpTest("in TIME-WAIT an empty segment is answered when its timestamp is old (RFC 7323 5.3)", (t) => {
  t.accept(stamped).connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 2 <nop,nop,TS val 500 ecr 1100>").takeSent();
  t.receives(". 2:2(0) ack 2 <nop,nop,TS val 500 ecr 1100>").sends();
  t.receives(". 2:2(0) ack 2 <nop,nop,TS val 499 ecr 1100>").sends(". 2:2(0) ack 2");
});

tcpTest("a window that was sent before the one that is known does not replace it, in whatever order they come", (t) => {
  t.accept(plain).receives("P. 11:21(10) ack 1 win 5000").receives("P. 1:11(10) ack 1 win 100").takeSent();
  assertEquals([t.connection.info().sendWindow, t.read()], [5000, 20]);
  t.receives(". 21:21(0) ack 1 win 200");
  assertEquals(t.connection.info().sendWindow, 200);
});

tcpTest("FIN goes with data only where the window has room for both (RFC 9293 3.4)", (t) => {
  t.accept(plain, { cork: true }).receives(". 1:1(0) ack 1 win 500").write(500);
  t.sends().connection.shutdown();
  t.sends("P. 1:501(500) ack 1", "F. 501:501(0) ack 1");
  t.receives(". 1:1(0) ack 502");
});

tcpTest("a SACK block that stands upside down below the acknowledgement reports no duplicate", (t) => {
  t.accept(selective).write(8000);
  t.takeSent();
  t.receives(". 1:1(0) ack 3001").receives(". 1:1(0) ack 3001 <nop,nop,sack 2001:1001>").takeSent();
  assertEquals(t.connection.context.acknowledgement.duplicateReported, false);
  t.receives(". 1:1(0) ack 3001 <nop,nop,sack 1001:2001>").takeSent();
  assertEquals(t.connection.context.acknowledgement.duplicateReported, true);
});

tcpTest("nobody connects to a group, to everybody or to nobody (RFC 9293 3.9.2.3)", (t) => {
  for (const text of ["224.0.0.9", "255.255.255.255", "0.0.0.0"]) {
    const remote = { address: IpAddress.parse(text), port: 80 };
    assertThrows(() => t.tcp.connect({ remote }), Error, "it is no single host's port");
  }
  assertThrows(() => t.tcp.connect({ remote: { address: t.peer, port: 0 } }), Error, "it is no single host's port");
  t.sends();
});

tcpTest("a port is not taken again for the same peer while its last connection is in TIME-WAIT", (t) => {
  t.connect().takeSent();
  t.receives("S. 0:0(0) ack 1 win 1000 <mss 1460>").connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 2").takeSent();
  const again = { remote: { address: t.peer, port: t.peerPort }, localPort: t.ourPort };
  assertThrows(() => t.tcp.connect(again), Error, "it is in use");
  const another = t.tcp.connect({ ...again, remote: { ...again.remote, port: t.peerPort + 1 } });
  t.wait(60_000).takeSent();
  another.abort();
  t.tcp.connect(again).abort();
  t.takeSent();
});
