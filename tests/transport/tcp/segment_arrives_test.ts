import { assertEquals } from "@std/assert";
import { tcpTest } from "./harness.ts";

tcpTest("in a simultaneous open, a byte from before the window in the peer's first data is cut off", (t) => {
  t.connect().takeSent();
  t.receives("S 0:0(0) win 1000 <mss 1460>").takeSent();
  t.receives("P. 0:11(11) ack 1 win 1000").takeSent();
  assertEquals([t.state, t.read()], ["ESTABLISHED", 10]);
});

tcpTest("in a simultaneous open, data with the peer's SYN and ACK are taken", (t) => {
  t.connect().takeSent();
  t.receives("S 0:0(0) win 1000 <mss 1460>").takeSent();
  t.receives("S. 0:0(0) ack 1 win 1000 <mss 1460>").receives("P. 1:11(10) ack 1").takeSent();
  assertEquals([t.state, t.read()], ["ESTABLISHED", 10]);
});

tcpTest("an ICMP error about the next number to be sent is about nothing that was sent (RFC 5927 4.1)", (t) => {
  t.accept("mss 1460").write(100);
  t.takeSent();
  t.reports(4, ". 101:109(8) ack 1", 1000);
  assertEquals(t.connection.info().sendMss, 1460);
  t.reports(4, ". 100:108(8) ack 1", 1000);
  assertEquals(t.connection.info().sendMss, 960);
  t.takeSent();
});
