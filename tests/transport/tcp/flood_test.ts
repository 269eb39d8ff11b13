import { assert, assertEquals, assertLess } from "@std/assert";
import { maximumTimeWait } from "../../../stack/transport/tcp/time_wait.ts";
import {
  acknowledgementAt,
  assertGoesOn,
  flood,
  leastChallenges,
  mostChallenges,
  plain,
  selective,
  sequenceAt,
  sourcePortAt,
  standing,
  strayAnswers,
  window,
} from "./attacks.ts";
import { type Harness, tcpTest } from "./harness.ts";

/** The peers of a flood come from ports that the established connection does not use. */
const attackers = 40_000;

/** Has `count` SYNs from as many ports and sequence numbers arrive, and returns how many answers there were. */
function floodSyns(t: Harness, count: number): number {
  return flood(t, count, "S 0:0(0) win 1000 <mss 1460>", (view, index) => {
    view.setUint16(sourcePortAt, 10_000 + index % attackers);
    view.setUint32(sequenceAt, Math.imul(index, 0x9e37_79b1));
  });
}

tcpTest("a SYN flood, with cookies: the connection goes on, 128 handshakes are kept, honest clients connect", (t) => {
  t.accept(plain);
  const answers = floodSyns(t, 20_000);
  assertEquals([answers, t.tcp.connections().length, t.listener!.handshakes], [20_000, 129, 128]);
  assertEquals(t.tcp.storage.inUse, 0);
  assert(t.time.timers.running <= 128 + 1, `${t.time.timers.running} timers`);
  assertGoesOn(t);
  const { connection, peerPort } = t;
  for (t.peerPort = 6000; t.peerPort < 6100; t.peerPort++) {
    t.receives("S 0:0(0) win 1000 <mss 1460>");
    const [answer] = t.takeSent();
    floodSyns(t, 10);
    t.receives(`. 1:1(0) ack ${answer!.sequence + 1}`);
    assertEquals(t.listener!.accept()?.remote.port, t.peerPort);
  }
  Object.assign(t, { connection, peerPort });
  assertGoesOn(t);
  // Who never answers is forgotten.
  t.wait(70_000).takeSent();
  assertEquals([t.listener!.handshakes, t.tcp.connections().length], [0, 101]);
});

tcpTest("a SYN flood, without cookies: the connection goes on, honest clients that are quick connect", (t) => {
  t.accept(plain);
  const answers = floodSyns(t, 20_000);
  assertEquals([answers, t.tcp.connections().length, t.listener!.handshakes], [20_000, 129, 128]);
  assertEquals(t.tcp.storage.inUse, 0);
  assert(t.time.timers.running <= 128 + 1, `${t.time.timers.running} timers`);
  const { connection, peerPort } = t;
  t.peerPort = 6000;
  t.receives("S 0:0(0) win 1000 <mss 1460>").sends("S. 0:0(0) ack 1");
  floodSyns(t, 127);
  t.receives(". 1:1(0) ack 1");
  assertEquals(t.listener!.accept()?.remote.port, 6000);
  Object.assign(t, { connection, peerPort });
  assertGoesOn(t);
  t.wait(70_000).takeSent();
  assertEquals([t.listener!.handshakes, t.tcp.connections().length], [0, 2]);
}, { synCookies: false });

tcpTest("more connections than anybody accepts, each with data: the backlog bounds them and their memory", (t) => {
  const backlog = 16;
  t.listen({ receiveBufferBytes: 16_384 }, backlog);
  for (t.peerPort = 6000; t.peerPort < 6200; t.peerPort++) {
    t.receives("S 0:0(0) win 1000 <mss 1460>").receives(". 1:1(0) ack 1");
    for (let sequence = 1; sequence < 30_000; sequence += 1000) {
      t.receives(`P. ${sequence}:${sequence + 1000}(1000) ack 1`);
    }
    t.takeSent();
  }
  assertEquals([t.listener!.acceptable, t.tcp.connections().length], [backlog, backlog]);
  assertEquals(t.tcp.storage.inUse, backlog * 16_384);
  t.listener!.close();
  assertEquals(t.tcp.storage.inUse, 0);
  t.takeSent();
});

tcpTest("an ACK flood: one short answer each from a listener, no connection; from the connection none", (t) => {
  t.accept(plain);
  const count = 10_000;
  const answers = flood(t, count, "P. 1:1001(1000) ack 1", (view, index) => {
    view.setUint16(sourcePortAt, 10_000 + index % attackers);
    view.setUint32(acknowledgementAt, Math.imul(index, 0x9e37_79b1));
  });
  assertEquals([answers, t.tcp.connections().length], [count, 1]);
  assertGoesOn(t);
  const { sndNxt, rcvNxt } = standing(t);
  assertEquals(flood(t, count, `. ${rcvNxt}:${rcvNxt}(0) ack ${sndNxt}`, () => {}), 0);
  assertGoesOn(t);
});

