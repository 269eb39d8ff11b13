/**
 * Types of the standard library modules that the programs and tests use. `deno.json` maps their names to the copy of
 * the standard library on npm, which is JavaScript without types.
 */

declare module "@std/assert" {
  // deno-lint-ignore no-explicit-any
  type AnyConstructor = abstract new (...args: any[]) => any;
  type Falsy = false | 0 | 0n | "" | null | undefined;

  export class AssertionError extends Error {
    constructor(message: string, options?: ErrorOptions);
  }

  export interface ArrayLikeArg<T> extends ArrayLike<T>, Iterable<T> {}

  export function assert(expr: unknown, msg?: string): asserts expr;
  export function assertFalse(expr: unknown, msg?: string): asserts expr is Falsy;
  export function assertEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T;
  export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void;
  export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T>;
  export function assertGreater<T>(actual: T, expected: T, msg?: string): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertLess<T>(actual: T, expected: T, msg?: string): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertStringIncludes(actual: string, expected: string, msg?: string): void;
  export function assertMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertArrayIncludes<T>(actual: ArrayLikeArg<T>, expected: ArrayLikeArg<T>, msg?: string): void;
  export function assertObjectMatch(
    // deno-lint-ignore no-explicit-any
    actual: Record<PropertyKey, any>,
    expected: Record<PropertyKey, unknown>,
    msg?: string,
  ): void;
  export function assertInstanceOf<T extends AnyConstructor>(
    actual: unknown,
    expectedType: T,
    msg?: string,
  ): asserts actual is InstanceType<T>;
  export function assertNotInstanceOf<A, T>(
    actual: A,
    // deno-lint-ignore no-explicit-any
    unexpectedType: abstract new (...args: any[]) => T,
    msg?: string,
  ): asserts actual is Exclude<A, T>;
  export function assertIsError<E extends Error = Error>(
    error: unknown,
    // deno-lint-ignore no-explicit-any
    ErrorClass?: abstract new (...args: any[]) => E,
    msgMatches?: string | RegExp,
    msg?: string,
  ): asserts error is E;
  export function assertThrows(fn: () => unknown, msg?: string): unknown;
  export function assertThrows<E extends Error = Error>(
    fn: () => unknown,
    // deno-lint-ignore no-explicit-any
    ErrorClass: abstract new (...args: any[]) => E,
    msgIncludes?: string,
    msg?: string,
  ): E;
  export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
  export function assertRejects<E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    // deno-lint-ignore no-explicit-any
    ErrorClass: abstract new (...args: any[]) => E,
    msgIncludes?: string,
    msg?: string,
  ): Promise<E>;
  export function equal(a: unknown, b: unknown): boolean;
  export function fail(msg?: string): never;
  export function unimplemented(msg?: string): never;
  export function unreachable(msg?: string): never;
}

declare module "@std/bytes" {
  export function concat(buffers: readonly Uint8Array[]): Uint8Array<ArrayBuffer>;
  export function copy(src: Uint8Array, dst: Uint8Array, offset?: number): number;
  export function endsWith(source: Uint8Array, suffix: Uint8Array): boolean;
  export function equals(a: Uint8Array, b: Uint8Array): boolean;
  export function includesNeedle(source: Uint8Array, needle: Uint8Array, start?: number): boolean;
  export function indexOfNeedle(source: Uint8Array, needle: Uint8Array, start?: number): number;
  export function lastIndexOfNeedle(source: Uint8Array, needle: Uint8Array, start?: number): number;
  export function repeat(source: Uint8Array, count: number): Uint8Array<ArrayBuffer>;
  export function startsWith(source: Uint8Array, prefix: Uint8Array): boolean;
}

declare module "@std/cli/parse-args" {
  /** What was parsed. Values are checked by whoever reads them: only `_` and `--` have a known type. */
  export interface Args {
    _: (string | number)[];
    "--"?: string[];
    [name: string]: unknown;
  }

  export interface ParseOptions {
    "--"?: boolean;
    alias?: Record<string, string | readonly string[]>;
    boolean?: boolean | string | readonly string[];
    collect?: string | readonly string[];
    default?: Record<string, unknown>;
    negatable?: string | readonly string[];
    stopEarly?: boolean;
    string?: string | readonly string[];
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }

  export function parseArgs(args: readonly string[], options?: ParseOptions): Args;
}
