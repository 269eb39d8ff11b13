/**
 * Two TCPs on a virtual clock, with a wire between them that loses, doubles and reorders as a test says.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { Counters } from "../../../stack/counters.ts";
import type { Packet } from "../../../stack/packet.ts";
import { Verdict } from "../../../stack/protocol.ts";
import { fraction, SeededRandom } from "../../../stack/random.ts";
import { Ports } from "../../../stack/transport/ports.ts";
import type { TcpConfiguration } from "../../../stack/transport/tcp/configuration.ts";
import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import type { Listener } from "../../../stack/transport/tcp/listener.ts";
import { State } from "../../../stack/transport/tcp/state.ts";
import { Tcp } from "../../../stack/transport/tcp/tcp.ts";
import type { ConnectionSettings } from "../../../stack/transport/tcp/user.ts";
import { FakeNetwork } from "../../helpers/fake_network.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";
import { patternBytes } from "./pattern.ts";

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
