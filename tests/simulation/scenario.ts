/**
 * Short connections, each with its own network, settings and users, all drawn from a seed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { describeSegment } from "../../stack/describe.ts";
import type { CaptureSink } from "../../stack/link/capture.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { below, fraction, SeededRandom } from "../../stack/random.ts";
import { Cubic } from "../../stack/transport/tcp/congestion/cubic.ts";
import { Reno } from "../../stack/transport/tcp/congestion/reno.ts";
import { State, stateName } from "../../stack/transport/tcp/state.ts";
import type { TcpConfiguration } from "../../stack/transport/tcp/configuration.ts";
import type { TcpTrace } from "../../stack/transport/tcp/trace.ts";
import type { ConnectionSettings, Failure, UserConnection } from "../../stack/transport/tcp/user.ts";
import { World } from "./world.ts";

/** By then every connection must have come to its end, in milliseconds. */
const limit = 300_000;

/** How one side ends before its time. */
export interface Quit {
  /** When, in milliseconds since the beginning. */
  readonly at: number;
  readonly how: "close" | "abort" | "shutdown";
}

/** What the user of one side does. */
export interface Behaviour {
  /** Bytes to send, unless it quits. */
  readonly bytes: number;
  readonly writeBytes: number;
  readonly readBytes: number;
  /** How long it does not read at first, in milliseconds. */
  readonly deafUntil: number;
  readonly quit: Quit | null;
}

/** What happens in one run. */
export interface Scenario {
  readonly seed: number;
  readonly mtu: number;
  readonly impairments: [ImpairmentOptions, ImpairmentOptions];
  readonly tcp: TcpConfiguration;
  readonly reno: boolean;
  readonly settings: [Partial<ConnectionSettings>, Partial<ConnectionSettings>];
  readonly behaviours: [Behaviour, Behaviour];
}

/** Draws a scenario; a brief one has few bytes to transfer. */
export function drawScenario(seed: number, brief = false): Scenario {
  const random = new SeededRandom(seed);
  const chance = (probability: number) => fraction(random) < probability;
  const pick = <Item>(...items: Item[]) => items[below(random, items.length)]!;
  /** Small numbers are as likely as large ones. */
  const scaled = (least: number, most: number) => Math.floor(least * (most / least) ** fraction(random));
  const outage = () => {
    const from = scaled(1, 20_000);
    return { from, until: from + scaled(10, 5000) };
  };
  const impairment = (): ImpairmentOptions => ({
    ...(chance(0.6) ? { loss: fraction(random) / 10 } : {}),
    ...(chance(0.2) ? { duplicate: fraction(random) / 5 } : {}),
    ...(chance(0.2) ? { corrupt: fraction(random) / 20 } : {}),
    ...(chance(0.3) ? { reorder: fraction(random) / 4, reorderDelay: scaled(1, 100) } : {}),
    ...(chance(0.8) ? { delay: scaled(1, 200) } : {}),
    ...(chance(0.3) ? { jitter: scaled(1, 50), jitterReorders: chance(0.5) } : {}),
    ...(chance(0.3) ? { rate: scaled(100_000, 100_000_000), queueBytes: scaled(10_000, 200_000) } : {}),
    ...(chance(0.2) ? { outages: Array.from({ length: 1 + below(random, 4) }, outage) } : {}),
  });
  const settings = (): Partial<ConnectionSettings> => ({
    sendBufferBytes: scaled(1000, 1_000_000),
    receiveBufferBytes: scaled(1000, 1_000_000),
    noDelay: chance(0.3),
    pacing: chance(0.5),
    // An end that hears nothing more has to find out: whoever aborts tells it once.
    keepAlive: true,
    keepAliveIdle: 10_000,
    keepAliveInterval: 2000,
    keepAliveCount: 8,
  });
  const behaviour = (quits: boolean): Behaviour => {
    const bytes = chance(0.1) ? 0 : scaled(1, brief ? 3000 : 100_000);
    return {
      bytes,
      // Without SACK and timestamps, thousands of tiny segments take hours to repair by the rules.
      writeBytes: Math.max(scaled(1, 30_000), Math.ceil(bytes / 500)),
      readBytes: scaled(10, 100_000),
      deafUntil: chance(0.1) ? scaled(10, 20_000) : 0,
      quit: quits ? { at: scaled(1, 5000), how: pick("close", "abort", "shutdown") } : null,
    };
  };
  return {
    seed,
    mtu: pick(576, 1000, 1500, 1500, 1500, 9000, 576 + below(random, 8425)),
    impairments: [impairment(), impairment()],
    tcp: { timestamps: chance(0.8), selectiveAcknowledgements: chance(0.8), windowScaling: chance(0.8) },
    reno: chance(0.3),
    settings: [settings(), settings()],
    behaviours: [behaviour(chance(0.2)), behaviour(chance(0.2))],
  };
}

