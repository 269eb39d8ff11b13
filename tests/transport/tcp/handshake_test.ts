import { assertEquals, assertThrows } from "@std/assert";
import { ErrorKind } from "../../../stack/protocol.ts";
import { type Harness, tcpTest } from "./harness.ts";

tcpTest("passive open: SYN, SYN and ACK with all options, ACK", (t) => {
  t.listen().receives("S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>");
  t.sends("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7>");
  t.receives(". 1:1(0) ack 1 win 500 <nop,nop,TS val 101 ecr 1000>").sends();
  t.connection = t.listener!.accept()!;
  assertEquals(t.state, "ESTABLISHED");
  assertEquals(t.connection.info().sendWindow, 500 << 7);
});

tcpTest("active open: SYN, SYN and ACK, ACK", (t) => {
  t.connect().sends("S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7>");
  assertEquals(t.state, "SYN-SENT");
  t.wait(10).receives("S. 0:0(0) ack 1 win 20000 <mss 1000,sackOK,TS val 5 ecr 1000,nop,wscale 3>");
  t.sends(". 1:1(0) ack 1 win 512 <nop,nop,TS val 1010 ecr 5>");
  assertEquals(t.state, "ESTABLISHED");
  assertEquals(t.notes.events, ["established"]);
  const info = t.connection.info();
  assertEquals([info.sendWindow, info.sendMss, info.rtt], [20000, 988, 10]);
});

tcpTest("options that the peer's SYN lacks are not used", (t) => {
  t.listen().receives("S 0:0(0) win 1000");
  t.sends("S. 0:0(0) ack 1 win 65535 <mss 1460>");
  t.receives(". 1:1(0) ack 1 win 1000");
  t.connection = t.listener!.accept()!;
  const { sendMss, sendWindow, timestamps, selectiveAcknowledgements } = t.connection.info();
  assertEquals([sendMss, sendWindow, timestamps, selectiveAcknowledgements], [536, 1000, false, false]);
});

tcpTest("a window scale above 14 is taken as 14", (t) => {
  t.listen().receives("S 0:0(0) win 1000 <mss 1460,nop,wscale 15>").takeSent();
  t.receives(". 1:1(0) ack 1 win 2");
  t.connection = t.listener!.accept()!;
  assertEquals(t.connection.info().sendWindow, 2 << 14);
});

tcpTest("malformed options of a SYN are survived", (t) => {
  t.listen().receives("S 0:0(0) win 1000 <mss 1400,raw 3 0,nop>");
  t.sends("S. 0:0(0) ack 1 win 65535 <mss 1460>");
});

tcpTest("SYN is sent again after 1 s, 2 s, 4 s ... for more than three minutes (RFC 9293 3.8.3)", (t) => {
  t.connect().sends("S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7>");
  for (const delay of [1000, 2000, 4000, 8000, 16000, 32000, 64000]) {
    t.wait(delay - 1).sends();
    t.wait(1).sends("S 0:0(0)");
  }
  t.wait(119_999).sends();
  assertEquals(t.notes.failure, undefined);
  t.wait(1).sends();
  assertEquals(t.notes.failure?.name, "TimedOut");
});

tcpTest("SYN and ACK are sent again and the handshake is given up after the fifth", (t) => {
  t.listen().receives("S 0:0(0) win 1000 <mss 1460>").sends("S. 0:0(0) ack 1");
  for (const delay of [1000, 2000, 4000, 8000, 16000]) t.wait(delay).sends("S. 0:0(0) ack 1");
  t.wait(32000).sends();
  assertEquals(t.tcp.connections().length, 0);
});

tcpTest("a repeated SYN is answered by SYN and ACK again", (t) => {
  t.listen().receives("S 0:0(0) win 1000 <mss 1460>").sends("S. 0:0(0) ack 1");
  t.receives("S 0:0(0) win 1000 <mss 1460>").sends("S. 0:0(0) ack 1");
});

tcpTest(
  "after a repeated SYN the time-out starts at 3 s and the window at one segment (RFC 6298 5.7, RFC 5681 3.1)",
  (t) => {
    t.connect().wait(1000).takeSent();
    t.receives("S. 0:0(0) ack 1 win 65535 <mss 1000>");
    assertEquals(t.connection.info().rto, 3000);
    assertEquals(t.connection.info().congestionWindow, 1000);
  },
);

tcpTest("RST that acknowledges our SYN: refused", (t) => {
  t.connect().takeSent();
  t.receives("R. 0:0(0) ack 1").sends();
  assertEquals(t.notes.events, ["failed: ConnectionRefused"]);
});

