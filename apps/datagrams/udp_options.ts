/**
 * What `udpserver` and `udpclient` have in common.
 *
 * @module
 */

import { type Option, toggle } from "../cli.ts";
import { deviceOptions } from "../device.ts";
import { quietLogLevel } from "../logging.ts";
import { duration, wholeNumber } from "../values.ts";
import { mostDatagramBytes } from "./lines.ts";

/** The options of both programs. */
export const datagramOptions = {
  length: {
    letter: "l",
    placeholder: "BYTES",
    help: "Send blocks of this size, not lines",
    fallback: null,
    parse: wholeNumber(1, mostDatagramBytes),
  } as Option<number | null>,
  wait: {
    letter: "w",
    placeholder: "TIME",
    help: "End when nothing has come or gone for so long, like 5 or 500ms (default: never)",
    fallback: Infinity,
    parse: duration(1),
  },
  json: toggle("Print each datagram as one JSON object with sender, length and text"),
  ...deviceOptions,
  "log-level": quietLogLevel,
} as const;

/** A received datagram as one line of JSON. */
export function datagramLine(data: Uint8Array, from: Deno.NetAddr): string {
  const object = { from: `${from.hostname}:${from.port}`, bytes: data.length, text: new TextDecoder().decode(data) };
  return `${JSON.stringify(object)}\n`;
}

/** Aborts when nothing has happened for a while. */
export class Idle implements Disposable {
  readonly #controller = new AbortController();
  readonly #timeout: number;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Starts to wait for `timeout` milliseconds; Infinity for ever. */
  constructor(timeout: number) {
    this.#timeout = timeout;
    this.happened();
  }

  /** Aborted when nothing has happened for so long. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something has happened: waits anew. */
  happened(): void {
    this[Symbol.dispose]();
    if (this.#timeout !== Infinity) this.#timer = setTimeout(() => this.#controller.abort(), this.#timeout);
  }

  /** Stops waiting. */
  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Resolves when a signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
