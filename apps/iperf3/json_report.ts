/**
 * A test as one JSON document, in the form of `iperf3 --json`.
 *
 * @module
 */

import type { TestSettings } from "./protocol.ts";
import { type Report, type Side, sideOf, total } from "./report.ts";
import type { Outcome, Sample } from "./run.ts";
import type { DataStream } from "./stream.ts";

/** Collects what is told of a test and prints it when the test has ended. */
export class JsonReport implements Report {
  readonly #print: (text: string) => void;
  #start: Record<string, unknown> = {};
  #intervals: unknown[] = [];
  #end: Record<string, unknown> = {};
  #error: string | null = null;

  /** Prints one document for each test. */
  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  /** See {@linkcode Report.listening}. */
  listening(): void {}

  /** See {@linkcode Report.connecting}. */
  connecting(host: string, port: number): void {
    this.#start.connecting_to = { host, port };
  }

  /** See {@linkcode Report.agreed}. */
  agreed(settings: TestSettings, peer: Deno.NetAddr, role: "client" | "server", cookie: string): void {
    const now = Date.now();
    Object.assign(this.#start, {
      version: "tapstack",
      timestamp: { time: new Date(now).toUTCString(), timesecs: Math.floor(now / 1000) },
      ...(role === "server" ? { accepted_connection: { host: peer.hostname, port: peer.port } } : {}),
      cookie,
      target_bitrate: settings.bitrate,
      test_start: {
        protocol: settings.transport.toUpperCase(),
        num_streams: settings.parallel,
        blksize: settings.blockBytes,
        omit: settings.omit,
        duration: settings.duration,
        bytes: settings.bytes,
        blocks: 0,
        reverse: Number(settings.reverse),
        tos: settings.trafficClass,
        target_bitrate: settings.bitrate,
      },
    });
  }

  /** See {@linkcode Report.streams}. */
  streams(streams: readonly DataStream[]): void {
    this.#start.connected = streams.map(({ number, local, remote }) => ({
      socket: number,
      local_host: local.hostname,
      local_port: local.port,
      remote_host: remote.hostname,
      remote_port: remote.port,
    }));
  }

  /** See {@linkcode Report.interval}. */
  interval(samples: readonly Sample[]): void {
    this.#intervals.push({ streams: samples.map(intervalOf), sum: withoutSocket(intervalOf(total(samples))) });
  }

  /** See {@linkcode Report.outcome}. */
  outcome(outcome: Outcome): void {
    const { settings, totals, peer, processor, congestionControl } = outcome;
    const udp = settings.transport === "udp";
    const sides = totals.map((sample, index) => ({
      sample,
      sender: sideOf(outcome, index, true),
      receiver: sideOf(outcome, index, false),
    }));
    const sends = totals.some(({ stream }) => stream.sends);
    const describe = (side: Side) => describeSide(side, udp, sends);
    const sums = {
      sum_sent: sumOf(sides.map(({ sender }) => sender)),
      sum_received: sumOf(sides.map(({ receiver }) => receiver)),
    };
    this.#end = {
      streams: sides.map(({ sample, sender, receiver }) => {
        const socket = sample.stream.number;
        // As iperf3, which shows the receiver's losses with the sender's bytes.
        if (udp) {
          const lost = { jitter: receiver.jitter, lost: receiver.lost };
          return { udp: { socket, ...describe({ ...sender, ...lost }), out_of_order: sample.tally.outOfOrder } };
        }
        return { sender: { socket, ...describe(sender) }, receiver: { socket, ...describe(receiver) } };
      }),
      ...(udp
        ? { sum: describe({ ...sums.sum_sent, jitter: sums.sum_received.jitter, lost: sums.sum_received.lost }) }
        : {}),
      sum_sent: describe(sums.sum_sent),
      sum_received: describe(sums.sum_received),
      cpu_utilization_percent: {
        host_total: processor.total,
        host_user: processor.user,
        host_system: processor.system,
        remote_total: peer?.cpu_util_total ?? 0,
        remote_user: peer?.cpu_util_user ?? 0,
        remote_system: peer?.cpu_util_system ?? 0,
      },
      ...(congestionControl === null ? {} : {
        [sends ? "sender_tcp_congestion" : "receiver_tcp_congestion"]: congestionControl,
        ...(peer?.congestion_used === undefined
          ? {}
          : { [sends ? "receiver_tcp_congestion" : "sender_tcp_congestion"]: peer.congestion_used }),
      }),
    };
  }

  /** See {@linkcode Report.problem}. */
  problem(message: string): void {
    this.#error = message;
  }

  /** See {@linkcode Report.finished}. */
  finished(): void {
    const { connected = [], ...start } = this.#start;
    this.#print(JSON.stringify(
      {
        start: { connected, ...start },
        intervals: this.#intervals,
        end: this.#end,
        ...(this.#error === null ? {} : { error: this.#error }),
      },
      null,
      2,
    ));
    this.#start = {};
    this.#intervals = [];
    this.#end = {};
    this.#error = null;
  }
}

function intervalOf({ stream, start, end, tally, jitter, path, omitted }: Sample): Record<string, unknown> {
  const seconds = end - start;
  return {
    socket: stream.number,
    start,
    end,
    seconds,
    bytes: tally.bytes,
    bits_per_second: rate(tally.bytes, seconds),
    ...(stream.sends && stream.congestionControl !== null ? { retransmits: tally.retransmits } : {}),
    ...(path === null ? {} : {
      snd_cwnd: path.congestionWindow,
      snd_wnd: path.sendWindow,
      // iperf3 counts microseconds here.
      rtt: Math.round(path.rtt * 1000),
      rttvar: Math.round(path.rttVariance * 1000),
    }),
    ...(stream.congestionControl === null ? datagramFields(stream.sends, jitter, tally.lost, tally.datagrams) : {}),
    omitted,
    sender: stream.sends,
  };
}

function withoutSocket({ socket: _, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

function datagramFields(sends: boolean, jitter: number, lost: number, packets: number): Record<string, unknown> {
  if (sends) return { packets };
  return { jitter_ms: jitter * 1000, lost_packets: lost, packets, lost_percent: percent(lost, packets) };
}

function describeSide(side: Side, udp: boolean, sends: boolean): Record<string, unknown> {
  return {
    start: 0,
    end: side.seconds,
    seconds: side.seconds,
    bytes: side.bytes,
    bits_per_second: rate(side.bytes, side.seconds),
    ...(udp || side.retransmits < 0 ? {} : { retransmits: side.retransmits }),
    ...(udp ? datagramFields(false, side.jitter, side.lost, side.datagrams) : {}),
    sender: sends,
  };
}

function sumOf(sides: readonly Side[]): Side {
  const sum = (pick: (side: Side) => number) => sides.reduce((all, side) => all + pick(side), 0);
  return {
    known: sides.every((side) => side.known),
    bytes: sum((side) => side.bytes),
    seconds: Math.max(...sides.map((side) => side.seconds)),
    retransmits: sides.some((side) => side.retransmits < 0) ? -1 : sum((side) => side.retransmits),
    jitter: sum((side) => side.jitter) / sides.length,
    lost: sum((side) => side.lost),
    datagrams: sum((side) => side.datagrams),
  };
}

function rate(bytes: number, seconds: number): number {
  return seconds > 0 ? bytes * 8 / seconds : 0;
}

function percent(part: number, whole: number): number {
  return whole > 0 ? part / whole * 100 : 0;
}
