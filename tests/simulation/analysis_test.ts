import { assertAlmostEquals, assertEquals, assertGreater } from "@std/assert";
import { concat } from "@std/bytes";
import { isInstalled } from "../helpers/programs.ts";
import { World } from "./world.ts";

/** What tshark says of the frames of a capture that match a filter: a line of fields for each. */
async function tshark(path: string, filter: string, ...fields: string[]): Promise<string[][]> {
  const args = ["-n", "-r", path, "-Y", filter, "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
  const { success, stdout, stderr } = await new Deno.Command("tshark", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const text = new TextDecoder().decode(stdout).trimEnd();
  return text === "" ? [] : text.split("\n").map((line) => line.split("\t"));
}

Deno.test({
  name: "tshark counts in a capture what the connection tells of itself: retransmissions, duplicates, round trips",
  ignore: !isInstalled("tshark"),
  fn: async () => {
    const blocks: Uint8Array[] = [];
    const world = new World({
      seed: 5,
      impairments: [{ delay: 20, rate: 10_000_000, loss: 0.02 }, { delay: 20 }],
      capture: (block) => blocks.push(block),
    });
    const seen = { sent: 0, received: 0 };
    world.client.trace = { segment: (_connection, direction) => seen[direction]++ };
    const transfer = world.transfer({ bytes: 1_000_000 });
    world.time.runUntil(() => transfer.read[0] >= 1_000_000, 600_000);
    world.time.advance(1000);
    const info = transfer.connection.info();
    world.client.trace = null;
    world.time.runUntil(() => transfer.finished, 600_000);
    world.time.advance(200_000);
    await world.end();

    const path = await Deno.makeTempFile({ suffix: ".pcapng" });
    try {
      await Deno.writeFile(path, concat(blocks));
      const ours = "tcp.dstport == 80";
      const theirs = "tcp.srcport == 80";
      const count = async (filter: string) => (await tshark(path, filter, "frame.number")).length;
      // The client's end sees every copy leave. tshark takes one that follows soon for late rather than for sent again.
      const again = await count(`${ours} && (tcp.analysis.retransmission || tcp.analysis.out_of_order)`);
      assertGreater(info.segmentsRetransmitted, 5);
      assertEquals(again, info.segmentsRetransmitted);
      assertEquals([await count(`${theirs} && tcp.analysis.lost_segment`), await count("tcp.analysis.zero_window")], [
        0,
        0,
      ]);
      assertEquals([await count(ours), await count(theirs)], [info.segmentsSent, info.segmentsReceived]);
      assertEquals([seen.sent, seen.received], [info.segmentsSent, info.segmentsReceived]);
      assertEquals(await count(`${theirs} && tcp.analysis.duplicate_ack`), info.duplicateAcks);
      const trips = (await tshark(path, `${theirs} && tcp.analysis.ack_rtt`, "tcp.analysis.ack_rtt"))
        .map(([seconds]) => Number(seconds) * 1000);
      assertGreater(trips.length, 100);
      assertAlmostEquals(Math.min(...trips), info.rttMin, 1);
      // RFC 6298 section 2.3, from tshark's samples, of which it has some more after our look.
      const smoothed = trips.reduce((average, trip) => average + (trip - average) / 8);
      assertAlmostEquals(info.rtt, smoothed, smoothed / 5);
    } finally {
      await Deno.remove(path);
    }
  },
});
