/**
 * ICMPv4's ways to say what the stack knows as {@linkcode ErrorKind}, both ways.
 *
 * @module
 */

import { ErrorKind } from "../protocol.ts";
import { Icmpv4Type, UnreachableCode } from "./icmpv4_header.ts";

/** What an error message of this type and code says, or null if it is none that a transport is told of. */
export function errorKindOf(type: number, code: number): ErrorKind | null {
  if (type === Icmpv4Type.timeExceeded) return ErrorKind.timeExceeded;
  if (type === Icmpv4Type.parameterProblem) return ErrorKind.parameterProblem;
  if (type !== Icmpv4Type.destinationUnreachable) return null;
  switch (code) {
    case UnreachableCode.network:
    case UnreachableCode.networkUnknown:
    case UnreachableCode.networkForService:
      return ErrorKind.networkUnreachable;
    case UnreachableCode.protocol:
      return ErrorKind.protocolUnreachable;
    case UnreachableCode.port:
      return ErrorKind.portUnreachable;
    case UnreachableCode.fragmentationNeeded:
      return ErrorKind.packetTooBig;
    case UnreachableCode.networkProhibited:
    case UnreachableCode.hostProhibited:
    case UnreachableCode.prohibited:
    case UnreachableCode.precedenceViolation:
    case UnreachableCode.precedenceCutoff:
      return ErrorKind.prohibited;
    case UnreachableCode.host:
    case UnreachableCode.sourceRouteFailed:
    case UnreachableCode.hostUnknown:
    case UnreachableCode.sourceHostIsolated:
    case UnreachableCode.hostForService:
      return ErrorKind.hostUnreachable;
    default:
      return null;
  }
}

/** The type of the message that reports an error. */
export function typeOf(kind: ErrorKind): number {
  if (kind === ErrorKind.timeExceeded) return Icmpv4Type.timeExceeded;
  if (kind === ErrorKind.parameterProblem) return Icmpv4Type.parameterProblem;
  return Icmpv4Type.destinationUnreachable;
}

/** The code of the message that reports an error; `detail` where the kind alone does not say. */
export function codeOf(kind: ErrorKind, detail: number): number {
  switch (kind) {
    case ErrorKind.networkUnreachable:
      return UnreachableCode.network;
    case ErrorKind.hostUnreachable:
    case ErrorKind.neighborUnreachable:
      return UnreachableCode.host;
    case ErrorKind.protocolUnreachable:
      return UnreachableCode.protocol;
    case ErrorKind.portUnreachable:
      return UnreachableCode.port;
    case ErrorKind.packetTooBig:
      return UnreachableCode.fragmentationNeeded;
    case ErrorKind.prohibited:
      return UnreachableCode.prohibited;
    case ErrorKind.timeExceeded:
      return detail;
    case ErrorKind.parameterProblem:
      return 0;
  }
}
