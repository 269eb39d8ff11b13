/**
 * ICMPv4 messages (RFC 792): types, codes, and where their fields lie.
 *
 * @module
 */

/** Where the fields of an ICMPv4 message lie, in bytes from its start. */
export const Icmpv4Field = {
  type: 0,
  code: 1,
  checksum: 2,
  /** Of echo requests and replies. */
  identifier: 4,
  /** Of echo requests and replies. */
  sequence: 6,
  /** Of "fragmentation needed": the next hop's MTU (RFC 1191 section 4). */
  mtu: 6,
  /** Where the data of an echo, or the quoted packet of an error, starts. */
  payload: 8,
} as const;

/** Bytes of the part that all messages have. */
export const icmpv4HeaderBytes: number = 8;

/** Message types. */
export const Icmpv4Type = {
  echoReply: 0,
  destinationUnreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
  timestampRequest: 13,
  timestampReply: 14,
} as const;

/** Codes of "destination unreachable" (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1). */
export const UnreachableCode = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  sourceRouteFailed: 5,
  networkUnknown: 6,
  hostUnknown: 7,
  sourceHostIsolated: 8,
  networkProhibited: 9,
  hostProhibited: 10,
  networkForService: 11,
  hostForService: 12,
  prohibited: 13,
  precedenceViolation: 14,
  precedenceCutoff: 15,
} as const;

/** Codes of "time exceeded". */
export const TimeExceededCode = {
  inTransit: 0,
  reassembly: 1,
} as const;

/** The message's type. */
export function icmpTypeAt(view: DataView, at: number): number {
  return view.getUint8(at + Icmpv4Field.type);
}

/** The message's code. */
export function icmpCodeAt(view: DataView, at: number): number {
  return view.getUint8(at + Icmpv4Field.code);
}

/** The identifier of an echo request or reply. */
export function echoIdentifierAt(view: DataView, at: number): number {
  return view.getUint16(at + Icmpv4Field.identifier);
}

/** The sequence number of an echo request or reply. */
export function echoSequenceAt(view: DataView, at: number): number {
  return view.getUint16(at + Icmpv4Field.sequence);
}

/** The next hop's MTU in a "fragmentation needed" message, in bytes; 0 from routers older than RFC 1191. */
export function nextHopMtuAt(view: DataView, at: number): number {
  return view.getUint16(at + Icmpv4Field.mtu);
}

/** Whether a message of this type reports an error about another packet. */
export function isErrorType(type: number): boolean {
  return type === Icmpv4Type.destinationUnreachable || type === Icmpv4Type.sourceQuench ||
    type === Icmpv4Type.redirect || type === Icmpv4Type.timeExceeded || type === Icmpv4Type.parameterProblem;
}
