/**
 * The operating system's errors: from an errno number to an error that says what failed and what to do about it.
 *
 * @module
 */

/** The errno values that this code compares with (Linux, the same on x86-64 and arm64). */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSYS: 38,
  EBADFD: 77,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
} as const;

/** A name of `Deno.errors`. */
export type DenoErrorName = keyof typeof Deno.errors;

/** Code, text for people and, where one fits, the class of `Deno.errors`. */
type ErrnoEntry = readonly [code: string, text: string, errorClass?: DenoErrorName];

const entries: Readonly<Record<number, ErrnoEntry>> = {
  1: ["EPERM", "operation not permitted", "PermissionDenied"],
  2: ["ENOENT", "no such file or directory", "NotFound"],
  3: ["ESRCH", "no such entry", "NotFound"],
  4: ["EINTR", "interrupted system call", "Interrupted"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address", "NotFound"],
  7: ["E2BIG", "argument list too long"],
  9: ["EBADF", "bad file descriptor", "BadResource"],
  11: ["EAGAIN", "try again", "WouldBlock"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied", "PermissionDenied"],
  14: ["EFAULT", "bad memory address"],
  16: ["EBUSY", "device or resource busy", "Busy"],
  17: ["EEXIST", "it exists already", "AlreadyExists"],
  19: ["ENODEV", "no such device", "NotFound"],
  20: ["ENOTDIR", "not a directory", "NotADirectory"],
  21: ["EISDIR", "is a directory", "IsADirectory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: ["EMFILE", "too many open files"],
  25: ["ENOTTY", "the device does not know this request"],
  28: ["ENOSPC", "no space left"],
  30: ["EROFS", "read-only file system"],
  32: ["EPIPE", "broken pipe", "BrokenPipe"],
  34: ["ERANGE", "result out of range"],
  38: ["ENOSYS", "the kernel does not have this call", "NotSupported"],
  71: ["EPROTO", "protocol error"],
  77: ["EBADFD", "the descriptor has lost its device", "BadResource"],
  90: ["EMSGSIZE", "message too long"],
  92: ["ENOPROTOOPT", "no such option", "NotSupported"],
  93: ["EPROTONOSUPPORT", "protocol not supported", "NotSupported"],
  95: ["EOPNOTSUPP", "operation not supported", "NotSupported"],
  97: ["EAFNOSUPPORT", "address family not supported", "NotSupported"],
  98: ["EADDRINUSE", "address in use", "AddrInUse"],
  99: ["EADDRNOTAVAIL", "address not available", "AddrNotAvailable"],
  100: ["ENETDOWN", "the interface is down"],
  101: ["ENETUNREACH", "network unreachable", "NetworkUnreachable"],
  103: ["ECONNABORTED", "connection aborted", "ConnectionAborted"],
  104: ["ECONNRESET", "connection reset", "ConnectionReset"],
  105: ["ENOBUFS", "no buffer space"],
  107: ["ENOTCONN", "not connected", "NotConnected"],
  110: ["ETIMEDOUT", "timed out", "TimedOut"],
  111: ["ECONNREFUSED", "connection refused", "ConnectionRefused"],
  113: ["EHOSTUNREACH", "host unreachable"],
};

/**
 * A failed system call. It is an instance of the class of `Deno.errors` that fits (`PermissionDenied` for `EPERM`,
 * `Busy` for `EBUSY`, ...), or a plain `Error`, with the fields that Node.js gives such errors as well.
 */
export interface SystemError extends Error {
  /** The name of the errno: `"EPERM"`. */
  code: string;
  /** The errno as the kernel returned it. */
  errno: number;
  /** The call that failed, with the request where that says more: `"ioctl(TUNSETIFF)"`. */
  syscall: string;
}

/** What {@linkcode systemError} puts around the call's name. */
export interface SystemErrorDetails {
  /** What was to be done, with its values, to go after "Cannot": `open the TAP device "tap0"`. */
  action: string;
  /** What the kernel itself adds. */
  detail?: string | undefined;
  /** What the user can do about it. */
  remedy?: string | undefined;
  /** The class of `Deno.errors`, where the one that belongs to the errno says too little. */
  errorClass?: DenoErrorName | undefined;
}

/** The name of an errno: `EPERM` for 1, and `errno 4095` for one that is not known. */
export function errnoName(errno: number): string {
  return entries[errno]?.[0] ?? `errno ${errno}`;
}

/** The error for a system call that failed. */
export function systemError(syscall: string, errno: number, details: SystemErrorDetails): SystemError {
  const [code, text, usualClass] = entries[errno] ?? [errnoName(errno), "unknown error"];
  const { action, detail, remedy, errorClass = usualClass } = details;
  const because = `${syscall} failed with ${code} (${text}${detail ? `: ${detail}` : ""})`;
  const message = `Cannot ${action}: ${because}${remedy ? `; ${remedy}` : ""}`;
  const error = errorClass === undefined ? new Error(message) : new Deno.errors[errorClass](message);
  return Object.assign(error, { code, errno, syscall });
}

/** Whether `error` was made by {@linkcode systemError}. */
export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "syscall" in error && "errno" in error && "code" in error;
}
