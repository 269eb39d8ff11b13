/**
 * Running a script: its events in their order, on the virtual clock.
 *
 * @module
 */

import type { EventTime, PacketAction, Script, ScriptEvent } from "./ast.ts";
import { Calls } from "./calls.ts";
import { runCode, type Value } from "./code.ts";
import { runCommand } from "./commands.ts";
import { constants } from "./constants.ts";
import { ScriptFailure, ScriptSkipped } from "./failure.ts";
import { describeExpected, type Relaxation } from "./match.ts";
import { Host } from "./host.ts";
import { Packets } from "./packets.ts";
import { parseScript } from "./parse_script.ts";
import { UnsupportedPacket } from "./parse_packet.ts";
import { Profile } from "./profile.ts";
import { ScriptSyntaxError } from "./scanner.ts";
import { tcpInfo } from "./tcp_info.ts";
import type { Define } from "./values.ts";
import { seconds, WaitingCalls } from "./waiting_calls.ts";

/** How scripts are run. */
export interface RunOptions {
  /** What is left out of comparisons. */
  readonly ignore?: ReadonlySet<Relaxation>;
  /** How far from the scripted time something may happen, in milliseconds, where the script does not say. Default 4. */
  readonly tolerance?: number;
  /** The address family of scripts that do not say. Default 4. */
  readonly family?: 4 | 6;
  /** Settings of the stack, as pairs of name and value. */
  readonly settings?: readonly (readonly [name: string, value: string])[];
  /** Names that are defined for `#ifdef` and in place of values. */
  readonly definitions?: ReadonlyMap<string, string>;
  /** Whether segments must come as they stand in the script. */
  readonly strictSegments?: boolean;
  /** Takes the bytes of a capture in pcapng format. */
  readonly capture?: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Takes a line about each thing that happens. */
  readonly log?: (line: string) => void;
}

/** What became of a script. */
export type RunResult =
  | { readonly kind: "ok" }
  | { readonly kind: "fail"; readonly line: number; readonly column: number | null; readonly message: string }
  | { readonly kind: "skip"; readonly reason: string };

/** Tolerance in milliseconds unless something else says another. */
const usualTolerance = 4;

/** The part of a step by which it may be missed. */
const relativeTolerance = 0.125;

/** What no tolerance reaches, in milliseconds: a step of scripts that must be told from none. */
const tolerancesEnd = 100;

/** The longest wait for a packet that may come at any time, in milliseconds. */
const longestWait = 3_600_000;

/** Runs a script. `path` is for messages. Never rejects because of what the script says. */
export async function runScript(text: string, path: string, options: RunOptions = {}): Promise<RunResult> {
  let run: Run | null = null;
  try {
    run = new Run(parseScript(text, path, options.definitions), path, options);
    run.all();
    await run.close();
    run.checkLeaks();
    return { kind: "ok" };
  } catch (error) {
    if (error instanceof ScriptSyntaxError) {
      return { kind: "fail", line: error.line, column: error.column, message: error.reason };
    }
    if (error instanceof ScriptFailure) {
      return { kind: "fail", line: error.line ?? run?.line ?? 1, column: null, message: error.message };
    }
    if (error instanceof ScriptSkipped || error instanceof UnsupportedPacket) {
      return { kind: "skip", reason: error.message };
    }
    // The stack, or the platform, refuses a value of the script. Other scripts can still be run.
    if (error instanceof Error) {
      return { kind: "fail", line: run?.line ?? 1, column: null, message: error.message };
    }
    throw error;
  } finally {
    await run?.close();
  }
}

/** The parts that need a stack: made when the settings in front of the script have been read. */
interface Parts {
  readonly host: Host;
  readonly packets: Packets;
  readonly calls: Calls;
  readonly waiting: WaitingCalls;
}

/** One run of one script. */
class Run {
  /** The line of the present event. */
  line = 1;
  readonly #script: Script;
  readonly #path: string;
  readonly #options: RunOptions;
  readonly #profile = new Profile();
  readonly #define: Define;
  readonly #ignore: ReadonlySet<Relaxation>;
  #parts: Parts | null = null;
  /** What the script's code has assigned. */
  readonly #variables = new Map<string, Value>();
  /** The scripted time of the latest event, in milliseconds since the script began. */
  #previous = 0;

