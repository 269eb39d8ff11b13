/**
 * The arguments of system calls: what scripts write for buffers, vectors and options.
 *
 * @module
 */

import type { Expression } from "./ast.ts";
import { constants } from "./constants.ts";
import type { OptionValue } from "./descriptor.ts";
import { ScriptFailure, ScriptSkipped } from "./failure.ts";
import { tcpInfo } from "./tcp_info.ts";
import type { TcpSocket } from "./tcp_socket.ts";
import { type Define, fieldOf, numberOf } from "./values.ts";

/** Compares the fields of TCP_INFO that a script spells out. */
export function checkTcpInfo(socket: TcpSocket, wanted: Expression | undefined, define: Define): void {
  if (wanted?.kind !== "struct") return;
  const info = tcpInfo(socket.connection);
  for (const { name, value } of wanted.fields) {
    if (isOpen(value)) continue;
    const actual = info[name];
    if (actual === undefined) throw new ScriptSkipped(`nothing is known of \`${name}\``);
    const expected = numberOf(value, define);
    if (expected !== actual) throw new ScriptFailure(`expected ${name} ${expected}, it is ${actual}`);
  }
}

/** Whether a value is left open: `...`. */
export function isOpen(expression: Expression): boolean {
  return expression.kind === "ellipsis" || (expression.kind === "list" && expression.items[0]?.kind === "ellipsis");
}

/** Whether a value is a null pointer, or is not there at all. */
export function isNull(expression: Expression | undefined, define: Define): boolean {
  return expression === undefined || (expression.kind !== "ellipsis" && expression.kind !== "struct" &&
    expression.kind !== "list" && numberOf(expression, define) === 0);
}

/** The lengths of an `iovec` array, added up. */
export function totalOf(vector: Expression | undefined, define: Define): number {
  if (vector?.kind !== "list") return 0;
  return vector.items.reduce((total, item) => total + numberOf(fieldOf(item, ["iov_len"], 1), define), 0);
}

/** The bytes that a script spells out, or null where it leaves them to the interpreter. */
export function literalOf(parts: readonly (Expression | undefined)[], length: number): Uint8Array | null {
  const texts = parts.map((part) => part?.kind === "string" ? part.value : null);
  if (texts.some((text) => text === null) || texts.length === 0) return null;
  const bytes = new TextEncoder().encode(texts.join(""));
  const literal = new Uint8Array(length);
  literal.set(bytes.subarray(0, length));
  return literal;
}

/** The value of an option as scripts write it: `[1]`, `1`, `"cubic"`, `{onoff=1, linger=0}`. */
export function optionValueOf(expression: Expression | undefined, define: Define): OptionValue {
  const inner = expression?.kind === "list" ? expression.items[0] : expression;
  if (inner?.kind === "string") return { number: 0, second: 0, text: inner.value };
  if (inner?.kind === "struct") {
    const [first, second] = inner.fields;
    if (first?.value.kind === "string") return { number: 0, second: 0, text: first.value.value };
    return {
      number: numberOf(first?.value, define, 0),
      second: numberOf(second?.value, define, 0),
      text: null,
    };
  }
  const text = inner?.kind === "name" && inner.name.startsWith("E") ? inner.name : null;
  if (text !== null) return { number: constants[text] ?? -1, second: 0, text };
  return { number: numberOf(inner, define, 0), second: 0, text: null };
}
