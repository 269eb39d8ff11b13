import { assertEquals } from "@std/assert";
import { below, SeededRandom } from "../../../stack/random.ts";
import { add, distance } from "../../../stack/sequence.ts";
import { Mark, Scoreboard } from "../../../stack/transport/tcp/scoreboard.ts";

interface Row {
  start: number;
  end: number;
  sentAt: number;
  marks: number;
  largest: number;
}

/** A record and what it is made of: `segmentBytes` is 0 where it is one segment. */
interface Model extends Omit<Row, "largest"> {
  segmentBytes: number;
}

function largestSegment({ start, end, segmentBytes }: Model): number {
  return segmentBytes === 0 ? end - start : Math.min(segmentBytes, end - start);
}

/** Compares everything that a scoreboard says with what a plain list of records gives. */
function assertSame(scoreboard: Scoreboard, rows: Model[], base: number): void {
  const actual = Array.from({ length: scoreboard.count }, (_, index) => ({
    start: distance(scoreboard.start(index), base),
    end: distance(scoreboard.end(index), base),
    sentAt: scoreboard.sentAt(index),
    marks: scoreboard.marks(index),
    largest: scoreboard.largestSegment(index),
  }));
  assertEquals(
    actual,
    rows.map((row): Row => ({
      start: row.start,
      end: row.end,
      sentAt: row.sentAt,
      marks: row.marks,
      largest: largestSegment(row),
    })),
  );
  const sum = (mark: number) =>
    rows.reduce((total, { start, end, marks }) => total + ((marks & mark) === mark ? end - start : 0), 0);
  const { outstanding, sacked, lost, retransmitted, sackedCount, inFlight } = scoreboard;
  assertEquals({ outstanding, sacked, lost, retransmitted, sackedCount, inFlight }, {
    outstanding: sum(0),
    sacked: sum(Mark.sacked),
    lost: sum(Mark.lost),
    retransmitted: sum(Mark.retransmitted),
    sackedCount: rows.filter(({ marks }) => marks & Mark.sacked)
      .reduce((total, row) => total + Math.ceil((row.end - row.start) / largestSegment(row)), 0),
    inFlight: sum(0) - sum(Mark.sacked) - sum(Mark.lost) + sum(Mark.retransmitted),
  });
  assertEquals(
    scoreboard.firstToRetransmit(),
    rows.findIndex(({ marks }) => (marks & (Mark.lost | Mark.retransmitted)) === Mark.lost),
  );
}