tcpTest("RST that does not acknowledge our SYN: ignored", (t) => {
  t.connect().takeSent();
  t.receives("R 0:0(0)").receives("R. 0:0(0) ack 7").receives("R. 0:0(0) ack 0").sends();
  assertEquals(t.state, "SYN-SENT");
});

tcpTest("an ACK of something that was never sent, in SYN-SENT: RST", (t) => {
  t.connect().takeSent();
  t.receives(". 0:0(0) ack 5").sends("R 5:5(0)");
  t.receives("S. 0:0(0) ack 2").sends("R 2:2(0)");
  assertEquals(t.state, "SYN-SENT");
});

tcpTest("simultaneous open", (t) => {
  t.connect().takeSent();
  t.receives("S 0:0(0) win 1000 <mss 1460>").sends("S. 0:0(0) ack 1 <mss 1460>");
  assertEquals(t.state, "SYN-RECEIVED");
  t.receives("S. 0:0(0) ack 1 win 1000 <mss 1460>");
  assertEquals(t.state, "ESTABLISHED");
  assertEquals(t.notes.events, ["established"]);
});

tcpTest("SYN to a port where nobody listens: RST and ACK", (t) => {
  t.receives("S 0:0(0) win 1000").sends("R. 0:0(0) ack 1");
}, { ours: 0 });

tcpTest("an ACK to a port where nobody listens: RST with its acknowledgement number; an RST: nothing", (t) => {
  t.receives(". 1:1(0) ack 700").sends("R 700:700(0)");
  t.receives("R 1:1(0)").receives("R. 1:1(0) ack 9").sends();
});

tcpTest("an ACK for a listener: RST; RST for a listener: nothing", (t) => {
  t.listen().receives(". 1:1(0) ack 7").sends("R 7:7(0)");
  t.receives("R 1:1(0)").sends();
});

tcpTest("RST in SYN-RECEIVED: the handshake is forgotten, the listener listens on", (t) => {
  t.listen().receives("S 0:0(0) win 1000").takeSent();
  t.receives("R 1:1(0)").sends();
  assertEquals(t.tcp.connections().length, 0);
  t.receives("S 0:0(0) win 1000").sends("S. 0:0(0) ack 1");
});

tcpTest("an ACK in SYN-RECEIVED that acknowledges something else: RST", (t) => {
  t.listen().receives("S 0:0(0) win 1000").takeSent();
  t.receives(". 1:1(0) ack 9").sends("R 9:9(0)");
  t.receives(". 1:1(0) ack 0").sends("R 0:0(0)");
});

tcpTest("data with the last ACK of the handshake are delivered", (t) => {
  t.listen().receives("S 0:0(0) win 1000").takeSent();
  t.receives("P. 1:11(10) ack 1 win 1000");
  t.connection = t.listener!.accept()!;
  assertEquals(t.read(), 10);
});

tcpTest("a full accept queue: SYNs are dropped, and the last ACK of a handshake is not believed", (t) => {
  t.listen({}, 1);
  t.receives("S 0:0(0) win 1000").takeSent();
  t.peerPort++;
  t.receives("S 0:0(0) win 1000").sends("S. 0:0(0) ack 1");
  t.receives(". 1:1(0) ack 1");
  t.peerPort--;
  t.receives(". 1:1(0) ack 1");
  assertEquals(t.tcp.counters.acceptQueueFull, 1);
  t.peerPort += 2;
  t.receives("S 0:0(0) win 1000").sends();
  assertEquals(t.tcp.counters.synDropped, 1);
  t.connection = t.listener!.accept()!;
  assertEquals(t.listener!.accept(), null);
  // The other client sends its data again when the queue has room.
  t.peerPort = 5000;
  t.receives("P. 1:2(1) ack 1");
  assertEquals(t.listener!.accept() !== null, true);
});

tcpTest("too many handshakes, without cookies: the oldest is given up for the newest", (t) => {
  t.listen();
  for (let client = 0; client < 129; client++) {
    t.peerPort = 6000 + client;
    t.receives("S 0:0(0) win 1000");
  }
  assertEquals([t.listener!.handshakes, t.tcp.counters.synDropped], [128, 1]);
  t.takeSent();
  t.peerPort = 6000;
  t.receives(". 1:1(0) ack 1").sends("R 1:1(0)");
  t.peerPort = 6128;
  t.receives(". 1:1(0) ack 1").sends();
}, { synCookies: false });

