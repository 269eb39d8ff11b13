/**
 * The time in which the streams of a test run: what is counted, interval by interval and in all.
 *
 * @module
 */

import process from "node:process";
import { streamId, type StreamResult, TestError, type TestResults, type TestSettings } from "./protocol.ts";
import { type DataStream, failureLine, nothing, type Path, since, type Tally } from "./stream.ts";

/** What passed on a stream in some time. */
export interface Sample {
  /** The stream. */
  readonly stream: DataStream;
  /** When it began, in seconds since the start. */
  readonly start: number;
  /** When it ended. */
  readonly end: number;
  /** What passed. */
  readonly tally: Readonly<Tally>;
  /** In seconds (RFC 3550). */
  readonly jitter: number;
  /** The state of the connection at the end, where we send by TCP. */
  readonly path: Path | null;
  /** Whether it lies in the time that does not count. */
  readonly omitted: boolean;
}

/** Processor time in per cent of the elapsed time. */
export interface ProcessorShare {
  /** In all. */
  readonly total: number;
  /** The program's own. */
  readonly user: number;
  /** The kernel's. */
  readonly system: number;
}

/** What both sides know of a test when it has ended. */
export interface Outcome {
  /** The test. */
  readonly settings: TestSettings;
  /** What this side has counted, for each stream. */
  readonly totals: readonly Sample[];
  /** What the peer has counted; null if it went away before it said so. */
  readonly peer: TestResults | null;
  /** This side's processor time. */
  readonly processor: ProcessorShare;
  /** This side's congestion control algorithm, of TCP. */
  readonly congestionControl: string | null;
}

/** A running test, from TEST_RUNNING to TEST_END. */
export class TestRun {
  /** The streams, in the order in which they were opened. */
  readonly streams: readonly DataStream[];
  /** The test. */
  readonly settings: TestSettings;
  /** Resolves when all streams that send have sent what there was; rejects when one of them fails. */
  readonly sent: Promise<void>;
  readonly #onInterval: ((samples: Sample[]) => void) | null;
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  readonly #interval: number;
  #intervalTimer: ReturnType<typeof setInterval> | undefined;
  readonly #processor = process.cpuUsage();
  readonly #startedAt = performance.now();
  /** When what counts began, in seconds since the start. */
  #countsFrom = 0;
  /** When the present interval began, in seconds since then. */
  #intervalFrom = 0;
  /** Milliseconds from the start to the end, once it has ended. */
  #duration = NaN;
  #processorShare: ProcessorShare = { total: 0, user: 0, system: 0 };
  readonly #atIntervalStart: Readonly<Tally>[];
  readonly #omitted: Readonly<Tally>[];

  /** Starts the streams. `onInterval` is called every `interval` seconds; 0 for never. */
  constructor(
    streams: readonly DataStream[],
    settings: TestSettings,
    interval: number,
    onInterval: (samples: Sample[]) => void,
  ) {
    this.streams = streams;
    this.settings = settings;
    this.#onInterval = interval > 0 ? onInterval : null;
    this.#atIntervalStart = streams.map(() => nothing);
    this.#omitted = streams.map(() => nothing);
    const runs = streams.map((stream) =>
      stream.run().catch((error) => {
        throw new TestError(failureLine(stream, error));
      })
    );
    this.sent = Promise.all(runs).then(() => {});
    // Whoever is interested looks at it; the test may end before.
    this.sent.catch(() => {});
    if (settings.omit > 0) this.#timers.push(setTimeout(() => this.#endOmitted(), settings.omit * 1000));
    this.#interval = interval * 1000;
    this.#startIntervals();
  }

  /** Stops the streams and the count. Does nothing the second time. */
  end(): void {
    if (!Number.isNaN(this.#duration)) return;
    const duration = this.#duration = performance.now() - this.#startedAt;
    for (const timer of this.#timers) clearTimeout(timer);
    clearInterval(this.#intervalTimer);
    for (const stream of this.streams) stream.stop();
    // An interval in which nothing came any more is not worth a line.
    const passed = this.streams.some((stream, index) => stream.tally().bytes > this.#atIntervalStart[index]!.bytes);
    if (passed || this.#intervalFrom === 0) this.#endInterval();
    const { user, system } = process.cpuUsage(this.#processor);
    const share = (microseconds: number) => microseconds / 10 / duration;
    this.#processorShare = { total: share(user + system), user: share(user), system: share(system) };
  }

  /** The processor time that this program took, once the test has ended. */
  get processorShare(): ProcessorShare {
    return this.#processorShare;
  }

  /** What counts, for each stream, once the test has ended. */
  totals(): Sample[] {
    const end = this.#duration / 1000 - this.#countsFrom;
    return this.streams.map((stream, index) => ({
      stream,
      start: 0,
      end,
      tally: since(stream.tally(), this.#omitted[index]!),
      jitter: stream.jitter,
      path: stream.path(),
      omitted: false,
    }));
  }

  /** The same for the peer, in iperf3's own names. */
  results(): TestResults {
    const { total, user, system } = this.#processorShare;
    const sends = this.streams.some((stream) => stream.sends);
    const counts = sends && this.settings.transport === "tcp";
    const congestion = this.streams[0]?.congestionControl ?? null;
    return {
      cpu_util_total: total,
      cpu_util_user: user,
      cpu_util_system: system,
      sender_has_retransmits: sends ? Number(counts) : -1,
      ...(congestion === null ? {} : { congestion_used: congestion }),
      streams: this.totals().map((sample, index): StreamResult => ({
        id: streamId(index),
        bytes: sample.tally.bytes,
        retransmits: counts ? sample.tally.retransmits : -1,
        jitter: sample.jitter,
        errors: sample.tally.lost + this.#omitted[index]!.lost,
        omitted_errors: this.#omitted[index]!.lost,
        packets: sample.tally.datagrams + this.#omitted[index]!.datagrams,
        omitted_packets: this.#omitted[index]!.datagrams,
        start_time: 0,
        end_time: sample.end,
      })),
    };
  }

  /** Ends the test, and says what both sides know of it; `peer` is what the other one has counted, if it said so. */
  outcome(peer: TestResults | null): Outcome {
    this.end();
    return {
      settings: this.settings,
      totals: this.totals(),
      peer,
      processor: this.processorShare,
      congestionControl: this.streams[0]?.congestionControl ?? null,
    };
  }

  #startIntervals(): void {
    if (this.#interval > 0) this.#intervalTimer = setInterval(() => this.#endInterval(), this.#interval);
  }

  #endInterval(): void {
    const now = (performance.now() - this.#startedAt) / 1000 - this.#countsFrom;
    const samples = this.streams.map((stream, index): Sample => {
      const tally = stream.tally();
      const passed = since(tally, this.#atIntervalStart[index]!);
      this.#atIntervalStart[index] = tally;
      return {
        stream,
        start: this.#intervalFrom,
        end: now,
        tally: passed,
        jitter: stream.jitter,
        path: stream.path(),
        omitted: this.#countsFrom < this.settings.omit,
      };
    });
    this.#intervalFrom = now;
    this.#onInterval?.(samples);
  }

  #endOmitted(): void {
    const now = (performance.now() - this.#startedAt) / 1000;
    // The last interval may have ended at the same time.
    if (now - this.#intervalFrom > this.#interval / 10_000) this.#endInterval();
    clearInterval(this.#intervalTimer);
    this.#startIntervals();
    this.#countsFrom = now;
    this.#intervalFrom = 0;
    for (const [index, stream] of this.streams.entries()) {
      this.#omitted[index] = this.#atIntervalStart[index] = stream.tally();
    }
  }
}
