/**
 * The lines of a script that begin with `#`: `#ifdef NAME`, `#ifndef NAME`, `#else` and `#endif` choose a dialect.
 *
 * @module
 */

import { ScriptSyntaxError } from "./scanner.ts";

/** A `#ifdef` that is open. */
interface Condition {
  readonly line: number;
  /** Whether the lines of the present branch count. */
  active: boolean;
  /** Whether lines could count where it stands. */
  readonly reachable: boolean;
}

/**
 * Blanks the lines that do not count, so that all others keep their numbers. `defined` says which names are defined.
 * Other lines that begin with `#` are comments: the first line may name an interpreter, for instance.
 *
 * @throws {ScriptSyntaxError} If a block is not closed, or closed twice.
 */
export function preprocess(text: string, path: string, defined: (name: string) => boolean): string {
  const open: Condition[] = [];
  const lines = text.split("\n").map((line, index) => {
    const directive = /^\s*#\s*(ifdef|ifndef|else|endif)\b\s*(\w*)/.exec(line);
    const current = open.at(-1);
    if (directive === null) {
      return /^\s*#/.test(line) || (current !== undefined && !current.active) ? "" : line;
    }
    const [, word, name] = directive;
    const fail = (reason: string) => new ScriptSyntaxError(path, index + 1, line.indexOf("#") + 1, reason);
    if (word === "ifdef" || word === "ifndef") {
      if (name === "") throw fail(`Expected a name behind \`#${word}\``);
      const reachable = current?.active ?? true;
      open.push({ line: index + 1, reachable, active: reachable && defined(name!) === (word === "ifdef") });
    } else if (current === undefined) {
      throw fail(`\`#${word}\` without \`#ifdef\``);
    } else if (word === "else") {
      current.active = current.reachable && !current.active;
    } else {
      open.pop();
    }
    return "";
  });
  const unclosed = open.at(-1);
  if (unclosed !== undefined) {
    throw new ScriptSyntaxError(path, unclosed.line, 1, "This block is never closed: `#endif` is missing");
  }
  return lines.join("\n");
}
