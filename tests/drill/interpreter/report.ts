/**
 * What is printed about scripts that have run.
 *
 * @module
 */

import type { RunResult } from "./runner.ts";

/** How many scripts came to what. */
export class Tally {
  /** Scripts that the stack passed. */
  passed: number = 0;
  /** Scripts that it failed, or that cannot be read. */
  failed: number = 0;
  /** Scripts that ask for something that there is not. */
  skipped: number = 0;

  /** Counts a result. */
  add(result: RunResult): void {
    if (result.kind === "ok") this.passed++;
    else if (result.kind === "fail") this.failed++;
    else this.skipped++;
  }
}

/** One line about a script: text, or a JSON object. */
export function formatResult(path: string, result: RunResult, json = false): string {
  if (json) return JSON.stringify({ path, result: result.kind, ...result, kind: undefined });
  switch (result.kind) {
    case "ok":
      return `ok ${path}`;
    case "fail": {
      const column = result.column === null ? "" : `:${result.column}`;
      return `FAIL ${path}:${result.line}${column} ${result.message}`;
    }
    case "skip":
      return `skip ${path}: ${result.reason}`;
  }
}

/** The last line. */
export function formatSummary({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
