import { assert, assertEquals } from "@std/assert";
import { ErrorKind } from "../../../stack/protocol.ts";
import { State } from "../../../stack/transport/tcp/state.ts";
import { type Harness, tcpTest } from "./harness.ts";
import { Pair } from "./pair.ts";
import { patternBytes } from "./pattern.ts";

const options = "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7";

/** The cookie of the peer, in digits. */
function cookieOfPeer(t: Harness): string {
  const cookie = t.tcp.fastOpen.cookies.make(t.peer, t.network.own);
  return [...cookie].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The peer opens fast with 10 bytes; the connection is accepted before the handshake is complete. */
function openFast(t: Harness): Harness {
  t.listen({}, 16, true).receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`);
  t.sends("S. 0:0(0) ack 11 win 65525 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7>");
  t.connection = t.listener!.accept()!;
  t.connection.observer = t.notes;
  return t;
}

/** Begins to connect with a cookie of the server; nothing has been sent yet. */
function connectFast(t: Harness, maximumSegmentSize = 1460): Harness {
  t.tcp.fastOpen.cache.learn(t.peer, Uint8Array.of(1, 2, 3, 4), false, maximumSegmentSize);
  return t.connect({}, true).sends();
}

const fastSyn = "<mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7,FO 01020304,nop,nop>";

tcpTest("server: a client that asks for a cookie gets one with the SYN and ACK", (t) => {
  t.listen({}, 16, true).receives(`S 0:0(0) win 65535 <${options},FO>`);
  const cookie = cookieOfPeer(t);
  t.sends(`S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7,FO ${cookie},nop,nop>`);
  t.receives(". 1:1(0) ack 1 <nop,nop,TS val 101 ecr 1000>");
  assertEquals(t.listener!.accept()!.info().fastOpen, false);
  assertEquals(t.tcp.counters.fastOpenCookiesSent, 1);
});

tcpTest("server: without the setting the option is ignored, and the SYN's data are left to come again", (t) => {
  t.listen().receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`);
  t.sends("S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7>");
  assertEquals(t.listener!.accept(), null);
});

tcpTest("server: with a good cookie the SYN's data are read before the handshake is complete", (t) => {
  openFast(t);
  assertEquals([t.state, t.read()], ["SYN-RECEIVED", 10]);
  t.receives(". 11:11(0) ack 1 win 500 <nop,nop,TS val 101 ecr 1000>");
  assertEquals([t.state, t.connection.info().fastOpen], ["ESTABLISHED", true]);
  t.receives("P. 11:31(20) ack 1 win 500 <nop,nop,TS val 102 ecr 1000>");
  assertEquals(t.read(), 20);
  assertEquals(t.tcp.counters.fastOpenPassive, 1);
});

tcpTest("server: it answers before the handshake is complete, within the initial window", (t) => {
  openFast(t);
  assertEquals(t.write(20_000), 20_000);
  const sent = t.takeSent();
  assertEquals(sent.map(({ sequence }) => sequence)[0], 1);
  // Ten segments: the SYN and ACK takes no room among them.
  assertEquals(sent.reduce((bytes, { length }) => bytes + length, 0), 10 * 1448);
  t.receives(". 11:11(0) ack 14481 win 500 <nop,nop,TS val 101 ecr 1000>");
  assertEquals(t.takeSent().reduce((bytes, { length }) => bytes + length, 0), 20_000 - 14_480);
  t.receives(". 11:11(0) ack 20001 win 500 <nop,nop,TS val 102 ecr 1000>");
  assertEquals(t.connection.unacknowledged, 0);
});

tcpTest("server: a good cookie without data opens fast too", (t) => {
  t.listen({}, 16, true).receives(`S 0:0(0) win 65535 <${options},FO ${cookieOfPeer(t)}>`);
  t.sends("S. 0:0(0) ack 1");
  t.connection = t.listener!.accept()!;
  assertEquals(t.write(5), 5);
  t.sends("P. 1:6(5) ack 1");
  t.receives(". 1:1(0) ack 6 win 500 <nop,nop,TS val 101 ecr 1000>");
  assertEquals([t.state, t.connection.info().fastOpen], ["ESTABLISHED", false]);
});

