/**
 * The errors of the socket API as Node's libraries know them: by `code`.
 *
 * @module
 */

import type { ErrorName } from "../errors.ts";

const codes: Readonly<Record<ErrorName, string>> = {
  AddrInUse: "EADDRINUSE",
  AddrNotAvailable: "EADDRNOTAVAIL",
  BadResource: "EBADF",
  BrokenPipe: "EPIPE",
  Busy: "EBUSY",
  ConnectionAborted: "ECONNABORTED",
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  HostUnreachable: "EHOSTUNREACH",
  Interrupted: "ECANCELED",
  InvalidData: "EINVAL",
  NetworkUnreachable: "ENETUNREACH",
  NotConnected: "ENOTCONN",
  NotFound: "ENOTFOUND",
  NotSupported: "ENOTSUP",
  PermissionDenied: "EACCES",
  TimedOut: "ETIMEDOUT",
};

/** An error with the `code` and the `syscall` that Node's libraries look for. */
export interface NodeError extends Error {
  /** For example `ECONNRESET`. */
  code?: string;
  /** What was tried: `connect`, `read`, `write` or `shutdown`. */
  syscall?: string;
}

/** The same error, with the code that Node has for it; an error of another kind keeps what it has. */
export function toNodeError(error: unknown, syscall: string): NodeError {
  const result: NodeError = error instanceof Error ? error : new Error(String(error));
  const code = result.code ?? (error as { code?: string })?.code ?? codes[result.name as ErrorName];
  // A DOMException's own code is a number that cannot be written to.
  if (code === undefined || typeof code !== "string" || result instanceof DOMException) return result;
  result.code = code;
  result.syscall ??= syscall;
  return result;
}
