/**
 * Code in scripts: assertions over TCP_INFO, and what they need, in the little of Python that they are written in.
 *
 * @module
 */

import { constants } from "./constants.ts";
import { ScriptFailure, ScriptSkipped } from "./failure.ts";
import { Scanner } from "./scanner.ts";

/** A value of an expression. */
export type Value = number | string;

/** Binary operators by strength, the weakest first; `and`, `or`, `not` and comparisons are weaker still. */
const operators: readonly (readonly string[])[] = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], [
  "*",
  "//",
  "/",
  "%",
]];

const comparisons = ["==", "!=", "<=", ">=", "<", ">"];

/** The functions that assertions may use. */
const functions: Readonly<Record<string, (...values: number[]) => number>> = {
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  int: Math.trunc,
};

/**
 * Runs code that begins on `line`: `assert` fails if it does not hold, `print` goes to `print`, and what is assigned
 * goes into `variables`.
 *
 * @throws {ScriptFailure} If an assertion does not hold.
 * @throws {ScriptSkipped} If it says anything else, or names something unknown.
 */
export function runCode(
  code: string,
  path: string,
  line: number,
  values: Readonly<Record<string, number>>,
  variables: Map<string, Value>,
  print: (text: string) => void,
): void {
  const first = code.search(/\S/);
  const startLine = line + (first < 0 ? 0 : code.slice(0, first).split("\n").length - 1);
  for (const [index, statement] of statementsOf(code.trimStart()).entries()) {
    if (statement !== "") new Statement(statement, path, startLine + index, values, variables, print).run();
  }
}

/** The statements of some code, without remarks. A bracket that is open joins lines. */
function statementsOf(code: string): string[] {
  const statements: string[] = [];
  let joined = "";
  for (const line of code.replaceAll(/\\\n/g, " ").split("\n")) {
    joined += ` ${line.replace(/#.*/, "").trim()}`;
    const open = joined.split("(").length - joined.split(")").length;
    if (open > 0) continue;
    statements.push(...joined.split(";").map((part) => part.trim()));
    joined = "";
  }
  return [...statements, joined.trim()];
}

/** One statement. */
class Statement {
  readonly #scanner: Scanner;
  readonly #values: Readonly<Record<string, number>>;
  readonly #variables: Map<string, Value>;
  readonly #print: (text: string) => void;
  /** The fields that were looked at, for the message. */
  readonly #seen = new Map<string, number>();

  constructor(
    text: string,
    path: string,
    line: number,
    values: Readonly<Record<string, number>>,
    variables: Map<string, Value>,
    print: (text: string) => void,
  ) {
    // `//` is a division here.
    this.#scanner = new Scanner(text, path, line, /\s+/y);
    this.#values = values;
    this.#variables = variables;
    this.#print = print;
  }

