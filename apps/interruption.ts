/**
 * Ending a program by SIGINT, SIGTERM or SIGHUP: the first asks it to close in good order, the second ends it at once.
 *
 * @module
 */

import { isHangUpIgnored } from "../ffi/signals.ts";
import type { Logger } from "../mod.ts";

/**
 * Milliseconds in which the same signal counts once: a terminal sends Ctrl-C to the program and to the task runner, which
 * passes it on.
 */
const twinTime = 300;

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** A program was ended by a signal before it could begin its work. Its message is one line. */
export class Interrupted extends Error {
  /** The class's name. */
  override readonly name: string = "Interrupted";
  /** What a shell reports for a program that the signal has ended: 130 for SIGINT. */
  readonly exitCode: number;

  /** `cause` is what the work that the signal ended has thrown. */
  constructor(exitCode: number, cause: unknown) {
    super("Interrupted", { cause });
    this.exitCode = exitCode;
  }
}

/**
 * Listens for SIGINT, SIGTERM and SIGHUP, which a terminal sends when it is closed, until it is disposed. Under `nohup`,
 * SIGHUP does nothing.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  #exitCode: number | null = null;
  #cameAt = -Infinity;
  #failure: Error | null = null;
  readonly #handlers: (readonly [Deno.Signal, () => void])[] = [];

  /** Starts to listen. `endAtOnce` is called before the second signal ends the program: it undoes what cannot stay. */
  constructor(logger: Logger, endAtOnce: () => void) {
    const outlivesTerminal = isHangUpIgnored();
    for (const [name, number] of Object.entries(signals) as [keyof typeof signals, number][]) {
      const handler = () => {
        // Left to itself, Deno ends at SIGHUP once it listens to any signal.
        if (name === "SIGHUP" && outlivesTerminal) return;
        if (!this.#controller.signal.aborted) {
          logger.debug(`${name}: closing`);
          this.#exitCode = 128 + number;
          this.#cameAt = performance.now();
          this.#controller.abort(new DOMException(`Interrupted by ${name}`, "AbortError"));
          return;
        }
        if (this.#exitCode === 128 + number && performance.now() - this.#cameAt < twinTime) return;
        try {
          endAtOnce();
        } finally {
          Deno.exit(128 + number);
        }
      };
      Deno.addSignalListener(name, handler);
      this.#handlers.push([name, handler]);
    }
  }

  /** What a shell reports for a program that the first signal has ended: 130 for SIGINT; null before it comes. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  /** What `work` gives. Where a signal has ended it with an error, that is {@linkcode Interrupted}. */
  async guard<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      throw this.#exitCode === null ? error : new Interrupted(this.#exitCode, error);
    }
  }

  /** Asks the program to end as a signal does, but with `error`, which {@linkcode Interruption.failing} throws. */
  fail(error: Error): void {
    if (this.signal.aborted) return;
    this.#failure = error;
    this.#controller.abort(error);
  }

  /** What `work` gives, or what {@linkcode Interruption.fail} was called with while it went on. */
  async failing<Result>(work: Promise<Result>): Promise<Result> {
    try {
      const result = await work;
      if (this.#failure === null) return result;
    } catch (error) {
      if (this.#failure === null) throw error;
    }
    throw this.#failure;
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves when the first signal has come. */
  async wait(): Promise<void> {
    if (this.signal.aborted) return;
    await new Promise<void>((resolve) => this.signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  /** Stops listening, unless a signal has come: the program is about to end then, and is not to be ended by its twin. */
  [Symbol.dispose](): void {
    if (this.#exitCode !== null) return;
    for (const [name, handler] of this.#handlers) Deno.removeSignalListener(name, handler);
  }
}