tcpTest("server: a cookie that is none of ours is answered with the right one, and its data are not taken", (t) => {
  t.listen({}, 16, true).receives(`S 0:10(10) win 65535 <${options},FO 0102030405060708>`);
  t.sends(`S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7,FO ${cookieOfPeer(t)},nop,nop>`);
  assertEquals(t.listener!.accept(), null);
  assertEquals(t.tcp.counters.fastOpenCookiesRefused, 1);
});

tcpTest("server: a cookie made with the last key opens fast, and is replaced", (t) => {
  const old = cookieOfPeer(t);
  t.tcp.fastOpen.cookies.rotate();
  t.listen({}, 16, true).receives(`S 0:10(10) win 65535 <${options},FO ${old}>`);
  t.sends(`S. 0:0(0) ack 11 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7,FO ${cookieOfPeer(t)},nop,nop>`);
  assertEquals(t.listener!.accept()!.receivable, 10);
});

tcpTest("server: the experimental option is accepted only where the listener says so", (t) => {
  const cookie = cookieOfPeer(t);
  t.listen({}, 16, true).receives(`S 0:10(10) win 65535 <${options},FOEXP ${cookie}>`).sends("S. 0:0(0) ack 1");
  t.listener!.close();
  t.takeSent();
  t.listen({}, 16, { experimental: true }).receives(`S 0:10(10) win 65535 <${options},FOEXP ${cookie}>`);
  t.sends("S. 0:0(0) ack 11");
}, { timeWait: 0 });

tcpTest("server: the experimental option asks for a cookie in its own kind", (t) => {
  t.listen({}, 16, { experimental: true }).receives(`S 0:0(0) win 65535 <${options},FOEXP>`);
  t.sends(`S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7,FOEXP ${cookieOfPeer(t)}>`);
});

tcpTest(
  "server: a SYN that comes again, with its data or without, is answered with the acknowledgement of them",
  (t) => {
    openFast(t);
    t.receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`).sends("S. 0:0(0) ack 11");
    t.receives(`S 0:0(0) win 65535 <${options}>`).sends("S. 0:0(0) ack 11");
    assertEquals(t.read(), 10);
  },
);

tcpTest("server: SYN and ACK are sent again without the option, and the connection fails after the fifth", (t) => {
  openFast(t);
  for (const delay of [1000, 2000, 4000, 8000, 16000]) {
    t.wait(delay);
    t.sends(`S. 0:0(0) ack 11 <mss 1460,sackOK,TS val ${t.time.now} ecr 100,nop,wscale 7>`);
  }
  t.wait(32_000);
  assertEquals(t.notes.failure?.name, "TimedOut");
});

tcpTest("server: a reset before the handshake is complete is a failure that the program hears of", (t) => {
  openFast(t).receives("R 11:11(0)");
  assertEquals(t.notes.failure?.name, "ConnectionReset");
  assertEquals(t.read(), 10);
});

tcpTest("server: so many may be pending; further clients go the ordinary way until a handshake is complete", (t) => {
  t.listen({}, 16, { pending: 2 });
  const syn = `S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`;
  for (const port of [5001, 5002]) {
    t.peerPort = port;
    t.receives(syn).sends("S. 0:0(0) ack 11");
  }
  t.peerPort = 5003;
  t.receives(syn).sends("S. 0:0(0) ack 1");
  assertEquals(t.tcp.counters.fastOpenOverflow, 1);
  t.peerPort = 5001;
  t.receives(". 11:11(0) ack 1 <nop,nop,TS val 101 ecr 1000>");
  t.peerPort = 5004;
  t.receives(syn).sends("S. 0:0(0) ack 11");
});

tcpTest("server: a place that is freed by a reset stays taken for a minute", (t) => {
  t.listen({}, 16, { pending: 1 });
  const syn = `S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`;
  t.receives(syn).sends("S. 0:0(0) ack 11");
  t.receives("R 11:11(0)").wait(59_999);
  t.receives(syn).sends("S. 0:0(0) ack 1");
  t.receives("R 1:1(0)").wait(1);
  t.receives(syn).sends("S. 0:0(0) ack 11");
});

tcpTest("server: while SYN cookies are sent, a good Fast Open cookie counts for nothing", (t) => {
  t.listen({}, 16, true);
  for (let port = 6000; port < 6128; port++) {
    t.peerPort = port;
    t.receives(`S 0:0(0) win 65535 <${options}>`);
  }
  t.takeSent();
  t.peerPort = 5000;
  t.receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`);
  const [answer] = t.takeSent();
  assertEquals([answer!.flags, answer!.ack, answer!.options!.includes("FO")], ["S.", 1, false]);
  assertEquals([t.tcp.counters.synCookiesSent, t.tcp.counters.fastOpenPassive], [1, 0]);
});

