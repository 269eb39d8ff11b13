/**
 * One TCP on a virtual clock, and a peer that does what a test says, segment by segment.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { Counters } from "../../../stack/counters.ts";
import { checksum } from "../../../stack/checksum.ts";
import type { Packet } from "../../../stack/packet.ts";
import { fraction, SeededRandom } from "../../../stack/random.ts";
import { type ErrorKind, Verdict } from "../../../stack/protocol.ts";
import { Ports } from "../../../stack/transport/ports.ts";
import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import type { Listener } from "../../../stack/transport/tcp/listener.ts";
import { State, stateName } from "../../../stack/transport/tcp/state.ts";
import type { TcpConfiguration } from "../../../stack/transport/tcp/configuration.ts";
import { Tcp } from "../../../stack/transport/tcp/tcp.ts";
import type { ConnectionSettings, Failure, ListenRequest } from "../../../stack/transport/tcp/user.ts";
import { FakeNetwork } from "../../helpers/fake_network.ts";
import { buildSegment, formatSegment, parseSegment, readSegment } from "../../helpers/segment_text.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";

/** Where both sides' sequence numbers begin, unless a test says otherwise. */
export interface HarnessOptions extends TcpConfiguration {
  /** Our initial sequence number. */
  ours?: number;
  /** The peer's initial sequence number. */
  peers?: number;
  /** Our address with its prefix length; of either family. */
  address?: string;
}

/** What a connection's observer was told, in order. */
export class Notes {
  readonly events: string[] = [];
  failure: Failure | null | undefined = undefined;
  established = (): void => void this.events.push("established");
  readable = (): void => void this.events.push("readable");
  writable = (): void => void this.events.push("writable");
  closed = (failure: Failure | null): void => {
    this.failure = failure;
    this.events.push(failure === null ? "closed" : `failed: ${failure.name}`);
  };
}

/** The byte at a relative sequence number of either direction: transfers can be checked without keeping them. */
export function pattern(sequence: number): number {
  return (sequence * 7 + (sequence >>> 8)) & 0xff;
}

/** `length` bytes of the pattern from a relative sequence number on. */
export function patternBytes(sequence: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => pattern(sequence + index));
}

/** What a script's connections start with: all that the window allows is sent at once, and in the same segments again. */
const atOnce: Partial<ConnectionSettings> = { pacing: false, pathMtuProbing: false };

/** A TCP and its scripted peer. */
export class Harness {
  readonly time = new VirtualTime();
  readonly network: FakeNetwork;
  readonly tcp: Tcp;
  readonly ports: Ports;
  readonly peer: IpAddress;
  peerPort = 5000;
  /** Traffic class of what the peer sends. */
  trafficClass = 0;
  ourPort = 80;
  readonly ours: number;
  readonly peers: number;
  connection!: Connection;
  listener: Listener | null = null;
  readonly notes = new Notes();

  constructor(options: HarnessOptions = {}) {
    this.network = new FakeNetwork(options.address ?? "192.0.2.1/24");
    this.peer = IpAddress.parse(this.network.family === 4 ? "192.0.2.9" : "2001:db8::9");
    this.ours = options.ours ?? 1_000_000;
    this.peers = options.peers ?? 5_000_000;
    const random = new SeededRandom(1);
    this.ports = new Ports(random);
    // What a passive open answers with goes back the way it came.
    this.network.replyPath = () => this.network.findPath({ destination: this.peer, protocol: 6 }) as never;
    this.tcp = new Tcp({
      pool: this.network.pool,
      timers: this.time.timers,
      random,
      networks: this.network,
      ports: this.ports,
      headroom: 124,
      counters: new Counters(),
      wake: () => {},
    }, {
      initialSequence: { next: () => this.ours, timestampOffset: () => 0 },
      ...options,
    });
    this.time.add({
      step: () => {
        this.tcp.flush();
        return 0;
      },
    });
  }

  /** Listens on `ourPort`. */
  listen(settings: Partial<ConnectionSettings> = {}, backlog = 16, fastOpen: ListenRequest["fastOpen"] = false): this {
    const local = { address: IpAddress.unspecified(this.network.family), port: this.ourPort };
    this.listener = this.tcp.listen({ local, backlog, settings: { ...atOnce, ...settings }, fastOpen });
    return this;
  }

