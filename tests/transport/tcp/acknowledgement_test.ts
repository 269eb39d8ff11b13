import { assertEquals } from "@std/assert";
import { below, SeededRandom } from "../../../stack/random.ts";
import { add, distance } from "../../../stack/sequence.ts";
import { Acknowledgement } from "../../../stack/transport/tcp/acknowledgement.ts";
import { TcpOptions } from "../../../stack/transport/tcp/options.ts";
import { Rack } from "../../../stack/transport/tcp/rack.ts";
import { RttEstimator } from "../../../stack/transport/tcp/rtt.ts";
import { Mark, Scoreboard } from "../../../stack/transport/tcp/scoreboard.ts";

class Flight {
  readonly board = new Scoreboard();
  readonly ack = new Acknowledgement();
  readonly rack = new Rack(new RttEstimator());
  sndUna = 0;

  constructor(readonly count: number, readonly base = 0) {
    for (let index = 0; index < count; index++) {
      this.board.append(add(base, 100 * index), add(base, 100 * index + 100), index, 0);
    }
  }

  /** An acknowledgement number and SACK blocks arrive. */
  digest(acknowledgement: number, ...blocks: [number, number][]): this {
    const options = new TcpOptions();
    options.sackBlocks = blocks.length;
    for (const [block, edges] of blocks.entries()) {
      for (let edge = 0; edge < 2; edge++) options.sackEdges[2 * block + edge] = add(this.base, edges[edge]!);
    }
    const { base } = this;
    const number = add(base, acknowledgement);
    const sndNxt = add(base, 100 * this.count);
    this.ack.digest(this.board, this.rack, number, add(base, this.sndUna), sndNxt, options, -1, 200);
    this.sndUna = acknowledgement;
    return this;
  }

  /** Sequence numbers at which sacked records start. */
  get sacked(): number[] {
    return Array.from({ length: this.board.count }, (_, index) => index)
      .filter((index) => this.board.has(index, Mark.sacked))
      .map((index) => distance(this.board.start(index), this.base));
  }
}

Deno.test("a cumulative acknowledgement removes whole segments and cuts one", () => {
  const { ack, board } = new Flight(5).digest(250);
  assertEquals([ack.advanced, ack.delivered, ack.firstSentAt], [250, 250, 0]);
  assertEquals([board.count, board.outstanding, board.start(0)], [3, 250, 250]);
});

Deno.test("what was acknowledged selectively before is not delivered twice", () => {
  const flight = new Flight(5).digest(0, [100, 300]);
  assertEquals([flight.ack.delivered, flight.ack.advanced, flight.ack.sackedMore], [200, 0, true]);
  flight.digest(300);
  assertEquals([flight.ack.delivered, flight.ack.advanced, flight.ack.sackedMore], [100, 300, false]);
  flight.digest(300);
  assertEquals([flight.ack.delivered, flight.ack.advanced], [0, 0]);
});

Deno.test("a block that covers parts of segments cuts them", () => {
  const flight = new Flight(5).digest(0, [150, 320]);
  assertEquals(flight.sacked, [150, 200, 300]);
  assertEquals([flight.board.count, flight.board.sacked], [7, 170]);
});

Deno.test("blocks that are inverted, empty, beyond what was sent or below the acknowledgement do nothing", () => {
  const flight = new Flight(5).digest(100).digest(100, [300, 200], [400, 400], [300, 501], [0, 100]);
  assertEquals([flight.sacked, flight.ack.delivered], [[], 0]);
});

Deno.test("a first block below the acknowledgement, or inside the second, reports a duplicate (RFC 2883)", () => {
  const flight = new Flight(5).digest(200, [0, 100]);
  assertEquals([flight.ack.duplicateReported, flight.ack.duplicateStart, flight.ack.duplicateEnd], [true, 0, 100]);
  flight.digest(200, [300, 400], [300, 500]);
  assertEquals([flight.ack.duplicateReported, flight.sacked], [true, [300, 400]]);
  flight.digest(200, [300, 500]);
  assertEquals(flight.ack.duplicateReported, false);
});

