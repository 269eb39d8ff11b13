/**
 * The errors of the socket API. `stack/` runs on any platform, so it does not touch `Deno`: it makes errors by name
 * through {@linkcode makeError}, which uses the classes of `Deno.errors` where the platform has them, so that
 * `instanceof Deno.errors.ConnectionRefused` holds.
 *
 * @module
 */

/** The names of the errors that the socket API throws: those of `Deno.errors`, which lacks only `HostUnreachable`. */
export type ErrorName =
  | "AddrInUse"
  | "AddrNotAvailable"
  | "BadResource"
  | "BrokenPipe"
  | "Busy"
  | "ConnectionAborted"
  | "ConnectionRefused"
  | "ConnectionReset"
  | "HostUnreachable"
  | "Interrupted"
  | "InvalidData"
  | "NetworkUnreachable"
  | "NotConnected"
  | "NotFound"
  | "NotSupported"
  | "PermissionDenied"
  | "TimedOut";

type ErrorClass = new (message: string) => Error;

/** An error of the class that the platform has for `name`, or a plain `Error` with that name. */
export function makeError(name: ErrorName, message: string): Error {
  const platform = (globalThis as { Deno?: { errors?: Record<string, ErrorClass | undefined> } }).Deno;
  const PlatformError = platform?.errors?.[name];
  if (PlatformError !== undefined) return new PlatformError(message);
  const error = new Error(message);
  error.name = name;
  return error;
}

/** The error for an aborted wait: the signal's own reason where it is an error, as the web platform does it. */
export function abortError(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException("The operation was aborted", "AbortError");
}
