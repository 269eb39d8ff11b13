import { assertEquals } from "@std/assert";
import { tcpTest } from "./harness.ts";

/** No timestamps, so that no echo tells what an acknowledgement answers. */
const plain = "mss 1000,wscale 7";
const selective = "mss 1000,sackOK,nop,wscale 7";

for (const [name, options] of [["without SACK", plain], ["with SACK", selective]] as const) {
  tcpTest(
    `a spurious time-out ${name}: new data first, and the next progress takes all of it back (RFC 5682 2.1)`,
    (t) => {
      t.accept(options).write(20_000);
      assertEquals(t.takeSent().length, 10);
      const { congestionWindow, slowStartThreshold } = t.connection.info();
      t.wait(options === plain ? 300 : 1000);
      while (t.connection.info().congestionState !== "loss") t.wait(10);
      t.takeSent();
      // The originals were only late: the first answer covers two of them.
      t.receives(". 1:1(0) ack 2001 win 65535");
      const fresh = t.takeSent();
      assertEquals(fresh.filter(({ sequence }) => sequence < 10_001).length, 0, "nothing is sent again");
      assertEquals(fresh.length, 2);
      t.receives(". 1:1(0) ack 4001 win 65535");
      const info = t.connection.info();
      assertEquals([info.congestionState, info.slowStartThreshold], ["open", slowStartThreshold]);
      assertEquals(info.congestionWindow >= congestionWindow, true);
      const after = t.takeSent();
      assertEquals(after.filter(({ sequence }) => sequence < 10_001).length, 0, "nothing is sent again");
      t.connection.abort();
      t.takeSent();
    },
  );
}

tcpTest("a real time-out: a duplicate after the new data has the lost ones sent again (RFC 5682 2.1, step 3a)", (t) => {
  t.accept(plain).write(20_000);
  t.takeSent();
  t.wait(300).sends(". 1:1001(1000) ack 1");
  t.receives(". 1:1(0) ack 2001 win 65535");
  t.sends(". 10001:11001(1000) ack 1", ". 11001:12001(1000) ack 1");
  t.receives(". 1:1(0) ack 2001 win 65535");
  t.sends(". 2001:3001(1000) ack 1");
  assertEquals(t.connection.info().congestionState, "loss");
  t.connection.abort();
  t.takeSent();
});

tcpTest("no new data: the lost ones are sent again at once (RFC 5682 2.1, step 2a)", (t) => {
  t.accept(plain).write(6000);
  t.takeSent();
  t.wait(300).sends(". 1:1001(1000) ack 1");
  t.receives(". 1:1(0) ack 2001 win 65535");
  t.sends(". 2001:3001(1000) ack 1", ". 3001:4001(1000) ack 1");
  t.connection.abort();
  t.takeSent();
});

tcpTest("small segments that are lost are sent again together (RFC 9293 3.8.1)", (t) => {
  t.accept(plain, { noDelay: true });
  for (let piece = 0; piece < 10; piece++) t.write(150);
  assertEquals(t.takeSent().length, 10);
  t.wait(300).sends(". 1:901(900) ack 1");
  t.receives(". 1:1(0) ack 901 win 65535");
  t.sends("P. 901:1501(600) ack 1");
  t.receives(". 1:1(0) ack 1501 win 65535");
  assertEquals(t.connection.info().bytesInFlight, 0);
});
