import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { analyze } from "../../apps/plot/analysis.ts";
import { readCapturedConnections } from "../../apps/plot/capture_source.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { hasProgram } from "../helpers/programs.ts";
import { type RecordedTransfer, recordTransfer } from "../helpers/recorded_transfer.ts";

const ignore = !hasProgram("tshark", "--version");

/** The fields of the frames of a capture that match a filter, as tshark sees them. */
async function tshark(file: Uint8Array, filter: string, ...fields: string[]): Promise<string[][]> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file);
    const args = ["-r", path, "-Y", filter, "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
    const { success, stdout, stderr } = await new Deno.Command("tshark", { args }).output();
    assert(success, new TextDecoder().decode(stderr));
    const text = new TextDecoder().decode(stdout).trimEnd();
    return text === "" ? [] : text.split("\n").map((line) => line.split("\t"));
  } finally {
    await Deno.remove(path);
  }
}

async function framesWhere(file: Uint8Array, filter: string): Promise<number[]> {
  return (await tshark(file, filter, "frame.number")).map(([number]) => Number(number));
}

function lossy(seed: number): Promise<RecordedTransfer> {
  const impairments: [ImpairmentOptions, ImpairmentOptions] = [
    { loss: 0.02, delay: 20, rate: 10_000_000 },
    { delay: 20 },
  ];
  return recordTransfer({ seed, bytes: 400_000, impairments });
}

const recordings = ignore ? [] : await Promise.all([1, 2, 3, 4].map(lossy));

Deno.test({
  name: "what was sent again: the plot, tcpInfo and the log agree with tshark, frame by frame",
  ignore,
  async fn() {
    let found = 0;
    for (const { capture, info, log } of recordings) {
      const [connection] = readCapturedConnections(capture);
      const resent = analyze(connection!, 0).data.filter(({ kind }) => kind === "retransmission");
      const numbers = resent.map(({ number }) => number);
      // tshark calls a retransmission that closely follows new data out of order. At the sender nothing can be.
      assertEquals(numbers, await framesWhere(capture, "tcp.analysis.retransmission || tcp.analysis.out_of_order"));
      const certain = await framesWhere(capture, "tcp.analysis.retransmission");
      found += certain.length;
      assertEquals(certain.filter((number) => !numbers.includes(number)), []);
      assertEquals(info.segmentsRetransmitted, numbers.length);
      assertEquals(log.filter((line) => line.includes('"retransmission":true')).length, numbers.length);
    }
    assert(found > 0);
  },
});

Deno.test({
  name: "duplicate ACKs, data segments and bytes: the plot agrees with tshark",
  ignore,
  async fn() {
    for (const { capture } of recordings) {
      const [connection] = readCapturedConnections(capture);
      const { duplicateAcks, data, sackBlocks } = analyze(connection!, 0);
      assertEquals(duplicateAcks.length, (await framesWhere(capture, "tcp.analysis.duplicate_ack")).length);
      assertEquals(
        data.filter(({ length }) => length > 0).map(({ number, sequence, length }) => [number, sequence, length]),
        (await tshark(capture, "ip.src == 10.0.0.1 && tcp.len > 0", "frame.number", "tcp.seq", "tcp.len"))
          .map((fields) => fields.map(Number)),
      );
      const blocks = await tshark(capture, "ip.src == 10.0.0.2 && tcp.options.sack.count", "tcp.options.sack_le");
      assertEquals(sackBlocks.length, blocks.flatMap(([edges]) => edges!.split(",")).length);
    }
  },
});

Deno.test({
  name: "round-trip times: tcpInfo agrees with what tshark measures in the capture",
  ignore,
  async fn() {
    const clean = await recordTransfer({ seed: 1, bytes: 2_000_000, impairments: [{ delay: 20 }, { delay: 20 }] });
    for (
      const [{ capture, info }, tolerance] of [
        [clean, 0.02] as const,
        ...recordings.map((r) => [r, 0.2] as const),
      ]
    ) {
      const samples = (await tshark(capture, "ip.src == 10.0.0.2 && tcp.analysis.ack_rtt", "tcp.analysis.ack_rtt"))
        .map(([seconds]) => Number(seconds) * 1000);
      assert(samples.length > 20);
      // A capture tells the time to the microsecond.
      assertAlmostEquals(info.rttMin, Math.min(...samples), 0.0015);
      // RFC 6298 section 2. tshark's samples also have the time for which an ACK was delayed, and where an ACK is for two
      // segments that were paced, tshark counts from the second and we, as RFC 7323 section 4.3, from the first.
      const smoothed = samples.reduce((average, sample) => average + (sample - average) / 8);
      assertAlmostEquals(info.rtt, smoothed, tolerance * smoothed);
      assert(info.rtt >= info.rttMin);
    }
  },
});

Deno.test({
  name: "the window's edge that the plot shows is that of tshark's scaled windows",
  ignore,
  async fn() {
    const { capture } = recordings[0]!;
    const [connection] = readCapturedConnections(capture);
    const windows = connection!.segments.map(({ number, window }) => [number, window]);
    const expected = await tshark(capture, "tcp", "frame.number", "tcp.window_size");
    assertEquals(windows, expected.map((fields) => fields.map(Number)));
  },
});