Deno.test("without SACK, duplicates are counted from the second segment on, and progress forgets them", () => {
  const flight = new Flight(5).digest(0);
  flight.ack.countDuplicate(flight.board);
  flight.ack.countDuplicate(flight.board);
  assertEquals([flight.sacked, flight.board.inFlight], [[100, 200], 300]);
  flight.digest(100);
  flight.ack.moveCountedMarks(flight.board);
  assertEquals(flight.sacked, [200, 300]);
  flight.ack.forgetCountedMarks(flight.board);
  assertEquals([flight.sacked, flight.board.sackedCount], [[], 0]);
});

Deno.test("what was sent again is ambiguous: it gives no time", () => {
  const flight = new Flight(2);
  flight.board.mark(0, Mark.lost);
  flight.board.resent(0, 50);
  flight.digest(100);
  assertEquals([flight.ack.ambiguous, flight.ack.retransmissionAcked, flight.ack.firstSentAt], [true, true, -1]);
});

for (const base of [0, 0x7fff_ffff - 700, 0xffff_ffff - 700]) {
  Deno.test(`after any acknowledgements the scoreboard knows exactly the bytes that were named, from ${base} on`, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed);
      const flight = new Flight(20, base);
      const known = new Set<number>();
      let sndUna = 0;
      let delivered = 0;
      for (let step = 0; step < 60 && sndUna < 2000; step++) {
        if (below(random, 5) === 0) sndUna = Math.min(2000, sndUna + below(random, 180));
        const blocks: [number, number][] = [];
        for (let block = below(random, 4); block > 0; block--) {
          const left = sndUna + 1 + below(random, 2000);
          const right = Math.min(2000, left + 1 + below(random, 250));
          if (left < right) blocks.push([left, right]);
        }
        // The first may report a duplicate, which says nothing new; none of these lies in the second.
        if (blocks.length > 1 && blocks[0]![0] >= blocks[1]![0] && blocks[0]![1] <= blocks[1]![1]) blocks.shift();
        flight.digest(sndUna, ...blocks);
        const before = known.size;
        for (let byte = 0; byte < sndUna; byte++) known.add(byte);
        for (const [left, right] of blocks) for (let byte = left; byte < right; byte++) known.add(byte);
        assertEquals(flight.ack.delivered, known.size - before);
        delivered += flight.ack.delivered;
        assertEquals(delivered, known.size);
        assertEquals(flight.board.outstanding, 2000 - sndUna);
        assertEquals(flight.board.sacked, known.size - sndUna);
      }
    }
  });
}

Deno.test("a super-segment of which a part is acknowledged stays for the rest, and the part says when it was sent", () => {
  const board = new Scoreboard();
  const rack = new Rack(new RttEstimator());
  const ack = new Acknowledgement();
  board.append(0, 1000, 40, 0, 100);
  ack.digest(board, rack, 300, 0, 1000, new TcpOptions(), -1, 100);
  assertEquals([ack.advanced, ack.delivered, ack.firstSentAt], [300, 300, 40]);
  assertEquals([board.count, board.outstanding, rack.sentAt, rack.end], [1, 700, 40, 300]);
});

Deno.test("blocks cut a super-segment, and count as the segments that they cover", () => {
  const board = new Scoreboard();
  const rack = new Rack(new RttEstimator());
  const ack = new Acknowledgement();
  board.append(0, 1000, 40, 0, 100);
  const options = new TcpOptions();
  options.sackBlocks = 1;
  options.sackEdges.set([200, 500]);
  ack.digest(board, rack, 0, 0, 1000, options, -1, 100);
  assertEquals([board.count, board.sacked, board.sackedCount, ack.delivered], [3, 300, 3, 300]);
  // As with segments of their own: three that came mean that nothing is waited for (RFC 8985 section 6.2.4).
  assertEquals(rack.detectLoss(board, false, 100), 0);
  assertEquals([board.has(0, Mark.lost), board.size(0), board.has(2, Mark.lost)], [true, 200, false]);
});
