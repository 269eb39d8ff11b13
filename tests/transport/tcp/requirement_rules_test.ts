import { assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { Congestion, type CongestionWindow } from "../../../stack/transport/tcp/congestion/control.ts";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { buildSegment, parseSegment } from "../../helpers/segment_text.ts";
import { type Harness, tcpTest } from "./harness.ts";
import { pattern } from "./pattern.ts";

const plain = "mss 1000";

/** Has segments of the peer arrive in one batch, each `waited` milliseconds ago. */
function receivesAtOnce(t: Harness, waited: number, ...texts: string[]): void {
  for (const text of texts) {
    const ports = { source: t.peerPort, destination: t.ourPort };
    const bytes = buildSegment(parseSegment(text), ports, { sequence: t.peers, ack: t.ours }, pattern);
    t.deliver(bytes, false, t.time.now - waited);
  }
  t.time.settle();
}

tcpTest(
  "segments of one batch are acknowledged together, when all of them have been processed (RFC 9293 3.10.7.4)",
  (t) => {
    t.accept(plain);
    receivesAtOnce(t, 0, ". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1", ". 2001:2501(500) ack 1");
    t.sends(". 1:1(0) ack 2501");
    assertEquals(t.read(), 2500);
  },
);

tcpTest("but each segment that leaves a hole is acknowledged on its own, since the peer counts (RFC 5681 4.2)", (t) => {
  t.accept(plain);
  receivesAtOnce(t, 0, ". 1001:2001(1000) ack 1", ". 2001:3001(1000) ack 1", ". 3001:4001(1000) ack 1");
  t.sends(". 1:1(0) ack 1", ". 1:1(0) ack 1", ". 1:1(0) ack 1");
});

tcpTest(
  "a closed window is probed a hundred times, as long as each probe is answered (RFC 9293 3.8.6.1: MUST-37)",
  (t) => {
    t.accept(plain).receives(". 1:1(0) ack 1 win 0").write(1000);
    for (let probe = 0; probe < 100; probe++) {
      t.wait(120_000);
      assertEquals(t.takeSent().length >= 1, true, `after ${probe} probes`);
      t.receives(". 1:1(0) ack 1 win 0");
    }
    assertEquals(t.state, "ESTABLISHED");
    t.receives(". 1:1(0) ack 1 win 2000").sends("P. 1:1001(1000) ack 1");
    t.receives(". 1:1(0) ack 1001");
  },
);

tcpTest("a frame that waited before it was handled is measured by when it arrived", (t) => {
  t.accept(plain).write(1000);
  t.wait(150);
  receivesAtOnce(t, 100, ". 1:1(0) ack 1001");
  assertEquals(t.connection.info().rttLatest, 50);
  t.takeSent();
});

tcpTest("the same with timestamps", (t) => {
  t.accept().write(1000);
  t.wait(150);
  receivesAtOnce(t, 100, ". 1:1(0) ack 1001 win 65535 <nop,nop,TS val 102 ecr 1100>");
  assertEquals(t.connection.info().rttLatest, 50);
  t.takeSent();
});

tcpTest("a window field above 32,767 is no negative number (RFC 9293 3.1: MUST-1)", (t) => {
  t.accept(plain);
  for (const window of [32_767, 32_768, 65_535]) {
    t.receives(`. 1:1(0) ack 1 win ${window}`);
    assertEquals(t.connection.info().sendWindow, window);
  }
});

tcpTest("windows of a gigabyte are computed with (RFC 9293 3.1: REC-1)", (t) => {
  t.accept(`${plain},nop,wscale 14`).receives(". 1:1(0) ack 1 win 65535");
  assertEquals([t.connection.info().sendWindow, t.connection.sender.windowLeft], [65_535 << 14, 65_535 << 14]);
}, { ours: 2 ** 32 - 100 });

tcpTest("a peer that says nothing of its maximum segment size gets 1220 bytes over IPv6 (RFC 9293 3.7.1)", (t) => {
  t.accept("nop");
  assertEquals(t.connection.info().sendMss, 1220);
}, { address: "2001:db8::1/64" });

tcpTest("RST in SYN-RECEIVED: who opened the connection hears that it was refused (RFC 9293 3.10.7.4)", (t) => {
  t.connect().receives(`S 0:0(0) win 1000 <${plain}>`).takeSent();
  assertEquals(t.state, "SYN-RECEIVED");
  t.receives("R 1:1(0)");
  assertEquals(t.notes.failure?.name, "ConnectionRefused");
});

tcpTest("options are read at any alignment, with whatever padding (RFC 9293 3.1: MUST-64)", (t) => {
  const paddings = ["", "nop,", "nop,nop,", "nop,nop,nop,"];
  for (const [index, padding] of paddings.entries()) {
    t.peerPort = 5000 + index;
    t.listen().receives(`S 0:0(0) win 1000 <${padding}mss 1001,${padding}wscale 3,TS val 77 ecr 0,sackOK>`).takeSent();
    t.receives(". 1:1(0) ack 1 win 100 <TS val 78 ecr 0>");
    t.connection = t.listener!.accept()!;
    const { peerMss, sendWindow, timestamps, selectiveAcknowledgements } = t.connection.info();
    assertEquals([peerMss, sendWindow, timestamps, selectiveAcknowledgements], [1001, 800, true, true]);
    t.connection.abort();
    t.listener!.close();
    t.takeSent();
  }
});

tcpTest("RST may carry data (RFC 9293 3.5.3: SHLD-2)", (t) => {
  t.accept(plain).receives("R. 1:11(10) ack 1");
  assertEquals([t.notes.failure?.name, t.connection.receivable], ["ConnectionReset", 0]);
  t.sends();
});

tcpTest(
  "one can listen on the port of a connection that is being opened, which is left alone (RFC 9293 3.9.1.1)",
  (t) => {
    t.connect().takeSent();
    const local = { address: IpAddress.unspecified4, port: t.ourPort };
    t.listener = t.tcp.listen({ local, reuse: true });
    assertEquals(t.state, "SYN-SENT");
    t.peerPort++;
    t.receives("S 0:0(0) win 1000").sends("S. 0:0(0) ack 1");
    t.peerPort--;
    t.receives("S. 0:0(0) ack 1 win 1000");
    assertEquals([t.state, t.listener.handshakes], ["ESTABLISHED", 1]);
    t.takeSent();
  },
);

tcpTest("what is written without PUSH goes all the same, and the last segment says PSH (RFC 9293 3.9.1.2)", (t) => {
  t.accept(plain).write(2500);
  t.sends(". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1", "P. 2001:2501(500) ack 1");
  t.receives(". 1:1(0) ack 2501");
});

tcpTest(
  "a retransmission goes by the window that there is, and what lies beyond it does not end the connection",
  (t) => {
    t.accept(plain).write(4000);
    t.receives(". 1:1(0) ack 1001 win 1500").takeSent();
    // SHLD-15, SHLD-16, SHLD-17 of RFC 9293 section 3.8.6.
    assertEquals(t.write(1000), 1000);
    t.sends();
    t.wait(400);
    assertEquals(t.takeSent().map(({ sequence }) => sequence), [1001]);
    t.receives(". 1:1(0) ack 4001 win 65535").sends("P. 4001:5001(1000) ack 1");
    t.receives(". 1:1(0) ack 5001 win 65535");
  },
);

tcpTest("a segment without the timestamps that were agreed on is taken all the same", (t) => {
  t.accept().receives(". 1:11(10) ack 1 win 65535");
  assertEquals(t.read(), 10);
  t.receives("R. 11:11(0) ack 1");
  assertEquals(t.notes.failure?.name, "ConnectionReset");
  t.takeSent();
});

tcpTest("an algorithm is told of marks as of losses, unless they are to count for less (RFC 8311)", (t) => {
  const signs: Congestion[] = [];
  class Noting extends Reno {
    override threshold(window: CongestionWindow, inFlight: number, now: number, sign: Congestion): number {
      signs.push(sign);
      return super.threshold(window, inFlight, now, sign);
    }
  }
  for (const alternativeBackoff of [false, true]) {
    t.tcp.options.alternativeBackoff = alternativeBackoff;
    t.listen({ congestionControl: () => new Noting() }).receives(`SEW 0:0(0) win 65535 <${plain}>`);
    t.wait(100).receives(". 1:1(0) ack 1");
    t.connection = t.listener!.accept()!;
    t.connection.send(new Uint8Array(1000));
    t.time.settle();
    t.receives("E. 1:1(0) ack 1001");
    t.network.sent.length = 0;
    t.connection.abort();
    t.listener!.close();
  }
  assertEquals(signs, [Congestion.loss, Congestion.mark]);
  t.takeSent();
});
