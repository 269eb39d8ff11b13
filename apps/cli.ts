/**
 * What the programs share: the command line, its help text, and how a program ends.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Interrupted } from "./interruption.ts";
import { printable } from "./printable.ts";

/** What a program's exit code says. */
export const ExitCode = {
  /** It did what was asked. */
  success: 0,
  /** It tried and failed. */
  failure: 1,
  /** It was asked for something that makes no sense. */
  usage: 2,
} as const;

/** A command line that makes no sense. Its message is one line, without the program's name. */
export class UsageError extends Error {
  /** The class's name. */
  override readonly name: string = "UsageError";
}

/** A value that an option cannot take. Its message says what to give instead: `give a number from 1 to 255`. */
export class InvalidValue extends Error {
  /** The class's name. */
  override readonly name: string = "InvalidValue";
}

/** One option of a program. */
export interface Option<Value> {
  /** The letter of its short form, where it has one. */
  readonly letter?: string;
  /** What stands for its value in the help text; absent on a switch, which takes none. */
  readonly placeholder?: string;
  /** What it does, for the help text. */
  readonly help: string;
  /** Whether it may be given several times: its values are then put together with commas. */
  readonly repeatable?: boolean;
  /** What it is when it is not given. */
  readonly fallback: Value;
  /**
   * The value that a text says.
   *
   * @throws {InvalidValue} If it says none.
   */
  parse(text: string): Value;
}

/** The options of a program, by their long names. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** The values of a program's options, by their long names. */
export type Values<Specification extends Options> = {
  [name in keyof Specification]: Specification[name] extends Option<infer Value> ? Value : never;
};

/** The argument of a program that is no option. */
export interface Operand {
  /** What stands for it in the help text. */
  readonly placeholder: string;
  /** What it is, for the help text. */
  readonly help: string;
  /** Whether it must be given, for the help text: the program itself says what is missing. */
  readonly required?: boolean;
  /** Whether there may be several. */
  readonly repeatable?: boolean;
}

/** A program as its user sees it. */
export interface Program<Specification extends Options> {
  /** Its name, which is also its task's. */
  readonly name: string;
  /** What it does, in one sentence. */
  readonly summary: string;
  /** The argument that it takes, or the arguments; absent if it takes none. */
  readonly operand?: Operand;
  /** Its options but `--help`, which every program has. */
  readonly options: Specification;
  /** Arguments worth copying and what they do. */
  readonly examples: readonly (readonly [args: string, effect: string])[];
}

/** A command line that made sense. */
export interface CommandLine<Specification extends Options> {
  /** The help text was asked for: nothing else counts. */
  readonly help: boolean;
  /** The options' values. */
  readonly values: Values<Specification>;
  /** The argument that is no option, where one was given. */
  readonly operand: string | null;
  /** All arguments that are no option. */
  readonly operands: readonly string[];
}

/** An option without a value: false unless it is given. */
export function toggle(help: string, letter?: string): Option<boolean> {
  return { help, fallback: false, parse: () => true, ...(letter === undefined ? {} : { letter }) };
}

/**
 * Reads a program's command line.
 *
 * @throws {UsageError} If it makes no sense: an unknown option, a missing or impossible value, an argument too many.
 */
export function parseCommandLine<Specification extends Options>(
  program: Program<Specification>,
  args: readonly string[],
): CommandLine<Specification> {
  const entries = Object.entries(program.options);
  const alias: Record<string, string> = { h: "help" };
  for (const [name, { letter }] of entries) if (letter !== undefined) alias[letter] = name;
  const given = parseArgs([...args], {
    // "_": an argument that looks like a number stays the text that it is.
    string: ["_", ...namesWhere(entries, (option) => option.placeholder !== undefined)],
    boolean: ["help", ...namesWhere(entries, (option) => option.placeholder === undefined)],
    collect: namesWhere(entries, (option) => option.repeatable === true),
    alias,
    unknown: refuseUnknownOption,
  });
  refuseSwitchValues(args, ["help", ...namesWhere(entries, (option) => option.placeholder === undefined)]);
  const values: Record<string, unknown> = {};
  for (const [name, option] of entries) {
    const value = given[name];
    const isAbsent = given.help || (Array.isArray(value) && value.length === 0);
    values[name] = isAbsent ? option.fallback : read(name, option, value);
  }
  const operands = given._.map(String);
  const surplus = operands[program.operand === undefined ? 0 : 1];
  if (surplus !== undefined && !given.help && !program.operand?.repeatable) {
    throw new UsageError(`Unexpected argument "${surplus}"`);
  }
  return { help: given.help === true, values: values as Values<Specification>, operand: operands[0] ?? null, operands };
}

