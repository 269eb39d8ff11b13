import { assert, assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { Sharing } from "../../../stack/transport/ports.ts";
import type { Listener } from "../../../stack/transport/tcp/listener.ts";
import { type Harness, tcpTest } from "./harness.ts";

const syn = "S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>";

tcpTest("a corked connection holds back what does not fill a segment, and sends what does", (t) => {
  t.accept(undefined, { cork: true });
  t.write(100);
  t.sends();
  t.write(2000);
  t.sends(". 1:1449(1448) ack 1");
});

tcpTest("uncorking sends what was held back", (t) => {
  t.accept(undefined, { cork: true });
  t.write(100);
  t.connection.configure({ cork: false });
  t.sends("P. 1:101(100) ack 1");
});

tcpTest("a corked connection goes before noDelay", (t) => {
  t.accept(undefined, { cork: true, noDelay: true });
  t.write(100);
  t.sends();
});

tcpTest("what is held back goes after 200 ms, and what comes then is held back again", (t) => {
  t.accept(undefined, { cork: true });
  t.write(100);
  t.wait(199).sends();
  t.wait(1).sends("P. 1:101(100) ack 1");
  t.write(50);
  t.wait(199).sends();
  t.wait(1).sends("P. 101:151(50) ack 1");
  assertEquals(t.tcp.counters.windowProbes, 0);
});

tcpTest("closing our side sends what is held back", (t) => {
  t.accept(undefined, { cork: true });
  t.write(100);
  t.connection.shutdown();
  t.sends("FP. 1:101(100) ack 1");
});

tcpTest("a lost segment is sent again although the connection is corked", (t) => {
  t.accept(undefined, { cork: true });
  t.write(1448);
  t.sends("P. 1:1449(1448) ack 1");
  t.wait(1000);
  assert(t.takeSent().length > 0);
});

tcpTest("with linger 0 a close resets the connection, and drops what waits", (t) => {
  t.accept(undefined, { linger: 0 });
  t.receives("P. 1:1(0) ack 1 win 0 <nop,nop,TS val 102 ecr 1100>");
  t.write(100);
  t.connection.close();
  t.sends("R. 1:1(0) ack 1");
  assertEquals(t.notes.failure, null);
});

tcpTest("with linger a close that the peer answers in time ends regularly", (t) => {
  t.accept(undefined, { linger: 5 });
  t.write(100);
  t.connection.close();
  t.takeSent();
  t.receives("F. 1:1(0) ack 102 win 500 <nop,nop,TS val 102 ecr 1100>").takeSent();
  assertEquals([t.notes.failure, t.state], [null, "TIME-WAIT"]);
});

tcpTest("with linger a connection whose data are not acknowledged in time is reset", (t) => {
  t.accept(undefined, { linger: 5 });
  t.write(100);
  t.connection.close();
  t.wait(4999).takeSent();
  assertEquals(t.notes.failure, undefined);
  t.wait(1).sends("R. 102:102(0) ack 1");
  assertEquals(t.notes.failure?.name, "TimedOut");
  assertEquals(t.notes.failure?.message, "The peer has not acknowledged everything within 5 s after the close");
});

tcpTest("with linger a peer that has everything but does not close its side is left", (t) => {
  t.accept(undefined, { linger: 5 });
  t.connection.close();
  t.takeSent();
  t.receives(". 1:1(0) ack 2 win 500 <nop,nop,TS val 102 ecr 1100>");
  assertEquals(t.state, "FIN-WAIT-2");
  t.wait(5000).sends();
  assertEquals(t.notes.failure, null);
});

tcpTest("what is peeked at can be read", (t) => {
  t.accept().receives("P. 1:11(10) ack 1 win 500 <nop,nop,TS val 102 ecr 1100>");
  const target = new Uint8Array(4);
  assertEquals([t.connection.peek(target), t.connection.peek(target), t.connection.receivable], [4, 4, 10]);
  assertEquals(t.read(), 10);
  assertEquals(t.connection.peek(target), 0);
});

tcpTest("bytes not sent are told from those not acknowledged", (t) => {
  t.accept();
  t.receives(". 1:1(0) ack 1 win 20 <nop,nop,TS val 102 ecr 1100>");
  t.write(3000);
  t.takeSent();
  assertEquals([t.connection.unsent, t.connection.unacknowledged], [3000 - 1448, 3000]);
});

tcpTest("urgent data are delivered in their place", (t) => {
  t.accept().receives("UP. 1:11(10) ack 1 win 500 <nop,nop,TS val 102 ecr 1100>");
  t.receives("P. 11:21(10) ack 1 win 500 <nop,nop,TS val 102 ecr 1100>");
  assertEquals(t.read(), 20);
});

tcpTest("TTL and traffic class are those of the settings, on SYNs too, and can be changed", (t) => {
  t.connect({ timeToLive: 7, trafficClass: 0x20 });
  const { path } = t.connection;
  assertEquals([path.timeToLive, path.trafficClass], [7, 0x20]);
  t.connection.configure({ timeToLive: 8, trafficClass: 0x40 });
  assertEquals([path.timeToLive, path.trafficClass], [8, 0x40]);
  t.takeSent();
});

/** Listens once more on the port of a harness. */
function listenAgain(t: Harness, address = IpAddress.unspecified4): Listener {
  return t.tcp.listen({ local: { address, port: t.ourPort }, reuse: true });
}

tcpTest("listeners that share a port each get a part of the clients, and a client always the same one", (t) => {
  const listeners = [listenAgain(t), listenAgain(t), listenAgain(t)];
  const counts = () => listeners.map(({ handshakes }) => handshakes);
  for (let port = 5000; port < 5100; port++) {
    t.peerPort = port;
    const before = counts();
    t.receives(syn).receives(syn);
    assertEquals(counts().reduce((sum, count) => sum + count) - before.reduce((sum, count) => sum + count), 1);
  }
  t.takeSent();
  for (const count of counts()) assert(count > 20 && count < 47, `${counts()}`);
});

tcpTest("of listeners that share a port those on the very address go first", (t) => {
  const everywhere = listenAgain(t);
  const here = listenAgain(t, t.network.own);
  t.receives(syn).takeSent();
  assertEquals([everywhere.handshakes, here.handshakes], [0, 1]);
});

tcpTest("a port is shared only by listeners that all want it", (t) => {
  t.listen();
  assertEquals(t.ports.reserve({ protocol: 6, address: IpAddress.unspecified4, sharing: Sharing.reuse }, 80), null);
});
