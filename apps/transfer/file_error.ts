/**
 * What can go wrong with a file, in the words of a person.
 *
 * @module
 */

import { errorLine } from "../cli.ts";

/** An error that says what could not be done, with what, and why: `Cannot read "data": there is no such file`. */
export function fileError(doing: "read" | "write", name: string, error: unknown): Error {
  return new Error(`Cannot ${doing} ${name}: ${reason(error)}`, { cause: error });
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file or directory";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.PermissionDenied) return "access is denied";
  if (error instanceof Deno.errors.BrokenPipe) return "nobody reads it any more";
  return errorLine(error);
}