  constructor(script: Script, path: string, options: RunOptions) {
    this.#script = script;
    this.#path = path;
    this.#options = options;
    this.#ignore = options.ignore ?? new Set();
    this.#define = (name) => script.definitions.get(name);
    if (script.options.get("ip_version") === "ipv6") this.#profile.fullSegmentBytes = 1440;
    for (const [name, value] of options.settings ?? []) {
      if (!this.#profile.set(name, value)) throw new ScriptSkipped(`the stack has no setting ${name}=${value}`);
    }
  }

  /** Runs all events, and waits for the calls that are still under way. */
  all(): void {
    const { events } = this.#script;
    // A command at the end only puts back what one at the beginning had changed.
    const last = events.findLastIndex(({ action }) => action.kind !== "command");
    for (const [index, event] of events.entries()) {
      this.line = event.line;
      this.#run(event, index === last);
    }
    if (this.#parts === null) return;
    const { host, waiting } = this.#parts;
    host.advance(Math.max(host.now, waiting.lastEnd));
  }

  async close(): Promise<void> {
    await this.#parts?.host.close();
  }

  /** Fails if the closed stack still holds packets or timers. */
  checkLeaks(): void {
    const stack = this.#parts?.host.stack;
    const packets = stack?.pool.inUse ?? 0;
    const timers = stack?.timers.running ?? 0;
    if (packets + timers > 0) {
      throw new ScriptFailure(`the stack was closed, and holds ${packets} packets and ${timers} timers still`);
    }
  }

  #run(event: ScriptEvent, isLast: boolean): void {
    const { action } = event;
    const step = event.time.base === "start" ? Math.max(0, event.time.from - this.#previous) : event.time.from;
    const offset = event.time.base === "previous" ? this.#previous : 0;
    const from = event.time.base === "any" ? this.#parts?.host.now ?? 0 : exact(event.time.from + offset);
    this.#previous = from;
    if (action.kind === "command" && this.#parts === null) return this.#command(action.command);
    const parts = this.#parts ??= this.#wire();
    const { host } = parts;
    if (action.kind === "packet" && action.direction === "outbound") {
      this.#expectPacket(parts, action, event.time, from, offset, step);
      return;
    }
    host.advance(from);
    // What has been sent by now must have been expected by an event before the last one, as far as time tells.
    const surplus = isLast && this.#profile.countsSurplus && !this.#ignore.has("surplus")
      ? parts.packets.surplus(host.start + from - this.#tolerance(step))
      : null;
    switch (action.kind) {
      case "packet":
        this.#log(`${seconds(host.now)} ${event.text}`);
        host.device.arrive(parts.packets.arriving(action.packet));
        break;
      case "call": {
        const end = event.time.end === null ? null : exact(event.time.end + offset);
        const tolerance = this.#tolerance(end === null ? step : end - from);
        parts.waiting.begin(event, parts.calls.begin(action), end, tolerance);
        break;
      }
      case "command":
        this.#command(action.command);
        break;
      case "code": {
        if (this.#ignore.has("tcp_info")) break;
        const flow = parts.packets.current;
        const connection = flow === null ? null : host.connection(flow.localPort, flow.remotePort);
        runCode(
          action.code,
          this.#path,
          event.line,
          connection === null ? this.#infoWithout(parts) : tcpInfo(connection),
          this.#variables,
          (text) => this.#log(text),
        );
      }
    }
    host.advance(host.now);
    if (surplus !== null) {
      throw new ScriptFailure(`nothing is expected, came ${parts.packets.describe(surplus)} at ${this.#when(surplus)}`);
    }
    if (event.time.base === "any") this.#previous = host.now;
  }

  /** TCP_INFO where there is no connection. */
  #infoWithout({ host }: Parts): Record<string, number> {
    return host.stack.tcp.listeners().length > 0 ? { tcpi_state: constants.TCP_LISTEN! } : tcpInfo(null);
  }

  #expectPacket(
    { host, packets }: Parts,
    action: PacketAction,
    time: EventTime,
    from: number,
    offset: number,
    step: number,
  ): void {
    const { packet } = action;
    const isAny = time.base === "any";
    const to = isAny ? from + longestWait : time.to === null ? from : exact(time.to + offset);
    const tolerance = this.#tolerance(step);
    const { sent } = host.device;
    const isThere = () => {
      if (packet.kind === "tcp" && packet.ports === null) packets.passOverOthers();
      return sent.length > 0;
    };
    host.advance(Math.max(host.now, to + tolerance), isThere);
    if (sent.length === 0) {
      const expected = packet.kind === "tcp" ? describeExpected(packet) : `> ${packet.kind}`;
      const by = isAny ? "nothing came" : `nothing came by ${seconds(to + tolerance)}`;
      throw new ScriptFailure(`expected ${expected} at ${seconds(from)}, ${by}`);
    }
    const first = sent[0]!;
    const at = first.sentAt - host.start;
    const before = [...sent];
    try {
      packets.take(packet, Math.ceil(tolerance));
    } finally {
      for (const live of before.slice(0, before.length - sent.length)) {
        this.#log(`${this.#when(live)} ${packets.describe(live)}`);
      }
    }
    if (!isAny && (at < from - tolerance || at > to + tolerance)) {
      const wanted = to === from ? seconds(from) : `${seconds(from)}~${seconds(to)}`;
      throw new ScriptFailure(`expected it at ${wanted}, ${packets.describe(first)} came at ${seconds(at)}`);
    }
    if (isAny || time.to !== null) this.#previous = at;
  }

  #command(command: string): void {
    const note = runCommand(command, this.#profile, this.#parts?.host.stack ?? null);
    if (note !== null) this.#log(`# ${note}`);
  }

  /** By how many milliseconds an event may miss its time, which is `step` after the previous one. */
  #tolerance(step: number): number {
    const own = Number(this.#script.options.get("tolerance_usecs") ?? NaN) / 1000;
    const basic = Math.max(Number.isNaN(own) ? usualTolerance : own, this.#options.tolerance ?? 0);
    return Math.min(Math.max(basic, relativeTolerance * step), tolerancesEnd - 0.001);
  }

  #wire(): Parts {
    const { options: own } = this.#script;
    const version = own.get("ip_version");
    const ignore = this.#ignore;
    const wanted = version === "ipv6" ? 6 : version === undefined ? this.#options.family ?? 4 : 4;
    if (this.#options.family !== undefined && wanted !== this.#options.family) {
      throw new ScriptSkipped(`it is for IPv${wanted}`);
    }
    const host = new Host({
      family: wanted,
      localAddress: own.get("local_ip") ?? null,
      remoteAddress: own.get("remote_ip") ?? null,
      mtu: mtuOf(own.get("mtu") ?? "1500"),
      profile: this.#profile,
      capture: this.#options.capture ?? null,
    });
    const packets = new Packets({
      host,
      ignore,
      countsTimestamps: Number(own.get("tcp_ts_tick_usecs") ?? 0) > 0,
      strictSegments: this.#options.strictSegments === true || own.has("strict_segments"),
    });
    const calls = new Calls({
      host,
      define: this.#define,
      ignore,
      onListen: (port) => packets.listening(port),
      onConnect: (localPort, remotePort) => packets.connecting(localPort, remotePort),
    });
    const waiting = new WaitingCalls(host, this.#define, (line) => this.#log(line));
    return { host, packets, calls, waiting };
  }

  #when({ sentAt }: { sentAt: number }): string {
    return seconds(sentAt - this.#parts!.host.start);
  }

  #log(line: string): void {
    this.#options.log?.(line);
  }
}

/** The MTU that a script gives: no less than IPv4 must carry, no more than it can. */
function mtuOf(text: string): number {
  const mtu = Number(text);
  if (Number.isInteger(mtu) && mtu >= 68 && mtu <= 65535) return mtu;
  throw new ScriptFailure(`Cannot use ${text} as the MTU: give a whole number from 68 to 65535`);
}

/** A sum of times without the errors of its fractions: times of scripts are whole microseconds. */
function exact(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
