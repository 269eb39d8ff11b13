/**
 * Giving up on what does not come.
 *
 * @module
 */

/** How long a test waits for anything, in milliseconds: far longer than it takes. */
const patience = 30_000;

/** As `promise`, but fails when that takes so long that it will hardly come any more. */
export async function soon<Value>(promise: Promise<Value>, what: string): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Waited ${patience} ms for ${what}`)), patience);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
