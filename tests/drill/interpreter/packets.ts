/**
 * The packets of a script: which connection they belong to, how those that arrive are made, and whether those that the
 * stack has sent are the ones expected.
 *
 * @module
 */

import type { IcmpSpec, IpSpec, PacketSpec, PortPair, QuotedPacket, TcpSpec, UdpSpec } from "./ast.ts";
import { ScriptFailure, ScriptSkipped } from "./failure.ts";
import { Flow } from "./flow.ts";
import { compareIp, compareTcp, continues, describeExpected, type Relaxation } from "./match.ts";
import { formatLive, formatSegment } from "./format.ts";
import type { Host } from "./host.ts";
import { icmpNumbers } from "./icmp.ts";
import { type LiveIcmp, type LivePacket, type LiveTcp, makePacket, Protocol, writeIpHeader } from "./live_packet.ts";
import { pattern } from "./pattern.ts";
import { tcpOptionBytes } from "./tcp_options.ts";
import { usualPort } from "./tcp_socket.ts";

/** The first port that the peers of a listener use; each has one of its own. */
const firstRemotePort = 40_000;

/** The SYN bit, and those that tell of what kind a SYN is. */
const syn = 2;
const handshakeFlags = 2 | 4 | 16;

/** The longest segment that fits into a packet, in bytes. */
const longestSegment = 65_535 - 20;

/** What an ICMP error quotes unless it says otherwise. */
const ourSyn: QuotedPacket = { protocol: "tcp", sequence: 0, length: 0 };

/** TTL of packets that arrive, unless the script says another. */
const usualTimeToLive = 255;

/** How packets are compared. */
export interface PacketsOptions {
  /** The stack under test. */
  readonly host: Host;
  /** What is left out of comparisons. */
  readonly ignore: ReadonlySet<Relaxation>;
  /** Whether values of timestamps count even where the habits of the script's system leave them open. */
  readonly countsTimestamps: boolean;
  /** Whether each segment must stand in the script as it is, without joining several to a longer one. */
  readonly strictSegments: boolean;
}

/** The packets of one script. */
export class Packets {
  readonly #host: Host;
  readonly #ignore: ReadonlySet<Relaxation>;
  readonly #countsTimestamps: boolean;
  readonly #strictSegments: boolean;
  readonly #flows = new Map<string, Flow>();
  #current: Flow | null = null;
  #listeningPort: number | null = null;
  #nextRemotePort = firstRemotePort;
  /** A connection that began with something other than a SYN to a listener: there is none, in fact. */
  #stray: Flow | null = null;
  /** Between whom the latest datagram went that an event has taken. */
  #datagrams: Flow | null = null;

  /** No connection is known yet. */
  constructor(options: PacketsOptions) {
    this.#host = options.host;
    this.#ignore = options.ignore;
    this.#countsTimestamps = options.countsTimestamps;
    this.#strictSegments = options.strictSegments;
  }

  /** A socket listens: the next packet that arrives comes from a new peer. */
  listening(port: number): void {
    this.#listeningPort = port;
  }

  /** A socket connects: packets belong to it from now on. */
  connecting(localPort: number, remotePort: number): void {
    this.#current = this.#flow(localPort, remotePort);
    this.#listeningPort = null;
  }

  /** The connection that packets belong to at present. */
  get current(): Flow | null {
    return this.#current;
  }

