import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { abortError, type ErrorName, makeError } from "../stack/errors.ts";

const names: readonly ErrorName[] = [
  "AddrInUse",
  "AddrNotAvailable",
  "BadResource",
  "BrokenPipe",
  "Busy",
  "ConnectionAborted",
  "ConnectionRefused",
  "ConnectionReset",
  "Interrupted",
  "InvalidData",
  "NetworkUnreachable",
  "NotConnected",
  "NotSupported",
  "PermissionDenied",
  "TimedOut",
];

for (const name of names) {
  Deno.test(`makeError makes Deno's own ${name}`, () => {
    const error = makeError(name, "what failed");
    const errors = Deno.errors as unknown as Record<string, new () => Error>;
    assert(name in errors);
    assertInstanceOf(error, errors[name]!);
    assertEquals([error.name, error.message], [name, "what failed"]);
  });
}

Deno.test("makeError makes a named error where Deno has no class of that name", () => {
  const error = makeError("HostUnreachable", "no route");
  assertEquals([error.name, error.message, error.constructor === Error], ["HostUnreachable", "no route", true]);
});

Deno.test("makeError makes a named error on platforms without Deno's classes", () => {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "Deno")!;
  Object.defineProperty(globalThis, "Deno", { ...descriptor, value: undefined });
  try {
    const error = makeError("ConnectionRefused", "no");
    assertEquals([error.name, error.message, error.constructor === Error], ["ConnectionRefused", "no", true]);
  } finally {
    Object.defineProperty(globalThis, "Deno", descriptor);
  }
});

Deno.test("abortError is the signal's own reason, and AbortError where none was given", () => {
  const controller = new AbortController();
  const reason = new RangeError("because");
  controller.abort(reason);
  assertStrictEquals(abortError(controller.signal), reason);
  const error = abortError(AbortSignal.abort());
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "AbortError");
});