/** The byte at a place of a stream, different in both directions. */
function pattern(place: number, direction: number): number {
  return ((Math.imul(place + 1, 0x9e37_79b1) >>> 24) ^ (place & 0xff) ^ (direction * 0x55)) & 0xff;
}

/** One side of a connection and its user. */
export class Side {
  readonly connection: UserConnection;
  readonly behaviour: Behaviour;
  failure: Failure | null | undefined = undefined;
  written = 0;
  read = 0;
  /** Whether the end of the other side's bytes was read. */
  ended = false;
  readonly #direction: number;
  readonly #now: () => number;
  readonly #buffer: Uint8Array;
  #quit = false;
  #shut = false;

  constructor(connection: UserConnection, behaviour: Behaviour, direction: number, now: () => number) {
    this.connection = connection;
    this.behaviour = behaviour;
    this.#direction = direction;
    this.#now = now;
    this.#buffer = new Uint8Array(behaviour.readBytes);
    const wrongOrder = () => assertEquals(this.failure, undefined, "told of something after the end");
    connection.observer = {
      established: wrongOrder,
      readable: wrongOrder,
      writable: wrongOrder,
      closed: (failure) => {
        wrongOrder();
        this.failure = failure;
      },
    };
  }

  /** Whether it is over and all that there was to read was read. */
  get over(): boolean {
    return this.failure !== undefined && (this.connection.receivable === 0 || this.#quit);
  }

  /** Does what there is to do now. */
  work(): number {
    const before = this.written + this.read;
    const { quit } = this.behaviour;
    if (quit !== null && !this.#quit && this.#now() >= quit.at) {
      if (quit.how !== "shutdown") this.#quit = true;
      this.#shut = true;
      this.connection[quit.how]();
    }
    if (!this.#quit && (this.connection.state >= State.established || this.failure !== undefined)) {
      this.#write();
      if (this.#now() >= this.behaviour.deafUntil) this.#read();
    }
    return this.written + this.read - before;
  }

  #write(): void {
    const { bytes, writeBytes } = this.behaviour;
    while (this.written < bytes && !this.#shut) {
      const chunk = Uint8Array.from(
        { length: Math.min(writeBytes, bytes - this.written) },
        (_, index) => pattern(this.written + index, this.#direction),
      );
      const taken = this.connection.send(chunk);
      this.written += taken;
      if (taken < chunk.length) return;
    }
    if (!this.#shut) this.connection.shutdown();
    this.#shut = true;
  }

  #read(): void {
    while (this.connection.receivable > 0) {
      const length = this.connection.receive(this.#buffer);
      for (let index = 0; index < length; index++) {
        if (this.#buffer[index] !== pattern(this.read + index, 1 - this.#direction)) {
          throw new Error(`Byte ${this.read + index} is wrong`);
        }
      }
      this.read += length;
    }
    this.ended ||= this.connection.ended;
  }
}

/** What became of a run. */
export interface Outcome {
  client: Side;
  server: Side | null;
  duration: number;
  world: World;
}

/** Tells of the segments and states of one side, line by line. */
function tell(side: string, now: () => number, print: (line: string) => void): TcpTrace {
  const line = (text: string) => print(`${now().toFixed(3)} ${side} ${text}`);
  return {
    segment: (_connection, direction, { view, transportAt, tail }) =>
      line(`${direction} ${describeSegment(view, transportAt, tail)}`),
    state: (_connection, from, to) => line(`${stateName(from)} -> ${stateName(to)}`),
  };
}

/** Who watches a run. */
export interface Watchers {
  /** Is told of every segment and every change of state. */
  readonly print?: (line: string) => void;
  /** Takes a capture of what the client sees. */
  readonly capture?: CaptureSink;
}

/** Runs a scenario until nothing happens any more, and asserts that nothing is left. */
export async function runScenario(scenario: Scenario, watchers: Watchers = {}): Promise<Outcome> {
  const { print, capture } = watchers;
  const { seed, mtu, impairments, tcp, reno, settings, behaviours } = scenario;
  const congestionControl = () => reno ? new Reno() : new Cubic();
  const world = new World({
    seed,
    mtu,
    impairments,
    tcp: { ...tcp, congestionControl },
    ...(capture === undefined ? {} : { capture }),
  });
  const { time } = world;
  const startedAt = time.now;
  const now = () => time.now - startedAt;
  if (print !== undefined) {
    world.client.trace = tell("client", now, print);
    world.server.trace = tell("server", now, print);
  }
  const local = { address: IpAddress.unspecified4, port: 80 };
  const listener = world.server.tcp.listen({ local, settings: settings[1] });
  const remote = { address: IpAddress.parse("10.0.0.2"), port: 80 };
  const client = new Side(world.client.tcp.connect({ remote, settings: settings[0] }), behaviours[0], 0, now);
  let server: Side | null = null;
  // Quitting is nothing that the stack knows of: the clock has to stop there.
  const wakeUps = behaviours.flatMap(({ deafUntil, quit }) => [deafUntil, quit?.at ?? 0]);
  time.add({
    step: () => {
      if (server === null) {
        const accepted = listener.accept();
        if (accepted !== null) {
          server = new Side(accepted, behaviours[1], 1, now);
          listener.close();
        }
      }
      return client.work() + (server?.work() ?? 0);
    },
    nextDeadline: () => Math.min(...wakeUps.filter((at) => at > now())) + startedAt,
  });
  const isOver = () => client.over && (server === null ? client.failure !== undefined : server.over);
  time.runUntil(() => isOver() && now() >= Math.max(...wakeUps), limit);
  const duration = now();
  listener.close();
  // TIME-WAIT, orphans, and what is still on the wire come to their end.
  time.advance(500_000);
  await world.end();
  return { client, server, duration, world };
}

/** What a scenario without anybody who quits must come to: everything, both ways, without failure. */
export function assertExact({ client, server }: Outcome): void {
  assertEquals([client.failure, server?.failure], [null, null], "failures");
  assertEquals([client.written, server!.written], [client.behaviour.bytes, server!.behaviour.bytes], "bytes written");
  assertEquals([server!.read, client.read], [client.written, server!.written], "bytes read");
  assert(client.ended && server!.ended, "the end was not read");
}

/** What must hold if somebody quits: nobody reads more than was written, or takes a part for the whole. */
export function assertPlausible({ client, server }: Outcome): void {
  for (const [from, to] of [[client, server], [server, client]]) {
    if (from === null || to === null) continue;
    assert((to?.read ?? 0) <= (from?.written ?? 0), "more was read than was written");
    if (to?.ended) assertEquals(to.read, from?.written, "the end was read before all bytes were");
  }
  for (const side of [client, server]) {
    const name = side?.failure?.name;
    const expected = [undefined, "ConnectionReset", "ConnectionRefused", "TimedOut", "ConnectionAborted"];
    assert(expected.includes(name), `${name}`);
  }
}