  #flow(localPort: number, remotePort: number): Flow {
    const key = `${localPort}:${remotePort}`;
    let flow = this.#flows.get(key);
    if (flow === undefined) this.#flows.set(key, flow = new Flow(localPort, remotePort));
    return flow;
  }

  /** The connection of a packet that arrives; `opens` says whether it asks for one. */
  #inboundFlow(ports: PortPair | null, opens = false): Flow {
    if (ports !== null) return this.#current = this.#flow(ports.destination, ports.source);
    // Whoever asks for a connection after a segment that belonged to none is somebody else.
    if (opens && this.#stray !== null && this.#stray === this.#current) {
      this.#listeningPort ??= this.#stray.localPort;
    }
    if (this.#listeningPort !== null) {
      this.#current = this.#flow(this.#listeningPort, this.#nextRemotePort++);
      this.#listeningPort = null;
      this.#stray = !opens ? this.#current : null;
    }
    return this.#current ??= this.#flow(usualPort, this.#nextRemotePort++);
  }

  /** The bytes of a packet that arrives. */
  arriving(spec: PacketSpec): Uint8Array {
    switch (spec.kind) {
      case "tcp":
        return this.#tcpArriving(spec);
      case "udp":
        return this.#udpArriving(spec);
      case "icmp":
        return this.#icmpArriving(spec);
    }
  }

  #ipHeader(ip: IpSpec, protocol: number) {
    const ecn = ip.ecn === "anyEct" ? 2 : ip.ecn ?? 0;
    return {
      source: this.#host.remote,
      destination: this.#host.local,
      protocol,
      tos: ip.tos ?? ecn,
      ttl: ip.ttl ?? usualTimeToLive,
      flowLabel: ip.flowLabel ?? 0,
    };
  }

  #tcpArriving(spec: TcpSpec): Uint8Array {
    const flow = this.#inboundFlow(spec.ports, (spec.flags & handshakeFlags) === syn);
    const { sequence, acknowledgement, options } = flow.toWire(spec);
    const optionBytes = tcpOptionBytes(options);
    const header = 20 + optionBytes.length;
    if (header > 60) {
      throw new ScriptFailure(`these options take ${optionBytes.length} bytes, a header has room for 40`);
    }
    if (header + spec.length > longestSegment) {
      throw new ScriptFailure(`a segment with ${spec.length} bytes of data does not fit into an IP packet`);
    }
    const bytes = new Uint8Array(header + spec.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, flow.remotePort);
    view.setUint16(2, flow.localPort);
    view.setUint32(4, sequence);
    view.setUint32(8, acknowledgement);
    view.setUint16(12, (header << 10) | spec.flags);
    view.setUint16(14, spec.window ?? 0);
    view.setUint16(18, spec.urgent ?? 0);
    bytes.set(optionBytes, 20);
    bytes.set(pattern(flow.inboundPosition(spec), spec.length), header);
    return makePacket(this.#ipHeader(spec.ip, Protocol.tcp), bytes, 16);
  }

  #udpArriving(spec: UdpSpec): Uint8Array {
    const flow = spec.ports === null && this.#datagrams !== null ? this.#datagrams : this.#inboundFlow(spec.ports);
    const bytes = new Uint8Array(8 + spec.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, flow.remotePort);
    view.setUint16(2, flow.localPort);
    view.setUint16(4, bytes.length);
    bytes.set(pattern(0, spec.length), 8);
    return makePacket(this.#ipHeader(spec.ip, Protocol.udp), bytes, 6);
  }

  /** An ICMP message; an error quotes the IP header of what we sent, and eight bytes of what is behind it. */
  #icmpArriving(spec: IcmpSpec): Uint8Array {
    const { family } = this.#host.local;
    if (spec.family !== family) throw new ScriptSkipped(`this script speaks ICMP of IPv${spec.family}`);
    const { type, code } = icmpNumbers(spec);
    // An error that says nothing of what it quotes is about our SYN.
    const quoted = spec.quoted ?? (spec.type.startsWith("echo_") ? null : ourSyn);
    const quotedHeader = family === 4 ? 20 : 40;
    const bytes = new Uint8Array(8 + (quoted === null ? 0 : quotedHeader + 8));
    const view = new DataView(bytes.buffer);
    view.setUint8(0, type);
    view.setUint8(1, code);
    view.setUint32(4, spec.mtu ?? 0);
    if (quoted !== null) {
      const flow = quoted.protocol === "udp" && this.#datagrams !== null ? this.#datagrams : this.#inboundFlow(null);
      const inner = new DataView(bytes.buffer, 8);
      const protocol = quoted.protocol === "tcp" ? Protocol.tcp : Protocol.udp;
      const length = quoted.length + (quoted.protocol === "tcp" ? 20 : 8);
      writeIpHeader(inner, {
        source: this.#host.local,
        destination: this.#host.remote,
        protocol,
        tos: 0,
        ttl: 64,
        flowLabel: 0,
      }, length);
      inner.setUint16(quotedHeader, flow.localPort);
      inner.setUint16(quotedHeader + 2, flow.remotePort);
      if (quoted.protocol === "tcp") inner.setUint32(quotedHeader + 4, flow.quotedSequence(quoted.sequence));
      else inner.setUint16(quotedHeader + 4, length);
    }
    const ip = this.#ipHeader(spec.ip, family === 4 ? Protocol.icmpv4 : Protocol.icmpv6);
    return makePacket(ip, bytes, 2);
  }

  /**
   * Drops what the stack has sent next on other connections than the present one: a script that names no ports speaks
   * of that one only. Answers to pings belong to none.
   */
  passOverOthers(): void {
    const { sent } = this.#host.device;
    const current = this.#current;
    const isOther = (live: LivePacket) =>
      live.kind === "icmp" ? isEchoReply(live) : live.kind === "tcp" && this.#outboundFlow(live) !== current;
    while (current !== null && sent.length > 0 && isOther(sent[0]!)) sent.shift();
  }

  /** The first packet of the present connection that was sent before `moment` and that no event has taken, or null. */
  surplus(moment: number): LivePacket | null {
    this.passOverOthers();
    const [first] = this.#host.device.sent;
    return first !== undefined && first.sentAt <= moment ? first : null;
  }

  /** A packet that the stack has sent, as text. */
  describe(live: LivePacket): string {
    return `> ${formatLive(live, live.kind === "tcp" ? this.#outboundFlow(live) : null)}`;
  }

  #outboundFlow(live: LiveTcp): Flow {
    return this.#flow(live.sourcePort, live.destinationPort);
  }

  /**
   * Takes the next packet that the stack has sent, and compares it with what is expected.
   *
   * @throws {ScriptFailure} If it differs.
   */
  take(spec: PacketSpec, slack: number): void {
    const live = this.#host.device.sent.shift()!;
    const wrong = compareIp(spec.ip, live, this.#ignore);
    if (live.kind !== spec.kind) {
      throw new ScriptFailure(`expected ${spec.kind}, came ${this.describe(live)}`);
    }
    if (spec.kind === "tcp" && live.kind === "tcp") this.#compareTcp(spec, live, wrong, slack);
    else if (spec.kind === "udp" && live.kind === "udp") {
      if (live.payload.length !== spec.length) {
        throw new ScriptFailure(`expected > udp (${spec.length}), came ${this.describe(live)}`);
      }
      this.#datagrams = this.#flow(live.sourcePort, live.destinationPort);
    } else if (spec.kind === "icmp" && live.kind === "icmp") compareIcmp(spec, live);
    if (wrong.length > 0) throw new ScriptFailure(`came ${this.describe(live)} with ${wrong.join(", ")}`);
  }

  #compareTcp(spec: TcpSpec, live: LiveTcp, wrong: string[], slack: number): void {
    const flow = this.#outboundFlow(live);
    if (spec.ports !== null) {
      if (spec.ports.source !== live.sourcePort || spec.ports.destination !== live.destinationPort) {
        wrong.push(`ports ${live.sourcePort} > ${live.destinationPort}`);
      }
    }
    flow.learn(spec, live);
    this.#checkPayload(flow, live);
    let segment = flow.toScript(live);
    const { sent } = this.#host.device;
    const first = segment;
    while (!this.#strictSegments && segment.length > 0 && segment.length < spec.length) {
      const next = sent[0];
      if (next?.kind !== "tcp" || this.#outboundFlow(next) !== flow) break;
      const part = flow.toScript(next);
      if (!continues(spec, first, part, segment.length)) break;
      sent.shift();
      this.#checkPayload(flow, next);
      segment = { ...segment, length: segment.length + part.length, flags: segment.flags | part.flags };
    }
    if (spec.absolute) segment = { ...segment, sequence: live.sequence };
    const adjusted = spec.sequence === null ? { ...spec, sequence: segment.sequence } : spec;
    const differences = compareTcp(adjusted, segment, this.#relaxed(), slack);
    if (differences.length > 0) {
      throw new ScriptFailure(
        `expected ${describeExpected(spec)}, came > ${formatSegment(segment)} (${differences.join("; ")})`,
      );
    }
  }

  /** What is left out of comparisons: as told, and what the system of the script leaves open. */
  #relaxed(): ReadonlySet<Relaxation> {
    const { profile } = this.#host;
    const relaxed = new Set(this.#ignore);
    if (!profile.countsOptionOrder) relaxed.add("option-order");
    if (!profile.countsTimestamps && !this.#countsTimestamps) relaxed.add("timestamps");
    return relaxed;
  }

  /** Whether the stack sends what was written to it. */
  #checkPayload(flow: Flow, live: LiveTcp): void {
    if (live.payload.length === 0) return;
    const connection = this.#host.connection(flow.localPort, flow.remotePort);
    if (connection === null) return;
    const position = flow.outboundPosition(live);
    const skipped = Math.max(0, -position);
    const difference = this.#host.written(connection).firstDifference(
      position + skipped,
      live.payload.subarray(skipped),
    );
    if (difference >= 0) {
      throw new ScriptFailure(`byte ${difference} of what was written is not what came in ${this.describe(live)}`);
    }
  }
}

function isEchoReply(live: LiveIcmp): boolean {
  return live.type === icmpNumbers({ type: "echo_reply", code: null, family: live.source.family }).type;
}

function compareIcmp(spec: IcmpSpec, live: LiveIcmp): void {
  const { type, code } = icmpNumbers(spec);
  if (live.type !== type || live.code !== code) {
    throw new ScriptFailure(
      `expected ICMP ${spec.type} ${
        spec.code ?? ""
      } (type ${type}, code ${code}), came type ${live.type} code ${live.code}`,
    );
  }
  if (spec.mtu !== null && spec.mtu !== live.rest) {
    throw new ScriptFailure(`expected an MTU of ${spec.mtu}, came ${live.rest}`);
  }
}
