/**
 * What is told of a test while it runs and at its end, and its form for people, which is iperf3's.
 *
 * @module
 */

import type { StreamResult, TestSettings } from "./protocol.ts";
import type { Outcome, Sample } from "./run.ts";
import type { DataStream } from "./stream.ts";
import { formatBytes, formatRate } from "./units.ts";

/** Who is told of a test. */
export interface Report {
  /** The server waits for its `number`th test. */
  listening(port: number, number: number): void;
  /** The client tries to connect. */
  connecting(host: string, port: number): void;
  /** The two sides have agreed on a test. `peer` is the other end of the control connection. */
  agreed(settings: TestSettings, peer: Deno.NetAddr, role: "client" | "server", cookie: string): void;
  /** The streams are open. */
  streams(streams: readonly DataStream[]): void;
  /** An interval has ended. */
  interval(samples: readonly Sample[]): void;
  /** The test has ended. */
  outcome(outcome: Outcome): void;
  /** Something went wrong. */
  problem(message: string): void;
  /** Nothing more will come of this test. */
  finished(): void;
}

const thinRule = "- ".repeat(25).trimEnd();
const thickRule = "-".repeat(59);

/** Prints what iperf3 prints. */
export class TextReport implements Report {
  readonly #print: (line: string) => void;
  readonly #printProblem: (line: string) => void;
  #role: "client" | "server" = "client";
  #settings: TestSettings | null = null;
  #headed = false;

  /** Prints lines and problems. */
  constructor(print: (line: string) => void, printProblem: (line: string) => void) {
    this.#print = print;
    this.#printProblem = printProblem;
  }

  /** See {@linkcode Report.listening}. */
  listening(port: number, number: number): void {
    this.#print(`${thickRule}\nServer listening on ${port} (test #${number})\n${thickRule}`);
  }

  /** See {@linkcode Report.connecting}. */
  connecting(host: string, port: number): void {
    this.#print(`Connecting to host ${host}, port ${port}`);
  }

  /** See {@linkcode Report.agreed}. */
  agreed(settings: TestSettings, peer: Deno.NetAddr, role: "client" | "server"): void {
    this.#role = role;
    this.#settings = settings;
    this.#headed = false;
    if (role === "server") this.#print(`Accepted connection from ${peer.hostname}, port ${peer.port}`);
    else if (settings.reverse) this.#print(`Reverse mode, remote host ${peer.hostname} is sending`);
  }

  /** See {@linkcode Report.streams}. */
  streams(streams: readonly DataStream[]): void {
    for (const { number, local, remote } of streams) {
      this.#print(
        `${
          label(number)
        } local ${local.hostname} port ${local.port} connected to ${remote.hostname} port ${remote.port}`,
      );
    }
  }

  /** See {@linkcode Report.interval}. */
  interval(samples: readonly Sample[]): void {
    if (this.#headed && samples.length > 1) this.#print(thinRule);
    if (!this.#headed) this.#print(this.#heading(samples.some(({ stream }) => stream.sends), true));
    this.#headed = true;
    for (const sample of samples) this.#print(this.#line(label(sample.stream.number), sample));
    if (samples.length > 1) this.#print(this.#line("[SUM]", total(samples)));
  }

  /** See {@linkcode Report.outcome}. */
  outcome(outcome: Outcome): void {
    const { totals, peer } = outcome;
    const sends = totals.some(({ stream }) => stream.sends);
    this.#print(thinRule);
    this.#print(this.#heading(sends && this.#settings?.transport === "tcp", false));
    const sender = totals.map((sample, index) => ({ sample, ...sideOf(outcome, index, true) }));
    const receiver = totals.map((sample, index) => ({ sample, ...sideOf(outcome, index, false) }));
    // As iperf3, a server speaks of its own side only.
    const sides = this.#role === "server"
      ? [[sends ? "sender" : "receiver", sends ? sender : receiver] as const]
      : [["sender", sender] as const, ["receiver", receiver] as const];
    for (const index of totals.keys()) {
      for (const [name, rows] of sides) {
        const row = rows[index]!;
        if (row.known) this.#print(this.#summary(label(row.sample.stream.number), name, [row]));
      }
    }
    if (totals.length > 1) {
      for (const [name, rows] of sides) if (rows[0]!.known) this.#print(this.#summary("[SUM]", name, rows));
    }
    if (this.#role === "client" && peer !== null) this.#print("\niperf Done.");
  }

  /** See {@linkcode Report.problem}. */
  problem(message: string): void {
    this.#printProblem(message);
  }

  /** See {@linkcode Report.finished}. */
  finished(): void {}

  #heading(sends: boolean, interval: boolean): string {
    const start = "[ ID] Interval           Transfer     Bitrate";
    if (this.#settings?.transport === "udp") {
      return `${start}         ${sends && interval ? "Total Datagrams" : "Jitter    Lost/Total Datagrams"}`;
    }
    return sends ? `${start}         Retr${interval ? "  Cwnd" : ""}` : start;
  }

  #line(name: string, { start, end, tally, jitter, path, omitted, stream }: Sample): string {
    const parts = [amounts(name, start, end, tally.bytes)];
    if (this.#settings?.transport === "udp") {
      parts.push(stream.sends ? `${tally.datagrams}` : datagrams(jitter, tally.lost, tally.lost + received(tally)));
    } else if (stream.sends) {
      parts.push(`${String(tally.retransmits).padStart(3)}`);
      if (path !== null) parts.push(` ${formatBytes(path.congestionWindow)}`);
    }
    if (omitted) parts.push("(omitted)");
    return parts.join("  ");
  }

  #summary(name: string, side: "sender" | "receiver", rows: readonly Side[]): string {
    const sum = (pick: (row: Side) => number) => rows.reduce((all, row) => all + pick(row), 0);
    const seconds = Math.max(...rows.map((row) => row.seconds));
    const parts = [amounts(name, 0, seconds, sum((row) => row.bytes))];
    if (this.#settings?.transport === "udp") {
      parts.push(
        datagrams(sum((row) => row.jitter) / rows.length, sum((row) => row.lost), sum((row) => row.datagrams)),
      );
    } else if (side === "sender" && rows.every((row) => row.retransmits >= 0)) {
      parts.push(`${String(sum((row) => row.retransmits)).padStart(3)}           `);
    } else {
      parts.push(" ".repeat(14));
    }
    return `${parts.join("  ")}  ${side}`;
  }
}