/** Fills the SYN queue of the listener with handshakes that will not be completed. */
function flood(t: Harness): void {
  t.listen();
  for (let client = 0; client < 128; client++) {
    t.peerPort = 6000 + client;
    t.receives("S 0:0(0) win 1000");
  }
  t.takeSent();
  t.peerPort = 5000;
}

/** Sends a SYN to a flooded listener and returns the relative number of the cookie that answers it. */
function cookieFor(t: Harness, options: string): number {
  flood(t);
  t.receives(`S 0:0(0) win 1000 <${options}>`);
  const [answer] = t.takeSent();
  assertEquals([answer?.flags, answer?.ack, t.listener!.handshakes], ["S.", 1, 128]);
  return answer!.sequence;
}

tcpTest("SYN cookies: a handshake goes on although the SYN queue is full, with all options (RFC 4987)", (t) => {
  flood(t);
  t.receives("S 0:0(0) win 1000 <mss 1400,sackOK,TS val 100 ecr 0,nop,wscale 9>");
  const [answer] = t.takeSent();
  assertEquals(t.tcp.counters.synCookiesSent, 1);
  const [, stamp] = /TS val (\d+) ecr 100/.exec(answer!.options!)!;
  const ack = answer!.sequence + 1;
  t.wait(100).receives(`P. 1:11(10) ack ${ack} win 50 <nop,nop,TS val 200 ecr ${stamp}>`);
  t.connection = t.listener!.accept()!;
  assertEquals([t.state, t.read()], ["ESTABLISHED", 10]);
  const { sendMss, sendWindow, timestamps, selectiveAcknowledgements } = t.connection.info();
  assertEquals([sendMss, sendWindow, timestamps, selectiveAcknowledgements], [1400 - 12, 50 << 9, true, true]);
  assertEquals(t.tcp.counters.synCookiesAccepted, 1);
});

tcpTest("SYN cookies: the connection's timestamps go on from those of the answer", (t) => {
  flood(t);
  t.receives("S 0:0(0) win 1000 <mss 1400,sackOK,TS val 100 ecr 0,nop,wscale 9>");
  const [answer] = t.takeSent();
  const [, stamp] = /TS val (\d+) ecr 100/.exec(answer!.options!)!;
  t.wait(100).receives(`. 1:1(0) ack ${answer!.sequence + 1} win 50 <nop,nop,TS val 200 ecr ${stamp}>`);
  // Data behind a hole are acknowledged at once.
  t.receives(`P. 11:21(10) ack ${answer!.sequence + 1} win 50 <nop,nop,TS val 200 ecr ${stamp}>`);
  const [acknowledgement] = t.takeSent();
  const [, later] = /TS val (\d+) ecr 200/.exec(acknowledgement!.options!)!;
  // What carries options is up to 63 ms older than the clock.
  const elapsed = (Number(later) - Number(stamp)) | 0;
  assertEquals(elapsed >= 100 && elapsed < 164, true, `${elapsed} ms`);
});

tcpTest("SYN cookies: without timestamps neither SACK nor window scale", (t) => {
  const ack = cookieFor(t, "mss 1400,sackOK,wscale 9") + 1;
  t.receives(`. 1:1(0) ack ${ack} win 1000`);
  t.connection = t.listener!.accept()!;
  const { sendMss, sendWindow, selectiveAcknowledgements } = t.connection.info();
  assertEquals([sendMss, sendWindow, selectiveAcknowledgements], [1400, 1000, false]);
});

tcpTest("SYN cookies: a guessed or an old one is answered by RST", (t) => {
  const ack = cookieFor(t, "mss 1400") + 1;
  t.receives(`. 1:1(0) ack ${ack + 100}`).sends(`R ${ack + 100}:${ack + 100}(0)`);
  t.receives(`. 2:2(0) ack ${ack}`).sends(`R ${ack}:${ack}(0)`);
  t.wait(150_000).takeSent();
  t.receives(`. 1:1(0) ack ${ack}`).sends(`R ${ack}:${ack}(0)`);
  assertEquals(t.tcp.counters.synCookiesRefused, 3);
});

tcpTest("SYN cookies: none are looked for when none were sent", (t) => {
  t.listen().receives(". 1:1(0) ack 7").sends("R 7:7(0)");
  assertEquals(t.tcp.counters.synCookiesRefused, 0);
});

