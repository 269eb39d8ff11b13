/**
 * Lines out of bytes from anybody: bounded, and with nothing in them that could steer a terminal.
 *
 * @module
 */

import { printable } from "../printable.ts";

/** The most characters of a line. */
export const mostLineCharacters = 500;

/** Puts lines together from pieces of bytes as they come. */
export class LineReader {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #skipping = false;

  /**
   * The lines that a piece completes, clean. Of a line that is too long the beginning is kept and the rest thrown away,
   * so that nobody can make it hold more than a line.
   */
  *push(bytes: Uint8Array): Generator<string, undefined, undefined> {
    const pieces = this.#decoder.decode(bytes, { stream: true }).split("\n");
    for (const [index, piece] of pieces.entries()) {
      if (!this.#skipping) this.#rest += piece;
      if (this.#rest.length > mostLineCharacters) {
        this.#rest = this.#rest.slice(0, mostLineCharacters);
        this.#skipping = true;
      }
      if (index === pieces.length - 1) break;
      const line = printable(this.#rest);
      this.#rest = "";
      this.#skipping = false;
      yield line;
    }
  }
}
