/**
 * What a packet script says, as the parser hands it to the interpreter. All times are in milliseconds, all sequence
 * numbers as they are written.
 *
 * @module
 */

/** A whole script. */
export interface Script {
  /** The option lines in front, by name without dashes; an option without a value has an empty one. */
  readonly options: ReadonlyMap<string, string>;
  /** What stands for a name: definitions of the command line and of the script. */
  readonly definitions: ReadonlyMap<string, string>;
  /** The events, in the order in which they are written. */
  readonly events: readonly ScriptEvent[];
}

/** When an event happens. */
export interface EventTime {
  /** What `from` and `to` count from: the script's start, or the previous event; `any` when time does not matter. */
  readonly base: "start" | "previous" | "any";
  /** The moment, or the earliest one of a range. */
  readonly from: number;
  /** The latest moment of a range; null where a moment is given. */
  readonly to: number | null;
  /** When a call that blocks returns; null for a call that returns at once. */
  readonly end: number | null;
}

/** One event. */
export interface ScriptEvent {
  /** Where it stands, from 1. */
  readonly line: number;
  /** When it happens. */
  readonly time: EventTime;
  /** What happens. */
  readonly action: Action;
  /** As it is written, without the time. */
  readonly text: string;
}

/** What can happen. */
export type Action = PacketAction | CallAction | CommandAction | CodeAction;

/** A packet arrives at the stack, or must leave it. */
export interface PacketAction {
  /** Which kind it is. */
  readonly kind: "packet";
  /** Seen from the stack. */
  readonly direction: "inbound" | "outbound";
  /** The packet. */
  readonly packet: PacketSpec;
}

/** A system call. */
export interface CallAction {
  /** Which kind it is. */
  readonly kind: "call";
  /** Its name. */
  readonly name: string;
  /** Its arguments. */
  readonly arguments: readonly Expression[];
  /** What it must return. */
  readonly result: ResultSpec;
}

/** A command of the shell: never executed, but some of them mean something here. */
export interface CommandAction {
  /** Which kind it is. */
  readonly kind: "command";
  /** The text of the command. */
  readonly command: string;
}

/** Assertions about a connection. */
export interface CodeAction {
  /** Which kind it is. */
  readonly kind: "code";
  /** Code of the message. */
  readonly code: string;
}

/** What a call returns. */
export interface ResultSpec {
  /** The least value; null when any is right. */
  readonly from: Expression | null;
  /** The greatest value of a range. */
  readonly to: Expression | null;
  /** The name of the error behind -1, for example `EAGAIN`. */
  readonly errno: string | null;
}

/** An argument of a call, or a part of one. */
export type Expression =
  /** `...`: the interpreter knows. */
  | { readonly kind: "ellipsis" }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  /** A constant's name. */
  | { readonly kind: "name"; readonly name: string }
  /** `A | B` and other operations. */
  | { readonly kind: "binary"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "unary"; readonly operator: string; readonly operand: Expression }
  /** `[a, b]` */
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  /** `{name=value, value}`; values without a name have an empty one. */
  | { readonly kind: "struct"; readonly fields: readonly StructField[] }
  /** `htons(80)` */
  | { readonly kind: "function"; readonly name: string; readonly arguments: readonly Expression[] };

/** A field of a structure: `sin_port=htons(80)`, or `msg_iov(1)=[...]`. */
export interface StructField {
  /** Its name. */
  readonly name: string;
  /** The value. */
  readonly value: Expression;
}

/** A packet as a script describes it. */
export type PacketSpec = TcpSpec | UdpSpec | IcmpSpec;

/** What may be said of the IP header. */
export interface IpSpec {
  /** The two ECN bits; null when they do not matter. `anyEct` stands for ECT(0) or ECT(1). */
  readonly ecn: number | "anyEct" | null;
  /** Type of service or traffic class with its ECN bits. */
  readonly tos: number | null;
  /** TTL or hop limit. */
  readonly ttl: number | null;
  /** IPv6 flow label. */
  readonly flowLabel: number | null;
}

/** Ports as a script gives them. */
export interface PortPair {
  /** Where it comes from. */
  readonly source: number;
  /** Where it goes. */
  readonly destination: number;
}

/** A TCP segment. */
export interface TcpSpec {
  /** Which kind it is. */
  readonly kind: "tcp";
  /** What is said of the IP header. */
  readonly ip: IpSpec;
  /** The ports; null for those of the connection under test. */
  readonly ports: PortPair | null;
  /** The nine flag bits: those of the header's byte, and AE as 256. */
  readonly flags: number;
  /** First sequence number; null when any is right. */
  readonly sequence: number | null;
  /** Whether that is the number on the wire, and does not count from the initial one: `0:0(0)!`. */
  readonly absolute: boolean;
  /** Bytes of payload. */
  readonly length: number;
  /** Acknowledgement number. */
  readonly acknowledgement: number | null;
  /** Window field; null when it does not matter. */
  readonly window: number | null;
  /** Urgent pointer. */
  readonly urgent: number | null;
  /** The options in their order; null for `<...>`: any. */
  readonly options: readonly TcpOption[] | null;
}

/** A TCP option. */
export type TcpOption =
  | { readonly kind: "nop" }
  | { readonly kind: "eol" }
  | { readonly kind: "mss"; readonly value: number }
  | { readonly kind: "wscale"; readonly value: number }
  | { readonly kind: "sackOK" }
  /** Blocks as pairs of edges; null for `sack ...`: any. */
  | { readonly kind: "sack"; readonly blocks: readonly (readonly [left: number, right: number])[] }
  | { readonly kind: "TS"; readonly value: number; readonly echo: number }
  /** A Fast Open cookie, as hexadecimal digits; `experimental` for the option of RFC 4727's codepoint. */
  | { readonly kind: "FO"; readonly cookie: string; readonly experimental: boolean }
  | { readonly kind: "md5"; readonly digest: string }
  /** Any other, with its bytes behind the length. */
  | { readonly kind: "other"; readonly code: number; readonly data: readonly number[] };

/** A UDP datagram. */
export interface UdpSpec {
  /** Which kind it is. */
  readonly kind: "udp";
  /** What is said of the IP header. */
  readonly ip: IpSpec;
  /** The ports; null for those of the connection under test. */
  readonly ports: PortPair | null;
  /** Bytes of payload. */
  readonly length: number;
}

/** An ICMP message. */
export interface IcmpSpec {
  /** Which kind it is. */
  readonly kind: "icmp";
  /** What is said of the IP header. */
  readonly ip: IpSpec;
  /** The address family. */
  readonly family: 4 | 6;
  /** Type of the message. */
  readonly type: string;
  /** Code of the message. */
  readonly code: string | null;
  /** Next-hop MTU in bytes; null if it is not said. */
  readonly mtu: number | null;
  /** The packet that it is about, as far as that is given. */
  readonly quoted: QuotedPacket | null;
}

/** A packet that an ICMP error quotes. */
export interface QuotedPacket {
  /** Number of the protocol above IP. */
  readonly protocol: "tcp" | "udp";
  /** Sequence number of the first byte. */
  readonly sequence: number;
  /** Bytes of payload. */
  readonly length: number;
}
