/**
 * Reading a script character by character, with errors that say where.
 *
 * @module
 */

/** A script that cannot be read. The message begins with `PATH:LINE:COLUMN`. */
export class ScriptSyntaxError extends Error {
  /** The class's name. */
  override readonly name: string = "ScriptSyntaxError";
  /** The line, from 1. */
  readonly line: number;
  /** The column, from 1. */
  readonly column: number;
  /** What is wrong, without the place. */
  readonly reason: string;

  /** Says what is wrong and where. */
  constructor(path: string, line: number, column: number, reason: string) {
    super(`${path}:${line}:${column} ${reason}`);
    this.line = line;
    this.column = column;
    this.reason = reason;
  }
}

/** Blanks and comments: `// ...` to the end of the line, and the form that may span lines. */
const blanksAndComments = /(?:\s+|\/\/[^\n]*|\/\*[^]*?\*\/)+/y;

/** A place in a text that moves on. Blanks and comments before whatever is looked for are passed over. */
export class Scanner {
  /** Name of the text, for errors. */
  readonly path: string;
  /** The text. */
  readonly text: string;
  /** Where it stands. */
  at: number = 0;
  /** The line of the text's first character. */
  readonly #firstLine: number;
  /** What is passed over. */
  readonly #blank: RegExp;

  /**
   * Starts at the beginning of `text`, whose first line is counted as `firstLine`. `blank` is a sticky expression for
   * what is passed over, which here need not include comments.
   */
  constructor(text: string, path: string, firstLine = 1, blank: RegExp = blanksAndComments) {
    this.text = text;
    this.path = path;
    this.#firstLine = firstLine;
    this.#blank = blank;
  }

  /** The line where it stands, behind blanks. */
  get line(): number {
    this.skipBlanks();
    return this.#lineAt(this.at);
  }

  /** Whether nothing but blanks is left. */
  get done(): boolean {
    this.skipBlanks();
    return this.at >= this.text.length;
  }

  /** Passes over blanks and comments. */
  skipBlanks(): void {
    const blank = this.#blank;
    blank.lastIndex = this.at;
    if (blank.test(this.text)) this.at = blank.lastIndex;
    if (blank === blanksAndComments && this.text.startsWith("/*", this.at)) {
      throw this.error("This comment is never closed: `*/` is missing");
    }
  }

  /** Whether `literal` comes next; it is not consumed. */
  sees(literal: string): boolean {
    this.skipBlanks();
    return this.text.startsWith(literal, this.at);
  }

  /** Consumes `literal` if it comes next. */
  accept(literal: string): boolean {
    if (!this.sees(literal)) return false;
    this.at += literal.length;
    return true;
  }

  /**
   * Consumes `literal`.
   *
   * @throws {ScriptSyntaxError} If something else comes.
   */
  expect(literal: string): void {
    if (!this.accept(literal)) throw this.unexpected(`\`${literal}\``);
  }

  /** Consumes what the sticky expression matches and returns its groups, or null. */
  match(pattern: RegExp): RegExpExecArray | null {
    this.skipBlanks();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  /**
   * Consumes what the sticky expression matches; `what` names it in the error.
   *
   * @throws {ScriptSyntaxError} If something else comes.
   */
  need(pattern: RegExp, what: string): RegExpExecArray {
    const found = this.match(pattern);
    if (found === null) throw this.unexpected(what);
    return found;
  }

  /** Consumes everything up to `terminator` and the terminator itself, and returns what was before it. */
  until(terminator: string, what: string): string {
    const end = this.text.indexOf(terminator, this.at);
    if (end < 0) throw this.error(`${what} is never closed: \`${terminator}\` is missing`);
    const text = this.text.slice(this.at, end);
    this.at = end + terminator.length;
    return text;
  }

  /** The error that something other than `expected` comes next. */
  unexpected(expected: string): ScriptSyntaxError {
    this.skipBlanks();
    const rest = /\S{1,20}/y;
    rest.lastIndex = this.at;
    const found = rest.exec(this.text)?.[0];
    return this.error(`Expected ${expected}, found ${found === undefined ? "the end of the script" : `\`${found}\``}`);
  }

  /** An error at the place where it stands, or at `at`. */
  error(reason: string, at = this.at): ScriptSyntaxError {
    const column = at - this.text.lastIndexOf("\n", at - 1);
    return new ScriptSyntaxError(this.path, this.#lineAt(at), column, reason);
  }

  #lineAt(at: number): number {
    let line = this.#firstLine;
    for (let next = this.text.indexOf("\n"); next >= 0 && next < at; next = this.text.indexOf("\n", next + 1)) line++;
    return line;
  }
}
