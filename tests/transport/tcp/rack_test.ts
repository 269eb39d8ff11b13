import { assertEquals } from "@std/assert";
import { fraction, SeededRandom } from "../../../stack/random.ts";
import { add } from "../../../stack/sequence.ts";
import { Rack } from "../../../stack/transport/tcp/rack.ts";
import { RttEstimator } from "../../../stack/transport/tcp/rtt.ts";
import { Mark, Scoreboard } from "../../../stack/transport/tcp/scoreboard.ts";

/** Segments of 1000 bytes, one sent every millisecond from 0 on, over a path of 100 ms. */
function flight(count: number, base = 0): { rack: Rack; board: Scoreboard; deliver(index: number, now: number): void } {
  const rtt = new RttEstimator();
  for (let sample = 0; sample < 100; sample++) rtt.sample(100, 0);
  const rack = new Rack(rtt);
  const board = new Scoreboard();
  for (let index = 0; index < count; index++) {
    board.append(add(base, 1000 * index), add(base, 1000 * index + 1000), index, 0);
  }
  return {
    rack,
    board,
    deliver(index, now) {
      rack.delivered(board.sentAt(index), board.end(index), board.has(index, Mark.ambiguous), -1, now);
      board.mark(index, Mark.sacked, Mark.lost | Mark.retransmitted);
      rack.digested();
    },
  };
}

/** Indices of what is marked lost. */
function lost(board: Scoreboard): number[] {
  return Array.from({ length: board.count }, (_, index) => index).filter((index) => board.has(index, Mark.lost));
}

for (const base of [0, 0x7fff_ffff - 2500, 0xffff_ffff - 2500]) {
  Deno.test(`what was sent before something that was delivered is lost a quarter of a round trip later, from ${base} on`, () => {
    const { rack, board, deliver } = flight(5, base);
    deliver(2, 102);
    assertEquals([rack.detectLoss(board, false, 102), lost(board)], [24, []]);
    assertEquals([rack.detectLoss(board, false, 125), lost(board)], [1, [0]]);
    assertEquals([rack.detectLoss(board, false, 126), lost(board)], [0, [0, 1]]);
  });

  Deno.test(`segments sent at the same moment are told apart by their sequence numbers, from ${base} on`, () => {
    const { rack, board } = flight(0);
    for (let index = 0; index < 4; index++) board.append(add(base, 1000 * index), add(base, 1000 * index + 1000), 5, 0);
    rack.delivered(5, add(base, 3000), false, -1, 105);
    board.mark(2, Mark.sacked);
    rack.detectLoss(board, true, 105);
    assertEquals(lost(board), [0, 1]);
  });
}

Deno.test("three segments behind it leave no time for reordering that was never seen (RFC 8985 6.2.4)", () => {
  const { rack, board, deliver } = flight(5);
  for (const index of [1, 2, 3]) deliver(index, 101 + index);
  assertEquals([rack.detectLoss(board, false, 104), lost(board)], [0, [0]]);
});

Deno.test("once reordering has been seen, three segments behind it are no proof", () => {
  const { rack, board, deliver } = flight(6);
  deliver(1, 101);
  deliver(0, 102);
  assertEquals(rack.reorderingSeen, true);
  for (const index of [3, 4, 5]) deliver(index, 103 + index);
  assertEquals(rack.detectLoss(board, false, 108) > 0, true);
  assertEquals(lost(board), []);
});

Deno.test("one acknowledgement that makes up for lost ones shows no reordering", () => {
  const { rack, board } = flight(4);
  for (const index of [3, 1, 0]) rack.delivered(board.sentAt(index), board.end(index), false, -1, 110);
  rack.digested();
  assertEquals(rack.reorderingSeen, false);
  rack.delivered(board.sentAt(2), board.end(2), false, -1, 111);
  assertEquals(rack.reorderingSeen, true);
});

Deno.test("a retransmission that fills a hole is no reordering", () => {
  const { rack, board, deliver } = flight(2);
  deliver(1, 101);
  rack.delivered(150, board.end(0), true, -1, 260);
  assertEquals(rack.reorderingSeen, false);
});

Deno.test("a lost retransmission is found when something sent after it is delivered", () => {
  const { rack, board, deliver } = flight(5);
  board.mark(0, Mark.lost);
  board.resent(0, 150);
  board.append(5000, 6000, 160, 0);
  deliver(5, 260);
  rack.detectLoss(board, true, 260);
  assertEquals([board.has(0, Mark.retransmitted), board.firstToRetransmit()], [false, 0]);
});

Deno.test("an acknowledgement that comes too soon, or echoes an earlier time, is not for the retransmission", () => {
  const { rack } = flight(1);
  rack.delivered(150, 1000, true, -1, 249);
  assertEquals(rack.sentAt, -1);
  rack.delivered(150, 1000, true, 149, 300);
  assertEquals(rack.sentAt, -1);
  rack.delivered(150, 1000, true, 150, 300);
  assertEquals([rack.sentAt, rack.rtt], [150, 150]);
});

Deno.test("a reported duplicate widens the window once a round trip; sixteen recoveries narrow it again", () => {
  const { rack, board } = flight(1);
  rack.reorderingSeen = true;
  const width = () => rack.reorderingWindow(board, true);
  assertEquals(width(), 25);
  rack.duplicateReported(0, 1000);
  rack.duplicateReported(500, 1500);
  assertEquals(width(), 50);
  rack.duplicateReported(1000, 2000);
  rack.duplicateReported(2000, 3000);
  // Never more than a round trip.
  rack.duplicateReported(3000, 4000);
  assertEquals(width(), 100);
  for (let recovery = 0; recovery < 15; recovery++) rack.recovered();
  assertEquals(width(), 100);
  rack.recovered();
  assertEquals(width(), 25);
});

Deno.test("when the deadline that was asked for has come, there is nothing left to wait for, whatever the fractions", () => {
  const random = new SeededRandom(1);
  for (let round = 0; round < 2000; round++) {
    const rtt = new RttEstimator();
    rtt.sample(10 + 90 * fraction(random), 0);
    const rack = new Rack(rtt);
    const board = new Scoreboard();
    const sentAt = 20 * fraction(random);
    board.append(0, 1000, sentAt, 0);
    board.append(1000, 2000, sentAt + fraction(random), 0);
    const now = board.sentAt(1) + rtt.smoothed;
    rack.delivered(board.sentAt(1), 2000, false, -1, now);
    board.mark(1, Mark.sacked);
    const deadline = now + rack.detectLoss(board, false, now);
    assertEquals([deadline > now, rack.detectLoss(board, false, deadline), lost(board)], [true, 0, [0]]);
  }
});

Deno.test("after a time-out all is lost but what was sent lately (RFC 8985 6.3)", () => {
  const { rack, board, deliver } = flight(4);
  deliver(1, 101);
  board.append(4000, 5000, 380, 0);
  rack.timedOut(board, 400);
  assertEquals(lost(board), [0, 2, 3]);
  const late = flight(1);
  late.rack.rtt = 100;
  late.rack.timedOut(late.board, 50);
  assertEquals(lost(late.board), [0]);
});