  run(): void {
    const scanner = this.#scanner;
    const { text } = scanner;
    if (scanner.match(/assert\b/y)) {
      const holds = truth(this.#expression());
      if (!holds) {
        const seen = [...this.#seen].map(([name, value]) => `${name} is ${value}`).join(", ");
        throw new ScriptFailure(`\`${text}\` does not hold${seen === "" ? "" : `: ${seen}`}`);
      }
      return;
    }
    if (scanner.match(/print\b/y)) {
      const parts: Value[] = [];
      if (!scanner.done) { do parts.push(this.#expression()); while (scanner.accept(",")); }
      this.#print(parts.join(" "));
      return;
    }
    if (scanner.match(/pass\b|import\b/y)) return;
    const assignment = scanner.match(/([A-Za-z_]\w*)\s*(\+|-|\*|\/\/|%|&|\||\^|<<|>>)?=(?!=)/y);
    if (assignment === null) {
      throw new ScriptSkipped(`the code \`${text}\` is neither an assertion nor \`print\` nor an assignment`);
    }
    const [, name, operator] = assignment;
    const value = this.#expression();
    this.#variables.set(name!, operator === undefined ? value : combine(operator, this.#named(name!), value));
  }

  #expression(): Value {
    let left = this.#conjunction();
    while (this.#scanner.match(/or\b/y)) {
      const right = this.#conjunction();
      left = truth(left) ? left : right;
    }
    return left;
  }

  #conjunction(): Value {
    let left = this.#negation();
    while (this.#scanner.match(/and\b/y)) {
      const right = this.#negation();
      left = truth(left) ? right : left;
    }
    return left;
  }

  #negation(): Value {
    if (this.#scanner.match(/not\b/y)) return Number(!truth(this.#negation()));
    let left = this.#operation(0);
    let holds: boolean | null = null;
    for (;;) {
      if (this.#scanner.match(/in\b/y)) {
        const choices = this.#tuple();
        return Number(choices.includes(left));
      }
      const operator = comparisons.find((choice) => this.#scanner.accept(choice));
      if (operator === undefined) return holds === null ? left : Number(holds);
      const right = this.#operation(0);
      holds = (holds ?? true) && compare(operator, left, right);
      left = right;
    }
  }

  #tuple(): Value[] {
    const closer = this.#scanner.accept("[") ? "]" : ")";
    if (closer === ")") this.#scanner.expect("(");
    const values: Value[] = [];
    while (!this.#scanner.accept(closer)) {
      values.push(this.#expression());
      this.#scanner.accept(",");
    }
    return values;
  }

  #operation(level: number): Value {
    const choices = operators[level];
    if (choices === undefined) return this.#unary();
    let left = this.#operation(level + 1);
    for (;;) {
      const operator = choices.find((choice) => this.#scanner.accept(choice));
      if (operator === undefined) return left;
      const right = this.#operation(level + 1);
      left = combine(operator, left, right);
    }
  }

  #unary(): Value {
    const scanner = this.#scanner;
    if (scanner.accept("-")) return -Number(this.#unary());
    if (scanner.accept("+")) return this.#unary();
    if (scanner.accept("~")) return ~Number(this.#unary());
    if (scanner.accept("(")) {
      const value = this.#expression();
      // `print("a", b)` and tuples: the values side by side.
      if (!scanner.sees(",")) {
        scanner.expect(")");
        return value;
      }
      const values = [value];
      while (scanner.accept(",")) if (!scanner.sees(")")) values.push(this.#expression());
      scanner.expect(")");
      return values.join(" ");
    }
    const number = scanner.match(/0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (number !== null) return Number(number[0]);
    const string = scanner.match(/"([^"]*)"|'([^']*)'/y);
    if (string !== null) return string[1] ?? string[2]!;
    const name = scanner.match(/[A-Za-z_][\w.]*/y)?.[0];
    if (name === undefined) throw scanner.unexpected("a value");
    return this.#named(name);
  }

  #named(name: string): Value {
    const call = functions[name];
    if (call !== undefined && this.#scanner.sees("(")) return call(...this.#tuple().map(Number));
    if (name === "str" && this.#scanner.sees("(")) return this.#tuple().join("");
    const variable = this.#variables.get(name);
    if (variable !== undefined) return variable;
    const field = this.#values[name];
    if (field !== undefined) {
      this.#seen.set(name, field);
      return field;
    }
    const constant = constants[name] ?? constants[name.replace(/^TCP[IS]_(?!OPT)/, "TCP_")];
    if (constant !== undefined) return constant;
    throw new ScriptSkipped(`nothing is known of \`${name}\``);
  }
}

function truth(value: Value): boolean {
  return value !== 0 && value !== "";
}

function compare(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case ">":
      return left > right;
    case "<=":
      return left <= right;
    default:
      return left >= right;
  }
}

function combine(operator: string, left: Value, right: Value): Value {
  if (operator === "+" && (typeof left === "string" || typeof right === "string")) return `${left}${right}`;
  // `"text %d" % value`
  if (operator === "%" && typeof left === "string") return left.replace(/%[dsfrx]/, String(right));
  const a = Number(left);
  const b = Number(right);
  switch (operator) {
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "&":
      return a & b;
    case "<<":
      return a << b;
    case ">>":
      return a >> b;
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "//":
      return Math.floor(a / b);
    case "/":
      return a / b;
    default:
      return ((a % b) + b) % b;
  }
}
