import { assertEquals } from "@std/assert";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { SpareFlights } from "../../../stack/transport/tcp/flight.ts";
import { RingStorage } from "../../../stack/transport/tcp/ring.ts";
import { Sender } from "../../../stack/transport/tcp/send.ts";
import { tcpTest } from "./harness.ts";

const plain = "mss 1000,nop,nop,sackOK,nop,wscale 7";

tcpTest("old acknowledgements do not change the window, whatever their sequence number (RFC 9293 3.10.7.4)", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 5000").write(2000);
  t.takeSent();
  t.receives(". 1:1(0) ack 2001 win 5000");
  t.receives("P. 1:11(10) ack 1001 win 100").takeSent();
  assertEquals(t.connection.info().sendWindow, 5000);
  t.read();
});

tcpTest("a peer that closes its window behind what was sent, and says so, is not given up", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 5000").write(3000);
  t.takeSent();
  t.receives(". 1:1(0) ack 1 win 0").takeSent();
  for (let attempt = 0; attempt < 40; attempt++) {
    t.wait(120_000).takeSent();
    t.receives(". 1:1(0) ack 1 win 0").takeSent();
  }
  assertEquals(t.state, "ESTABLISHED");
  t.receives(". 1:1(0) ack 1 win 5000").wait(120_000);
  assertEquals(t.takeSent()[0]?.sequence, 1);
  t.receives(". 1:1(0) ack 3001 win 5000");
  assertEquals(t.connection.unacknowledged, 0);
});

tcpTest("one that says nothing is", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 5000").write(3000);
  t.receives(". 1:1(0) ack 1 win 0").wait(3_600_000).takeSent();
  assertEquals(t.notes.failure?.name, "TimedOut");
});

tcpTest("a closed connection whose peer never opens its window is given up after five minutes", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 0").write(100);
  t.connection.close();
  for (let second = 0; second < 299; second++) {
    t.wait(1000).receives(". 1:1(0) ack 1 win 0").takeSent();
  }
  assertEquals(t.tcp.connections().length, 1);
  t.wait(1000).takeSent();
  assertEquals([t.tcp.connections().length, t.notes.failure?.name], [0, "TimedOut"]);
});

tcpTest("the user timeout starts anew when a closed window opens", (t) => {
  t.accept("mss 1000", { userTimeout: 5000 }).receives(". 1:1(0) ack 1 win 0").write(100);
  t.wait(4000).receives(". 1:1(0) ack 1 win 1000").takeSent();
  t.wait(4000);
  assertEquals(t.state, "ESTABLISHED");
  t.wait(1000).takeSent();
  assertEquals(t.notes.failure?.name, "TimedOut");
});

tcpTest("giving up while an acknowledgement is due leaves no timer", (t) => {
  t.accept("mss 1000", { userTimeout: 1000 }).receives(". 1:1(0) ack 1 win 0").write(100);
  for (let sequence = 1; sequence < 17; sequence++) {
    t.receives(`P. ${sequence}:${sequence + 1}(1) ack 1 win 0`).takeSent();
  }
  t.wait(980).receives("P. 17:18(1) ack 1 win 0").wait(20).takeSent();
  assertEquals([t.notes.failure?.name, t.time.timers.running], ["TimedOut", 0]);
  t.read();
});

tcpTest("an echo from before the connection began is no sample", (t) => {
  t.wait(100_000).accept("mss 1012,sackOK,TS val 100 ecr 0,nop,wscale 7").write(100);
  t.wait(300).takeSent();
  const { rto, rtt } = t.connection.info();
  t.receives(". 1:1(0) ack 101 <nop,nop,TS val 200 ecr 5>");
  assertEquals([t.connection.info().rtt, t.connection.info().rto], [rtt, rto]);
});

tcpTest("an acknowledgement in a segment from the distant past does not count (RFC 5961 5)", (t) => {
  t.accept(plain).write(1000);
  t.takeSent();
  t.receives(". 1:1(0) ack 1");
  t.peerPort = t.connection.remote.port;
  t.receives(". 3000000000:3000000000(0) ack 1001").takeSent();
  assertEquals(t.connection.unacknowledged, 1000);
});

Deno.test("a small segment of long ago does not hold back another half the sequence space later", () => {
  const sent: number[] = [];
  const transmitter = { transmit: (_flags: number, _sequence: number, length: number) => void sent.push(length) };
  const piece = 32 * 1024 * 1024;
  const sender = new Sender(transmitter, new SpareFlights(new RingStorage()), () => new Reno(), 0, 65_536, piece);
  sender.sndNxt = 1;
  sender.setWindow(0, 0, 2 ** 30);
  sender.window.size = 2 ** 30;
  const acknowledge = () => {
    sender.scoreboard.clear();
    sender.release(sender.sndNxt);
  };
  sender.append(new Uint8Array(10));
  sender.output(0);
  acknowledge();
  const data = new Uint8Array(piece);
  for (let moved = 0; moved < 2 ** 31 + piece; acknowledge()) {
    for (let taken = sender.append(data); taken > 0; taken = sender.append(data)) {
      sender.output(0);
      moved += taken;
    }
  }
  sent.length = 0;
  sender.append(new Uint8Array(5));
  sender.output(0);
  assertEquals(sent, [5]);
});

for (const [name, ours] of [["2^31", 0x7fff_ffff - 5500], ["2^32", 0xffff_ffff - 5500]] as const) {
  tcpTest(`windows, probes and Nagle's algorithm across ${name}`, (t) => {
    t.accept("mss 1000").receives(". 1:1(0) ack 1 win 5000").write(5500);
    assertEquals(t.takeSent().length, 5);
    t.receives(". 1:1(0) ack 5001 win 5000").sends("P. 5001:5501(500) ack 1");
    t.receives(". 1:1(0) ack 5501 win 0").write(10);
    t.wait(t.connection.info().rto).sends("P. 5501:5502(1) ack 1");
    t.receives(". 1:1(0) ack 5502 win 0");
    t.receives(". 1:1(0) ack 5502 win 2000").sends("P. 5502:5511(9) ack 1");
    t.write(10);
    t.sends();
    t.receives(". 1:1(0) ack 5511 win 2000").sends("P. 5511:5521(10) ack 1");
    t.receives(". 1:1(0) ack 5521 win 2000");
    assertEquals(t.connection.unacknowledged, 0);
  }, { ours });
}