/** What is known of one side of a stream. */
export interface Side {
  /** Whether it is known at all. */
  readonly known: boolean;
  /** Payload bytes. */
  readonly bytes: number;
  /** How long it took, in seconds. */
  readonly seconds: number;
  /** Segments sent again; -1 where nobody counts them. */
  readonly retransmits: number;
  /** In seconds. */
  readonly jitter: number;
  /** Datagrams that did not come. */
  readonly lost: number;
  /** Datagrams. */
  readonly datagrams: number;
}

/** What is known of the sender, or else the receiver, of the stream with an index. */
export function sideOf({ totals, peer }: Outcome, index: number, sender: boolean): Side {
  const sample = totals[index]!;
  if (sample.stream.sends === sender) {
    const { tally, jitter, end } = sample;
    return { known: true, ...tally, retransmits: sender ? tally.retransmits : -1, jitter, seconds: end };
  }
  const result: StreamResult | undefined = peer?.streams[index];
  return {
    known: result !== undefined,
    bytes: result?.bytes ?? 0,
    seconds: result === undefined || result.end_time === 0 ? sample.end : result.end_time - result.start_time,
    retransmits: sender ? result?.retransmits ?? -1 : -1,
    jitter: sender ? 0 : result?.jitter ?? 0,
    lost: sender ? 0 : (result?.errors ?? 0) - (result?.omitted_errors ?? 0),
    datagrams: (result?.packets ?? 0) - (result?.omitted_packets ?? 0),
  };
}

/** What passed on all streams in the same time. */
export function total(samples: readonly Sample[]): Sample {
  const tally = { bytes: 0, retransmits: 0, datagrams: 0, lost: 0, outOfOrder: 0 };
  for (const sample of samples) {
    for (const name of Object.keys(tally) as (keyof typeof tally)[]) tally[name] += sample.tally[name];
  }
  const jitter = samples.reduce((sum, sample) => sum + sample.jitter, 0) / samples.length;
  return { ...samples[0]!, tally, jitter, path: null };
}

function received(tally: Sample["tally"]): number {
  return tally.datagrams - tally.lost;
}

function label(number: number): string {
  return `[${String(number).padStart(3)}]`;
}

function amounts(name: string, start: number, end: number, bytes: number): string {
  const rate = formatRate(end > start ? bytes * 8 / (end - start) : 0);
  return `${name} ${start.toFixed(2).padStart(6)}-${end.toFixed(2).padEnd(6)} sec  ${formatBytes(bytes)}  ${rate}`;
}

function datagrams(jitter: number, lost: number, all: number): string {
  const share = all > 0 ? Number((lost / all * 100).toPrecision(2)) : 0;
  return `${(jitter * 1000).toFixed(3)} ms  ${lost}/${all} (${share}%)`;
}
