/**
 * One TCP on a virtual clock, and a peer that does what a test says, segment by segment.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { Counters } from "../../../stack/counters.ts";
import { checksum } from "../../../stack/checksum.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { type ErrorKind, Verdict } from "../../../stack/protocol.ts";
import { Ports } from "../../../stack/transport/ports.ts";
import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import type { Listener } from "../../../stack/transport/tcp/listener.ts";
import { stateName } from "../../../stack/transport/tcp/state.ts";
import type { TcpConfiguration } from "../../../stack/transport/tcp/configuration.ts";
import { Tcp } from "../../../stack/transport/tcp/tcp.ts";
import type { ConnectionSettings, Failure, ListenRequest } from "../../../stack/transport/tcp/user.ts";
import { FakeNetwork } from "../../helpers/fake_network.ts";
import { buildSegment, formatSegment, parseSegment, readSegment } from "../../helpers/segment_text.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";
import { pattern, patternBytes } from "./pattern.ts";

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

  /** The peer sends these bytes, whose checksum is filled in; they arrived now or earlier. */
  deliver(bytes: Uint8Array, multicast = false, arrivedAt: number = this.time.now): Verdict {
    const pseudo = this.network.packet({ source: this.peer, destination: this.network.own, bytes: new Uint8Array(0) });
    const addresses = this.network.family === 4 ? 8 : 32;
    const pseudoBytes = new Uint8Array(addresses + 4);
    pseudoBytes.set(pseudo.bytes.subarray(pseudo.sourceAt, pseudo.sourceAt + addresses));
    new DataView(pseudoBytes.buffer).setUint16(addresses, 6);
    new DataView(pseudoBytes.buffer).setUint16(addresses + 2, bytes.length);
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
      arrivedAt,
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
