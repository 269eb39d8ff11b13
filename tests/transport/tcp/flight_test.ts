import { assertEquals, assertStrictEquals } from "@std/assert";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { SpareFlights } from "../../../stack/transport/tcp/flight.ts";
import { RingStorage } from "../../../stack/transport/tcp/ring.ts";
import { Sender } from "../../../stack/transport/tcp/send.ts";
import { tcpTest } from "./harness.ts";

tcpTest("a connection has a flight for as long as something is in the network or waits", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 1000").takeSent();
  const { sender } = t.connection;
  assertEquals(sender.flying, false);
  t.write(2000);
  assertEquals([sender.flying, t.takeSent().length], [true, 1]);
  t.receives(". 1:1(0) ack 1001 win 0").takeSent();
  assertEquals([sender.scoreboard.count, sender.flying], [0, true]);
  t.receives(". 1:1(0) ack 1001 win 1000").takeSent();
  t.receives(". 1:1(0) ack 2001 win 1000").takeSent();
  assertEquals(sender.flying, false);
});

tcpTest("what is asked of an idle connection, and its settings, need no flight", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 1000").takeSent();
  t.write(1000);
  t.takeSent();
  t.wait(20).receives(". 1:1(0) ack 1001 win 1000").takeSent();
  const { congestionWindow, bytesDelivered } = t.connection.info();
  t.connection.configure({ noDelay: true, minimumTimeout: 300 });
  assertEquals([t.connection.sender.flying, bytesDelivered, congestionWindow > 1000], [false, 1000, true]);
});

tcpTest("what was learnt outlasts a pause: window, threshold, round trips, time-outs", (t) => {
  t.accept("mss 1000").receives(". 1:1(0) ack 1 win 20000").takeSent();
  t.write(1000);
  t.wait(50).receives(". 1:1(0) ack 1001 win 20000").takeSent();
  const before = t.connection.info();
  assertEquals([t.connection.sender.flying, before.rttLatest], [false, 50]);
  t.write(1000);
  const { rtt, rttMin, rto, congestionWindow, slowStartThreshold } = t.connection.info();
  assertEquals(
    { rtt, rttMin, rto, congestionWindow, slowStartThreshold },
    {
      rtt: before.rtt,
      rttMin: before.rttMin,
      rto: before.rto,
      congestionWindow: before.congestionWindow,
      slowStartThreshold: before.slowStartThreshold,
    },
  );
  t.receives(". 1:1(0) ack 2001 win 20000").takeSent();
});

/** Two senders that share their flights. */
function makeSenders(): Sender[] {
  const spare = new SpareFlights(new RingStorage());
  const transmitter = { transmit: () => {} };
  return [0, 5000].map((start) => {
    const sender = new Sender(transmitter, spare, () => new Reno(), start, 1000, 65_536);
    sender.sndNxt = start + 1;
    sender.release(start + 1);
    sender.setWindow(0, 0, 65_535);
    sender.rest(0);
    return sender;
  });
}

Deno.test("a flight goes from one connection to the next, with nothing of the first in it", () => {
  const [first, second] = makeSenders() as [Sender, Sender];
  first.append(new Uint8Array(1000));
  first.output(0);
  const { scoreboard } = first;
  scoreboard.shift();
  first.release(1001);
  first.rest(10);
  assertEquals(first.flying, false);
  second.append(new Uint8Array(500));
  second.output(20);
  assertStrictEquals(second.scoreboard, scoreboard);
  assertEquals([scoreboard.start(0), scoreboard.end(0), second.buffer.end, second.unsent], [5001, 5501, 5501, 0]);
  assertEquals([first.scoreboard.count, first.queued, first.unsent], [0, 0, 0]);
});

Deno.test("a flight in which a recovery has left something stays, and is not handed on when its connection ends", () => {
  const [first, second] = makeSenders() as [Sender, Sender];
  first.append(new Uint8Array(1000));
  first.output(0);
  first.recovery.rack.reorderingSeen = true;
  const { scoreboard } = first;
  scoreboard.shift();
  first.release(1001);
  first.rest(10);
  assertEquals([first.flying, first.reorderingSeen], [true, true]);
  first.clear();
  second.append(new Uint8Array(500));
  assertEquals([second.scoreboard === scoreboard, second.reorderingSeen], [false, false]);
});