  /** Begins to connect to the peer. */
  connect(settings: Partial<ConnectionSettings> = {}, fastOpen = false): this {
    this.connection = this.tcp.connect({
      remote: { address: this.peer, port: this.peerPort },
      settings: { ...atOnce, ...settings },
      fastOpen,
    });
    this.connection.observer = this.notes;
    this.ourPort = this.connection.local.port;
    return this;
  }

  /**
   * An established connection that the peer opened; its SYN carries `options`. The handshake takes 100 ms, so that the
   * retransmission time-out is 300 ms.
   */
  accept(options = "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7", settings: Partial<ConnectionSettings> = {}): this {
    this.listen(settings);
    const stamp = options.includes("TS") ? "<nop,nop,TS val 101 ecr 0>" : "";
    this.receives(`S 0:0(0) win 65535 <${options}>`).takeSent();
    this.wait(100).receives(`. 1:1(0) ack 1 win 65535 ${stamp}`.trim());
    this.connection = this.listener!.accept()!;
    this.connection.observer = this.notes;
    this.takeSent();
    return this;
  }

  /** The peer sends a segment. */
  receives(text: string): this {
    const segment = parseSegment(text);
    const bytes = buildSegment(
      segment,
      { source: this.peerPort, destination: this.ourPort },
      { sequence: this.peers, ack: this.ours },
      pattern,
    );
    this.deliver(bytes);
    this.time.settle();
    return this;
  }

  /** The peer sends these bytes, whose checksum is filled in. */
  deliver(bytes: Uint8Array, multicast = false): Verdict {
    const pseudo = this.network.packet({ source: this.peer, destination: this.network.own, bytes: new Uint8Array(0) });
    const { view } = pseudo;
    const addresses = this.network.family === 4 ? 8 : 32;
    const pseudoBytes = new Uint8Array(addresses + 4);
    pseudoBytes.set(pseudo.bytes.subarray(pseudo.sourceAt, pseudo.sourceAt + addresses));
    new DataView(pseudoBytes.buffer).setUint16(addresses, 6);
    new DataView(pseudoBytes.buffer).setUint16(addresses + 2, bytes.length);
    void view;
    pseudo.release();
    const all = new Uint8Array(pseudoBytes.length + bytes.length);
    all.set(pseudoBytes);
    all.set(bytes, pseudoBytes.length);
    const field = pseudoBytes.length + 16;
    all[field] = all[field + 1] = 0;
    const value = checksum(new DataView(all.buffer), 0, all.length);
    bytes[16] = value >> 8;
    bytes[17] = value & 0xff;
    return this.network.deliver(this.tcp, {
      source: this.peer,
      destination: this.network.own,
      bytes,
      multicast,
      arrivedAt: this.time.now,
      trafficClass: this.trafficClass,
    });
  }

  /** A router, or the peer's host, reports an error about a segment of ours. */
  reports(kind: ErrorKind, quoted: string, mtu = 0): this {
    const bytes = buildSegment(
      parseSegment(quoted),
      { source: this.ourPort, destination: this.peerPort },
      { sequence: this.ours, ack: this.peers },
      pattern,
    );
    this.network.report(this.tcp, { kind, mtu, reporter: this.peer }, {
      source: this.network.own,
      destination: this.peer,
      bytes,
    });
    this.time.settle();
    return this;
  }

  /** The segments that were sent since the last look, as text with exactly the parts that `expected` has. */
  sends(...expected: string[]): this {
    const sent = this.takeSent();
    const actual = sent.map((segment, index) => {
      const like = expected[index] === undefined ? segment : parseSegment(expected[index]!.replaceAll("<...>", ""));
      return formatSegment({ ...segment, options: segment.options }, like);
    });
    assertEquals(actual, expected.map((text) => formatSegment(parseSegment(text.replaceAll("<...>", "")))));
    return this;
  }

  /** Takes the segments that were sent since the last look. Their payload is checked against the pattern. */
  takeSent(): ReturnType<typeof readSegment>[] {
    this.time.settle();
    return this.network.sent.splice(0).map(({ bytes }) => {
      const segment = readSegment(bytes, { sequence: this.ours, ack: this.peers });
      assertEquals(
        bytes.slice(bytes.length - segment.length),
        // What a SYN carries begins behind it.
        patternBytes(segment.sequence + (segment.flags.includes("S") ? 1 : 0), segment.length),
        "payload of a sent segment",
      );
      return segment;
    });
  }

