/**
 * Where a program puts bytes: standard output or a file.
 *
 * @module
 */

import { fileError } from "./file_error.ts";

/** A sink of bytes. */
export class Output implements Disposable {
  /** Whether a person reads what goes. */
  readonly isTerminal: boolean;
  readonly #name: string;
  readonly #file: Pick<Deno.FsFile, "write" | "close">;

  private constructor(name: string, file: Pick<Deno.FsFile, "write" | "close">, isTerminal: boolean) {
    this.isTerminal = isTerminal;
    this.#name = name;
    this.#file = file;
  }

  /**
   * Creates or empties the file at `path`; standard output for null and for `-`.
   *
   * @throws {Error} If the file cannot be written.
   */
  static open(path: string | null): Output {
    if (path === null || path === "-") return new Output("standard output", Deno.stdout, Deno.stdout.isTerminal());
    try {
      return new Output(`"${path}"`, Deno.openSync(path, { write: true, create: true, truncate: true }), false);
    } catch (error) {
      throw fileError("write", `"${path}"`, error);
    }
  }

  /**
   * Writes all of `bytes`, and takes as long as whoever reads them.
   *
   * @throws {Error} If they cannot be written, for example because nobody reads them any more.
   */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length;) written += await this.#file.write(bytes.subarray(written));
    } catch (error) {
      throw fileError("write", this.#name, error);
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    if (this.#file !== Deno.stdout) this.#file.close();
  }
}

/**
 * Prints a line on standard output, for programs that print for as long as somebody reads.
 *
 * @throws {Error} If it cannot be written, for example because nobody reads it any more.
 */
export function printLine(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
  } catch (error) {
    throw fileError("write", "standard output", error);
  }
}
