import { assertEquals } from "@std/assert";
import { maximumTimeWait } from "../../../stack/transport/tcp/time_wait.ts";
import { type Harness, tcpTest } from "./harness.ts";

const plain = "mss 1000,nop,nop,sackOK,nop,wscale 7";
const stamped = "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7";

/** A connection that was closed by both sides, ours first. Next are 2 and 2. */
function waiting(t: Harness, options = plain): Harness {
  t.accept(options).connection.shutdown();
  t.takeSent();
  t.receives(`F. 1:1(0) ack 2 ${options === stamped ? "<nop,nop,TS val 500 ecr 1100>" : ""}`.trim()).takeSent();
  assertEquals(t.tcp.timeWait.size, 1);
  return t;
}

tcpTest("only the FIN itself starts the waiting anew", (t) => {
  waiting(t).wait(59_000);
  t.receives("F. 900:900(0) ack 2").takeSent();
  t.receives("P. 1:2(1) ack 2").takeSent();
  t.wait(1000);
  assertEquals(t.tcp.timeWait.size, 0);
});

tcpTest("data and SYNs are acknowledged, empty segments and resets are not answered", (t) => {
  waiting(t).receives("P. 1:9(8) ack 2").sends(". 2:2(0) ack 2");
  t.receives("S. 1:1(0) ack 2").sends(". 2:2(0) ack 2");
  t.receives(". 2:2(0) ack 2").receives("R 2:2(0)").sends();
});

tcpTest("the acknowledgement carries our clock and the peer's latest", (t) => {
  waiting(t, stamped).wait(500);
  t.receives("F. 1:1(0) ack 2 <nop,nop,TS val 900 ecr 1100>");
  t.sends(". 2:2(0) ack 2 <nop,nop,TS val 1600 ecr 900>");
});

tcpTest("with timestamps, a later one opens anew, an earlier one does not, whatever the sequence number", (t) => {
  waiting(t, stamped).receives("S 90000:90000(0) <mss 1000,nop,nop,TS val 499 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["."]);
  t.receives("S 1:1(0) <mss 1000,nop,nop,TS val 500 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["."]);
  t.receives("S 1:1(0) <mss 1000,nop,nop,TS val 501 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
  assertEquals([t.tcp.timeWait.size, t.tcp.counters.timeWaitReused], [0, 1]);
});

tcpTest("with the same timestamp a higher sequence number opens anew (RFC 6191 2)", (t) => {
  waiting(t, stamped).receives("S 3:3(0) <mss 1000,nop,nop,TS val 500 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
});

tcpTest("timestamps that the old connection did not have open anew (RFC 6191 2)", (t) => {
  waiting(t).receives("S 1:1(0) <mss 1000,nop,nop,TS val 500 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
});

tcpTest("a segment from the future does not make later SYNs look old", (t) => {
  waiting(t, stamped).receives("P. 5000:5001(1) ack 2 <nop,nop,TS val 90000000 ecr 0>").takeSent();
  t.receives("S 1:1(0) <mss 1000,nop,nop,TS val 501 ecr 0>");
  assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
});

for (const peers of [0x7fff_fffe, 0xffff_fffe]) {
  tcpTest(`a SYN after the wraparound of sequence numbers is higher, from ${peers} on`, (t) => {
    waiting(t).receives("S 3:3(0)");
    assertEquals(t.takeSent().map(({ flags }) => flags), ["S."]);
  }, { peers, ours: peers });
}

tcpTest("in a simultaneous close, the acknowledgement of our FIN is not answered", (t) => {
  t.accept(plain).connection.shutdown();
  t.takeSent();
  t.receives("F. 1:1(0) ack 1").sends(". 2:2(0) ack 2");
  t.receives(". 2:2(0) ack 2").sends();
  assertEquals(t.state, "TIME-WAIT");
});

tcpTest("there are never more than the limit: the oldest gives way, and its port is free", (t) => {
  waiting(t);
  const [entry] = t.tcp.timeWait.values();
  const { local, remote } = entry!;
  let ended = 0;
  for (let index = 0; index < maximumTimeWait; index++) {
    const other = Object.assign(Object.create(Object.getPrototypeOf(entry)), entry, {
      remote: { address: remote.address, port: 10_000 + index },
      reservation: { release: () => void ended++ },
    });
    t.tcp.timeWait.add(other);
  }
  assertEquals([t.tcp.timeWait.size, t.tcp.counters.timeWaitOverflow], [maximumTimeWait, 1]);
  assertEquals(t.tcp.timeWait.has(local, remote), false);
  t.wait(60_000);
  assertEquals([t.tcp.timeWait.size, ended], [0, maximumTimeWait]);
});

tcpTest("one that starts anew does not keep those behind it", (t) => {
  const first = waiting(t).peerPort;
  t.peerPort = 5001;
  t.receives(`S 0:0(0) win 1000 <${plain}>`).receives(". 1:1(0) ack 1");
  t.listener!.accept()!.shutdown();
  t.receives("F. 1:1(0) ack 2").takeSent();
  assertEquals(t.tcp.timeWait.size, 2);
  t.peerPort = first;
  t.wait(30_000).receives("F. 1:1(0) ack 2").takeSent();
  t.wait(30_000);
  assertEquals([...t.tcp.timeWait.values()].map(({ remote }) => remote.port), [first]);
  t.wait(30_000);
  assertEquals(t.tcp.timeWait.size, 0);
});
