import { assertEquals } from "@std/assert";
import { add } from "../../../stack/sequence.ts";
import { Acknowledgement } from "../../../stack/transport/tcp/acknowledgement.ts";
import { Ecn } from "../../../stack/transport/tcp/ecn.ts";
import { Finding, ForwardRto } from "../../../stack/transport/tcp/forward_rto.ts";
import { Flag } from "../../../stack/transport/tcp/header.ts";
import { type Harness, tcpTest } from "./harness.ts";

/** An acknowledgement of `bytes` more. */
function advancing(bytes: number): Acknowledgement {
  const ack = new Acknowledgement();
  ack.advanced = ack.delivered = bytes;
  return ack;
}

Deno.test("a time-out of the same segment once more leaves open whether it was spurious (RFC 5682 2.1)", () => {
  const forward = new ForwardRto();
  forward.begin();
  forward.interrupted();
  assertEquals([forward.acknowledged(advancing(1000), 1001, 5001), forward.wantsNew], [Finding.none, true]);
  assertEquals(forward.acknowledged(advancing(1000), 2001, 5001), Finding.spurious);
});

Deno.test("a time-out while new data decide ends the question", () => {
  const forward = new ForwardRto();
  forward.begin();
  forward.acknowledged(advancing(1000), 1001, 5001);
  forward.interrupted();
  assertEquals([forward.wantsNew, forward.acknowledged(advancing(1000), 2001, 5001)], [false, Finding.none]);
});

Deno.test("an acknowledgement of all that was out says nothing of a time-out (RFC 5682 2.1, step 2a)", () => {
  for (const point of [5001, 5000]) {
    const forward = new ForwardRto();
    forward.begin();
    forward.acknowledged(advancing(5000), 5001, point);
    assertEquals(forward.wantsNew, false);
  }
});

Deno.test("only data that are new tell the peer that the window was reduced (RFC 3168 6.1.5)", () => {
  const ecn = new Ecn();
  ecn.reduced = true;
  assertEquals([ecn.flagsFor(false), ecn.reduced], [0, true]);
  assertEquals([ecn.flagsFor(true), ecn.reduced], [Flag.cwr, false]);
  assertEquals(ecn.flagsFor(true), 0);
});

/** A listener whose queue is full, and the number of the cookie that answers the next SYN. */
function cookie(t: Harness): number {
  t.listen();
  for (t.peerPort = 7000; t.peerPort < 7128; t.peerPort++) t.receives("S 0:0(0) win 1000");
  t.takeSent();
  t.receives("S 0:0(0) win 1000 <mss 1400>");
  return t.takeSent()[0]!.sequence;
}

tcpTest("a cookie is redeemed by ACK alone, not by SYN and ACK", (t) => {
  const acknowledgement = add(cookie(t), 1) >>> 0;
  t.receives(`S. 1:1(0) ack ${acknowledgement}`);
  assertEquals([t.takeSent().map(({ flags }) => flags), t.tcp.counters.synCookiesAccepted], [["R"], 0]);
  t.receives(`. 1:1(0) ack ${acknowledgement}`);
  assertEquals(t.tcp.counters.synCookiesAccepted, 1);
  t.takeSent();
});
