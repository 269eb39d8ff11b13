import { assertEquals } from "@std/assert";
import { State } from "../../../stack/transport/tcp/state.ts";
import { type Harness, tcpTest } from "./harness.ts";

/** A client on its own port completes its handshake, and may send. */
function join(t: Harness, port: number, data = ""): void {
  t.peerPort = port;
  t.receives("S 0:0(0) win 1000").receives(". 1:1(0) ack 1");
  if (data !== "") t.receives(data);
}

tcpTest("connections are accepted in the order in which their handshakes were completed", (t) => {
  t.listen();
  for (const port of [6001, 6002]) {
    t.peerPort = port;
    t.receives("S 0:0(0) win 1000");
  }
  t.receives(". 1:1(0) ack 1");
  t.peerPort = 6001;
  t.receives(". 1:1(0) ack 1");
  assertEquals([t.listener!.accept()?.remote.port, t.listener!.accept()?.remote.port], [6002, 6001]);
  assertEquals(t.listener!.accept(), null);
  t.takeSent();
});

tcpTest("whoever waits is told for each connection that can be accepted", (t) => {
  t.listen();
  let told = 0;
  t.listener!.onAcceptable = () => void told++;
  join(t, 6001);
  join(t, 6002);
  assertEquals([told, t.listener!.acceptable, t.listener!.handshakes], [2, 2, 0]);
  t.takeSent();
});

tcpTest("a connection that is reset before it was accepted and has brought nothing is not accepted", (t) => {
  t.listen();
  join(t, 6001);
  assertEquals(t.listener!.acceptable, 1);
  t.receives("R 1:1(0)");
  assertEquals([t.listener!.acceptable, t.listener!.accept()], [0, null]);
  t.takeSent();
});

tcpTest("one that has brought data can be accepted, with these data and the failure", (t) => {
  t.listen();
  join(t, 6001, "P. 1:101(100) ack 1");
  t.receives("R 101:101(0)");
  assertEquals(t.tcp.connections().length, 0);
  t.connection = t.listener!.accept()!;
  assertEquals([t.read(), t.connection.failure?.name, t.connection.state], [100, "ConnectionReset", State.closed]);
  assertEquals([t.read(), t.tcp.storage.inUse], [0, 0]);
  t.takeSent();
});

tcpTest("what reset connections have brought is thrown away when their listener is closed", (t) => {
  t.listen();
  join(t, 6001, "P. 1:101(100) ack 1");
  t.receives("R 101:101(0)");
  assertEquals(t.tcp.storage.inUse > 0, true);
  t.listener!.close();
  assertEquals(t.tcp.storage.inUse, 0);
  t.takeSent();
});

tcpTest("one that the peer has closed can still be accepted, with its data and its end", (t) => {
  t.listen();
  join(t, 6001, "FP. 1:101(100) ack 1");
  t.connection = t.listener!.accept()!;
  assertEquals([t.read(), t.connection.ended, t.connection.state], [100, true, State.closeWait]);
  t.takeSent();
});

tcpTest("a connection that was accepted is the listener's no longer", (t) => {
  t.listen();
  join(t, 6001);
  const connection = t.listener!.accept()!;
  t.listener!.close();
  assertEquals(connection.state, State.established);
  t.takeSent();
});

tcpTest("closing twice is closing once", (t) => {
  t.listen();
  join(t, 6001);
  t.takeSent();
  t.listener!.close();
  t.listener!.close();
  assertEquals([t.takeSent().length, t.tcp.listeners().length, t.tcp.connections().length], [1, 0, 0]);
});

tcpTest("connections start with the listener's settings", (t) => {
  t.listen({ noDelay: true, receiveBufferBytes: 4000 });
  join(t, 6001);
  const { settings } = t.listener!.accept()!;
  assertEquals([settings.noDelay, settings.receiveBufferBytes, settings.keepAlive], [true, 4000, false]);
  assertEquals(t.takeSent()[0]?.window, 4000);
});

tcpTest("a listener whose connections nobody accepts holds up no other, nor those that it has handed out", (t) => {
  t.listen({}, 2);
  join(t, 6001);
  t.connection = t.listener!.accept()!;
  for (const port of [6002, 6003]) join(t, port);
  t.takeSent();
  t.peerPort = 6004;
  t.receives("S 0:0(0) win 1000").sends();
  const full = t.listener!;
  t.ourPort = 81;
  t.listen();
  join(t, 6005, "P. 1:11(10) ack 1");
  assertEquals([full.acceptable, t.listener!.acceptable, t.listener!.accept()?.receivable], [2, 1, 10]);
  t.takeSent();
  t.ourPort = 80;
  t.peerPort = 6001;
  t.receives("P. 1:11(10) ack 1");
  assertEquals(t.read(), 10);
  // There is room again: the client that was not answered tries once more.
  assertEquals(full.accept()?.remote.port, 6002);
  t.peerPort = 6004;
  t.takeSent();
  t.receives("S 0:0(0) win 1000").sends("S. 0:0(0) ack 1");
  full.close();
  t.takeSent();
});