tcpTest("server: a full accept queue drops SYNs with cookies as it does others", (t) => {
  t.listen({}, 1, true);
  t.receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`).sends("S. 0:0(0) ack 11");
  t.peerPort = 5001;
  t.receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`).sends();
});

tcpTest("server: what is not accepted when the listener is closed is reset", (t) => {
  openFast(t);
  t.peerPort = 5001;
  t.receives(`S 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`).takeSent();
  t.listener!.close();
  t.sends("R. 1:1(0) ack 11");
  assertEquals(t.notes.failure, undefined);
});

tcpTest("server: FIN waits for the end of the handshake, and the answer goes before it", (t) => {
  openFast(t);
  t.read();
  t.write(5);
  t.sends("P. 1:6(5) ack 11");
  t.connection.close();
  t.sends();
  assertEquals([t.state, t.connection.send(new Uint8Array(1))], ["SYN-RECEIVED", 0]);
  t.receives(". 11:11(0) ack 6 win 500 <nop,nop,TS val 101 ecr 1000>").sends("F. 6:6(0) ack 11");
  assertEquals(t.state, "FIN-WAIT-1");
});

tcpTest("server: closing with unread data of the SYN resets the connection", (t) => {
  openFast(t).connection.close();
  t.sends("R. 1:1(0) ack 11");
});

tcpTest("server: what did not arrive before the handshake was complete is sent again", (t) => {
  openFast(t);
  t.write(5);
  t.takeSent();
  t.receives(". 11:11(0) ack 1 win 500 <nop,nop,TS val 101 ecr 1000>");
  t.wait(200).sends("P. 1:6(5) ack 11");
  t.receives(". 11:11(0) ack 6 win 500 <nop,nop,TS val 102 ecr 2000>");
  assertEquals(t.connection.unacknowledged, 0);
});

tcpTest("server: FIN in the SYN is not taken; it comes again behind the data", (t) => {
  t.listen({}, 16, true).receives(`FS 0:10(10) win 65535 <${options},FO ${cookieOfPeer(t)}>`).sends("S. 0:0(0) ack 11");
  t.connection = t.listener!.accept()!;
  t.receives("F. 11:11(0) ack 1 <nop,nop,TS val 101 ecr 1000>").sends(". 1:1(0) ack 12");
  assertEquals([t.state, t.read(), t.connection.ended], ["CLOSE-WAIT", 10, true]);
});

tcpTest("client: without a cookie it asks for one, and remembers what it gets", (t) => {
  t.connect({}, true).sends("S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7,FO,nop,nop>");
  t.receives("S. 0:0(0) ack 1 <mss 1400,sackOK,TS val 5 ecr 1000,nop,wscale 7,FO 0a0b0c0d0e0f>").sends(
    ". 1:1(0) ack 1",
  );
  const { cookie, maximumSegmentSize, experimental } = t.tcp.fastOpen.cache.get(t.peer)!;
  assertEquals([cookie, maximumSegmentSize, experimental], [Uint8Array.of(10, 11, 12, 13, 14, 15), 1400, false]);
});

tcpTest("client: cookies of a length that cannot be are not remembered, and for a while not asked for again", (t) => {
  const { cache } = t.tcp.fastOpen;
  for (const cookie of ["0a0b", "0a0b0c0d0e", "00".repeat(18)]) {
    cache.clear();
    t.connect({}, true).takeSent();
    t.receives(`S. 0:0(0) ack 1 <mss 1400,FO ${cookie}>`);
    assertEquals([cache.get(t.peer)?.cookie, cache.allows(t.peer)], [null, false]);
    t.connection.abort();
    t.takeSent();
  }
});

