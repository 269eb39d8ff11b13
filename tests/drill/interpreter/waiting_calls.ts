/**
 * Calls that take time: they go on beside the events that follow, and must return when the script says.
 *
 * @module
 */

import type { Steppable } from "../../helpers/virtual_time.ts";
import type { CallAction, ScriptEvent } from "./ast.ts";
import type { Attempt } from "./calls.ts";
import { blocked, type Outcome } from "./errno.ts";
import { ScriptFailure } from "./failure.ts";
import type { Host } from "./host.ts";
import { type Define, numberOf } from "./values.ts";

/** A call that has not returned. */
interface WaitingCall {
  readonly event: ScriptEvent;
  readonly attempt: Attempt;
  /** When it must return, in milliseconds since the script began. */
  readonly end: number;
  readonly tolerance: number;
}

/** The calls that have not returned. They are asked again whenever something has happened. */
export class WaitingCalls implements Steppable {
  readonly #host: Host;
  readonly #define: Define;
  readonly #log: (line: string) => void;
  #waiting: WaitingCall[] = [];

  /** None waits. */
  constructor(host: Host, define: Define, log: (line: string) => void) {
    this.#host = host;
    this.#define = define;
    this.#log = log;
    host.time.add(this);
  }

  /**
   * Takes a call that has begun, or its result if it has one at once. `end` is null for a call that must not wait.
   *
   * @throws {ScriptFailure} If it returns something else, or at another time, than the script says.
   */
  begin(event: ScriptEvent, attempt: Attempt, end: number | null, tolerance: number): void {
    const outcome = attempt();
    if (outcome === blocked) {
      if (end === null) throw new ScriptFailure(`expected ${event.text}, but it would block`);
      this.#waiting.push({ event, attempt, end, tolerance });
    } else {
      this.#returned({ event, attempt, end: end ?? this.#host.now, tolerance }, outcome);
    }
  }

  /** Asks all again; as {@linkcode Steppable.step}. */
  step(): number {
    let returned = 0;
    for (const call of this.#waiting) {
      try {
        const outcome = call.attempt();
        if (outcome === blocked) {
          if (this.#host.now <= call.end + call.tolerance) continue;
          throw new ScriptFailure(`expected ${call.event.text}, but it still blocks at ${seconds(this.#host.now)}`);
        }
        this.#waiting = this.#waiting.filter((other) => other !== call);
        this.#returned(call, outcome);
        returned++;
      } catch (error) {
        if (error instanceof ScriptFailure) error.line ??= call.event.line;
        throw error;
      }
    }
    return returned;
  }

  /** When the next one must have returned, in milliseconds of the clock. */
  nextDeadline(): number {
    let next = Infinity;
    for (const { end, tolerance } of this.#waiting) {
      for (const moment of [end, end + tolerance + 0.001]) {
        if (moment > this.#host.now) next = Math.min(next, moment);
      }
    }
    return next + this.#host.start;
  }

  /** When the last one has returned, or is late, in milliseconds since the script began; -1 if none waits. */
  get lastEnd(): number {
    return Math.max(-1, ...this.#waiting.map(({ end, tolerance }) => end + tolerance + 0.001));
  }

  #returned(call: WaitingCall, outcome: Exclude<Outcome, typeof blocked>): void {
    const { event, end, tolerance } = call;
    const { now } = this.#host;
    const shown = typeof outcome === "string" ? `-1 ${outcome}` : outcome;
    this.#log(`${seconds(now)} ${event.text} -> ${shown}`);
    if (!isExpected(event.action as CallAction, outcome, this.#define)) {
      throw new ScriptFailure(`expected ${event.text}, it returned ${shown}`);
    }
    if (Math.abs(now - end) > tolerance) {
      throw new ScriptFailure(`expected ${event.text} to return at ${seconds(end)}, it returned at ${seconds(now)}`);
    }
  }
}

function isExpected(call: CallAction, outcome: Exclude<Outcome, typeof blocked>, define: Define): boolean {
  const { from, to, errno } = call.result;
  if (from === null) return true;
  const least = numberOf(from, define, typeof outcome === "number" ? outcome : -1);
  if (typeof outcome === "string") {
    const wanted = errno === "EWOULDBLOCK" ? "EAGAIN" : errno;
    return least === -1 && (wanted === null || wanted === outcome);
  }
  return errno === null && outcome >= least && outcome <= (to === null ? least : numberOf(to, define));
}

/** A moment of the script in seconds. */
export function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(6).replace(/(\.\d{3}\d*?)0*$/, "$1");
}
