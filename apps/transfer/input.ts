/**
 * Where a program takes bytes from: standard input or a file.
 *
 * @module
 */

import { fileError } from "./file_error.ts";

/** Bytes that are read at once. */
const bufferBytes = 262_144;

/** A source of bytes, of which one reader takes what it needs and leaves the rest to the next. */
export class Input implements Disposable {
  /** Whether a person types what comes. */
  readonly isTerminal: boolean;
  readonly #name: string;
  readonly #file: Pick<Deno.FsFile, "read" | "close">;
  readonly #buffer = new Uint8Array(bufferBytes);
  #start = 0;
  #end = 0;
  #ended = false;
  #filling: Promise<void> | null = null;

  private constructor(name: string, file: Pick<Deno.FsFile, "read" | "close">, isTerminal: boolean) {
    this.#name = name;
    this.#file = file;
    this.isTerminal = isTerminal;
  }

  /**
   * Opens the file at `path`, or standard input for null and for `-`.
   *
   * @throws {Error} If the file cannot be read.
   */
  static open(path: string | null): Input {
    if (path === null || path === "-") return new Input("standard input", Deno.stdin, Deno.stdin.isTerminal());
    try {
      return new Input(`"${path}"`, Deno.openSync(path), false);
    } catch (error) {
      throw fileError("read", `"${path}"`, error);
    }
  }

  /**
   * Waits for bytes and returns them without taking them; null at the end. They stay valid until they are taken.
   *
   * @throws {Error} If they cannot be read.
   */
  async next(): Promise<Uint8Array<ArrayBuffer> | null> {
    while (this.#start === this.#end) {
      if (this.#ended) return null;
      // A reader that gave up waiting has left its read to the next one.
      await (this.#filling ??= this.#fill());
    }
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Takes the first `bytes` of what {@linkcode Input.next} has returned. */
  take(bytes: number): void {
    this.#start += bytes;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    if (this.#file !== Deno.stdin) this.#file.close();
  }

  async #fill(): Promise<void> {
    try {
      const read = await this.#file.read(this.#buffer);
      this.#start = 0;
      this.#end = read ?? 0;
      this.#ended = read === null;
    } catch (error) {
      throw fileError("read", this.#name, error);
    } finally {
      this.#filling = null;
    }
  }
}
