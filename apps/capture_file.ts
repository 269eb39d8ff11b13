/**
 * A capture file that a program writes while it runs.
 *
 * @module
 */

import { fileError } from "./transfer/file_error.ts";

/** Bytes that are kept back at most, so that not every frame costs a system call. */
const bufferBytes = 65_536;

/** How long bytes are kept back at most, in milliseconds: whoever reads along sees frames soon. */
const flushInterval = 200;

/** A file that is written in large pieces, or standard output. */
export class CaptureFile implements Disposable {
  readonly #name: string;
  readonly #file: Pick<Deno.FsFile, "writeSync" | "close">;
  readonly #buffer = new Uint8Array(bufferBytes);
  readonly #failed: (error: unknown) => void;
  #length = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #open = true;

  /**
   * Creates the file at `path`, or empties it; `-` is standard output. `failed` is called once if it cannot be written
   * any more; what comes then is lost.
   *
   * @throws {Error} If it cannot be created.
   */
  constructor(path: string, failed: (error: unknown) => void) {
    this.#name = path === "-" ? "the capture to standard output" : `the capture "${path}"`;
    this.#failed = failed;
    try {
      this.#file = path === "-" ? Deno.stdout : Deno.openSync(path, { write: true, create: true, truncate: true });
    } catch (error) {
      throw fileError("write", this.#name, error);
    }
  }

  /** Appends bytes, which the caller may use again. */
  write(bytes: Uint8Array): void {
    if (!this.#open) return;
    if (this.#length + bytes.length > bufferBytes) this.#flush();
    if (bytes.length > bufferBytes) {
      this.#put(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#flush(), flushInterval);
    Deno.unrefTimer(this.#timer);
  }

  /** Writes what was kept back and closes the file. Does nothing the second time. */
  close(): void {
    if (!this.#open) return;
    this.#flush();
    this.#end();
  }

  /** As {@linkcode CaptureFile.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    this.#put(bytes);
  }

  #put(bytes: Uint8Array): void {
    try {
      for (let written = 0; this.#open && written < bytes.length;) {
        written += this.#file.writeSync(bytes.subarray(written));
      }
    } catch (error) {
      this.#end();
      this.#failed(fileError("write", `${this.#name} any more`, error));
    }
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#file !== Deno.stdout) this.#file.close();
  }
}