tcpTest("client: with a cookie the SYN waits for the first data, and carries them", (t) => {
  connectFast(t);
  assertEquals([t.state, t.connection.deferred], ["SYN-SENT", true]);
  t.write(100);
  t.sends(`S 0:100(100) ${fastSyn}`);
  t.wait(10).receives("S. 0:0(0) ack 101 win 20000 <mss 1460,sackOK,TS val 5 ecr 1000,nop,wscale 3>");
  t.sends(". 101:101(0) ack 1");
  const { fastOpen, bytesSent, bytesRetransmitted, rtt } = t.connection.info();
  assertEquals([t.state, fastOpen, bytesSent, bytesRetransmitted, rtt], ["ESTABLISHED", true, 100, 0, 10]);
  assertEquals(t.notes.events, ["writable", "established"]);
  assertEquals(t.tcp.counters.fastOpenActive, 1);
});

tcpTest("client: the SYN carries no more than the server's segments less all options; the rest follows", (t) => {
  connectFast(t, 1000);
  t.write(2000);
  t.sends(`S 0:960(960) ${fastSyn}`);
  t.receives("S. 0:0(0) ack 961 win 20000 <mss 1000,sackOK,TS val 5 ecr 1000,nop,wscale 3>");
  t.sends(". 961:1949(988) ack 1", "P. 1949:2001(52) ack 1");
});

tcpTest("client: a server of unknown segment size gets at most 496 bytes", (t) => {
  connectFast(t, 0);
  t.write(2000);
  t.sends(`S 0:496(496) ${fastSyn}`);
});

tcpTest("client: what the server did not take is sent again at once, and costs no window", (t) => {
  connectFast(t);
  t.write(100);
  t.takeSent();
  t.receives("S. 0:0(0) ack 1 win 20000 <mss 1460,sackOK,TS val 5 ecr 1000,nop,wscale 3>").sends("P. 1:101(100) ack 1");
  const { fastOpen, congestionWindow, slowStartThreshold, segmentsRetransmitted } = t.connection.info();
  assertEquals([fastOpen, congestionWindow, slowStartThreshold], [false, 14_480, Infinity]);
  assertEquals([segmentsRetransmitted, t.tcp.counters.fastOpenActiveRefused], [1, 1]);
  t.receives(". 1:1(0) ack 101 win 2500 <nop,nop,TS val 6 ecr 1000>");
  assertEquals([t.connection.unacknowledged, t.connection.info().congestionState], [0, "open"]);
});

tcpTest("client: what the server took a part of is completed", (t) => {
  connectFast(t);
  t.write(100);
  t.takeSent();
  t.receives("S. 0:0(0) ack 41 win 20000 <mss 1460,sackOK,TS val 5 ecr 1000,nop,wscale 3>").sends(
    "P. 41:101(60) ack 1",
  );
});

tcpTest("client: the SYN is sent again without data and option; its data follow when they were not taken", (t) => {
  connectFast(t);
  t.write(100);
  t.takeSent();
  t.wait(1000).sends("S 0:0(0) <mss 1460,sackOK,TS val 2000 ecr 0,nop,wscale 7>");
  t.receives("S. 0:0(0) ack 1 win 20000 <mss 1460,sackOK,TS val 5 ecr 2000,nop,wscale 3>").sends("P. 1:101(100) ack 1");
});

tcpTest("client: data that were taken although their SYN had to be sent again are not sent again", (t) => {
  connectFast(t);
  t.write(100);
  t.takeSent();
  t.wait(1000).takeSent();
  t.receives("S. 0:0(0) ack 101 win 20000 <mss 1460,sackOK,TS val 5 ecr 2000,nop,wscale 3>").sends(
    ". 101:101(0) ack 1",
  );
  assertEquals(t.connection.info().fastOpen, true);
});

tcpTest("client: after SYNs of two connections got lost the next one goes the ordinary way, for a minute", (t) => {
  for (let attempt = 0; attempt < 2; attempt++) {
    connectFast(t).connection.send(patternBytes(1, 10));
    if (attempt === 1) t.tcp.fastOpen.cache.lost(t.peer);
    t.wait(1000).takeSent();
    t.connection.abort();
  }
  t.connect({}, true).sends("S 0:0(0) <mss 1460,sackOK,TS val 3000 ecr 0,nop,wscale 7>");
  t.connection.abort();
  t.wait(60_000).connect({}, true).sends();
  assert(t.connection.deferred);
});

tcpTest("client: what is written while the SYN is under way goes when the handshake is complete", (t) => {
  connectFast(t);
  t.write(100);
  t.write(50);
  t.sends(`S 0:100(100) ${fastSyn}`);
  t.receives("S. 0:0(0) ack 101 win 20000 <mss 1460,sackOK,TS val 5 ecr 1000,nop,wscale 3>").sends(
    "P. 101:151(50) ack 1",
  );
});

