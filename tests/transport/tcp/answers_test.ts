import { assertEquals } from "@std/assert";
import { type Harness, tcpTest } from "./harness.ts";
import { patternBytes } from "./pattern.ts";

/** A request has come in, and the event loop lets the program answer before it flushes. */
function asked(t: Harness): Harness {
  t.accept("mss 1000").receives("P. 1:11(10) ack 1 win 65535");
  t.read();
  t.takeSent();
  t.tcp.flushFollows = true;
  return t;
}

/** Sends `length` bytes of the pattern from `from` on, while the event loop waits. */
function answer(t: Harness, from: number, length: number): void {
  assertEquals(t.connection.send(patternBytes(from, length)), length);
}

/** How many segments have gone out before the flush. */
function sentAlready(t: Harness): number {
  return t.network.sent.length;
}

tcpTest("an answer, its second part and FIN go out in one segment, with the flush", (t) => {
  asked(t);
  answer(t, 1, 100);
  answer(t, 101, 20);
  t.connection.close();
  assertEquals([sentAlready(t), t.tcp.answersWait], [0, true]);
  t.sends("FP. 1:121(120) ack 11");
  assertEquals([t.tcp.answersWait, t.tcp.flushFollows], [false, false]);
});

tcpTest("what fills a segment goes out at once, with all that waited before it", (t) => {
  asked(t);
  answer(t, 1, 999);
  assertEquals(sentAlready(t), 0);
  answer(t, 1000, 1);
  assertEquals(sentAlready(t), 1);
  t.sends("P. 1:1001(1000) ack 11");
});

tcpTest("an answer goes out at once when no flush follows", (t) => {
  asked(t).tcp.flushFollows = false;
  answer(t, 1, 100);
  assertEquals(sentAlready(t), 1);
  t.sends("P. 1:101(100) ack 11");
});

tcpTest("an answer goes out before the reset of a connection that is closed with data unread", (t) => {
  asked(t).receives("P. 11:21(10) ack 1 win 65535").takeSent();
  t.tcp.flushFollows = true;
  answer(t, 1, 100);
  t.connection.close();
  t.sends("P. 1:101(100) ack 21", "R. 101:101(0) ack 21");
});

tcpTest("an answer goes out before the resets of a stack that is closed", (t) => {
  asked(t);
  answer(t, 1, 100);
  t.tcp.close();
  t.sends("P. 1:101(100) ack 11", "R. 101:101(0) ack 11");
});

tcpTest("reads, writes and accepts count as calls of the program, whatever they bring", (t) => {
  t.listen();
  t.receives("S 0:0(0) win 1000").receives(". 1:1(0) ack 1 win 1000").takeSent();
  const calls = () => t.tcp.userCalls;
  const before = calls();
  t.connection = t.listener!.accept()!;
  const accepted = calls();
  t.connection.receive(new Uint8Array(1));
  const read = calls();
  answer(t, 1, 10);
  assertEquals([accepted > before, read > accepted, calls() > read], [true, true, true]);
  t.takeSent();
});

/** What a segment makes of the expectation of an answer, with an observer that waits for data or not. */
function expectation(t: Harness, segment: string, awaitsData: boolean): boolean {
  t.accept("mss 1000");
  t.connection.observer = Object.assign(t.notes, { awaitsData });
  t.receives(segment);
  t.takeSent();
  return t.tcp.answerExpected;
}

tcpTest("data that somebody waits for make an answer likely, until it comes", (t) => {
  assertEquals(expectation(t, "P. 1:11(10) ack 1 win 65535", true), true);
  answer(t, 1, 100);
  assertEquals(t.tcp.answerExpected, false);
  t.takeSent();
});

tcpTest("data that nobody waits for make no answer likely", (t) => {
  assertEquals(expectation(t, "P. 1:11(10) ack 1 win 65535", false), false);
});

tcpTest("the end of the data makes no answer likely, nor do acknowledgements", (t) => {
  assertEquals(expectation(t, "F. 1:1(0) ack 1 win 65535", true), false);
  t.receives(". 2:2(0) ack 1 win 60000");
  t.takeSent();
  assertEquals(t.tcp.answerExpected, false);
});
