/**
 * Assertions about errors by name: the platform has no class of its own for some of them.
 *
 * @module
 */

import { AssertionError } from "@std/assert";

/** Fails unless `fn` throws an error with that name, and returns it. */
export function assertThrowsNamed(name: string, fn: () => unknown): Error {
  try {
    fn();
  } catch (error) {
    return assertNamed(name, error);
  }
  throw new AssertionError(`Expected ${name} to be thrown, but nothing was`);
}

/** Fails unless `promise` rejects with an error of that name, and resolves with it. */
export async function assertRejectsNamed(name: string, promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return assertNamed(name, error);
  }
  throw new AssertionError(`Expected a rejection with ${name}, but the promise was fulfilled`);
}

function assertNamed(name: string, error: unknown): Error {
  if (!(error instanceof Error)) throw new AssertionError(`Expected ${name}, but ${error} was thrown`);
  if (error.name !== name) throw new AssertionError(`Expected ${name}, but got ${error.name}: ${error.message}`);
  return error;
}
