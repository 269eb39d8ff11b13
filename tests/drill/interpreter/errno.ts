/**
 * Errors of system calls, by name, and what they stand for among the stack's own errors.
 *
 * @module
 */

import type { ErrorName } from "../../../stack/errors.ts";

/** The name of an error, as in `errno.h`. */
export type Errno = `E${string}`;

/** What a call says that cannot be served yet. */
export const blocked: unique symbol = Symbol("blocked");

/** What a call comes to: its value, the name of an error, or {@linkcode blocked}. */
export type Outcome = number | Errno | typeof blocked;

/** Numbers of the errors on Linux, for scripts that compare numbers. */
export const errnoNumbers: Readonly<Record<string, number>> = {
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EINVAL: 22,
  EPIPE: 32,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
};

const fromStack: Readonly<Record<ErrorName, Errno>> = {
  AddrInUse: "EADDRINUSE",
  AddrNotAvailable: "EADDRNOTAVAIL",
  BadResource: "EBADF",
  BrokenPipe: "EPIPE",
  Busy: "EBUSY",
  ConnectionAborted: "ECONNABORTED",
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  HostUnreachable: "EHOSTUNREACH",
  Interrupted: "EINTR",
  InvalidData: "EINVAL",
  NetworkUnreachable: "ENETUNREACH",
  NotFound: "ENOENT",
  NotConnected: "ENOTCONN",
  NotSupported: "EOPNOTSUPP",
  PermissionDenied: "EACCES",
  TimedOut: "ETIMEDOUT",
};

/** The error that the stack calls `name`. */
export function errnoOf(name: ErrorName): Errno {
  return fromStack[name];
}

/**
 * The error that the stack has thrown.
 *
 * @throws What it is given, if that is none of the stack's errors.
 */
export function errnoThrown(error: unknown): Errno {
  const name = error instanceof Error ? fromStack[error.name as ErrorName] : undefined;
  if (name === undefined) throw error;
  return name;
}