  /** Lets `milliseconds` pass. */
  wait(milliseconds: number): this {
    this.time.advance(milliseconds);
    return this;
  }

  #written = 1;

  /** The application sends `length` bytes of the pattern; returns how many were taken. */
  write(length: number): number {
    const taken = this.connection.send(patternBytes(this.#written, length));
    this.#written += taken;
    this.time.settle();
    return taken;
  }

  #read = 1;

  /** The application reads up to `length` bytes, which must be the pattern; returns how many there were. */
  read(length = 1_000_000): number {
    const target = new Uint8Array(Math.min(length, this.connection.receivable));
    const taken = this.connection.receive(target);
    assertEquals(target.subarray(0, taken), patternBytes(this.#read, taken), "received bytes");
    this.#read += taken;
    this.time.settle();
    return taken;
  }

  /** The connection's state by name. */
  get state(): string {
    return stateName(this.connection.state);
  }

  /** Ends everything and asserts that nothing is left. */
  end(): void {
    this.tcp.close();
    this.time.settle();
    assertEquals(this.network.pool.inUse, 0, "packets in use");
    assertEquals(this.time.timers.running, 0, "timers running");
    assertEquals(this.ports.size, 0, "ports reserved");
    assertEquals(this.tcp.connections().length, 0, "connections left");
    assertEquals(this.tcp.timeWait.size, 0, "TIME-WAIT left");
    assertEquals(this.tcp.storage.inUse, this.connection?.receivable > 0 ? this.tcp.storage.inUse : 0, "ring storage");
  }
}

/** Runs a test with a harness and asserts that nothing is left afterwards. */
export function tcpTest(name: string, body: (t: Harness) => void, options: HarnessOptions = {}): void {
  Deno.test(name, () => {
    const harness = new Harness(options);
    body(harness);
    harness.end();
  });
}

/** What `Verdict` says about a segment that was dropped. */
export const dropped = Verdict.dropped;

/** What happens to packets between the two ends of a {@linkcode Pair}. */
export interface WireOptions {
  /** One-way delay in milliseconds. Default 10. */
  delay?: number;
  /** Up to this much is added to the delay by chance, in milliseconds, which reorders. Default 0. */
  jitter?: number;
  /** Part of the packets that are lost. Default 0. */
  loss?: number;
  /** Part of the packets that arrive twice. Default 0. */
  duplication?: number;
  /** Seed of the chance. Default 1. */
  seed?: number;
  /** Sequence numbers begin here: the client's and the server's. */
  client?: number;
  server?: number;
  /** Whether the client knows a cookie of the server's, and sends its first data with the SYN. Default false. */
  fastOpen?: boolean;
  /** What both ends are configured with. */
  configuration?: TcpConfiguration;
}

/** A network whose packets arrive at the other end after a while, or not. */
class Pipe extends FakeNetwork {
  far!: Tcp;
  farNetwork!: Pipe;
  #lastArrival = 0;

  constructor(
    address: string,
    readonly time: VirtualTime,
    readonly wire: WireOptions,
    readonly chance: SeededRandom,
  ) {
    super(address);
    this.replyPath = () => this.findPath({ destination: this.farNetwork.own, protocol: 6 }) as never;
  }

  override push(packet: Packet): Verdict {
    const bytes = packet.contents().slice();
    packet.release();
    const { loss = 0, duplication = 0, delay = 10, jitter = 0 } = this.wire;
    if (fraction(this.chance) < loss) return Verdict.done;
    const copies = fraction(this.chance) < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const timer = this.time.timers.create(() => {
        const source = this.own;
        const destination = this.farNetwork.own;
        this.farNetwork.deliver(this.far, { source, destination, bytes, arrivedAt: this.time.now });
      });
      // One after the other, as on a wire, unless jitter reorders them.
      this.#lastArrival = Math.max(this.#lastArrival + 0.001, this.time.now + delay);
      timer.startAt(this.#lastArrival + jitter * fraction(this.chance));
    }
    return Verdict.done;
  }
}

/** Two TCPs with a wire between them, and a connection from one to the other. */
export class Pair {
  readonly time = new VirtualTime();
  readonly client: Tcp;
  readonly server: Tcp;
  readonly listener: Listener;
  readonly near: Connection;
  far: Connection | null = null;
  readonly #networks: Pipe[];

  constructor(options: WireOptions = {}, settings: Partial<ConnectionSettings> = {}) {
    const chance = new SeededRandom(options.seed ?? 1);
    const [one, other] = this.#networks = ["192.0.2.1/24", "192.0.2.9/24"].map((address) =>
      new Pipe(address, this.time, options, chance)
    ) as [Pipe, Pipe];
    this.client = this.#tcp(one, options.client ?? 1_000_000, options);
    this.server = this.#tcp(other, options.server ?? 5_000_000, options);
    one.far = this.server;
    one.farNetwork = other;
    other.far = this.client;
    other.farNetwork = one;
    const { fastOpen = false } = options;
    if (fastOpen) {
      const cookie = this.server.fastOpen.cookies.make(one.own, other.own).slice();
      this.client.fastOpen.cache.learn(other.own, cookie, false, 1460);
    }
    this.listener = this.server.listen({ local: { address: IpAddress.unspecified(4), port: 80 }, settings, fastOpen });
    this.near = this.client.connect({ remote: { address: other.own, port: 80 }, settings, fastOpen });
  }

  #tcp(network: Pipe, initial: number, options: WireOptions): Tcp {
    const random = new SeededRandom(2);
    const tcp = new Tcp({
      pool: network.pool,
      timers: this.time.timers,
      random,
      networks: network,
      ports: new Ports(random),
      headroom: 124,
      counters: new Counters(),
      wake: () => {},
    }, { initialSequence: { next: () => initial, timestampOffset: () => 0 }, ...options.configuration });
    this.time.add({ step: () => (tcp.flush(), 0) });
    return tcp;
  }

  /**
   * Sends `up` bytes of the pattern from the client and `down` from the server, closes both sides, and returns how
   * many milliseconds that took. Every byte is compared on arrival.
   */
  transfer(up: number, down = 0, limit = 3_600_000): number {
    const flows = [
      { from: () => this.near, to: () => this.far, total: up, sent: 0, read: 0 },
      { from: () => this.far, to: () => this.near as Connection | null, total: down, sent: 0, read: 0 },
    ];
    const piece = patternBytes(0, 65_536 + 8192);
    const target = new Uint8Array(65_536);
    return this.time.runUntil(() => {
      if (this.near.failure !== null) throw new Error(`The transfer failed: ${this.near.failure.message}`);
      this.far ??= this.listener.accept();
      let done = true;
      for (const flow of flows) {
        const from = flow.from();
        const to = flow.to();
        if (from === null || (from.state === State.synSent && !from.deferred)) return false;
        if (to === null && !from.deferred) return false;
        if (to !== null && to.failure !== null) throw new Error(`The transfer failed: ${to.failure.message}`);
        while (flow.sent < flow.total) {
          // The pattern repeats every 65,536 bytes.
          const at = flow.sent & 0xffff;
          const taken = from.send(piece.subarray(at, at + Math.min(8192, flow.total - flow.sent)));
          if (taken === 0) break;
          flow.sent += taken;
        }
        if (flow.sent === flow.total) from.shutdown();
        if (to === null) return false;
        for (let length = to.receive(target); length > 0; length = to.receive(target)) {
          const at = flow.read & 0xffff;
          const first = Math.min(length, 65_536 - at);
          if (!sameBytes(target, 0, piece, at, first) || !sameBytes(target, first, piece, 0, length - first)) {
            throw new Error(`Received bytes differ from what was sent, near ${flow.read}`);
          }
          flow.read += length;
        }
        done &&= to.ended && flow.read === flow.total;
      }
      return done && this.near.finished && this.far!.finished;
    }, limit);
  }

  /** Ends everything and asserts that nothing is left. */
  end(): void {
    this.listener.close();
    this.time.advance(200_000);
    for (const tcp of [this.client, this.server]) {
      tcp.close();
      assertEquals(tcp.connections().length, 0, "connections left");
      assertEquals(tcp.timeWait.size, 0, "TIME-WAIT left");
      assertEquals(tcp.storage.inUse, 0, "ring storage");
    }
    this.time.advance(1000);
    for (const network of this.#networks) assertEquals(network.pool.inUse, 0, "packets in use");
    assertEquals(this.time.timers.running, 0, "timers running");
  }
}

function sameBytes(left: Uint8Array, leftAt: number, right: Uint8Array, rightAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (left[leftAt + index] !== right[rightAt + index]) return false;
  return true;
}