function namesWhere(entries: readonly [string, Option<unknown>][], test: (option: Option<unknown>) => boolean) {
  return entries.filter(([, option]) => test(option)).map(([name]) => name);
}

/** Called by `parseArgs` for whatever it was not told of; arguments that are no options have no key. */
function refuseUnknownOption(arg: string, key?: string): boolean {
  if (key === undefined) return true;
  throw new UsageError(`Unknown option "${arg}"`);
}

/** `parseArgs` takes any value of a switch for true. */
function refuseSwitchValues(args: readonly string[], switches: readonly string[]): void {
  const end = args.indexOf("--");
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const name = /^--([^=]+)=/.exec(arg)?.[1];
    if (name !== undefined && switches.includes(name)) {
      throw new UsageError(`Option --${name} takes no value`);
    }
  }
}

function read(name: string, option: Option<unknown>, given: unknown): unknown {
  if (option.placeholder === undefined) return given === true;
  if (given === undefined) return option.fallback;
  if (given === "") throw new UsageError(`Option ${spell(name, option)} needs a value: ${option.placeholder}`);
  try {
    return option.parse(String(given));
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot use "${given}" for ${spell(name, option)}: ${error.message}`);
  }
}

function spell(name: string, option: Option<unknown>): string {
  return option.letter === undefined ? `--${name}` : `-${option.letter} (--${name})`;
}

/** What `--help` prints. */
export function helpText(program: Program<Options>): string {
  const { name, summary, operand, options, examples } = program;
  const rows: [string, string][] = Object.entries(options).map((
    [long, { letter, placeholder, help }],
  ) => [
    `${letter === undefined ? "   " : `-${letter},`} --${long}${placeholder === undefined ? "" : ` ${placeholder}`}`,
    help,
  ]);
  rows.push(["-h, --help", "Print this text and exit"]);
  const usage = ["Usage: deno task", name, "[OPTIONS]"];
  if (operand !== undefined) usage.push(bracketed(operand));
  const lines = [summary, "", usage.join(" ")];
  if (operand !== undefined) lines.push("", "Argument:", ...table([[operand.placeholder, operand.help]]));
  lines.push("", "Options:", ...table(rows), "", "Examples:");
  lines.push(...table(examples.map(([args, effect]) => [`deno task ${name} ${args}`.trimEnd(), effect])));
  return lines.join("\n");
}

function bracketed({ placeholder, required }: Operand): string {
  if (!required) return `[${placeholder}]`;
  return placeholder.includes(" | ") ? `(${placeholder})` : placeholder;
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

/** An error as one line for the program's user, whatever a peer has put into it. */
export function errorLine(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return printable(message.replaceAll(/\s*\n\s*/g, " "));
}

/**
 * Runs a program to its end: reads the command line, prints the help text if that is asked for, and otherwise exits
 * with the code that `main` returns. An error becomes one line and `failure`, or 2 where the command line was wrong, or a
 * signal's code where one came before the work had begun.
 */
export async function runProgram<Specification extends Options>(
  program: Program<Specification>,
  main: (commandLine: CommandLine<Specification>) => Promise<number>,
  failure: number = ExitCode.failure,
): Promise<never> {
  let code: number = failure;
  try {
    const commandLine = parseCommandLine(program, Deno.args);
    if (commandLine.help) {
      console.log(helpText(program));
      code = ExitCode.success;
    } else {
      code = await main(commandLine);
    }
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(`${program.name}: ${errorLine(error)}${usage ? ` (see: deno task ${program.name} --help)` : ""}`);
    if (usage) code = ExitCode.usage;
    if (error instanceof Interrupted) code = error.exitCode;
  }
  Deno.exit(code);
}
