/**
 * The arguments and results of system calls.
 *
 * @module
 */

import type { Expression, ResultSpec, StructField } from "./ast.ts";
import type { Scanner } from "./scanner.ts";

const hexadecimal = /0[xX]([0-9a-fA-F]+)[uUlL]*/y;
const decimal = /(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)[uUlL]*/y;
const identifier = /[A-Za-z_][\w.]*/y;
const quoted = /"((?:[^"\\\n]|\\[^])*)"/y;
const cast = /\(\s*(?:struct\s+\w+|unsigned|int|char|void)\s*\**\s*\)/y;

/** Operators by their strength, the weakest first. Each level is tried in order: longer ones come first. */
const operators: readonly (readonly string[])[] = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/", "%"]];

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "0": "\0", "\\": "\\", '"': '"' };

/** Reads `(a, b, ...)`. */
export function parseArguments(scanner: Scanner): Expression[] {
  scanner.expect("(");
  return parseItems(scanner, ")");
}

/** Reads an expression. */
export function parseExpression(scanner: Scanner, level = 0): Expression {
  const choices = operators[level];
  if (choices === undefined) return parseUnary(scanner);
  let left = parseExpression(scanner, level + 1);
  for (;;) {
    const operator = choices.find((choice) => scanner.accept(choice));
    if (operator === undefined) return left;
    left = { kind: "binary", operator, left, right: parseExpression(scanner, level + 1) };
  }
}

/** Reads what stands behind the `=` of a call: `0`, `-1 EAGAIN (text)`, `*`, `10~20`. */
export function parseResult(scanner: Scanner): ResultSpec {
  let from: Expression | null = null;
  let to: Expression | null = null;
  if (!scanner.accept("*") && !scanner.accept("...")) {
    // Not a whole expression: a `+` or `*` that follows is the time of the next event.
    from = parseUnary(scanner);
    if (scanner.accept("~")) to = parseUnary(scanner);
  }
  const errno = scanner.match(/E[A-Z0-9]+\b/y)?.[0] ?? null;
  if (scanner.accept("(")) skipRemark(scanner);
  return { from, to, errno };
}

/** Text in parentheses that explains a result. */
function skipRemark(scanner: Scanner): void {
  for (let depth = 1; depth > 0;) {
    const [bracket] = scanner.need(/[^()]*[()]/y, "`)`");
    depth += bracket.endsWith("(") ? 1 : -1;
  }
}

function parseUnary(scanner: Scanner): Expression {
  if (scanner.accept("...")) return { kind: "ellipsis" };
  for (const operator of ["-", "~", "!", "&"]) {
    if (scanner.accept(operator)) return { kind: "unary", operator, operand: parseUnary(scanner) };
  }
  scanner.match(cast);
  const hex = scanner.match(hexadecimal);
  if (hex !== null) return { kind: "number", value: Number.parseInt(hex[1]!, 16) };
  const number = scanner.match(decimal);
  if (number !== null) return { kind: "number", value: Number(number[1]) };
  if (scanner.sees('"')) {
    const [, body] = scanner.need(quoted, 'a string that ends with `"` on the same line');
    return { kind: "string", value: body!.replaceAll(/\\([^])/g, (_, letter: string) => escapes[letter] ?? letter) };
  }
  if (scanner.accept("[")) return { kind: "list", items: parseItems(scanner, "]") };
  if (scanner.accept("{")) return { kind: "struct", fields: parseFields(scanner) };
  if (scanner.accept("(")) {
    const inner = parseExpression(scanner);
    scanner.expect(")");
    return inner;
  }
  const name = scanner.match(identifier)?.[0];
  if (name === undefined) throw scanner.unexpected("a value");
  if (scanner.sees("(")) return { kind: "function", name, arguments: parseArguments(scanner) };
  return { kind: "name", name };
}

/** Reads values up to `closer`, which is consumed. */
function parseItems(scanner: Scanner, closer: string): Expression[] {
  const items: Expression[] = [];
  if (scanner.accept(closer)) return items;
  do items.push(parseExpression(scanner)); while (scanner.accept(","));
  if (!scanner.accept(closer)) throw scanner.unexpected(`\`,\` or \`${closer}\``);
  return items;
}

/** Reads the fields of a structure up to `}`, which is consumed. */
function parseFields(scanner: Scanner): StructField[] {
  const fields: StructField[] = [];
  while (!scanner.accept("}")) {
    const start = scanner.at;
    const named = scanner.match(/\.?([A-Za-z_]\w*)\s*(?:\(\s*(?:\d+|\.\.\.)\s*\)\s*)?=(?!=)/y);
    if (named === null) scanner.at = start;
    fields.push({ name: named?.[1] ?? "", value: parseExpression(scanner) });
    if (!scanner.accept(",") && !scanner.sees("}")) throw scanner.unexpected("`,` or `}`");
  }
  return fields;
}