tcpTest("SYN cookies: a flood keeps nothing, and honest clients connect meanwhile", (t) => {
  flood(t);
  for (let client = 0; client < 20_000; client++) {
    t.peerPort = 10_000 + client;
    t.receives("S 0:0(0) win 1000 <mss 1460>");
    t.network.sent.length = 0;
  }
  assertEquals([t.tcp.connections().length, t.tcp.counters.synCookiesSent], [128, 20_000]);
  t.peerPort = 5000;
  t.receives("S 0:0(0) win 1000 <mss 1460>");
  const [answer] = t.takeSent();
  t.receives(`. 1:1(0) ack ${answer!.sequence + 1}`);
  assertEquals(t.listener!.accept() !== null, true);
});

tcpTest("SYN cookies: an ACK while the accept queue is full is not answered, so that it comes again", (t) => {
  t.listen({}, 129);
  for (let client = 0; client < 129; client++) {
    t.peerPort = 6000 + client;
    t.receives("S 0:0(0) win 1000");
  }
  t.takeSent();
  t.peerPort = 5000;
  t.receives("S 0:0(0) win 1000 <mss 1460>");
  const [answer] = t.takeSent();
  for (let client = 0; client < 129; client++) {
    t.peerPort = 6000 + client;
    t.receives(". 1:1(0) ack 1");
  }
  t.peerPort = 5000;
  t.receives(`. 1:1(0) ack ${answer!.sequence + 1}`).sends();
  assertEquals(t.listener!.accept() !== null, true);
  t.receives(`P. 1:2(1) ack ${answer!.sequence + 1}`);
  assertEquals(t.tcp.counters.synCookiesAccepted, 1);
  t.takeSent();
});

tcpTest("closing a listener resets what nobody accepted", (t) => {
  t.listen().receives("S 0:0(0) win 1000").takeSent();
  t.receives(". 1:1(0) ack 1");
  t.listener!.close();
  t.sends("R. 1:1(0) ack 1");
});

tcpTest("close in SYN-SENT and in SYN-RECEIVED", (t) => {
  t.connect().takeSent();
  t.connection.close();
  t.sends();
  assertEquals(t.notes.events, ["closed"]);
  t.connect().takeSent();
  t.receives("S 0:0(0) win 1000").takeSent();
  t.connection.close();
  t.receives("S. 0:0(0) ack 1").sends("F. 1:1(0) ack 1");
});

tcpTest("listening twice on a port, on all addresses or one, is refused", (t) => {
  t.listen();
  assertThrows(() => t.listen(), Deno.errors.AddrInUse, ":80: the port is in use");
  assertThrows(
    () => t.tcp.listen({ local: { address: t.network.own, port: 80 } }),
    Deno.errors.AddrInUse,
    "192.0.2.1:80",
  );
  t.listener!.close();
  t.listen();
});

tcpTest("connecting where there is no route fails at once", (t) => {
  t.network.unreachable.add("192.0.2.9");
  assertThrows(() => t.connect(), Deno.errors.NetworkUnreachable, "192.0.2.9:5000");
});

tcpTest("an ICMP error about our SYN ends the attempt", (t) => {
  t.connect().takeSent();
  t.reports(ErrorKind.hostUnreachable, "S 0:0(0)");
  assertEquals(t.notes.failure?.name, "HostUnreachable");
});

tcpTest("an ICMP error about an established connection is a passing trouble (RFC 5461)", (t) => {
  t.accept().write(10);
  t.takeSent();
  t.reports(ErrorKind.hostUnreachable, ". 1:11(10) ack 1").reports(ErrorKind.portUnreachable, ". 1:11(10) ack 1");
  assertEquals(t.state, "ESTABLISHED");
});

tcpTest("segments to a group, with port 0 or a bad checksum are dropped and counted", (t) => {
  t.listen();
  const bytes = new Uint8Array(20);
  bytes.set([0x13, 0x88, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2]);
  t.deliver(bytes.slice(), true);
  assertEquals(t.tcp.counters.badAddress, 1);
  const portless = bytes.slice();
  portless[3] = 0;
  t.deliver(portless);
  assertEquals(t.tcp.counters.badAddress, 2);
  const source = t.peer;
  t.network.deliver(t.tcp, { source, destination: t.network.own, bytes });
  assertEquals(t.tcp.counters.badChecksum, 1);
  t.network.deliver(t.tcp, { source, destination: t.network.own, bytes: bytes.slice(0, 19) });
  const overlong = bytes.slice();
  overlong[12] = 0x60;
  t.network.deliver(t.tcp, { source, destination: t.network.own, bytes: overlong });
  overlong[12] = 0x40;
  t.network.deliver(t.tcp, { source, destination: t.network.own, bytes: overlong });
  assertEquals(t.tcp.counters.truncated, 3);
  t.sends();
});