tcpTest("client: a reader that writes nothing has the SYN sent with the cookie alone", (t) => {
  connectFast(t).connection.proceed();
  t.sends(`S 0:0(0) ${fastSyn}`);
  t.connection.proceed();
  t.sends();
});

tcpTest("client: ending our side first sends the SYN, and FIN behind the handshake", (t) => {
  connectFast(t).connection.shutdown();
  t.sends(`S 0:0(0) ${fastSyn}`);
  t.receives("S. 0:0(0) ack 1 win 20000 <mss 1460>").sends("F. 1:1(0) ack 1");
});

tcpTest("client: closing before anything was written sends nothing", (t) => {
  connectFast(t).connection.close();
  t.sends();
  assertEquals(t.notes.failure, null);
});

tcpTest("client: closing behind the data delivers them in the background", (t) => {
  connectFast(t);
  t.write(100);
  t.connection.close();
  t.takeSent();
  t.receives("S. 0:0(0) ack 101 win 20000 <mss 1460>").sends("F. 101:101(0) ack 1");
});

tcpTest("client: a refusal fails the connection, and is no lost SYN", (t) => {
  connectFast(t).write(100);
  t.takeSent();
  t.receives("R. 0:0(0) ack 101");
  assertEquals(t.notes.failure?.name, "ConnectionRefused");
  assertEquals(t.tcp.fastOpen.cache.get(t.peer)?.losses, 0);
});

tcpTest("client: an unreachable host fails the connection", (t) => {
  connectFast(t).write(100);
  t.takeSent();
  t.reports(ErrorKind.hostUnreachable, "S 0:100(100)");
  assertEquals(t.notes.failure?.name, "HostUnreachable");
});

tcpTest("client: segments from nowhere do not open a connection whose SYN waits", (t) => {
  connectFast(t);
  t.receives("S. 0:0(0) ack 1 <mss 1460>").sends("R 1:1(0)");
  t.receives("- 1:11(10)").receives("R 1:1(0)").sends();
  assertEquals([t.state, t.connection.deferred], ["SYN-SENT", true]);
});

tcpTest("client: a SYN of the peer opens both ways at once, and the data follow", (t) => {
  connectFast(t).write(100);
  t.takeSent();
  t.receives("S 0:0(0) win 20000 <mss 1460>").sends("S. 0:0(0) ack 1");
  t.receives("S. 0:0(0) ack 1 win 20000");
  t.wait(3000).sends("P. 1:101(100) ack 1");
  assertEquals(t.state, "ESTABLISHED");
});

/** Bytes up and down: less than the SYN holds, more than it holds, and the other way round. */
const transfers = [[10, 20_000], [20_000, 10], [1420, 1420], [0, 5000]] as const;

for (const [up, down] of transfers) {
  Deno.test(`${up} bytes up and ${down} down are exact by Fast Open, whatever is lost, doubled and reordered`, () => {
    let fast = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const pair = new Pair({ seed, fastOpen: true, loss: 0.15, duplication: 0.1, jitter: 30 });
      pair.transfer(up, down);
      if (pair.far!.info().fastOpen) fast++;
      pair.end();
    }
    // A SYN whose data are lost goes again without them.
    if (up > 0) assert(fast > 25 && fast < 50, `${fast} of 50 opened fast`);
  });
}

Deno.test("the answer to a request comes a round trip earlier by Fast Open", () => {
  const answeredAfter = (fastOpen: boolean): number => {
    const pair = new Pair({ delay: 50, fastOpen });
    let asked = false;
    const time = pair.time.runUntil(() => {
      if (!asked && (pair.near.deferred || pair.near.state === State.established)) {
        asked = pair.near.send(patternBytes(0, 100)) === 100;
      }
      pair.far ??= pair.listener.accept();
      if (pair.far !== null && pair.far.receive(new Uint8Array(100)) === 100) pair.far.send(patternBytes(0, 10));
      return pair.near.receivable === 10;
    });
    pair.near.abort();
    pair.end();
    return Math.round(time);
  };
  assertEquals([answeredAfter(false), answeredAfter(true)], [200, 100]);
});
