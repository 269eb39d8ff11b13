/**
 * Runs a program of `apps/` as its task does.
 *
 * @module
 */

import { soon } from "../helpers/patience.ts";

const root = new URL("../../", import.meta.url);

const { tasks }: { tasks: Record<string, { command: string }> } = JSON.parse(
  Deno.readTextFileSync(new URL("deno.json", root)),
);

/** What a program left behind. */
export interface Outcome {
  code: number;
  /** The lines of its standard output. */
  output: string[];
  /** The lines of its standard error. */
  errors: string[];
}

/** The lines that a program printed. */
export function lines(bytes: Uint8Array): string[] {
  const text = new TextDecoder().decode(bytes);
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

/**
 * The command that starts a program with only the permission that its task gives it. `wrapper` goes in front of it:
 * a command that runs another.
 */
export function programCommand(name: string, args: readonly string[], wrapper: readonly string[] = []): Deno.Command {
  const [, run, ...permissionsAndPath] = tasks[name]!.command.split(" ");
  const [first, ...rest] = [
    ...wrapper,
    Deno.execPath(),
    run!,
    "--quiet",
    "--no-prompt",
    ...permissionsAndPath,
    ...args,
  ];
  return new Deno.Command(first!, {
    args: rest,
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs a program to its end. */
export async function runToEnd(name: string, ...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await programCommand(name, args).output();
  return { code, output: lines(stdout), errors: lines(stderr) };
}

/** A program that runs until it is told to end. */
export class RunningProgram implements AsyncDisposable {
  /** The lines of its standard output so far. */
  readonly output: string[] = [];
  /** The lines of its standard error so far. */
  readonly errors: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #collected: Promise<unknown>;
  #arrived = Promise.withResolvers<void>();
  #ended = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#collected = Promise.all([
      this.#collect(child.stdout, this.output),
      this.#collect(child.stderr, this.errors),
    ]).then(() => {
      this.#ended = true;
      this.#arrived.resolve();
    });
  }

  /** Starts a program. */
  static start(name: string, ...args: string[]): RunningProgram {
    return new RunningProgram(programCommand(name, args).spawn());
  }

  /** Starts a program by a command that runs it, as in {@linkcode programCommand}. */
  static startBy(wrapper: readonly string[], name: string, ...args: string[]): RunningProgram {
    return new RunningProgram(programCommand(name, args, wrapper).spawn());
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, into: string[]): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const pieces = (rest + text).split("\n");
      rest = pieces.pop()!;
      into.push(...pieces);
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
    if (rest !== "") into.push(rest);
  }

  /** Resolves with the first line, of either stream, that matches. Throws if the program ends without it. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = [...this.output, ...this.errors].find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`No line matches ${pattern}:\n${[...this.output, ...this.errors].join("\n")}`);
      await soon(this.#arrived.promise, `a line that matches ${pattern}`);
    }
  }

  /** Sends it a signal, as a terminal does for Ctrl-C. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Its exit code, once it has ended. */
  async code(): Promise<number> {
    const { code } = await soon(this.#child.status, "the program's end");
    await this.#collected;
    return code;
  }

  /** Ends it, where it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.code();
  }
}
