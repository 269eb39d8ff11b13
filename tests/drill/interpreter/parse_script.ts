/**
 * Scripts: option lines, then events in time order.
 *
 * @module
 */

import type { Action, EventTime, Script, ScriptEvent } from "./ast.ts";
import { parseArguments, parseResult } from "./parse_expression.ts";
import { fastOpenDefinition } from "./fast_open.ts";
import { addressesOf } from "./host.ts";
import { parsePacket } from "./parse_packet.ts";
import { preprocess } from "./preprocess.ts";
import { Scanner } from "./scanner.ts";
import type { Define } from "./values.ts";

/** Names that are defined unless the command line defines others: the dialect that `#ifdef` asks for. */
const defaultDialect = "STANDARD";

/** A number of seconds: the dots of an ellipsis are not part of it. */
const seconds = /(\d+(?:\.(?!\.)\d*)?|\.\d+)/y;

const now: EventTime = { base: "previous", from: 0, to: null, end: null };

/**
 * Reads a script. `definitions` are the names that the command line defines; `path` is for errors.
 *
 * @throws {ScriptSyntaxError} If it cannot be read.
 * @throws {UnsupportedPacket} If it speaks of a kind of packet that is not interpreted.
 */
export function parseScript(text: string, path: string, definitions: ReadonlyMap<string, string> = new Map()): Script {
  // A name with a value stands for that value; one without chooses a dialect.
  const named = [...definitions.values()].includes("1");
  const dialect = named ? definitions : new Map([[defaultDialect, "1"], ...definitions]);
  const scanner = new Scanner(preprocess(text, path, (name) => dialect.has(name)), path);
  const options = new Map<string, string>();
  const own = new Map(definitions);
  const define = definer(own, options);
  const events: ScriptEvent[] = [];
  while (!scanner.done) {
    const option = events.length === 0 ? scanner.match(/--([A-Za-z_]\w*)(?:=("[^"\n]*"|`[^`]*`|[^\s]*))?/y) : null;
    if (option === null) {
      events.push(parseEvent(scanner, define));
      continue;
    }
    const value = (option[2] ?? "").replaceAll(/^["`]|["`]$/g, "");
    if (option[1] === "define") own.set(...parseDefinition(value));
    else options.set(option[1]!, value);
  }
  if (events.length === 0) throw scanner.error("There is no event in this script");
  return { options, definitions: own, events };
}

/** The name and value of `NAME=VALUE`; without a value it is 1. */
export function parseDefinition(text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, "1"] : [text.slice(0, at), text.slice(at + 1).replaceAll(/^"|"$/g, "")];
}

/** What a name stands for: the script's own definitions, then what follows from its addresses. */
function definer(definitions: ReadonlyMap<string, string>, options: ReadonlyMap<string, string>): Define {
  return (name) => {
    const own = definitions.get(name);
    if (own !== undefined) return own;
    const family = options.get("ip_version") === "ipv6" ? 6 : 4;
    const [local, remote] = addressesOf(family, options.get("local_ip") ?? null, options.get("remote_ip") ?? null);
    return fastOpenDefinition(name, remote, local);
  };
}

function parseEvent(scanner: Scanner, define: Define): ScriptEvent {
  const { line } = scanner;
  // A command in front of the first event has no time.
  const time = scanner.sees("`") ? now : parseTime(scanner);
  scanner.skipBlanks();
  const start = scanner.at;
  const action = parseAction(scanner, define);
  const text = scanner.text.slice(start, scanner.at).replaceAll(/\s+/g, " ").trim();
  if (time.end !== null && action.kind !== "call") throw scanner.error("Only a call can last from one time to another");
  return { line, time, action, text };
}

function parseTime(scanner: Scanner): EventTime {
  if (scanner.accept("*")) return { base: "any", from: 0, to: null, end: null };
  const base = scanner.accept("+") ? "previous" : "start";
  const from = parseSeconds(scanner);
  let to: number | null = null;
  let end: number | null = null;
  if (scanner.accept("~")) {
    scanner.accept("+");
    to = parseSeconds(scanner);
    if (to < from) throw scanner.error("This range of time ends before it begins");
  } else if (scanner.accept("...")) {
    scanner.accept("+");
    end = parseSeconds(scanner);
    if (end < from) throw scanner.error("This call would end before it begins");
  }
  return { base, from, to, end };
}

function parseSeconds(scanner: Scanner): number {
  const [text] = scanner.need(seconds, "a time like `+0.1`, `0.300` or `*`");
  // Times are written in decimal: whole microseconds keep their sums exact.
  return Math.round(Number(text) * 1_000_000) / 1000;
}

function parseAction(scanner: Scanner, define: Define): Action {
  if (scanner.accept("<")) return { kind: "packet", direction: "inbound", packet: parsePacket(scanner, define) };
  if (scanner.accept(">")) return { kind: "packet", direction: "outbound", packet: parsePacket(scanner, define) };
  if (scanner.accept("`")) return { kind: "command", command: scanner.until("`", "This command").trim() };
  if (scanner.accept("%{")) return { kind: "code", code: scanner.until("}%", "This code") };
  const name = scanner.match(/[A-Za-z_]\w*/y)?.[0];
  if (name === undefined) throw scanner.unexpected("a packet (`<`, `>`), a call, a command or code");
  const given = parseArguments(scanner);
  scanner.expect("=");
  return { kind: "call", name, arguments: given, result: parseResult(scanner) };
}