for (const base of [0, 0x7fff_ffff - 3000, 0xffff_ffff - 3000]) {
  Deno.test(`whatever happens to the records, the sums and searches are those of a plain list, from ${base} on`, () => {
    for (let seed = 1; seed <= 15; seed++) {
      const random = new SeededRandom(seed);
      const scoreboard = new Scoreboard();
      const rows: Model[] = [];
      let next = 0;
      for (let step = 0; step < 300; step++) {
        const index = below(random, rows.length);
        const row = rows[index];
        switch (below(random, 9)) {
          case 0:
          case 1:
          case 2: {
            const size = 1 + below(random, 100);
            const segmentBytes = below(random, 3) === 0 ? 1 + below(random, 20) : 0;
            scoreboard.append(add(base, next), add(base, next + size), step, 0, segmentBytes);
            rows.push({ start: next, end: next + size, sentAt: step, marks: 0, segmentBytes });
            next += size;
            break;
          }
          case 3:
            if (rows.length > 0 && below(random, 3) === 0) {
              scoreboard.shift();
              rows.shift();
            }
            break;
          case 4:
            if (row === undefined || (row.marks & Mark.sacked) !== 0) break;
            scoreboard.mark(index, Mark.sacked, Mark.lost | Mark.retransmitted);
            row.marks = (row.marks & ~(Mark.lost | Mark.retransmitted)) | Mark.sacked;
            break;
          case 5:
            if (row === undefined) break;
            scoreboard.mark(index, Mark.lost, Mark.sacked | Mark.retransmitted);
            row.marks = (row.marks & ~(Mark.sacked | Mark.retransmitted)) | Mark.lost;
            break;
          case 6: {
            const lost = scoreboard.firstToRetransmit();
            if (lost < 0) break;
            scoreboard.resent(lost, step);
            rows[lost]!.marks |= Mark.retransmitted | Mark.ambiguous;
            rows[lost]!.sentAt = step;
            rows[lost]!.segmentBytes = 0;
            break;
          }
          case 7: {
            if (row === undefined || row.end - row.start < 2) break;
            const middle = row.start + 1 + below(random, row.end - row.start - 1);
            if (index === 0 && below(random, 2) === 0) {
              scoreboard.trim(add(base, middle));
              row.start = middle;
            } else {
              scoreboard.split(index, add(base, middle));
              rows.splice(index, 1, { ...row, end: middle }, { ...row, start: middle });
            }
            break;
          }
          case 8: {
            const other = rows[index + 1];
            const isLost = ({ marks }: Model) => (marks & (Mark.lost | Mark.retransmitted)) === Mark.lost;
            const joinable = row !== undefined && other !== undefined && isLost(row) && isLost(other);
            if (row === undefined) break;
            assertEquals(scoreboard.joinableSize(index), joinable ? other.end - row.start : Infinity);
            if (!joinable) break;
            const bytes = other.end - other.start;
            if (bytes > 1 && below(random, 2) === 0) {
              const taken = 1 + below(random, bytes - 1);
              scoreboard.takeFromNext(index, taken);
              row.end = other.start += taken;
              row.sentAt = Math.max(row.sentAt, other.sentAt);
              row.marks |= other.marks & Mark.ambiguous;
              break;
            }
            scoreboard.joinNext(index);
            rows.splice(index, 2, {
              start: row.start,
              end: other.end,
              sentAt: Math.max(row.sentAt, other.sentAt),
              marks: row.marks | other.marks,
              segmentBytes: other.segmentBytes,
            });
            break;
          }
        }
        assertSame(scoreboard, rows, base);
        const from = below(random, rows.length + 1);
        const unsacked = rows.findIndex(({ marks }, at) => at >= from && (marks & Mark.sacked) === 0);
        assertEquals(scoreboard.nextUnsacked(from), unsacked < 0 ? rows.length : unsacked);
        const sequence = (rows[0]?.start ?? 0) + below(random, 500);
        const ending = rows.findIndex(({ end }) => end > sequence);
        assertEquals(scoreboard.firstEndingAfter(add(base, sequence)), ending < 0 ? rows.length : ending);
        const holder = rows.find(({ start, end }) => start <= sequence && sequence < end);
        assertEquals(scoreboard.isSacked(add(base, sequence)), ((holder?.marks ?? 0) & Mark.sacked) !== 0);
      }
    }
  });
}

Deno.test("SYN stays with the first half of a record, FIN with the second", () => {
  const scoreboard = new Scoreboard();
  scoreboard.append(0, 10, 1, Mark.syn | Mark.fin | Mark.ambiguous);
  scoreboard.split(0, 9);
  assertEquals([scoreboard.marks(0), scoreboard.marks(1)], [Mark.syn | Mark.ambiguous, Mark.fin | Mark.ambiguous]);
  assertEquals([scoreboard.size(0), scoreboard.size(1), scoreboard.count], [9, 1, 2]);
});

Deno.test("a copy of what is not lost counts once in what is in flight", () => {
  const scoreboard = new Scoreboard();
  scoreboard.append(0, 100, 1, 0);
  scoreboard.resentAsProbe(0, 5);
  assertEquals([scoreboard.inFlight, scoreboard.sentAt(0), scoreboard.has(0, Mark.ambiguous)], [100, 5, true]);
});

Deno.test("a peer cannot cut what is out into any number of records", () => {
  const scoreboard = new Scoreboard();
  scoreboard.append(0, 1_000_000, 1, 0);
  for (let cut = 1; scoreboard.splittable; cut++) scoreboard.split(scoreboard.count - 1, 2 * cut);
  assertEquals(scoreboard.count, 16_384);
});