for (const options of [plain, selective]) {
  tcpTest(`a storm of duplicate ACKs, after <${options}>: what is sent has the limit of the window`, (t) => {
    t.accept(options).write(100_000);
    assertEquals(t.takeSent().length, 10);
    const sent = flood(t, 10_000, ". 1:1(0) ack 1", () => {});
    // Without SACK each says that a segment has left the network, but no more of them than were sent; with SACK, none.
    assertLess(sent, options === plain ? window / 1000 : 3);
    const { bytesInFlight, congestionWindow } = t.connection.info();
    assert(bytesInFlight >= 0 && bytesInFlight <= congestionWindow, `${bytesInFlight} of ${congestionWindow} bytes`);
    for (let turn = 0; t.connection.unacknowledged > 0; turn++) {
      assertLess(turn, 100);
      t.wait(20).receives(`. 1:1(0) ack ${standing(t).sndNxt}`).takeSent();
    }
    assertGoesOn(t);
  });
}

tcpTest("a flood of keep-alive probes: eight answers a second, and the connection goes on", (t) => {
  t.accept(plain);
  const probes = () => flood(t, 5000, ". 0:0(0) ack 1", () => {});
  assertEquals(probes(), strayAnswers);
  assertEquals(t.tcp.counters.strayAcksSuppressed, 5000 - strayAnswers);
  t.wait(1000);
  assertEquals(probes(), strayAnswers);
  assertGoesOn(t);
});

/** Opens a connection and closes it, our side first: it waits in TIME-WAIT. Next are 2 and 2. */
function waitInTimeWait(t: Harness, stamps: [string, string, string] = ["", "", ""]): void {
  const [syn, ack, fin] = stamps.map((stamp) => stamp === "" ? "" : `<nop,nop,${stamp}>`);
  t.receives(`S 0:0(0) win 1000 ${syn}`.trim()).receives(`. 1:1(0) ack 1 ${ack}`.trim());
  t.listener!.accept()!.close();
  t.time.settle();
  t.receives(`F. 1:1(0) ack 2 ${fin}`.trim());
  t.network.sent.length = 0;
}

tcpTest("more connections in TIME-WAIT than there may be: the oldest give way, new ones open", (t) => {
  t.listen();
  for (let index = 0; index < maximumTimeWait + 500; index++) {
    t.peerPort = 10_000 + index;
    waitInTimeWait(t);
  }
  assertEquals([t.tcp.timeWait.size, t.tcp.connections().length, t.tcp.storage.inUse], [maximumTimeWait, 0, 0]);
  assertEquals([t.tcp.counters.timeWaitOverflow, t.time.timers.running], [500, 1]);
  const oldest = [...t.tcp.timeWait.values()][0];
  assertEquals(oldest?.remote.port, 10_500);
  t.peerPort = 5000;
  t.listener!.close();
  t.accept(plain);
  assertGoesOn(t);
});

for (
  const [kind, text] of Object.entries({ "SYN": "S 0:0(0)", "data": "P. 0:10(10) ack 2", "ACK": ". 0:0(0) ack 2" })
) {
  tcpTest(`a flood of ${kind} in TIME-WAIT: it waits on and no longer, the answers have a limit`, (t) => {
    t.listen();
    waitInTimeWait(t);
    t.listener!.close();
    t.wait(30_000);
    const sent = flood(t, 5000, text, (view, index) => view.setUint32(sequenceAt, Math.imul(index + 1, 0x9e37_79b1)));
    assert(sent >= leastChallenges && sent < mostChallenges, `${sent} answers`);
    assertEquals([t.tcp.timeWait.size, t.tcp.connections().length], [1, 0]);
    t.wait(29_999);
    assertEquals(t.tcp.timeWait.size, 1);
    t.wait(1);
    assertEquals(t.tcp.timeWait.size, 0);
  });
}

tcpTest("timestamps from the future in TIME-WAIT do not make an honest client's SYN look old", (t) => {
  t.listen();
  waitInTimeWait(t, ["TS val 100 ecr 0", "TS val 101 ecr 1000", "TS val 102 ecr 1000"]);
  for (const text of ["P. 1:2(1) ack 2", ". 1:1(0) ack 2", ". 2:2(0) ack 2", "F. 0:0(0) ack 2"]) {
    t.receives(`${text} <nop,nop,TS val 2000000000 ecr 1000>`);
  }
  t.takeSent();
  t.receives("S 0:0(0) win 1000 <nop,nop,TS val 200 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
});
